"""The quick look at a file finds what decoding it finds."""

from __future__ import annotations

import pytest

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg.codec import decode_jpeg, sound_size
from tests.imaging.broken import BROKEN
from tests.imaging.builders import jpeg, photograph
from tests.sources import SHARED, sources


def verdict(data: bytes, *, quick: bool) -> tuple[int, int] | str:
    try:
        if quick:
            return sound_size(data)
        height, width = decode_jpeg(data).pixels.shape[:2]
    except UnreadableImageError as error:
        return str(error)
    return width, height


@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"mode": "L"}, {"mode": "CMYK"}, {"quality": 30}])
def test_sound_files_have_their_size(options: dict[str, str]) -> None:
    assert sound_size(jpeg(photograph(61, 99), **options)) == (99, 61)


@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("damage", ["cut", "zeroed", "flipped"])
def test_damage_is_found_as_by_decoding(place: float, damage: str) -> None:
    data = bytearray(jpeg(photograph(240, 320), quality=90))
    at = int(place * len(data))
    match damage:
        case "cut":
            del data[at:]
        case "zeroed":
            data[at : at + 40] = bytes(len(data[at : at + 40]))
        case "flipped":
            data[at] ^= 0x55
    assert verdict(bytes(data), quick=True) == verdict(bytes(data), quick=False)


@pytest.mark.parametrize("source", sources())
def test_hostile_and_rare_files_are_judged_as_by_decoding(source: str) -> None:
    if source == "drawn":
        files = {name: make() for name, (make, _) in BROKEN.items()}
    else:
        files = {path.name: path.read_bytes() for path in sorted((SHARED / "torture").iterdir())}
    assert len(files) > 10
    for name, data in files.items():
        assert verdict(data, quick=True) == verdict(data, quick=False), name
