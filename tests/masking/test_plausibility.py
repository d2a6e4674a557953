"""What a model gives is believed only as far as it can be true; every rule at its border."""

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
    """Of one picture: a car, a bench of no interest, and a row beyond those that count, of rubbish."""
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
    """Outputs in which one row of `detection_<name>` is another."""
    made = outputs()
    made[f"detection_{name}"] = made[f"detection_{name}"].astype(np.float64)
    made[f"detection_{name}"][0, at] = value
    return made


def test_what_can_be_true_is_taken() -> None:
    found = read(outputs())
    assert found.counts() == {"car": 1}
    assert found.boxes[0] == pytest.approx(BOX)
    assert found.masks.shape == (1, 5, 5)  # what is not hidden needs no mask that can be true
    assert len(read(outputs(count=0))) == 0


COUNT = "num_detections {}, expected a whole number from 0 to 3"
SCORE = r"detection_scores {} in row 0, expected 0 to 1"
CLASS = "detection_classes {} in row 0, expected a whole number from 1 to 90, as in the label map of COCO"
FAR = r"detection_boxes \[{}\] in row 0, expected ymin, xmin, ymax, xmax as shares of the picture, from -1 to 2"
SWAPPED = r"detection_boxes \[{}\] in row 0, expected .* with ymin <= ymax and xmin <= xmax"
OUTSIDE = r"detection_boxes \[{}\] in row 0, expected a box of which a part lies on the picture, 0 to 1"
TINY = r"detection_boxes \[{}\] in row 0, expected a box of a pixel or more, of the 144 x 96 that it was shown"
MASK = "detection_masks with values from {} to {} in row 0, expected 0 to 1"
FINITE = r"detection_{} in row 0, expected finite numbers"


def reject(given_outputs: dict[str, NDArray[Any]], message: str, threshold: float = 0.15) -> None:
    with pytest.raises(ImplausibleOutputError, match=f"^the model in /models/new gives {message}$"):
        read(given_outputs, threshold)


@pytest.mark.parametrize("count", [2.5, -1, 4, 1000, NAN, INF, -INF, 2.01, 1e12])
def test_a_count_that_is_none(count: float) -> None:
    reject(outputs(count), COUNT.format(f"{count:.6g}".replace("+", r"\+")))


@pytest.mark.parametrize("count", [2.0005, 1.9995])
def test_a_count_up_to_rounding(count: float) -> None:
    assert len(read(outputs(count))) == 1


def test_a_count_in_whole_numbers_of_any_kind() -> None:
    for kind in (np.int32, np.int64, np.uint8, np.float64):
        assert len(read(outputs() | {"num_detections": np.array([2], kind)})) == 1
    assert len(read(outputs() | {"detection_classes": np.array([[3, 15, 0]], np.int64)})) == 1


@pytest.mark.parametrize("score", [90, 1.002, -0.002, -1, NAN, INF, -INF])
def test_a_score_that_is_none_in_any_row_that_counts(score: float) -> None:
    reject(row("scores", score), SCORE.format(f"{score:.6g}"))
    reject(row("scores", score, at=1), SCORE.format(f"{score:.6g}").replace("row 0", "row 1"))


@pytest.mark.parametrize(("score", "taken"), [(1.0005, 1.0), (-0.0005, None), (0.15, 0.15), (0.1499, None)])
def test_a_score_up_to_rounding(score: float, taken: float | None) -> None:
    assert read(row("scores", score)).scores.tolist() == pytest.approx([] if taken is None else [taken])


def test_a_score_at_the_threshold_is_taken_however_32_bits_round_it() -> None:
    for threshold in (0.15, 0.3, 0.7, 0.9):
        at_it = outputs(detection_scores=[threshold, 0, 0])
        assert len(read(at_it, threshold)) == 1


@pytest.mark.parametrize("name", ["boxes", "classes"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_numbers_that_are_not_finite_in_any_row_that_counts(name: str, value: float) -> None:
    text = rf"\[{value}, {value}, {value}, {value}\]" if name == "boxes" else str(value)
    reject(row(name, value), FINITE.format(f"{name} {text}"))
    low = row(name, value)
    low["detection_scores"][0, 0] = 0.01
    reject(low, FINITE.format(f"{name} {text}"))


@pytest.mark.parametrize("kind", [0, -1, 91, 1.5, 1e12, -1e12, 3.01])
def test_a_class_that_the_label_map_does_not_know(kind: float) -> None:
    text = f"{kind:.6g}".replace("+", r"\+")
    reject(row("classes", kind), CLASS.format(text))
    reject(row("classes", kind, at=1), CLASS.format(text).replace("row 0", "row 1"))


@pytest.mark.parametrize(("kind", "kept"), [(3.0005, 1), (2.9995, 1), (1, 1), (90, 0), (12, 0)])
def test_a_class_up_to_rounding(kind: float, kept: int) -> None:
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
        ((0.25 / HEIGHT, 0.25 / WIDTH, 0.75 / HEIGHT, 0.75 / WIDTH), TINY),  # shares of shares
        ((0.5, 0.5, 0.5 + 0.99 / HEIGHT, 0.5 + 0.99 / WIDTH), TINY),
    ],
)
def test_a_box_that_cannot_be_one(box: tuple[float, ...], message: str) -> None:
    text = ", ".join(f"{side:.6g}" for side in box)
    reject(row("boxes", box), message.format(text))
    # Of whatever class it is: a model that is wrong about benches is wrong about cars.
    reject(row("boxes", box, at=1), message.format(text).replace("row 0", "row 1"))


@pytest.mark.parametrize(
    ("box", "clipped", "masked"),
    [
        ((-1, 0.25, 0.5, 2), (0, 0.25, 0.5, 1), False),
        ((-0.0005, 0.25, 0.5, 1.0005), (0, 0.25, 0.5, 1), True),
        ((0.5, 0.25, 0.4995, 0.75), (0.4995, 0.25, 0.5, 0.75), True),  # swapped by rounding
        ((0.5, 0.25, 0.5, 0.75), (0.5, 0.25, 0.5, 0.75), True),  # no height, and a length
        ((0.999, 0.25, 1, 0.75), (0.999, 0.25, 1, 0.75), True),  # what the border left over
        ((-0.5, -0.5, 0.0001, 0.0001), (0, 0, 0.0001, 0.0001), False),  # a corner of something larger
        ((0.5, 0.5, 0.5 + 1 / HEIGHT, 0.5), (0.5, 0.5, 0.5 + 1 / HEIGHT, 0.5), True),
    ],
)
def test_a_box_partly_outside_is_clipped(box: tuple[float, ...], clipped: tuple[float, ...], masked: bool) -> None:
    """A mask is kept where the box is still the one it was made for."""
    found = read(row("boxes", box))
    assert found.boxes[0] == pytest.approx(clipped, abs=1e-6)
    assert (float(found.masks.min()) < 1) is masked


@pytest.mark.parametrize("box", [(1, 0.25, 1, 0.75), (0.25, 0, 0.75, 0), (1.0002, 0.25, 1.0004, 0.75)])
def test_a_box_of_which_clipping_left_nothing_hides_nothing_and_is_no_nonsense(box: tuple[float, ...]) -> None:
    assert len(read(row("boxes", box))) == 0


def test_rows_below_the_threshold_may_be_padding() -> None:
    """Some exports count it: class 0, no box, score 0."""
    for score, threshold in ((0, 0.15), (0.1, 0.15), (0, 0)):
        padded = outputs()
        padded["detection_scores"][0, 1] = score
        padded["detection_classes"][0, 1] = 0
        padded["detection_boxes"][0, 1] = 0
        assert read(padded, threshold).counts() == {"car": 1}
        padded["detection_scores"][0, 1] = 0.2
        reject(padded, CLASS.format(0).replace("row 0", "row 1"), threshold)


@pytest.mark.parametrize(("low", "high"), [(-5, 5), (0, 1.002), (-0.002, 1), (NAN, NAN), (0, INF), (0, 255)])
def test_masks_that_are_none(low: float, high: float) -> None:
    masks = np.full((1, 3, 5, 5), 0.5)
    masks[0, 0, 0], masks[0, 0, 1:] = low, high
    reject(outputs() | {"detection_masks": masks}, MASK.format(f"{low:.6g}", f"{high:.6g}"))


def test_masks_up_to_rounding() -> None:
    masks = np.full((1, 3, 5, 5), 1.0005)
    masks[0, 0, 0] = -0.0005
    found = read(outputs() | {"detection_masks": masks})
    assert (found.masks.min(), found.masks.max()) == (0, 1)


def test_one_picture_of_a_batch_is_enough() -> None:
    """The pictures of a batch are views of one picture."""
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
def test_whatever_a_model_gives_is_refused_or_hidden(
    box: tuple[float, ...], score: float, kind: float, count: float, level: float
) -> None:
    """No third way: neither another exception, nor a vehicle that is left out in silence."""
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
