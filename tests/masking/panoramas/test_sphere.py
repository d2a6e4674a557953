"""Which pictures are panoramas, and what part of the sphere they show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anonymisation.core.settings import load_settings
from anonymisation.masking.panoramas.sphere import Sphere, sphere_of

FULL = {"ProjectionType": "equirectangular", "FullPanoWidthPixels": 6000, "FullPanoHeightPixels": 3000}
PART = {
    **FULL,
    "CroppedAreaImageWidthPixels": 3000,
    "CroppedAreaImageHeightPixels": 1000,
    "CroppedAreaLeftPixels": 1500,
    "CroppedAreaTopPixels": 750,
}


def sphere(size: tuple[int, int], gpano: dict[str, Any] | None = None, **settings: Any) -> Sphere | None:
    return sphere_of(size, gpano, load_settings(overrides=settings).settings)


@pytest.mark.parametrize(
    ("size", "gpano", "settings", "expected"),
    [
        ((5500, 11000), None, {}, Sphere()),
        ((5501, 11000), None, {}, Sphere()),  # rounded by a stitcher
        ((512, 1024), None, {}, Sphere()),
        ((200, 400), None, {}, None),  # too small to be told by its aspect
        ((400, 800), {"ProjectionType": "equirectangular"}, {}, Sphere()),
        ((1032, 2692), None, {}, None),
        ((2048, 2448), None, {}, None),
        ((4000, 2000), None, {}, None),
        ((5500, 11000), None, {"panorama_views": False}, None),
        ((5500, 11000), FULL, {"panorama_views": False}, None),
        ((2000, 8000), None, {"image_type": "360"}, Sphere(top=45, bottom=-45)),
        ((2048, 2448), None, {"image_type": "360"}, None),  # a flat picture among panoramas
        ((2000, 8000), None, {"image_type": "Planar"}, None),
        ((3000, 6000), FULL, {}, Sphere()),
        ((1000, 3000), PART, {}, Sphere(left=-90, right=90, top=45, bottom=-15)),
        ((500, 1500), PART, {}, Sphere(left=-90, right=90, top=45, bottom=-15)),  # scaled after it was stitched
        ((4000, 8000), {**FULL, "ProjectionType": "cylindrical"}, {}, None),
        ((4000, 8000), {"PoseHeadingDegrees": 12.0}, {}, Sphere()),  # says nothing of the projection
        ((4000, 8000), {**PART, "CroppedAreaTopPixels": 2900}, {}, Sphere()),  # numbers that cannot be
    ],
)
def test_what_counts_as_a_panorama(
    size: tuple[int, int], gpano: dict[str, Any] | None, settings: dict[str, Any], expected: Sphere | None
) -> None:
    assert sphere(size, gpano, **settings) == expected


def test_only_a_whole_turn_wraps() -> None:
    assert Sphere().wraps
    assert Sphere(left=-179.9, right=180).wraps  # a column was lost
    assert not Sphere(left=-170, right=180).wraps


@pytest.mark.parametrize("edges", [(10, 0, 90, -90), (-180, 181, 90, -90), (-180, 180, 91, -90), (-180, 180, 10, 10)])
def test_edges_that_enclose_nothing_are_refused(edges: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected a part of the sphere"):
        Sphere(*edges)


def test_places_and_directions_are_inverse() -> None:
    part = Sphere(left=-90, right=90, top=45, bottom=-15)
    x, y = np.array([0.0, 0.25, 1.0]), np.array([0.0, 0.75, 1.0])
    longitude, latitude = part.directions(x, y)
    np.testing.assert_allclose(longitude, [-90, -45, 90])
    np.testing.assert_allclose(latitude, [45, 0, -15])
    np.testing.assert_allclose(part.places(longitude, latitude), (x, y))
