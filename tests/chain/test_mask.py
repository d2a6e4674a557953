"""The mask step: fail closed, count every picture, and remember pictures that are done or known to fail."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import ModelUnavailableError, ShareUnavailableError, UnreadableImageError
from anonymisation.files.plain import read_plain
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.masking.detections import Detections
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import ImageOutcome, MaskReport, Status
from anonymisation.reporting.summary import render_summary
from anonymisation.workspace.folder_state import read_pictures, state_folder
from anonymisation.workspace.workspace import Workspace
from tests.captures import (
    CAR_BOX,
    FILL,
    FOLDER,
    SECRET_DRIVER,
    CountingDetector,
    Site,
    capture,
    car_window,
    counts,
    names_below,
    pixels_of,
    plain,
    properties,
    shows,
)
from tests.imaging.builders import psnr

ALL_FILES = {"remote_json": True, "remote_mask": True, "local_json": True, "local_mask": True}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def breaks_on(number: int, error: Exception) -> Callable[[NDArray[np.uint8]], None]:
    def before(pixels: NDArray[np.uint8]) -> None:
        if shows(pixels, number):
            raise error

    return before


def require_failed_alone(site: Site, report: MaskReport, reason: str, workspace: Workspace) -> None:
    """Only p001 failed, for `reason`, and left only its copy in the error folder; p000 and p002 are masked."""
    assert counts(report) == (3, 2, 0, 1, 0)
    assert [failure.picture for failure in report.failures] == [f"{FOLDER}/p001.jpg"]
    assert reason in report.failures[0].reason
    assert not [name for name in names_below(site.output) if "p001" in name]
    assert [name for name in names_below(site.input) if "p001" in name] == [f"{FOLDER}/p001.jpg"]
    assert names_below(site.errors) == [f"{FOLDER}/p001.jpg", f"{FOLDER}/p001_error.txt"]
    assert (site.errors / FOLDER / "p001.jpg").read_bytes() == (site.input / FOLDER / "p001.jpg").read_bytes()
    assert reason in (site.errors / FOLDER / "p001_error.txt").read_text()
    for name in ("p000.jpg", "p002.jpg"):
        assert decode_jpeg((site.output / FOLDER / name).read_bytes()).pixels.shape == (96, 144, 3)


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("error", [RuntimeError("out of memory"), UnreadableImageError("out of memory")])
def test_a_detector_that_raises_fails_only_its_picture(site: Site, error: Exception, asynchronous: bool) -> None:
    site.fill(3)
    workspace = site.workspace(enable_async=asynchronous, **ALL_FILES)
    report = mask_folder(workspace, FOLDER, CountingDetector(before=breaks_on(1, error)))
    require_failed_alone(site, report, "out of memory", workspace)


def test_a_redaction_that_raises_fails_only_its_picture(site: Site) -> None:
    site.fill(3)

    def detections(pixels: NDArray[np.uint8]) -> None:
        # A class without an appearance, set past the check of the value type, as with corrupt memory.
        kind = detector.detections.classes.copy()
        kind[:] = 77 if shows(pixels, 1) else 3
        broken = replace(CountingDetector().detections)
        object.__setattr__(broken, "classes", kind)
        detector.detections = broken

    detector = CountingDetector(before=detections)
    workspace = site.workspace(**ALL_FILES)
    report = mask_folder(workspace, FOLDER, detector)
    require_failed_alone(site, report, "77", workspace)


def test_a_mask_whose_name_is_too_long_leaves_nothing_of_its_picture(site: Site) -> None:
    site.fill(2)
    wide = io.BytesIO()
    Image.new("RGB", (16384, 8), (90, 90, 90)).save(wide, "JPEG")  # one column more than WebP allows
    name = "w" * 250 + ".jpg"
    site.put(name, wide.getvalue())
    report = mask_folder(site.workspace(**ALL_FILES), FOLDER, CountingDetector())
    assert counts(report) == (3, 2, 0, 1, 0)
    assert "its name is too long for that of its mask" in report.failures[0].reason
    for place in (site.output, site.input):
        assert not [found for found in names_below(place) if "www" in found and not found.endswith(name)]


def test_a_picture_whose_blocks_cannot_be_kept_is_reported(site: Site) -> None:
    site.fill(3)
    cmyk = io.BytesIO()
    Image.new("CMYK", (96, 80), (0, 90, 90, 20)).save(cmyk, "JPEG")
    site.put("p001.jpg", cmyk.getvalue())
    workspace = site.workspace()
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (3, 3, 0, 0, 0)
    assert report.encoded_anew == 1
    states = read_pictures(site.state, FOLDER)
    assert {name: known.encoded_anew for name, known in states.items()} == {
        "p000.jpg": None,
        "p001.jpg": "its four-channel colours are converted",
        "p002.jpg": None,
    }
    again = mask_folder(workspace, FOLDER, CountingDetector())
    assert (again.already_done, again.encoded_anew) == (3, 0)
    summary = RunReport((FolderReport(FOLDER, mask=MaskReport.merged([report, again])),), seconds=1.0)
    assert "encoded again as a whole  1\n" in render_summary(summary)
    where_asked_for = mask_folder(site.workspace(jpeg_quality=90, force_remask=True), FOLDER, CountingDetector())
    assert (where_asked_for.masked, where_asked_for.encoded_anew) == (3, 0)


def test_an_output_that_cannot_be_written_leaves_nothing_of_its_picture(site: Site) -> None:
    site.fill(3)
    (site.output / FOLDER / "p001.jpg").mkdir(parents=True)
    workspace = site.workspace(**ALL_FILES)
    report = mask_folder(workspace, FOLDER, CountingDetector())
    require_failed_alone(site, report, "cannot be written", workspace)


@pytest.mark.parametrize("inside", ["<open>", "<Driver>Kari</Chauffeur>", "&undefined;", "\x01"])
def test_xml_that_does_not_parse_publishes_nothing(site: Site, inside: str) -> None:
    site.fill(3)
    site.put("p001.jpg", capture(1, xml=properties("p001.jpg", 1, inside)))
    workspace = site.workspace(**ALL_FILES)
    report = mask_folder(workspace, FOLDER, CountingDetector())
    require_failed_alone(site, report, "XML metadata is malformed", workspace)


def test_nothing_of_a_marked_region_or_a_driver_is_readable(site: Site) -> None:
    site.put("a.jpg", capture(5, "a.jpg"))
    mask_folder(site.workspace(blur=None, **ALL_FILES), FOLDER, CountingDetector())
    data = (site.output / FOLDER / "a.jpg").read_bytes()
    pixels = decode_jpeg(data).pixels.astype(int)
    top, left, bottom, right = car_window()
    assert np.abs(pixels[top:bottom, left:right] - FILL).max() < 30
    outside = pixels_of(5).copy()
    outside[top - 8 : bottom + 8, left - 8 : right + 8] = 0
    shown = pixels.astype(np.uint8).copy()
    shown[top - 8 : bottom + 8, left - 8 : right + 8] = 0
    assert psnr(shown, outside) > 35
    mask = decode_mask((site.output / FOLDER / "a.webp").read_bytes())
    assert mask[top:bottom, left:right].all()
    assert not mask[: top - 5].any()
    for path in (*site.output.rglob("*"), *(site.input / FOLDER).glob("*.json")):
        if path.is_file():
            assert SECRET_DRIVER.encode() not in path.read_bytes()
            assert b"CAR 7" not in path.read_bytes()


def test_a_blur_that_would_hide_nothing_is_not_used(site: Site) -> None:
    site.put("a.jpg", capture(5, "a.jpg"))
    mask_folder(site.workspace(blur=15, gray_blur=False), FOLDER, CountingDetector())  # 2 pixels on 144 columns
    top, left, bottom, right = car_window()
    region = decode_jpeg((site.output / FOLDER / "a.jpg").read_bytes()).pixels[top:bottom, left:right]
    assert pixels_of(5)[top:bottom, left:right].std() > 100
    assert region.std(axis=(0, 1)).max() < 5


def test_rotated_pictures_are_redacted_at_the_right_place(site: Site) -> None:
    site.put("a.jpg", capture(5, "a.jpg", orientation=6))
    upper_left = Detections.of([[0.0, 0.0, 0.25, 0.25]], [0.9], [3])
    detector = CountingDetector(upper_left)
    mask_folder(site.workspace(mask_dilation_pixels=0, blur=None), FOLDER, detector)
    assert detector.seen[0].shape == (144, 96, 3)
    pixels = decode_jpeg((site.output / FOLDER / "a.jpg").read_bytes()).pixels.astype(int)
    # Orientation 6: viewers turn the stored picture 90° clockwise, so its lower left becomes the upper left.
    assert np.abs(pixels[72 + 2 :, : 36 - 2] - FILL).max() < 30
    assert np.abs(pixels[:24, :36] - FILL).max() > 60


def test_a_mixed_folder_is_counted_correctly(site: Site) -> None:
    site.fill(6)
    site.put("p001.jpg", b"no picture")
    site.put("p003.jpg", capture(3)[:-200])
    workspace = site.workspace()
    seen: list[ImageOutcome] = []
    report = mask_folder(workspace, FOLDER, CountingDetector(), seen.append)
    assert counts(report) == (6, 4, 0, 2, 0)
    assert [outcome.picture for outcome in seen] == [f"{FOLDER}/p{n:03d}.jpg" for n in range(6)]
    assert [outcome.status for outcome in seen].count(Status.FAILED) == 2
    assert report.objects == {"car": 4}
    assert (report.failures[0].known, report.failures[1].known) == (False, False)
    site.fill(1, first=6)
    site.put("p007.jpg", b"neither")
    detector = CountingDetector()
    again = mask_folder(workspace, FOLDER, detector)
    assert counts(again) == (8, 1, 4, 1, 2)
    assert [(f.picture[-8:], f.known) for f in again.failures] == [
        ("p001.jpg", True), ("p003.jpg", True), ("p007.jpg", False),
    ]  # fmt: skip
    assert [f.reason for f in again.failures[:2]] == [f.reason for f in report.failures]
    assert detector.calls == 1


def test_a_known_failure_is_tried_again_when_its_bytes_change(site: Site) -> None:
    site.put("a.jpg", capture(1)[:-300])
    workspace = site.workspace()
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (1, 0, 0, 1, 0)
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (1, 0, 0, 0, 1)
    site.put("a.jpg", capture(1))
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (1, 1, 0, 0, 0)


def test_a_known_failure_is_tried_again_with_another_model_or_configuration(site: Site) -> None:
    site.put("a.jpg", b"no picture")
    workspace = site.workspace()
    mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(mask_folder(site.workspace(mask_dilation_pixels=9), FOLDER, CountingDetector()))[3:] == (1, 0)
    assert counts(mask_folder(site.workspace(mask_dilation_pixels=9), FOLDER, CountingDetector()))[3:] == (0, 1)
    (site.model / "saved_model.pb").write_bytes(b"a newer model")
    assert counts(mask_folder(site.workspace(mask_dilation_pixels=9), FOLDER, CountingDetector()))[3:] == (1, 0)
    again = site.workspace(mask_dilation_pixels=9, force_remask=True)
    assert counts(mask_folder(again, FOLDER, CountingDetector()))[3:] == (1, 0)


def test_a_new_model_or_configuration_does_not_mask_done_pictures_again(site: Site) -> None:
    site.fill(2)
    mask_folder(site.workspace(), FOLDER, CountingDetector())
    before = (site.output / FOLDER / "p000.jpg").read_bytes()
    (site.model / "saved_model.pb").write_bytes(b"a newer model")
    detector = CountingDetector(Detections.empty())
    report = mask_folder(site.workspace(mask_dilation_pixels=9), FOLDER, detector)
    assert counts(report) == (2, 0, 2, 0, 0)
    assert detector.calls == 0
    assert (site.output / FOLDER / "p000.jpg").read_bytes() == before
    report = mask_folder(site.workspace(force_remask=True), FOLDER, detector)
    assert counts(report) == (2, 2, 0, 0, 0)
    assert (site.output / FOLDER / "p000.jpg").read_bytes() != before


def test_a_repeated_pass_reports_what_its_run_did(site: Site) -> None:
    """After a kill, the run must not pass off its failures as known, nor its pictures as done by an earlier run."""
    site.fill(2)
    site.put("torn.jpg", capture(9)[:900])
    detector = CountingDetector()
    first = mask_folder(site.workspace(), FOLDER, detector, run="tonight")
    again = mask_folder(site.workspace(), FOLDER, detector, run="tonight")
    assert counts(first) == counts(again) == (3, 2, 0, 1, 0)
    assert first.objects == again.objects != {}
    assert (first.examples, first.failures) == (again.examples, again.failures)
    assert detector.calls == 2
    assert counts(mask_folder(site.workspace(), FOLDER, detector, run="tomorrow")) == (3, 0, 2, 0, 1)


def test_a_temporary_failure_is_tried_again(site: Site) -> None:
    site.fill(2)
    workspace = site.workspace()
    broken = CountingDetector(before=breaks_on(1, MemoryError("no room")))
    assert counts(mask_folder(workspace, FOLDER, broken)) == (2, 1, 0, 1, 0)
    assert counts(mask_folder(workspace, FOLDER, broken)) == (2, 0, 1, 1, 0)
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 1, 1, 0, 0)
    assert names_below(site.errors) == []  # the copy is removed once the picture is masked


def test_a_file_that_cannot_be_read_fails_only_its_picture(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.fill(2)
    damaged = site.put("p0005.jpg", capture(7))

    def read(path: Path) -> bytes:
        if path == damaged:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))  # as with a bad block
        return read_plain(path)

    workspace = site.workspace()
    with monkeypatch.context() as patch:
        patch.setattr("anonymisation.chain.image_worker.read_plain", read)
        report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (3, 2, 0, 1, 0)
    assert "cannot be read" in report.failures[0].reason
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (3, 1, 2, 0, 0)


def test_a_share_that_comes_back_in_time_fails_no_picture(site: Site) -> None:
    site.fill(4)
    away = site.root / "away"

    def blink(pixels: NDArray[np.uint8]) -> None:
        if shows(pixels, 1):
            site.input.rename(away)
            threading.Timer(0.3, away.rename, [site.input]).start()

    workspace = site.workspace(enable_async=False, file_access_timeout_seconds=60)
    assert counts(mask_folder(workspace, FOLDER, CountingDetector(before=blink))) == (4, 4, 0, 0, 0)


def test_a_share_that_vanishes_marks_no_picture_as_failed(site: Site) -> None:
    site.fill(6)
    away = site.root / "away"

    def vanish(pixels: NDArray[np.uint8]) -> None:
        if shows(pixels, 1):
            site.input.rename(away)

    workspace = site.workspace(enable_async=False)
    with pytest.raises(ShareUnavailableError, match="input folder"):
        mask_folder(workspace, FOLDER, CountingDetector(before=vanish))
    assert {known.status for known in read_pictures(site.state, FOLDER).values()} == {"masked"}
    assert names_below(site.errors) == []
    away.rename(site.input)
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert (report.found, report.failed, report.masked + report.already_done) == (6, 0, 6)


def test_a_model_that_cannot_be_loaded_stops_the_folder_and_fails_no_picture(site: Site) -> None:
    site.fill(2)

    def no_model() -> CountingDetector:
        raise ModelUnavailableError("gone")

    with pytest.raises(ModelUnavailableError):
        mask_folder(site.workspace(), FOLDER, no_model)  # type: ignore[arg-type]
    assert read_pictures(site.state, FOLDER) == {}
    assert names_below(site.output) == []


def test_the_model_is_not_loaded_if_nothing_needs_it(site: Site) -> None:
    site.fill(1)
    workspace = site.workspace()
    mask_folder(workspace, FOLDER, CountingDetector())

    def no_model() -> CountingDetector:
        raise ModelUnavailableError("gone")

    assert mask_folder(workspace, FOLDER, no_model).already_done == 1  # type: ignore[arg-type]


def test_without_draw_mask_no_picture_is_published(site: Site) -> None:
    site.fill(2)
    workspace = site.workspace(draw_mask=False, remote_mask=True, remote_json=True)
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert counts(report) == (2, 2, 0, 0, 0)
    assert names_below(site.output) == [f"{FOLDER}/p00{n}.{end}" for n in range(2) for end in ("json", "webp")]
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 0, 2, 0, 0)
    drawn = site.workspace(remote_mask=True, remote_json=True)
    assert counts(mask_folder(drawn, FOLDER, CountingDetector())) == (2, 2, 0, 0, 0)


def test_an_input_that_changes_after_masking_is_masked_again(site: Site) -> None:
    site.fill(2)
    workspace = site.workspace()
    mask_folder(workspace, FOLDER, CountingDetector())
    site.put("p001.jpg", capture(41))
    detector = CountingDetector()
    assert counts(mask_folder(workspace, FOLDER, detector)) == (2, 1, 1, 0, 0)
    assert shows(detector.seen[0], 41)


def test_a_touched_input_is_not_masked_again(site: Site) -> None:
    path = site.fill(1)[0]
    workspace = site.workspace()
    mask_folder(workspace, FOLDER, CountingDetector())
    path.touch()
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (1, 0, 1, 0, 0)
    lines = (state_folder(site.state, FOLDER) / "detections.jsonl").read_text().splitlines()
    assert [json.loads(line)["detections"][0]["box"] for line in lines] == [list(CAR_BOX)]


@pytest.mark.parametrize("damage", ["truncated", "missing", "other"])
def test_an_incomplete_output_is_masked_again(site: Site, damage: str) -> None:
    site.fill(2)
    workspace = site.workspace()
    mask_folder(workspace, FOLDER, CountingDetector())
    masked = site.output / FOLDER / "p000.jpg"
    whole = masked.read_bytes()
    masked.unlink()
    if damage != "missing":
        masked.write_bytes(whole[:-50] if damage == "truncated" else plain(0))
    assert counts(mask_folder(workspace, FOLDER, CountingDetector())) == (2, 1, 1, 0, 0)
    assert masked.read_bytes() == whole
