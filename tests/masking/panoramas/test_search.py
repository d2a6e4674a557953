"""What is found in panoramas: at the seam, near the poles, close to the car; each pixel hidden, each object once."""

from __future__ import annotations

import numpy as np
import pytest

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import union
from anonymisation.masking.panoramas.joining import joined
from anonymisation.masking.panoramas.looks import Cutout
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
    assert (hidden * weight).sum() <= 1.35 * (where * weight).sum()


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


@pytest.mark.parametrize("pitch", [-90.0, -45.0, 0.0, 45.0])
@pytest.mark.parametrize("yaw", [0.0, 180.0, 300.0])
def test_no_pixel_that_a_mask_marks_in_a_view_stays_visible(yaw: float, pitch: float) -> None:
    """Random masks: every pixel of the panorama whose direction lies in a marked pixel of the view is hidden."""
    random = np.random.default_rng(int(yaw + pitch) % 97)
    view = Cutout(Sphere(), yaw, pitch, 600)
    coarse = random.random((4, 7, 7)).astype(np.float32)
    corners = np.array([[0.1, 0.1, 0.5, 0.4], [0.4, 0.4, 0.9, 0.7], [0.0, 0.6, 0.2, 1.0], [0.45, 0.45, 0.55, 0.56]])
    found = Detections.of(corners, [0.9] * 4, [1] * 4, coarse)
    part, rows = mapped(found, view, (HEIGHT, WIDTH))
    assert {*rows.tolist()} == {0, 1, 2, 3}
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT)
    u, v = view.places(x, y)
    marked = union(found, 600, 600)
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    truth = np.zeros((HEIGHT, WIDTH), np.bool_)
    truth[inside] = marked[(v[inside] * 600).astype(int), (u[inside] * 600).astype(int)]
    hidden = union(part, HEIGHT, WIDTH)
    missed = np.count_nonzero(truth & ~hidden)
    assert missed <= 0.002 * np.count_nonzero(
        truth
    )  # pixels whose centre lies in a marked pixel, but not in the outline
    assert not np.any(truth & ~union(part, HEIGHT, WIDTH, dilation=1))


def test_two_cut_halves_of_a_long_vehicle_are_one_object() -> None:
    """A lorry next to the car fills three cutouts, and each sees a part of it that ends at the cutout's edge."""
    views = [Cutout(Sphere(), yaw, 0.0, 400) for yaw in (0.0, 60.0, 120.0)]
    bands = ((0.6, 1.0), (0.0, 1.0), (0.0, 0.4))
    looks = [
        (view, Detections.of([[0.4, left, 0.6, right]], [0.9], [8], np.ones((1, 15, 15))))
        for view, (left, right) in zip(views, bands, strict=True)
    ]
    found = joined(Detections.empty(), looks, (HEIGHT, WIDTH), wraps=True)
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
