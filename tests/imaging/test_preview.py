"""Which part of a picture its preview shows, and that nothing else is in it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.preview import preview_box, preview_of
from tests.captures import HEIGHT, WIDTH, capture

sides = st.integers(1, 70_000)
wanted_sides = st.integers(2, 70_000)
shares = st.floats(0, 1)


def test_the_part_of_the_originals_2022_version() -> None:
    assert preview_box((8000, 4000), (2520, 1400), (0.45, 0.5)) == (2740, 1100, 5260, 2500)


@pytest.mark.parametrize(
    ("centre", "box"),
    [((0.0, 0.0), (0, 0, 40, 20)), ((1.0, 1.0), (60, 30, 100, 50)), ((0.5, 0.1), (0, 15, 40, 35))],
)
def test_a_part_beyond_the_edge_is_moved_inside(centre: tuple[float, float], box: tuple[int, int, int, int]) -> None:
    assert preview_box((100, 50), (40, 20), centre) == box


def test_odd_sides_have_a_pixel_less() -> None:
    assert preview_box((100, 50), (41, 21), (0.5, 0.5)) == (30, 15, 70, 35)


def test_a_smaller_picture_is_its_own_preview() -> None:
    assert preview_box((101, 51), (2520, 1400), (0.45, 0.5)) == (0, 0, 101, 51)


@given(
    size=st.tuples(sides, sides), wanted=st.tuples(st.integers(2, 70_000), st.integers(2, 70_000)), y=shares, x=shares
)
def test_every_part_lies_inside_and_has_the_wanted_size(
    size: tuple[int, int], wanted: tuple[int, int], y: float, x: float
) -> None:
    left, top, right, bottom = preview_box(size, wanted, (y, x))
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    for length, side, part in zip(size, wanted, (right - left, bottom - top), strict=True):
        assert part == (length if side >= length else side - side % 2)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_preview_is_upright_and_has_no_metadata(orientation: int) -> None:
    data = capture(3, orientation=orientation)
    made = preview_of(data, (40, 60), (0.5, 0.5), max_pixels=10**6, source="p")
    shown = Image.open(io.BytesIO(made))
    assert shown.size == (40, 60)
    assert not shown.getexif()
    assert "icc_profile" not in shown.info
    assert b"Exif" not in made
    whole = preview_of(data, (5000, 5000), (0.5, 0.5), max_pixels=10**6, source="p")
    expected = (HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT)
    assert decode_jpeg(whole).pixels.shape[:2] == expected


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 torn", capture(1)[:700]])
def test_what_cannot_be_decoded_has_no_preview(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="no preview can be made"):
        preview_of(data, (40, 60), (0.5, 0.5), max_pixels=10**6, source="p")
