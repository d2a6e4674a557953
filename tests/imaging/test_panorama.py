"""XMP: of all its properties, only the numbers and the projection of a panorama pass, and the orientation is read."""

from __future__ import annotations

import logging
import re
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from anonymisation.imaging.exif.read import read_exif
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg
from anonymisation.imaging.panorama import FORMS, Panorama, read_panorama
from anonymisation.imaging.xmp import XMP_MARK, read_xmp
from tests.imaging.builders import TiffBuilder, jpeg, segment, with_exif, with_segments

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
GPANO = "http://ns.google.com/photos/1.0/panorama/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
BIG = TiffBuilder(">")
# As phones, action cameras and stitching programs write it.
SIZES = {
    "CroppedAreaImageWidthPixels": "3000",
    "CroppedAreaImageHeightPixels": "1500",
    "FullPanoWidthPixels": "6000",
    "FullPanoHeightPixels": "3000",
    "CroppedAreaLeftPixels": "1500",
    "CroppedAreaTopPixels": "750",
}
FULL = {
    "UsePanoramaViewer": "True",
    "CaptureSoftware": "Kari's camera 12",
    "StitchingSoftware": "Kari's stitcher",
    "ProjectionType": "equirectangular",
    "PoseHeadingDegrees": "122.0",
    "PosePitchDegrees": "-1.500",
    "PoseRollDegrees": "0.0",
    "InitialViewHeadingDegrees": "90",
    "InitialHorizontalFOVDegrees": "75.5",
    "FirstPhotoDate": "2012-11-07T21:03:13.465Z",
    "SourcePhotosCount": "50",
    **SIZES,
}
PUBLISHED = {
    "UsePanoramaViewer": "True",
    "ProjectionType": "equirectangular",
    "PoseHeadingDegrees": "122",
    "PosePitchDegrees": "-1.5",
    "PoseRollDegrees": "0",
    "InitialViewHeadingDegrees": "90",
    "InitialHorizontalFOVDegrees": "75.5",
    **SIZES,
}


def packet(space: str, values: dict[str, str], *, elements: bool = False, prefix: str = "GPano") -> bytes:
    """An XMP packet with the properties as attributes or as elements."""
    if elements:
        inside = "".join(f"<{prefix}:{name}>{text}</{prefix}:{name}>\n" for name, text in values.items())
        described = f'<rdf:Description rdf:about="" xmlns:{prefix}="{space}">{inside}</rdf:Description>'
    else:
        inside = " ".join(f'{prefix}:{name}="{text}"' for name, text in values.items())
        described = f'<rdf:Description rdf:about="" xmlns:{prefix}="{space}" {inside}/>'
    text = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{RDF}">{described}</rdf:RDF></x:xmpmeta>{" " * 500}<?xpacket end="w"?>'
    )
    return text.encode()


def with_xmp(data: bytes, *packets: bytes) -> bytes:
    return with_segments(data, *(segment(0xE1, XMP_MARK + item) for item in packets))


def shown(data: bytes) -> dict[str, Any]:
    """The properties that Pillow finds in the XMP of a file."""
    with Image.open(BytesIO(data)) as picture:
        xmp = picture.getxmp()
    if not xmp:
        return {}
    described = xmp["xmpmeta"]["RDF"]["Description"]
    return {name: value for name, value in described.items() if name != "about"}


def again(data: bytes) -> bytes:
    """The masked picture of a file, as far as its XMP is concerned."""
    frame, panorama = decode_jpeg(data), read_xmp(data).panorama
    xmp = None if panorama is None else panorama.to_xmp()
    return encode_jpeg(frame.pixels, frame, quality="keep", exif=None, xmp=xmp).data


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize("prefix", ["GPano", "pano2"])
def test_numbers_and_projection_are_written_again(elements: bool, prefix: str) -> None:
    written = again(with_xmp(jpeg(), packet(GPANO, FULL, elements=elements, prefix=prefix)))
    assert shown(written) == PUBLISHED
    assert b"Kari" not in written
    assert b'GPano:ProjectionType="equirectangular"' in written  # some viewers look for this text


def test_a_panorama_survives_the_second_writing() -> None:
    assert shown(again(again(with_xmp(jpeg(), packet(GPANO, FULL))))) == PUBLISHED


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PoseHeadingDegrees", "360.0", 0.0),
        ("PoseHeadingDegrees", "-90", 270.0),
        ("PoseHeadingDegrees", "450", None),
        ("PoseHeadingDegrees", "1.25E1", 12.5),
        ("PoseHeadingDegrees", "1e400", None),
        ("PoseHeadingDegrees", "nan", None),
        ("PoseHeadingDegrees", "Kari", None),
        ("PoseHeadingDegrees", "9" * 33, None),
        ("PosePitchDegrees", "-0.0", 0.0),
        ("PosePitchDegrees", "91", None),
        ("FullPanoWidthPixels", "8192.0", 8192),
        ("FullPanoWidthPixels", "0", None),
        ("FullPanoWidthPixels", "1000001", None),
        ("FullPanoWidthPixels", "٣٠٠٠", None),
        ("CroppedAreaTopPixels", "-12", -12),
        ("UsePanoramaViewer", " true ", "True"),
        ("UsePanoramaViewer", "maybe", None),
        ("ProjectionType", "Equirectangular", "equirectangular"),
        ("ProjectionType", "cylindrical", "cylindrical"),
        ("ProjectionType", "Kari's flat", None),
        ("CaptureSoftware", "Kari", None),
    ],
)
def test_each_value_is_read_into_its_form_or_left_out(name: str, text: str, expected: object) -> None:
    found = read_panorama({name: text}, source="p.jpg")
    assert found == (None if expected is None else Panorama({name: expected}))  # type: ignore[dict-item]


def test_numbers_without_a_known_projection_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_panorama({**FULL, "ProjectionType": "of Kari's own"}, source="p.jpg") is None
    assert "p.jpg: GPano:ProjectionType" in caplog.text
    assert "Kari" not in caplog.text


@pytest.mark.parametrize(
    ("own", "recorded", "published"),
    [
        ("122", "122", "122"),
        ("122", "122.3", "122.3"),  # the record's, so that both agree
        ("359.9", "0.1", "0.1"),
        ("122", "302", None),
        ("122", None, None),
        ("122", "Kari", None),
        ("0", "0.0", "0"),
        ("0", None, None),
    ],
)
def test_the_heading_is_that_of_the_record(
    own: str, recorded: str | None, published: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    texts = {"ProjectionType": "equirectangular", "PoseHeadingDegrees": own, "InitialViewHeadingDegrees": "7"}
    panorama = read_panorama(texts, source="p.jpg")
    assert panorama is not None
    with caplog.at_level(logging.WARNING):
        agreed = panorama.with_heading(recorded, source="a/p.jpg")
    assert agreed is not None
    found = dict(re.findall(rb'GPano:(\w+)="([^"]*)"', agreed.to_xmp()))
    assert found.get(b"PoseHeadingDegrees") == (None if published is None else published.encode())
    assert (b"InitialViewHeadingDegrees" in found) == (published is not None)
    assert ("a/p.jpg" in caplog.text) == (published is None and own != "0")


def test_a_panorama_refuses_other_properties() -> None:
    with pytest.raises(ValueError, match="CaptureSoftware"):
        Panorama({"CaptureSoftware": "Kari"})
    assert "CaptureSoftware" not in FORMS


BOMBS = {
    "entities": b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
    "an external file": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "many elements": b"<x>" + b"<a/>" * 16_000 + b"</x>",
    "depth": b"<a>" * 9_000 + b"</a>" * 9_000,
    "no XML": b"\xff\xfe\x00Kari",
    "nothing": b"",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_xmp_that_cannot_be_read_counts_as_absent(bomb: str) -> None:
    assert read_xmp(with_xmp(jpeg(), BOMBS[bomb])) == read_xmp(jpeg())
    assert shown(again(with_xmp(jpeg(), BOMBS[bomb], packet(GPANO, FULL)))) == PUBLISHED


def test_what_follows_the_end_of_a_packet_is_ignored() -> None:
    end = b"</x:xmpmeta>"
    whole = packet(GPANO, FULL).partition(end)[0] + end
    assert shown(again(with_xmp(jpeg(), whole + b"pmeta>\n     K    <?xpacket end='w'?>\0"))) == PUBLISHED


def test_extended_xmp_is_ignored() -> None:
    extended = segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + packet(GPANO, FULL))
    assert read_xmp(with_segments(jpeg(), extended)).panorama is None


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize("number", range(1, 9))
def test_orientation_of_xmp_counts_where_exif_has_none(number: int, elements: bool) -> None:
    xmp = packet(TIFF, {"Orientation": str(number)}, elements=elements, prefix="tiff")
    for data in (with_xmp(jpeg(), xmp), with_xmp(with_exif(jpeg(), BIG.build({0x010F: BIG.ascii("Canon")})), xmp)):
        assert read_exif(data).orientation == number
        with Image.open(BytesIO(data)) as picture:  # another reader
            assert picture.getexif()[0x0112] == number


@pytest.mark.parametrize("number", [1, 3, 8])
def test_orientation_of_exif_counts_before_that_of_xmp(number: int) -> None:
    xmp = packet(TIFF, {"Orientation": "6"}, prefix="tiff")
    data = with_xmp(with_exif(jpeg(), BIG.build({0x0112: BIG.short(number)})), xmp)
    assert read_exif(data).orientation == number


@pytest.mark.parametrize("text", ["0", "9", "6.0", "66", "left", ""])
def test_an_unknown_orientation_in_xmp_counts_as_absent(text: str) -> None:
    assert read_exif(with_xmp(jpeg(), packet(TIFF, {"Orientation": text}, prefix="tiff"))).orientation == 1


def test_the_heading_of_a_panorama_counts_where_exif_has_none() -> None:
    xmp = packet(GPANO, FULL)
    gps = {0x11: BIG.ratio((3025, 10))}
    assert read_exif(with_xmp(jpeg(), xmp)).place.heading == 122.0
    assert read_exif(with_xmp(with_exif(jpeg(), BIG.build({}, gps=gps)), xmp)).place.heading == 302.5
    unreadable = {0x11: BIG.ratio((1, 0))}
    assert read_exif(with_xmp(with_exif(jpeg(), BIG.build({}, gps=unreadable)), xmp)).place.heading is None
    unset = packet(GPANO, {**FULL, "PoseHeadingDegrees": "0.0"})  # as cameras without a compass write it
    assert read_exif(with_xmp(jpeg(), unset)).place.heading is None
