"""What is found in panoramas: at the seam, near the poles, close to the car; each pixel hidden, each object once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.panoramas.joining import joined
from anonymisation.masking.panoramas.looks import Cutout, Look, Strip
from anonymisation.masking.panoramas.mapping import finer, finer_size, mapped
from anonymisation.masking.panoramas.search import detect
from anonymisation.masking.panoramas.sphere import Sphere
from tests.masking.panoramas.drawing import GreenDetector, with_discs

HEIGHT, WIDTH = 512, 1024
PLACES = {
    "in the middle": (10.0, -3.0, 8.0),
    "at the seam": (180.0, -3.0, 8.0),
    "small at the seam": (-179.5, 2.0, 1.5),
    "at the seam, 40° up": (179.0, 40.0, 6.0),
    "40° up": (60.0, 40.0, 6.0),
    "close to the car": (-100.0, -55.0, 14.0),
    "close to the car, at the seam": (178.0, -60.0, 10.0),
    "right below": (20.0, -88.0, 12.0),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_a_panorama_shows_is_found_hidden_and_counted_once(place: str) -> None:
    picture, where = with_discs(HEIGHT, WIDTH, PLACES[place])
    found = detect(GreenDetector(), picture, Sphere())
    hidden = union(found, HEIGHT, WIDTH)
    assert found.counts() == {"person": 1}
    # At 29 samples a disc's edge is known to half a sample of the mask, in the look.
    assert np.count_nonzero(hidden & where) >= 0.995 * np.count_nonzero(where)
    assert not np.any(where & ~union(found, HEIGHT, WIDTH, dilation=4))
    weight = np.cos(np.deg2rad(90 - (np.arange(HEIGHT) + 0.5) * 180 / HEIGHT))[:, None]
    import cv2

    around = cv2.dilate(where.view(np.uint8), np.ones((3, 3), np.uint8))  # a look's pixels are not the panorama's
    assert (hidden * weight).sum() <= 1.35 * (around * weight).sum()


@pytest.mark.parametrize("place", ["at the seam", "close to the car, at the seam"])
def test_an_object_at_the_seam_has_two_boxes_in_the_state(place: str) -> None:
    picture, _ = with_discs(HEIGHT, WIDTH, PLACES[place])
    (one,) = detect(GreenDetector(), picture, Sphere()).as_json()
    assert min(one["box"][1], one["beyond"][1]) == 0
    assert max(one["box"][3], one["beyond"][3]) == 1
    assert max(one["box"][3] - one["box"][1], one["beyond"][3] - one["beyond"][1]) < 0.2


def test_searching_it_as_a_flat_picture_misses_what_is_bent() -> None:
    """The tests above would prove nothing if the detector found everything in the flat picture."""
    picture, where = with_discs(HEIGHT, WIDTH, *PLACES.values())
    flat = union(detect(GreenDetector(), picture, None), HEIGHT, WIDTH)
    views = union(detect(GreenDetector(), picture, Sphere()), HEIGHT, WIDTH)
    assert np.count_nonzero(flat & where) < 0.5 * np.count_nonzero(where)
    assert np.count_nonzero(views & where) >= 0.99 * np.count_nonzero(where)


def test_several_objects_are_counted_apart_and_each_once() -> None:
    picture, _ = with_discs(
        HEIGHT, WIDTH, (180.0, -3.0, 6.0), (160.0, -3.0, 6.0), (-160.0, -3.0, 6.0), (0.0, -3.0, 6.0)
    )
    assert detect(GreenDetector(), picture, Sphere()).counts() == {"person": 4}


def test_a_flat_picture_is_shown_to_the_detector_once() -> None:
    detector = GreenDetector()
    picture, _ = with_discs(HEIGHT, WIDTH, PLACES["in the middle"])
    found = detect(detector, picture, None)
    assert detector.seen == [(HEIGHT, WIDTH)]
    assert found.masks.shape == (1, 29, 29)


def test_a_panorama_without_finds_keeps_the_model_s_masks() -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert len(detect(GreenDetector(), picture, Sphere())) == 0


def test_a_part_of_the_sphere_has_no_seam() -> None:
    """The left and the right edge of a picture of 120° do not meet: what stands at them is not one object."""
    detector = GreenDetector()
    picture, _ = with_discs(200, 400, (180.0, 0.0, 20.0))
    found = detect(detector, picture, Sphere(left=-60, right=60, top=30, bottom=-30))
    assert (200, 50) not in detector.seen  # the strip
    assert found.counts() in ({}, {"person": 2})


def test_finer_masks_mark_the_same_pixels() -> None:
    random = np.random.default_rng(4)
    masks = random.random((6, 29, 15)).astype(np.float32)
    corners = np.sort(random.random((6, 2, 2)), axis=1)
    found = Detections.of(corners.reshape(6, 4)[:, [0, 1, 2, 3]], [0.9] * 6, [1] * 6, masks)
    refined = finer(found)
    assert refined.masks.shape[1:] == finer_size((29, 15))
    assert min(refined.masks.shape[1:]) >= 100
    np.testing.assert_array_equal(union(refined, 333, 521), union(found, 333, 521))


def marked_in(look: Look, found: Detections, height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of a panorama whose centre lies in a pixel of the look that the detections mark: one by one."""
    rows, columns = look.size
    marked = union(found, rows, columns)
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    u, v = look.places(x, y)
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    truth = np.zeros((height, width), np.bool_)
    truth[inside] = marked[(v[inside] * rows).astype(int), (u[inside] * columns).astype(int)]
    return truth


BOXES = {
    "usual": [[0.1, 0.1, 0.5, 0.4], [0.4, 0.4, 0.9, 0.7], [0.45, 0.45, 0.55, 0.56]],
    "at the edges": [[0, 0.6, 0.2, 1], [0.7, 0, 1, 0.3], [0, 0, 1, 1], [0, 0, 0.002, 0.002]],
    "single pixels": [[0.3, 0.7, 0.3, 0.7], [0.951, 0.051, 0.9515, 0.0515]],
    "long": [[0.3, 0.02, 0.304, 0.95], [0.05, 0.93, 0.99, 0.935]],
}


@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES.keys())
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (33, 28)], ids=str)
@pytest.mark.parametrize("kind", ["strip", "level", "at the seam", "at the pole", "up"])
def test_no_pixel_that_a_mask_marks_in_a_look_stays_visible(
    kind: str, size: tuple[int, int], boxes: list[list[float]]
) -> None:
    height, width = 200, 400
    looks: dict[str, Look] = {
        "strip": Strip.around_seam(height, width),
        "level": Cutout(Sphere(), 0.0, 0.0, 152),
        "at the seam": Cutout(Sphere(), 180.0, 0.0, 152),
        "at the pole": Cutout(Sphere(), 300.0, -45.0, 300),
        "up": Cutout(Sphere(), 240.0, 45.0, 152),
    }
    look = looks[kind]
    random = np.random.default_rng(3)
    for box in boxes:
        for mask in (random.random(size), random.random(size) > 0.9, np.ones(size)):
            found = Detections.of([box], [0.9], [1], [mask])
            part, rows = mapped(found, look, (height, width))
            truth = marked_in(look, found, height, width)
            assert {*rows.tolist()} == {0}
            assert not np.any(truth & ~union(part, height, width))


def test_what_both_ends_of_almost_a_whole_turn_show_is_hidden_at_both() -> None:
    """A picture of 350° has no seam, but the cutout towards its back shows both of its ends, with a gap between."""
    height, width = 250, 486
    sphere = Sphere(left=-175, right=175)
    look = Cutout(sphere, 180.0, 0.0, 200)
    found = Detections.of([[0.4, 0.3, 0.6, 0.7]], [0.9], [3], np.ones((1, 15, 15)))
    truth = marked_in(look, found, height, width)
    assert truth[:, :20].any()
    assert truth[:, -20:].any()
    part, rows = mapped(found, look, (height, width))
    assert rows.tolist() == [0, 0]
    hidden = union(part, height, width)
    assert not np.any(truth & ~hidden)
    assert np.count_nonzero(hidden) <= 1.3 * np.count_nonzero(truth)
    ends = Detections.of([[0.43, 0.0, 0.57, 0.04], [0.43, 0.96, 0.57, 1.0]], [0.9] * 2, [3] * 2, np.ones((2, 15, 15)))
    assert joined(ends, [(look, found)], (height, width)).counts() == {"car": 1}


def test_what_a_look_marks_beyond_the_picture_is_not_an_object() -> None:
    sphere = Sphere(left=-60, right=60, top=30, bottom=-30)
    look = Cutout(sphere, 0.0, 0.0, 200)
    above = Detections.of([[0.0, 0.4, 0.1, 0.6]], [0.9], [1], np.ones((1, 15, 15)))
    assert len(joined(Detections.empty(), [(look, above)], (200, 400))) == 0
    both = Detections.of([[0.0, 0.4, 0.1, 0.6], [0.4, 0.4, 0.6, 0.6]], [0.9] * 2, [1] * 2, np.ones((2, 15, 15)))
    assert joined(Detections.empty(), [(look, both)], (200, 400)).counts() == {"person": 1}


def test_looks_may_have_masks_of_different_sizes() -> None:
    looks = [
        (Cutout(Sphere(), yaw, 0.0, 200), Detections.of([[0.4, 0.4, 0.6, 0.6]], [0.9], [1], np.ones((1, *size))))
        for yaw, size in ((0.0, (1, 1)), (120.0, (33, 28)), (240.0, (150, 7)))
    ]
    whole = Detections.of([[0.4, 0.2, 0.6, 0.3]], [0.9], [1], np.ones((1, 15, 9)))
    for first in (Detections.empty(), whole):
        assert joined(first, looks, (HEIGHT, WIDTH)).counts() == {"person": 3 + len(first)}


def test_two_cut_halves_of_a_long_vehicle_are_one_object() -> None:
    """A lorry next to the car fills three cutouts, and each sees a part of it that ends at the cutout's edge."""
    views = [Cutout(Sphere(), yaw, 0.0, 400) for yaw in (0.0, 60.0, 120.0)]
    bands = ((0.6, 1.0), (0.0, 1.0), (0.0, 0.4))
    looks = [
        (view, Detections.of([[0.4, left, 0.6, right]], [0.9], [8], np.ones((1, 15, 15))))
        for view, (left, right) in zip(views, bands, strict=True)
    ]
    found = joined(Detections.empty(), looks, (HEIGHT, WIDTH))
    assert len(found) == 3
    assert found.counts() == {"truck": 1}


def test_what_is_found_in_the_unsearched_region_is_dropped_as_a_whole() -> None:
    from anonymisation.masking.fixed_regions import FixedRegions, polygons

    regions = FixedRegions(unsearched=polygons([[[0, 1], [0, 0.9], [1, 0.9], [1, 1]]]))
    car, _ = with_discs(HEIGHT, WIDTH, (20.0, -88.0, 8.0))
    person, _ = with_discs(HEIGHT, WIDTH, (180.0, -70.0, 9.0))
    found = {name: detect(GreenDetector(), picture, Sphere()) for name, picture in (("car", car), ("person", person))}
    kept = {name: regions.searched(one, HEIGHT, WIDTH) for name, one in found.items()}
    assert len(found["car"]) > 0
    assert len(kept["car"]) == 0
    np.testing.assert_array_equal(union(kept["person"], HEIGHT, WIDTH), union(found["person"], HEIGHT, WIDTH))


def test_a_large_object_across_the_seam_counts_once_as_two_kinds() -> None:
    """The bus spans the seam; the truck that the model also sees in its place lies nearer to the picture's centre."""
    seam = Strip(HEIGHT, WIDTH, WIDTH // 10, WIDTH // 2)
    looks = [(seam, Detections.of([[0.4, 0.05, 0.6, 0.9]], [0.9], [6], np.ones((1, 15, 15))))]
    whole = Detections.of([[0.4, 0.05, 0.6, 0.5]], [0.6], [8], np.ones((1, 15, 15)))
    assert joined(whole, looks, (HEIGHT, WIDTH)).counts() == {"bus": 1}
