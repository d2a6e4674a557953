"""Small files that ask for much work cost little, or are refused: each in a process with bounds on time and memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from anonymisation.core.errors import ImageError
from anonymisation.imaging.exif.provenance import read_provenance
from anonymisation.imaging.exif.read import Provenance, published_exif, read_exif
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg, sound_size
from anonymisation.metadata.redaction import redact_tag
from tests.imaging import bombs
from tests.imaging.builders import jpeg, segment, with_exif, with_segments
from tests.limits import bounded, preload

preload(__name__)

COMES_OUT: Final = "comes out"
PROVENANCE: Final = Provenance("0" * 64, "P0.1_K20200101", "Built-in@000000000000", {})


def treated(path: Path) -> str:
    """What a worker does with a picture; the reason where it is refused."""
    data = path.read_bytes()
    try:
        exif = read_exif(data)
        xml = redact_tag(exif.image_properties, source="ImageProperties")
        frame = decode_jpeg(data)
        tags = published_exif(data, image_properties=xml, reflink_info=None, provenance=PROVENANCE)
        mask = np.zeros(frame.pixels.shape[:2], np.bool_)
        mask[:8, :8] = True
        masked = encode_jpeg(frame.pixels, frame, quality="keep", exif=tags, mask=mask).data
        sound_size(masked)
    except ImageError as error:
        return str(error)
    return COMES_OUT if read_provenance(masked) == PROVENANCE else "its provenance is lost"


def elements(number: int) -> bytes:
    return b"<ImageProperties>" + b"<a b='1'/>" * number + b"</ImageProperties>"


def attributes(number: int) -> bytes:
    return b"<ImageProperties " + b" ".join(b"a%d='1'" % n for n in range(number)) + b"/>"


def entities() -> bytes:
    """A billion laughs."""
    nested = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
    return b'<!DOCTYPE a [<!ENTITY e0 "ha">' + nested + b"]><ImageProperties>&e9;</ImageProperties>"


BOMBS: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    "EXIF entries that share bytes": (lambda: with_exif(jpeg(), bombs.shared_bytes(5000)), COMES_OUT),
    "a few of them": (lambda: with_exif(jpeg(), bombs.shared_bytes(500, kind=7)), COMES_OUT),
    "numbers that share bytes": (lambda: with_exif(jpeg(), bombs.shared_bytes(5000, kind=12, order="<")), COMES_OUT),
    "EXIF entries that share megabytes": (
        lambda: with_segments(jpeg(), *bombs.exif_segments(bombs.shared_bytes(500) + bytes(20 << 20))),
        COMES_OUT,
    ),
    "an EXIF entry of a huge count": (
        lambda: with_exif(jpeg(), bombs.directories((0x0112, 3, 0xFFFFFFFF, 8), (0x010F, 2, 0xFFFFFFF0, 0))),
        COMES_OUT,
    ),
    "a directory of 65535 entries": (
        lambda: with_segments(
            jpeg(), *bombs.exif_segments(b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\0\0\1\0\0\0\4" * 99_999)
        ),
        COMES_OUT,
    ),
    "a loop of directories": (lambda: with_exif(jpeg(), bombs.chain(3000)), COMES_OUT),
    "directories inside directories": (lambda: with_exif(jpeg(), bombs.sub_directories(10_000)), COMES_OUT),
    "thousands of EXIF segments without EXIF": (
        lambda: with_segments(jpeg(), *[segment(0xE1, b"Exif\0\0II*\0\0\0\0\0" + bytes(4000))] * 9000),
        COMES_OUT,
    ),
    "millions of segments": (lambda: with_segments(jpeg(), b"\xff\xe5\0\2" * 2_000_000), "more than 10000 segments"),
    "millions of runs of junk": (lambda: with_segments(jpeg(), b"\xff\0\0" * 2_000_000), "more than 10000 segments"),
    "fill bytes": (lambda: with_segments(jpeg(), b"\xff" * 30_000_000), COMES_OUT),
    "multi-picture segments": (
        lambda: with_segments(jpeg(), *[segment(0xE2, b"MPF\0" + bombs.shared_bytes(5000))] * 500),
        COMES_OUT,
    ),
    "XMP of nested entities": (
        lambda: with_segments(jpeg(), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + entities())),
        COMES_OUT,
    ),
    "XML of nested entities": (lambda: bombs.vendor_xml(entities()), "refused (DTDForbidden)"),
    "XML of many elements": (lambda: bombs.vendor_xml(elements(300_000)), "its XML metadata is too large"),
    "XML of many attributes": (lambda: bombs.vendor_xml(attributes(200_000)), "its XML metadata is too large"),
    "XML of deep elements": (lambda: bombs.vendor_xml(b"<a>" * 9000 + b"</a>" * 9000), "nested deeper than 64"),
    "a large XML text": (
        lambda: bombs.vendor_xml(b"<a>" + b"&amp;" * 700_000 + b"</a>"),
        "its XML metadata is too large",
    ),
    "profile tags that share bytes": (lambda: bombs.colour_profile(100_000), COMES_OUT),
    "a few profile tags that share bytes": (lambda: bombs.colour_profile(10), COMES_OUT),
    "hundreds of scans": (lambda: bombs.many_scans(13_000, 450), "too many scans"),
    "many scans of a small picture": (lambda: bombs.many_scans(800, 400), COMES_OUT),
    "megabytes of Huffman tables": (
        lambda: with_segments(jpeg(), *[segment(0xC4, (b"\x10\1" + bytes(15) + b"\0") * 3600)] * 500),
        "bytes of tables",
    ),
    "megabytes of quantisation tables": (
        lambda: with_segments(jpeg(), *[segment(0xDB, (bytes(1) + b"\1" * 64) * 1000)] * 500),
        "bytes of tables",
    ),
    "padding between millions of restart markers": (lambda: bombs.padded_intervals(200_000), "corrupt"),
    "rare sampling and millions of restart markers": (lambda: bombs.rare_sampling_of_restarts(16_000_000), "corrupt"),
    "huge sizes": (lambda: bombs.many_scans(60_000, 2), "too large"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name: str, tmp_path: Path) -> None:
    made, verdict = BOMBS[name]
    path = tmp_path / "bomb.jpg"
    path.write_bytes(made())
    assert verdict in bounded(treated, path, seconds=4, mebibytes=400)


def test_the_bomb_that_was_found_costs_little(cases: Path) -> None:
    path = cases / "pictures/exif_bomb_28k.jpg"
    assert bounded(treated, path, seconds=2, mebibytes=150) == COMES_OUT
