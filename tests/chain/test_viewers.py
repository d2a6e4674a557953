"""Viewers show a masked picture as the original: as a panorama, with its direction, orientation and colours."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from anonymisation.chain.mask import mask_folder
from anonymisation.review.apply import remask_folder
from anonymisation.review.model import Box
from anonymisation.review.store import add_box
from tests.captures import FOLDER, CountingDetector, Site, capture, counts, pixels_of, shows
from tests.imaging.builders import TiffBuilder, icc_segments, with_exif, with_segments
from tests.imaging.test_panorama import GPANO, TIFF, packet, shown, with_xmp

BIG = TiffBuilder(">")
HEADED = {"ProjectionType": "equirectangular", "UsePanoramaViewer": "True", "PoseHeadingDegrees": "12.5"}
SIDEWAYS = packet(TIFF, {"Orientation": "6"}, prefix="tiff")


def _jpeg(number: int, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(number)).convert(mode).save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def _masked(site: Site, pictures: dict[str, bytes], detector: CountingDetector | None = None) -> dict[str, bytes]:
    for name, data in pictures.items():
        site.put(name, data)
    report = mask_folder(site.workspace(remote_json=True), FOLDER, detector or CountingDetector())
    assert counts(report)[:2] == (len(pictures), len(pictures)), report.failures
    return {name: (site.output / FOLDER / name).read_bytes() for name in pictures}


def _record(site: Site, name: str) -> dict[str, Any]:
    return dict(json.loads((site.output / FOLDER / name).with_suffix(".json").read_text()))


def test_a_panorama_keeps_the_heading_of_its_record_alone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    exif = BIG.build({}, gps={0x10: BIG.ascii("T"), 0x11: BIG.ratio((125, 10))})
    masked = _masked(
        site,
        {
            "equal.jpg": with_xmp(with_exif(_jpeg(0), exif), packet(GPANO, HEADED)),
            "other.jpg": with_xmp(
                with_exif(_jpeg(1), exif), packet(GPANO, {**HEADED, "PoseHeadingDegrees": "200"}, elements=True)
            ),
            "alone.jpg": with_xmp(_jpeg(2), packet(GPANO, {**HEADED, "PoseHeadingDegrees": "77.25"})),
            "vendor.jpg": with_xmp(capture(3), packet(GPANO, {**HEADED, "PoseHeadingDegrees": "80"})),
            "plain.jpg": _jpeg(4),
        },
    )
    headings = {"equal.jpg": "12.5", "other.jpg": None, "alone.jpg": "77.25", "vendor.jpg": None}
    for name, heading in headings.items():
        found = shown(masked[name])
        assert found["ProjectionType"] == "equirectangular"
        assert found.get("PoseHeadingDegrees") == heading
        if heading is not None:
            with Image.open(io.BytesIO(masked[name])) as picture:
                published = picture.getexif().get_ifd(0x8825)[0x11]
            assert _record(site, name)["exif_heading"] == heading == str(float(published))
    assert _record(site, "other.jpg")["exif_heading"] == "12.5"
    assert _record(site, "vendor.jpg")["exif_heading"] == "12.5"
    assert shown(masked["plain.jpg"]) == {}


def test_a_panorama_tagged_by_exiftool_stays_one(tmp_path: Path, cases: Path) -> None:
    site = Site(tmp_path)
    masked = _masked(site, {"p.jpg": (cases / "pictures" / "gpano.jpg").read_bytes()})["p.jpg"]
    pose = {"PoseHeadingDegrees": "90"}
    assert shown(masked) == {"ProjectionType": "equirectangular", "UsePanoramaViewer": "True", **pose}
    assert float(_record(site, "p.jpg")["exif_heading"]) == 90


def test_a_panorama_stays_one_when_people_hide_more_on_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    masked = _masked(site, {"p.jpg": with_xmp(capture(0), packet(GPANO, HEADED))})
    workspace = site.workspace(remote_json=True)
    add_box(site.state, FOLDER, "p.jpg", Box(0.0, 0.0, 0.2, 0.2), "kari")
    assert remask_folder(workspace, FOLDER)
    hidden = (site.output / FOLDER / "p.jpg").read_bytes()
    assert hidden != masked["p.jpg"]
    assert shown(hidden) == shown(masked["p.jpg"]) != {}


def test_a_picture_turned_by_xmp_is_masked_and_shown_upright(tmp_path: Path) -> None:
    stored = np.rot90(pixels_of(0))  # as a camera held sideways stores it; orientation 6 turns it back
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(buffer, "JPEG", quality=95, subsampling=0)
    original = with_xmp(buffer.getvalue(), SIDEWAYS)
    detector = CountingDetector()
    masked = _masked(Site(tmp_path), {"p.jpg": original}, detector)["p.jpg"]
    assert shows(detector.seen[0], 0)  # the model sees the picture upright
    with Image.open(io.BytesIO(masked)) as picture, Image.open(io.BytesIO(original)) as before:
        assert picture.getexif()[0x0112] == 6
        assert "xmp" not in picture.info
        upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        unmasked = np.asarray(ImageOps.exif_transpose(before).convert("RGB"))
    assert upright.shape == unmasked.shape == (96, 144, 3)
    assert np.abs(upright[:16].astype(int) - unmasked[:16]).mean() < 3
    assert np.abs(upright[40:56, 60:84].astype(int) - unmasked[40:56, 60:84]).mean() > 30  # the car's place


def _colour_space(data: bytes) -> object:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.getexif().get_ifd(0x8769).get(0xA001)


@pytest.mark.parametrize("quality", [80, "keep"])
def test_pixels_converted_to_srgb_say_so(tmp_path: Path, quality: Any) -> None:
    site = Site(tmp_path)
    uncalibrated = BIG.build({}, exif={0xA001: BIG.short(65535)})
    profile = with_segments(_jpeg(1, "CMYK"), *icc_segments(b"\0" * 16 + b"CMYK" + b"\0" * 16 + b"acsp" + bytes(200)))
    pictures = {"a.jpg": with_exif(_jpeg(0, "CMYK"), uncalibrated), "b.jpg": profile, "c.jpg": _jpeg(2, "CMYK")}
    for name, data in pictures.items():
        site.put(name, data)
    mask_folder(site.workspace(jpeg_quality=quality), FOLDER, CountingDetector())
    for name in pictures:
        data = (site.output / FOLDER / name).read_bytes()
        assert _colour_space(data) == 1
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.mode == "RGB"
            assert "icc_profile" not in picture.info


def test_the_colour_space_of_other_pictures_stays(tmp_path: Path) -> None:
    # 2 is Adobe RGB for some cameras, 65535 is uncalibrated: without a profile, viewers decide by this tag alone.
    spaces = {"srgb.jpg": 1, "adobe.jpg": 2, "uncalibrated.jpg": 65535, "none.jpg": None}
    pictures = {"none.jpg": _jpeg(0)}
    for space, name in ((1, "srgb.jpg"), (2, "adobe.jpg"), (65535, "uncalibrated.jpg")):
        pictures[name] = with_exif(_jpeg(1), BIG.build({}, exif={0xA001: BIG.short(space)}))
    masked = _masked(Site(tmp_path), pictures)
    assert {name: _colour_space(data) for name, data in masked.items()} == spaces


def test_a_gray_picture_keeps_a_profile_for_rgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pictures = {"gray.jpg": _jpeg(0, "L", icc_profile=srgb)}
    masked = _masked(Site(tmp_path), pictures)["gray.jpg"]
    with Image.open(io.BytesIO(masked)) as picture:  # Chrome and Firefox apply it to gray pictures, too
        kept = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    assert kept.profile.xcolor_space.strip() == "RGB"
