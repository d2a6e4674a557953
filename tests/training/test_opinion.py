"""The second opinion: which detections it judges, what it looks at, and what it adds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage
import tensorflow as tf  # noqa: TID253 - runs the network
from numpy.typing import NDArray
from skimage import data, io

from tests.sources import sources
from tests.training.random_nanodet import random_convolutions
from training.export import ExportOptions, ObjectDetector
from training.nanodet import Convolution, read_convolutions
from training.network import COCO_IDS, MIX, PROTOTYPES, build_network
from training.opinion import Found, OpinionOptions, SecondOpinion, _rounded, places_in_picture
from training.sources import NANODET

PERSON, MOTORCYCLE = COCO_IDS.index(1), COCO_IDS.index(4)
HEAD = [40.0, 170.0, 210.0, 280.0]  # y0, x0, y1, x1 in the picture of the astronaut, 512 × 512
SHUTTLE = [60.0, 430.0, 240.0, 510.0]


@pytest.fixture(scope="module", params=sources("random", "published"))
def convolutions(request: pytest.FixtureRequest) -> dict[str, Convolution]:
    """Random ones in the form of NanoDet's, and the published ones where they are."""
    if request.param == "random":
        return random_convolutions()
    return read_convolutions(request.getfixturevalue("shared") / "training" / NANODET)


published = pytest.mark.parametrize("convolutions", ["published"], indirect=True)


def found(*rows: tuple[list[float], float, int], picture: int = 0) -> Found:
    boxes = tf.constant(np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4))
    scores = tf.constant([score for _, score, _ in rows], tf.float32)
    classes = tf.constant([kind for _, _, kind in rows], tf.int32)
    return Found(tf.fill([len(rows)], picture), boxes, boxes, scores, classes, tf.zeros((len(rows), MIX)))


def ask(opinion: SecondOpinion, pixels: NDArray[np.uint8], given: Found) -> Found:
    sides = tf.constant(pixels.shape[:2], tf.float32)
    return opinion.on(tf.constant(pixels[None].astype(np.float32)), given, sides)


@published
def test_a_doubtful_person_is_confirmed_and_a_model_of_a_shuttle_is_not(convolutions: dict[str, Convolution]) -> None:
    opinion = SecondOpinion(convolutions, OpinionOptions(largest=0.5, leniency=(0.0, 0.0), near_leniency=0.0))
    body = [10.0, 10.0, 512.0, 365.0]  # more than `largest`
    judged = ask(opinion, data.astronaut(), found((HEAD, 0.3, PERSON), (SHUTTLE, 0.3, PERSON), (body, 0.3, PERSON)))
    head, shuttle, whole = judged.scores.numpy()
    assert head > shuttle
    assert shuttle < 0.15
    assert whole == np.float32(0.3)


def test_sure_detections_and_those_below_the_range_keep_their_scores(convolutions: dict[str, Convolution]) -> None:
    given = found((SHUTTLE, 0.5, PERSON), (SHUTTLE, 0.14, PERSON))
    judged = ask(SecondOpinion(convolutions), data.astronaut(), given)
    np.testing.assert_array_equal(judged.scores, given.scores)


def test_only_so_many_are_judged_the_largest_first(convolutions: dict[str, Convolution]) -> None:
    opinion = SecondOpinion(convolutions, OpinionOptions(most=1))
    small = [100.0, 440.0, 130.0, 460.0]
    judged = ask(opinion, data.astronaut(), found((small, 0.3, PERSON), (SHUTTLE, 0.3, PERSON)))
    assert judged.scores.numpy()[0] == np.float32(0.3)
    assert judged.scores.numpy()[1] != np.float32(0.3)


def test_persons_and_vehicles_are_judged_with_their_own_leniency(convolutions: dict[str, Convolution]) -> None:
    opinion = SecondOpinion(convolutions, OpinionOptions(leniency=(1.0, -1.0), near=90.0, near_leniency=3.0))
    sides = (50, 100, 20)
    given = found(*(([0.0, 0.0, float(side), 10.0], 0.3, PERSON) for side in sides))
    np.testing.assert_array_equal(opinion._leniency(given), [1, 3, 1])
    vehicles = given._replace(classes=tf.fill([3], MOTORCYCLE))
    np.testing.assert_array_equal(opinion._leniency(vehicles), [-1, -1, -1])


def test_leniency_is_added_to_the_sum_of_the_log_odds(convolutions: dict[str, Convolution]) -> None:
    scores = []
    for leniency in (0.0, 1.0):
        opinion = SecondOpinion(convolutions, OpinionOptions(leniency=(leniency, 0.0), near=300.0))
        scores.append(float(ask(opinion, data.astronaut(), found((SHUTTLE, 0.3, PERSON))).scores[0]))
    odds = np.log(scores) - np.log1p(-np.array(scores))
    np.testing.assert_allclose(odds[1] - odds[0], 1, atol=1e-3)


def test_the_window_is_around_the_detection_and_padded(convolutions: dict[str, Convolution]) -> None:
    opinion = SecondOpinion(convolutions, OpinionOptions(window=96, context=3.0))
    rows, columns = np.meshgrid(np.arange(200), np.arange(100), indexing="ij")
    picture = np.stack([rows, columns, rows], axis=-1)[None].astype(np.float32)
    windows, boxes = opinion._windows(tf.constant(picture), found(([100, 50, 132, 70], 0.3, PERSON)))
    np.testing.assert_allclose(boxes, [[32, 38, 64, 58]], atol=1e-3)  # 96 pixels of the picture, so not scaled
    window = windows.numpy()[0]
    np.testing.assert_allclose(window[:80, 40, 0], np.arange(68, 148), atol=1e-2)
    np.testing.assert_allclose(window[40, :80, 1], np.arange(12, 92), atol=1e-2)
    assert (window[:, 90:] == 114).all()  # beyond the picture


@published
def test_a_vehicle_of_which_nothing_was_detected_is_added(convolutions: dict[str, Convolution]) -> None:
    photograph = io.imread(Path(skimage.__file__).parent / "data" / "motorcycle_left.png")
    pixels = np.zeros((320, 416, 3), np.uint8)
    pixels[:278] = np.asarray(tf.image.resize(photograph[..., :3], (278, 416)))
    opinion = SecondOpinion(convolutions)
    added = ask(opinion, pixels, found())
    assert MOTORCYCLE in added.classes.numpy().tolist()
    assert added.scores.numpy().min() >= 0.5
    row = added.classes.numpy().tolist().index(MOTORCYCLE)
    box = added.boxes.numpy()[row].tolist()
    assert (box[2] - box[0]) * (box[3] - box[1]) > 0.25 * 278 * 416
    known = ask(opinion, pixels, found(([0.0, 0.0, 320.0, 416.0], 0.9, MOTORCYCLE)))
    assert len(known.scores) == 1
    weak = ask(opinion, pixels, found(([0.0, 0.0, 320.0, 416.0], 0.1, MOTORCYCLE)))  # not hidden by default
    assert len(weak.scores) > 1


def test_large_pictures_are_not_looked_at_as_a_whole(convolutions: dict[str, Convolution]) -> None:
    photograph = io.imread(Path(skimage.__file__).parent / "data" / "motorcycle_left.png")[..., :3]
    pixels = np.asarray(photograph[:480, :704], np.uint8)
    assert len(ask(SecondOpinion(convolutions), pixels, found()).scores) == 0


def test_the_mask_of_an_added_vehicle_is_a_rounded_box() -> None:
    detector = ObjectDetector(build_network(), ExportOptions())
    box = tf.constant([[10.0, 20.0, 90.0, 200.0]])
    added = Found(tf.constant([0]), box, box, tf.constant([0.6]), tf.constant([2]), _rounded(1))
    mask = detector._masks(added, tf.random.normal((1, 30, 60, PROTOTYPES))).numpy()[0] > 0.5
    assert 0.9 < mask.mean() < 1
    assert not mask[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert mask[0, 10:18].all()
    assert mask[10:18, 0].all()


def test_places_count_within_each_picture() -> None:
    assert places_in_picture(tf.constant([0, 0, 2, 2, 2, 5])).numpy().tolist() == [0, 1, 0, 1, 2, 0]


@pytest.mark.parametrize("options", [{"doubtful": (0.5, 0.5)}, {"window": 100}, {"window": 0}, {"context": 0.5}])
def test_invalid_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OpinionOptions(**options)  # type: ignore[arg-type]
