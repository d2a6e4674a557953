"""What the looks show of a panorama, and where in the panorama that lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymisation.masking.panoramas.looks import Cutout, Strip, cutouts, reduced
from anonymisation.masking.panoramas.sphere import Sphere
from tests.masking.panoramas.drawing import sphere_picture

WHOLE = Sphere()


def test_every_direction_lies_well_inside_a_cutout() -> None:
    views = [*cutouts(WHOLE, 4096)]
    longitude, latitude = np.meshgrid(np.linspace(-180, 180, 181), np.linspace(-89.9, 60, 151))
    x, y = WHOLE.places(longitude, latitude)
    held = np.zeros(x.shape, np.bool_)
    for view in views:
        u, v = view.places(x, y)
        held |= (np.minimum(u, v) > 0.08) & (np.maximum(u, v) < 0.92)
    assert held.all()


@pytest.mark.parametrize("yaw", [0.0, 60.0, 180.0, 300.0])
@pytest.mark.parametrize("pitch", [-45.0, 0.0, 45.0, 90.0])
def test_a_cutout_shows_the_colours_of_its_directions(yaw: float, pitch: float) -> None:
    """Each pixel of the drawn panorama holds its direction, so a cutout's pixels must hold those that it looks in."""
    panorama = sphere_picture(512, 1024)
    view = Cutout(WHOLE, yaw, pitch, 101)
    shown = view.of(panorama)
    for row, column in ((50, 50), (10, 20), (90, 80), (50, 95)):
        x, y = np.meshgrid((np.arange(1024) + 0.5) / 1024, (np.arange(512) + 0.5) / 512)
        u, v = view.places(x, y)
        away = (u - (column + 0.5) / 101) ** 2 + (v - (row + 0.5) / 101) ** 2
        nearest = np.unravel_index(int(np.argmin(away)), away.shape)
        assert np.abs(shown[row, column].astype(int) - panorama[nearest].astype(int)).max() <= 6


@settings(max_examples=40, deadline=None)
@given(
    yaw=st.sampled_from([0.0, 60.0, 120.0, 180.0, 240.0, 300.0]),
    pitch=st.sampled_from([-90.0, -45.0, 0.0, 45.0]),
    top=st.floats(0, 0.9), left=st.floats(0, 0.9), height=st.floats(0.01, 0.6), width=st.floats(0.01, 0.6),
)  # fmt: skip
def test_the_extent_of_a_box_holds_everything_that_the_box_shows(
    yaw: float, pitch: float, top: float, left: float, height: float, width: float
) -> None:
    view = Cutout(WHOLE, yaw, pitch, 400)
    box = np.array([top, left, min(1, top + height), min(1, left + width)], np.float32)
    x, y = np.meshgrid((np.arange(720) + 0.5) / 720, (np.arange(360) + 0.5) / 360)
    u, v = view.places(x, y)
    shown = (v >= box[0]) & (v <= box[2]) & (u >= box[1]) & (u <= box[3])
    extent = view.extent(box)
    assert np.all((y[shown] >= extent.top) & (y[shown] <= extent.bottom))
    right = np.mod(x[shown] - extent.left, 1)
    assert np.all(right <= extent.right - extent.left + 1e-9)


def test_the_strip_joins_the_columns_on_both_sides_of_the_seam() -> None:
    panorama = sphere_picture(64, 256)
    strip = Strip.around_seam(64, 256)
    shown = strip.of(panorama)
    assert shown.shape == (*strip.size, 3) == (64, 32, 3)
    np.testing.assert_array_equal(shown[:, :16], panorama[:, -16:])
    np.testing.assert_array_equal(shown[:, 16:], panorama[:, :16])
    u, v = strip.places(np.array([0.0, 0.5, 250.5 / 256]), np.array([0.5, 0.5, 0.25]))
    assert u[0] == pytest.approx(0.5)
    assert not 0 <= u[1] <= 1
    assert (u[2], v[2]) == (pytest.approx(10.5 / 32), 0.25)


def test_cutouts_that_a_part_of_the_sphere_does_not_fill_are_left_out() -> None:
    ahead = Sphere(left=-60, right=60, top=30, bottom=-30)
    views = [*cutouts(ahead, 2048)]
    assert views
    assert len(views) < len([*cutouts(WHOLE, 4096)])
    assert not any(view.yaw == 180 for view in views)
    (level,) = (view for view in views if (view.yaw, view.pitch) == (0, 0))
    shown = level.of(np.full((341, 682, 3), 9, np.uint8))
    assert np.all(shown[level.side // 2, level.side // 2] == 9)
    assert np.all(shown[2, level.side // 2] == 114)  # above the picture


def test_a_panorama_is_reduced_to_the_resolution_of_its_cutouts() -> None:
    small = sphere_picture(256, 512)
    assert reduced(small, WHOLE, 1280) is small
    large = np.zeros((3000, 6000, 3), np.uint8)
    height, width = reduced(large, WHOLE, 1280).shape[:2]
    assert (height, width) == (1688, 3375)
