"""Small copies of pictures: upright, of the size asked for, and without metadata."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.thumbnail import thumbnail
from tests.imaging.builders import jpeg, photograph


@pytest.mark.parametrize(("orientation", "size"), [(1, (100, 50)), (6, (50, 100))])
def test_the_copy_is_upright_and_has_no_metadata(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, "somebody's car"
    original = io.BytesIO()
    Image.fromarray(photograph(400, 800)).save(original, "JPEG", exif=exif, comment=b"somebody")
    small = thumbnail(original.getvalue(), 100)
    assert small.size == size
    copy = io.BytesIO()
    small.save(copy, "JPEG")
    assert b"somebody" not in copy.getvalue()
    assert not Image.open(copy).getexif()


def test_a_small_picture_keeps_its_size() -> None:
    assert thumbnail(jpeg(photograph(40, 60)), 100).size == (60, 40)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 no picture", jpeg(photograph(40, 60))[:300]])
def test_what_cannot_be_decoded_is_an_error(data: bytes) -> None:
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        thumbnail(data, 100)
