"""Implausible outputs of a model are refused; every rule is tested at its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anonymisation.core.errors import ImplausibleOutputError
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import KEPT_IDS
from anonymisation.masking.outputs import read_outputs
from anonymisation.masking.plausibility import Plausibility

HEIGHT, WIDTH = 96, 144
NAN, INF = float("nan"), float("inf")
BOX = (0.25, 0.25, 0.75, 0.75)


def outputs(count: float = 2, **changes: Any) -> dict[str, NDArray[Any]]:
    """Outputs for one picture: a car, a bench (not kept), and an invalid row beyond num_detections."""
    values: dict[str, Any] = {
        "num_detections": count,
        "detection_boxes": [BOX, BOX, (NAN,) * 4],
        "detection_scores": [0.9, 0.8, 90],
        "detection_classes": [3, 15, 1e12],
        "detection_masks": np.stack([np.full((5, 5), level) for level in (0.8, NAN, NAN)]),
    }
    return {name: np.array([value], np.float32) for name, value in (values | changes).items()}


def read(given_outputs: dict[str, NDArray[Any]], threshold: float = 0.15) -> Detections:
    (found,) = read_outputs(given_outputs, 1, threshold, Plausibility("the model in /models/new", HEIGHT, WIDTH))
    return found


def row(name: str, value: Any, at: int = 0) -> dict[str, NDArray[Any]]:
    """Outputs with another value in one row of `detection_<name>`."""
    made = outputs()
    made[f"detection_{name}"] = made[f"detection_{name}"].astype(np.float64)
    made[f"detection_{name}"][0, at] = value
    return made


def test_plausible_outputs_are_accepted() -> None:
    found = read(outputs())
    assert found.counts() == {"car": 1}
    assert found.boxes[0] == pytest.approx(BOX)
    assert found.masks.shape == (1, 5, 5)  # masks of classes that are not hidden are not checked
    assert len(read(outputs(count=0))) == 0


COUNT = "num_detections {}, expected a whole number from 0 to 3"
SCORE = r"detection_scores {} in row 0, expected 0 to 1"
CLASS = "detection_classes {} in row 0, expected a whole number from 1 to 90, as in the label map of COCO"
FAR = r"detection_boxes \[{}\] in row 0, expected ymin, xmin, ymax, xmax as fractions of the picture, from -1 to 2"
SWAPPED = r"detection_boxes \[{}\] in row 0, expected .* with ymin <= ymax and xmin <= xmax"
OUTSIDE = r"detection_boxes \[{}\] in row 0, expected a box that overlaps the picture, 0 to 1"
TINY = r"detection_boxes \[{}\] in row 0, expected a box of at least one pixel in an input of 144 x 96"
MASK = "detection_masks with values from {} to {} in row 0, expected 0 to 1"
FINITE = r"detection_{} in row 0, expected finite numbers"


def reject(given_outputs: dict[str, NDArray[Any]], message: str, threshold: float = 0.15) -> None:
    with pytest.raises(ImplausibleOutputError, match=f"^the model in /models/new gives {message}$"):
        read(given_outputs, threshold)


@pytest.mark.parametrize("count", [2.5, -1, 4, 1000, NAN, INF, -INF, 2.01, 1e12])
def test_implausible_counts_are_refused(count: float) -> None:
    reject(outputs(count), COUNT.format(f"{count:.6g}".replace("+", r"\+")))


@pytest.mark.parametrize("count", [2.0005, 1.9995])
def test_counts_may_be_off_by_rounding(count: float) -> None:
    assert len(read(outputs(count))) == 1


def test_counts_may_have_any_integer_type() -> None:
    for kind in (np.int32, np.int64, np.uint8, np.float64):
        assert len(read(outputs() | {"num_detections": np.array([2], kind)})) == 1
    assert len(read(outputs() | {"detection_classes": np.array([[3, 15, 0]], np.int64)})) == 1


@pytest.mark.parametrize("score", [90, 1.002, -0.002, -1, NAN, INF, -INF])
def test_implausible_scores_are_refused_in_every_row_up_to_the_count(score: float) -> None:
    reject(row("scores", score), SCORE.format(f"{score:.6g}"))
    reject(row("scores", score, at=1), SCORE.format(f"{score:.6g}").replace("row 0", "row 1"))


@pytest.mark.parametrize(("score", "taken"), [(1.0005, 1.0), (-0.0005, None), (0.15, 0.15), (0.1499, None)])
def test_scores_may_be_off_by_rounding(score: float, taken: float | None) -> None:
    assert read(row("scores", score)).scores.tolist() == pytest.approx([] if taken is None else [taken])


def test_a_score_at_the_threshold_is_kept_despite_32_bit_rounding() -> None:
    for threshold in (0.15, 0.3, 0.7, 0.9):
        at_it = outputs(detection_scores=[threshold, 0, 0])
        assert len(read(at_it, threshold)) == 1


@pytest.mark.parametrize("name", ["boxes", "classes"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_infinite_numbers_are_refused_in_every_row_up_to_the_count(name: str, value: float) -> None:
    text = rf"\[{value}, {value}, {value}, {value}\]" if name == "boxes" else str(value)
    reject(row(name, value), FINITE.format(f"{name} {text}"))
    low = row(name, value)
    low["detection_scores"][0, 0] = 0.01
    reject(low, FINITE.format(f"{name} {text}"))


@pytest.mark.parametrize("kind", [0, -1, 91, 1.5, 1e12, -1e12, 3.01])
def test_classes_outside_the_label_map_are_refused(kind: float) -> None:
    text = f"{kind:.6g}".replace("+", r"\+")
    reject(row("classes", kind), CLASS.format(text))
    reject(row("classes", kind, at=1), CLASS.format(text).replace("row 0", "row 1"))


@pytest.mark.parametrize(("kind", "kept"), [(3.0005, 1), (2.9995, 1), (1, 1), (90, 0), (12, 0)])
def test_classes_may_be_off_by_rounding(kind: float, kept: int) -> None:
    assert len(read(row("classes", kind))) == kept


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((24, 36, 72, 108), FAR),  # pixels
        ((0.25, 0.25, 2.01, 0.75), FAR),
        ((-1.01, 0.25, 0.5, 0.75), FAR),
        ((0.75, 0.25, 0.25, 0.75), SWAPPED),
        ((0.25, 0.502, 0.75, 0.5), SWAPPED),
        ((0.7, 0.6, 0.2, 0.3), SWAPPED),  # centre and size
        ((-0.5, 0.25, -0.1, 0.75), OUTSIDE),
        ((-0.5, 0.25, 0, 0.75), OUTSIDE),
        ((0.25, -0.7, 0.75, -0.1), OUTSIDE),
        ((1, 0.25, 1.5, 0.75), OUTSIDE),
        ((0.25, 1.1, 0.75, 1.9), OUTSIDE),
        ((0, 0, 0, 0), TINY),
        ((0.5, 0.5, 0.5, 0.5), TINY),
        ((0.25 / HEIGHT, 0.25 / WIDTH, 0.75 / HEIGHT, 0.75 / WIDTH), TINY),  # divided twice
        ((0.5, 0.5, 0.5 + 0.99 / HEIGHT, 0.5 + 0.99 / WIDTH), TINY),
    ],
)
def test_implausible_boxes_are_refused(box: tuple[float, ...], message: str) -> None:
    text = ", ".join(f"{side:.6g}" for side in box)
    reject(row("boxes", box), message.format(text))
    # The class does not matter: a model that is wrong about benches is wrong about cars.
    reject(row("boxes", box, at=1), message.format(text).replace("row 0", "row 1"))


@pytest.mark.parametrize(
    ("box", "clipped", "masked"),
    [
        ((-1, 0.25, 0.5, 2), (0, 0.25, 0.5, 1), False),
        ((-0.0005, 0.25, 0.5, 1.0005), (0, 0.25, 0.5, 1), True),
        ((0.5, 0.25, 0.4995, 0.75), (0.4995, 0.25, 0.5, 0.75), True),  # swapped by rounding
        ((0.5, 0.25, 0.5, 0.75), (0.5, 0.25, 0.5, 0.75), True),  # no height, but a width
        ((0.999, 0.25, 1, 0.75), (0.999, 0.25, 1, 0.75), True),  # clipped to a sliver at the border
        ((-0.5, -0.5, 0.0001, 0.0001), (0, 0, 0.0001, 0.0001), False),  # a corner of a larger object
        ((0.5, 0.5, 0.5 + 1 / HEIGHT, 0.5), (0.5, 0.5, 0.5 + 1 / HEIGHT, 0.5), True),
    ],
)
def test_a_box_partly_outside_is_clipped(box: tuple[float, ...], clipped: tuple[float, ...], masked: bool) -> None:
    """The mask is kept only if the box does not change."""
    found = read(row("boxes", box))
    assert found.boxes[0] == pytest.approx(clipped, abs=1e-6)
    assert (float(found.masks.min()) < 1) is masked


@pytest.mark.parametrize("box", [(1, 0.25, 1, 0.75), (0.25, 0, 0.75, 0), (1.0002, 0.25, 1.0004, 0.75)])
def test_a_box_clipped_to_nothing_hides_nothing_and_is_plausible(box: tuple[float, ...]) -> None:
    assert len(read(row("boxes", box))) == 0


def test_rows_below_the_threshold_may_be_padding() -> None:
    """Some exports count padding: class 0, no box, score 0."""
    for score, threshold in ((0, 0.15), (0.1, 0.15), (0, 0)):
        padded = outputs()
        padded["detection_scores"][0, 1] = score
        padded["detection_classes"][0, 1] = 0
        padded["detection_boxes"][0, 1] = 0
        assert read(padded, threshold).counts() == {"car": 1}
        padded["detection_scores"][0, 1] = 0.2
        reject(padded, CLASS.format(0).replace("row 0", "row 1"), threshold)


@pytest.mark.parametrize(("low", "high"), [(-5, 5), (0, 1.002), (-0.002, 1), (NAN, NAN), (0, INF), (0, 255)])
def test_implausible_masks_are_refused(low: float, high: float) -> None:
    masks = np.full((1, 3, 5, 5), 0.5)
    masks[0, 0, 0], masks[0, 0, 1:] = low, high
    reject(outputs() | {"detection_masks": masks}, MASK.format(f"{low:.6g}", f"{high:.6g}"))


def test_masks_may_be_off_by_rounding() -> None:
    masks = np.full((1, 3, 5, 5), 1.0005)
    masks[0, 0, 0] = -0.0005
    found = read(outputs() | {"detection_masks": masks})
    assert (found.masks.min(), found.masks.max()) == (0, 1)


def test_one_implausible_picture_of_a_batch_is_enough() -> None:
    """The pictures of a batch are views of the same picture."""
    both = {name: np.concatenate([array, array]) for name, array in outputs().items()}
    plausibility = Plausibility("m", HEIGHT, WIDTH)
    assert [len(found) for found in read_outputs(both, 2, 0.15, plausibility)] == [1, 1]
    both["detection_classes"][1, 0] = 0
    with pytest.raises(ImplausibleOutputError, match="m gives detection_classes 0 in row 0"):
        read_outputs(both, 2, 0.15, plausibility)


NUMBER = st.one_of(st.floats(-3, 3, width=32), st.floats(width=32), st.sampled_from([0.0, 1.0, NAN, INF, 1e12, 90.0]))


@settings(max_examples=300)
@given(
    box=st.tuples(NUMBER, NUMBER, NUMBER, NUMBER),
    score=NUMBER,
    kind=NUMBER,
    count=st.one_of(st.sampled_from([0.0, 1.0, 2.0]), NUMBER),
    level=NUMBER,
)
def test_any_output_is_refused_or_hidden(
    box: tuple[float, ...], score: float, kind: float, count: float, level: float
) -> None:
    """Neither another exception nor a silently dropped vehicle is possible."""
    given_outputs = outputs(count) | {"detection_masks": np.full((1, 3, 5, 5), level, np.float32)}
    for name, value in (("boxes", box), ("scores", score), ("classes", kind)):
        given_outputs[f"detection_{name}"] = row(name, value)[f"detection_{name}"]
    try:
        found = read(given_outputs)
    except ImplausibleOutputError:
        return
    wanted = round(count) > 0 and np.float32(score) >= np.float32(0.15) and round(kind) in KEPT_IDS
    touches = (
        min(box[0], box[2]) < 1 and min(box[1], box[3]) < 1 and max(box[0], box[2]) > 0 and max(box[1], box[3]) > 0
    )
    assert len(found) == (wanted and touches)
