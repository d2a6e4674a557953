"""Files that broke other programs, one by one: what is right for each. Drawn ones of their kinds are for everybody."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.exif.read import Provenance, published_exif, read_exif, read_provenance
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg, jpeg_size
from tests.imaging.broken import BROKEN, Verdict
from tests.imaging.builders import psnr
from tests.sources import SHARED

PROVENANCE = Provenance("0" * 64, "P0.1_K20200101", "Built-in@000000000000", {})

# File → (width, height, colour) where a picture comes out, else a part of the reason why none does.
VERDICTS: dict[str, Verdict] = {
    "Pillow__hopper_gray.jpg": (128, 128, "gray"),
    "Pillow__icc_profile_big.jpg": (425, 250, "ycc"),
    "Pillow__junk_jpeg_header.jpg": (1024, 768, "ycc"),  # five bytes of junk between two header segments
    "Pillow__multiple_exif.jpg": (1, 1, "gray"),
    "Pillow__sugarshack.jpg": (640, 480, "ycc"),  # multi-picture: the first counts
    "Pillow__truncated_exif_dpi.jpg": (480, 640, "ycc"),
    "Pillow__ultrahdr.jpg": "truncated",  # cut off before the first coded byte
    "exif-orientation-examples__Landscape_0.jpg": (1800, 1200, "ycc"),
    "exif-orientation-examples__Portrait_8.jpg": (1800, 1200, "ycc"),
    "exif-samples__36-memory_error.jpg": (1600, 1200, "ycc"),
    "exif-samples__Samsung_Digimax_i50_MP3.jpg": (100, 75, "ycc"),
    "exif-samples__canon_hdr_YES.jpg": (2048, 1536, "ycc"),
    "exif-samples__image00971.jpg": (636, 227, "ycc"),
    "image__oss-fuzz-36829.jpg": "truncated",
    "jpeg-decoder__40bb78b1ac031125a6d8466b374962a8.jpg": "marker FF F7",
    "jpeg-decoder__5482a54657765056f1a94116a8dbffe7.jpg": "truncated",  # its end lies inside a broken segment
    "jpeg-decoder__MR4.jpg": "12 bits per sample",
    "jpeg-decoder__derive-huffman-codes-overflow.jpg": "second picture",
    "jpeg-decoder__extraneous-bytes-after-sos.jpg": "extraneous bytes",  # restart intervals overlap: pixels damaged
    "jpeg-decoder__invalid-dimensions.jpg": "3360 × 0",
    "jpeg-decoder__jpg-cmyk-2.jpg": (256, 256, "cmyk"),
    "jpeg-decoder__jpg-gray.jpg": (32, 32, "gray"),
    "jpeg-decoder__jpg-size-6x6.jpg": "PNG",
    "jpeg-decoder__max_size.jpg": "too large",
    "jpeg-decoder__missing-sos.jpg": "no picture data",
    "jpeg-decoder__mjpeg.jpg": (960, 720, "ycc"),  # no Huffman tables, padding before restart markers
    "jpeg-decoder__null_height.jpg": "0 × 800",
    "jpeg-decoder__progressive3.jpg": (650, 470, "ycc"),
    "jpeg-decoder__ycck.jpg": (500, 333, "cmyk"),
    "libjpeg-turbo__monkey12.jpg": "12 bits per sample",
}


DRAWN: dict[str, Verdict] = {name: verdict for name, (_, verdict) in BROKEN.items()}
ALL = DRAWN | (VERDICTS if SHARED.is_dir() else {})
REFUSED = [name for name, verdict in ALL.items() if isinstance(verdict, str)]
COMES_OUT = [name for name in ALL if name not in REFUSED]


@pytest.fixture
def data(name: str) -> bytes:
    """The file of the test's parameter `name`."""
    return BROKEN[name][0]() if name in BROKEN else (SHARED / "torture" / name).read_bytes()


def test_no_file_is_forgotten(shared: Path) -> None:
    assert {path.name for path in (shared / "torture").iterdir()} == set(VERDICTS)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(data: bytes, name: str) -> None:
    with pytest.raises(UnreadableImageError, match=str(ALL[name])):
        decode_jpeg(data)


@pytest.mark.parametrize("name", COMES_OUT)
def test_comes_out(data: bytes, name: str) -> None:
    frame = decode_jpeg(data)
    height, width, _ = frame.pixels.shape
    assert (width, height, frame.colour) == ALL[name]
    assert jpeg_size(data) == (width, height)
    exif = published_exif(data, image_properties=None, reflink_info=None, provenance=PROVENANCE)
    written = encode_jpeg(frame.pixels, frame, quality="keep", exif=exif).data
    again = decode_jpeg(written)
    assert psnr(again.pixels, frame.pixels) > (40 if frame.colour == "cmyk" or name in BROKEN else 50)
    assert read_provenance(written) == PROVENANCE
    assert read_exif(written).orientation == read_exif(data).orientation
    with Image.open(BytesIO(written)) as picture:
        assert picture.format == "JPEG"
        picture.load()


@pytest.mark.parametrize("name", COMES_OUT)
def test_comes_out_as_it_was_where_nothing_is_masked(data: bytes, name: str, caplog: pytest.LogCaptureFixture) -> None:
    frame = decode_jpeg(data)
    mask = np.zeros(frame.pixels.shape[:2], np.bool_)
    written = encode_jpeg(frame.pixels, frame, quality="keep", exif=None, mask=mask).data
    if frame.colour == "cmyk":
        assert "the whole picture is encoded again" in caplog.text
    else:
        assert (decode_jpeg(written).pixels == frame.pixels).all()


@pytest.mark.parametrize("name", ALL)
def test_exif_never_raises(data: bytes, name: str) -> None:
    read_exif(data)
    assert published_exif(data, image_properties="<a/>", reflink_info=None, provenance=PROVENANCE)


def test_what_the_exif_of_drawn_ones_says() -> None:
    assert read_exif(BROKEN["drawn_turned_8.jpg"][0]()).orientation == 8
    assert not read_exif(BROKEN["drawn_cut_exif.jpg"][0]()).present
    phone = read_exif(BROKEN["drawn_phone.jpg"][0]())
    assert phone.orientation == 6
    assert str(phone.times.taken) == "2021-05-07 09:33:04.046000+08:00"
    assert (phone.place.latitude, phone.place.longitude) == pytest.approx((30.625, 104.05))


def test_what_the_exif_of_some_says(shared: Path) -> None:
    tags = {name: read_exif((shared / "torture" / name).read_bytes()) for name in VERDICTS}
    assert tags["exif-orientation-examples__Portrait_8.jpg"].orientation == 8
    assert tags["exif-samples__canon_hdr_YES.jpg"].orientation == 6
    assert str(tags["Pillow__ultrahdr.jpg"].times.taken) == "2024-05-07 09:33:04.046000+08:00"
    assert tags["Pillow__ultrahdr.jpg"].place.latitude == pytest.approx(30.62765)
    assert not tags["Pillow__truncated_exif_dpi.jpg"].present
