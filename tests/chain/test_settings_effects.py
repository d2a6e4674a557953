"""Every key of the configuration has an effect: one end-to-end test per key or small group of keys.

`effect` registers a test with the keys whose effect it checks; the last test finds keys without one.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import FoundFolder, Selection, discover
from anonymisation.chain.image_worker import PictureWorker
from anonymisation.chain.mask import mask_folder
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.settings import Settings, load_settings
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.masking.models.factory import load_detector
from anonymisation.metadata.record import record_from_json
from anonymisation.reporting.run_report import FolderReport, RunReport
from tests.captures import FILL, FOLDER, CountingDetector, Site, capture, car_window, names_below

T = TypeVar("T", bound=Callable[..., None])
ORANGE: Final = (230, 140, 20)
_SEEN: set[str] = set()

# Keys whose effect is checked in the tests of their own package.
CLIENT: Final = "database/test_oracle_client.py"
DATABASE: Final = "chain/test_database_settings.py"
CONTEXT: Final = "metadata/forms/test_context.py"
RECORDS: Final = "chain/test_records_of_2022.py"
PREVIEWS: Final = "chain/test_previews.py::test_previews_go_where_the_settings_want_them"
SIZES: Final = "chain/test_previews.py::test_a_preview_is_a_part_of_the_masked_picture"
FACTORY: Final = "masking/models/test_factory.py"
ELSEWHERE: Final = {
    "datetime_format": "core/test_logs.py::test_the_log_file_is_named_as_configured",
    "log_file_name": "core/test_logs.py::test_the_log_file_is_named_as_configured",
    "log_level": "core/test_logs.py::test_the_level_decides_what_is_logged",
    "uncaught_exception_email": "reporting/test_mail.py::test_each_kind_has_its_own_switch",
    "processing_error_email": "reporting/test_mail.py::test_each_kind_has_its_own_switch",
    "finished_email": "reporting/test_mail.py::test_each_kind_has_its_own_switch",
    "email_attach_log_file": "reporting/test_mail.py::test_the_log_file_is_attached_only_when_asked_for",
    "email_from_address": "reporting/test_mail.py::test_sent_mail_is_addressed_and_dated",
    "email_to_addresses": "reporting/test_mail.py::test_sent_mail_is_addressed_and_dated",
    "email_smtp_host": "reporting/test_mail.py::test_without_a_server_nothing_is_sent_and_it_is_told",
    "email_smtp_port": "reporting/test_mail.py::test_a_server_that_is_away_stops_nothing",
    "error_output_mode": "workspace/test_error_folder.py::test_copies_have_the_configured_permissions",
    "archive_retention_days": "chain/test_retention.py::test_old_originals_are_removed_logged_and_no_longer_expected",
    "error_retention_days": "chain/test_retention.py::test_old_failed_pictures_are_removed_with_their_notes",
    "camera_regions": "chain/test_camera_regions.py::test_a_rule_holds_in_its_folders_and_for_its_camera",
    "oracle_client_lib_dir": f"{CLIENT}::test_the_real_driver_without_its_libraries_says_what_to_install",
    "db_tables_dir": "database/layouts/test_own_folder.py::test_a_relative_folder_is_next_to_the_configuration_file",
    "write_exif_to_db": f"{DATABASE}::test_rows_go_to_the_configured_database",
    "database": f"{DATABASE}::test_rows_go_to_the_configured_database",
    "db_table": f"{DATABASE}::test_refused_rows_are_tolerated_up_to_a_number",
    "db_max_n_errors": f"{DATABASE}::test_refused_rows_are_tolerated_up_to_a_number",
    "db_max_n_accumulated_rows": f"{DATABASE}::test_rows_are_sent_in_batches",
    "db_formatters_module": f"{DATABASE}::test_a_custom_formatter_provides_a_column_value",
    "db_max_cache_size": f"{DATABASE}::test_the_number_of_waiting_rows_is_limited",
    "max_pictures_per_work_unit": "plugins/test_sharing.py::test_large_folders_are_split_into_parts_of_about_this_size",
    "model_type": f"{FACTORY}::test_a_relative_path_and_a_wrong_name",
    "model_dir": f"{FACTORY}::test_names_of_the_zoo_are_looked_for_in_the_models_folder",
    "score_threshold": f"{FACTORY}::test_a_model_of_ones_own_goes_through_threshold_tiles_and_limit",
    "score_thresholds": "masking/test_thresholds.py"
    "::test_a_model_of_ones_own_goes_through_the_thresholds_of_classes_and_sizes",
    "hidden_classes": "masking/test_thresholds.py::test_classes_that_are_not_hidden_are_neither_hidden_nor_counted",
    "panorama_views": "chain/test_panoramas.py::test_a_panorama_that_is_searched_as_a_flat_picture",
    "max_num_pixels": f"{FACTORY}::test_a_model_of_ones_own_goes_through_threshold_tiles_and_limit",
    "gpu_memory_growth": f"{FACTORY}::test_memory_of_every_gpu_is_taken_as_configured",
    "gpu_mixed_precision": f"{FACTORY}::test_mixed_precision_and_xla_are_asked_for_as_configured",
    "gpu_xla": f"{FACTORY}::test_mixed_precision_and_xla_are_asked_for_as_configured",
    "gpu_prefetch": f"{FACTORY}::test_the_next_views_are_brought_to_the_device_ahead",
    "record_form": f"{RECORDS}::test_both_forms_in_one_state_folder_and_one_table",
    "table_name": f"{RECORDS}::test_a_record_that_the_table_refuses_fails_its_picture_before_anything_is_published",
    "table_primary_key": "database/layouts/test_wide_table.py::test_the_verdict_needs_the_key_that_is_named",
    "data_eier": f"{RECORDS}::test_an_owner_that_is_missing_is_named_at_the_start",
    "record_reader": f"{CONTEXT}::test_each_setting_changes_the_record",
    "fylkesnummer": f"{CONTEXT}::test_each_setting_changes_the_record",
    "force_fylke": f"{CONTEXT}::test_each_setting_changes_the_record",
    "image_type": f"{CONTEXT}::test_each_setting_changes_the_record",
    "remove_imagetype_filepath": f"{CONTEXT}::test_each_setting_changes_the_record",
    "flip_wkt": "cli/test_db_load_foreign.py::test_commas_backslashes_and_swapped_coordinates",
    "remote_preview": PREVIEWS,
    "local_preview": PREVIEWS,
    "archive_preview": PREVIEWS,
    "separate_preview_directory": PREVIEWS,
    "preview_dim": SIZES,
    "preview_center": SIZES,
}


def effect(*keys: str) -> Callable[[T], T]:
    """Register a test with the keys whose effect it checks."""
    _SEEN.update(keys)
    return lambda test: test


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def orange() -> bytes:
    """A picture with coloured grain at the place of the car."""
    pixels = np.full((96, 144, 3), 128, np.uint8)
    top, left, bottom, right = car_window()
    size = ((bottom - top) // 8, (right - left) // 8)
    grain = np.random.default_rng(1).integers(0, 2, size).repeat(8, 0).repeat(8, 1)
    pixels[top:bottom, left:right] = np.where(grain[..., None], ORANGE, (40, 20, 0))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def hidden(root: Path, **settings: Any) -> NDArray[np.int_]:
    """Mask the orange picture and return the inner pixels of the redacted region, (H, W, 3)."""
    root.mkdir(exist_ok=True)
    site = Site(root)
    site.put("a.jpg", orange())
    run(site, **settings)
    top, left, bottom, right = car_window()
    pixels = decode_jpeg((site.output / FOLDER / "a.jpg").read_bytes()).pixels
    return pixels[top + 4 : bottom - 4, left + 4 : right - 4].astype(int)


def run(site: Site, *, archive: bool = False, **settings: Any) -> RunReport:
    return site.run(site.workspace(archive=archive, **settings))


@effect("draw_mask")
def test_without_draw_mask_no_picture_is_written(site: Site) -> None:
    site.fill(1)
    run(site, draw_mask=False, remote_json=True)
    assert names_below(site.output) == [f"{FOLDER}/p000.json"]


@effect("remote_json", "local_json", "archive_json", "remote_mask", "local_mask", "archive_mask")
@pytest.mark.parametrize("suffix", ["json", "mask"])
def test_files_are_written_where_the_switches_say(tmp_path: Path, suffix: str) -> None:
    name = f"{FOLDER}/p000.{'json' if suffix == 'json' else 'webp'}"
    for place in ("remote", "local", "archive"):
        (tmp_path / place).mkdir()
        site = Site(tmp_path / place)
        site.fill(1)
        needed = {f"remote_{suffix}": True} if place == "archive" else {}
        run(site, archive=True, **{f"{place}_{suffix}": True}, **needed)
        found = {base for base in ("out", "in", "arch") if (site.root / base / name).exists()}
        assert found == {"remote": {"out"}, "local": {"in"}, "archive": {"out", "arch"}}[place]


@effect("delete_input")
def test_delete_input_empties_the_input(site: Site) -> None:
    site.fill(2)
    run(site, archive=True, remote_json=True)
    assert len(names_below(site.input)) == 2
    run(site, archive=True, remote_json=True, delete_input=True)
    assert names_below(site.input) == []


@effect("force_remask")
def test_force_remask_masks_again(site: Site) -> None:
    site.fill(2)
    assert [run(site, force_remask=force).total("mask", "masked") for force in (False, False, True)] == [2, 0, 2]


@effect("lazy_paths")
@pytest.mark.parametrize("lazy", [False, True])
def test_lazy_paths_processes_folders_as_they_are_found(site: Site, *, lazy: bool) -> None:
    site.fill(1, "a")
    site.fill(1, "b")
    events: list[str] = []

    def found(finding: object) -> None:
        assert isinstance(finding, FoundFolder)
        events.append(f"found {finding.folder}")

    def ended(report: FolderReport) -> None:
        events.append(f"masked {report.folder}")

    site.run(site.workspace(lazy_paths=lazy), on_found=found, on_report=ended)
    order = ["found a", "masked a", "found b", "masked b"] if lazy else ["found a", "found b", "masked a", "masked b"]
    assert events == order


@effect("file_access_retry_seconds", "file_access_timeout_seconds")
def test_an_unreachable_share_is_waited_for(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.input.rmdir()
    with pytest.raises(ShareUnavailableError, match=r"waited 0\.13 s"):
        run(site, file_access_retry_seconds=0.02, file_access_timeout_seconds=0.13)
    tries = [record for record in caplog.records if "trying again in 0.02 s" in record.getMessage()]
    assert 2 <= len(tries) <= 7
    caplog.clear()
    with pytest.raises(ShareUnavailableError):
        run(site, file_access_retry_seconds=5, file_access_timeout_seconds=0)
    assert "trying again" not in caplog.text


@effect("application_version", "exif_mappenavn", "exif_top_dir")
def test_records_are_written_as_configured(site: Site) -> None:
    site.fill(1)
    settings: dict[str, Any] = {
        "application_version": "9.9",
        "exif_mappenavn": "{aar}|{relative_input_dir}",
        "exif_top_dir": "2021",
    }
    run(site, remote_json=True, **settings)
    record = record_from_json((site.output / FOLDER / "p000.json").read_bytes())
    assert record["versjon"].startswith("P9.9_K")
    assert record["mappenavn"] == "2021|EV6/S1D1/F1_2021_05_01"


@effect("error_output_dir", "state_dir")
def test_failures_and_state_go_to_their_folders(site: Site) -> None:
    site.put("torn.jpg", capture(1)[:700])
    run(site, error_output_dir=str(site.root / "bad"), state_dir=str(site.root / "known"))
    assert names_below(site.root / "bad") == [f"{FOLDER}/torn.jpg", f"{FOLDER}/torn_error.txt"]
    assert (site.root / "known" / "folders").is_dir()
    assert not site.errors.exists()
    assert not site.state.exists()


@effect("capture_settle_seconds", "capture_marker_file")
def test_scheduled_runs_wait_for_a_folder_to_settle(site: Site) -> None:
    site.fill(1)
    scheduled = Selection(settled_only=True)
    assert discover(site.workspace(), scheduled).unsettled == (FOLDER,)
    assert [f.folder for f in discover(site.workspace(capture_settle_seconds=0), scheduled).folders] == [FOLDER]
    site.put("ready", b"")
    assert [f.folder for f in discover(site.workspace(capture_marker_file="ready"), scheduled).folders] == [FOLDER]
    assert discover(site.workspace(capture_marker_file="other"), scheduled).unsettled == (FOLDER,)


@effect("jpeg_quality")
def test_jpeg_quality_changes_size_and_fidelity(tmp_path: Path) -> None:
    sizes = []
    for quality in (10, "keep", 100):
        (tmp_path / str(quality)).mkdir()
        site = Site(tmp_path / str(quality))
        site.fill(1)
        run(site, jpeg_quality=quality)
        sizes.append((site.output / FOLDER / "p000.jpg").stat().st_size)
    assert sizes == sorted(set(sizes))


@effect("enable_async", "max_num_async_workers")
@pytest.mark.parametrize(("enabled", "workers"), [(False, 3), (True, 1), (True, 3)])
def test_pictures_are_prepared_by_the_configured_number_of_threads(
    site: Site, monkeypatch: pytest.MonkeyPatch, workers: int, *, enabled: bool
) -> None:
    together = threading.Barrier(workers if enabled else 1)  # passes only with that many threads
    names = set()
    prepare = PictureWorker.prepare

    def watched(self: PictureWorker, *arguments: Any) -> Any:
        together.wait(timeout=60)
        names.add(threading.current_thread().name)
        return prepare(self, *arguments)

    monkeypatch.setattr(PictureWorker, "prepare", watched)
    site.fill(6)
    report = run(site, enable_async=enabled, max_num_async_workers=workers)
    assert report.total("mask", "masked") == 6
    if enabled:
        assert len(names) == workers
    else:
        assert names == {threading.current_thread().name}


@effect("tiles", "tile_pixels", "tile_overlap")
def test_tiles_are_cut_as_configured(tmp_path: Path) -> None:
    from tests.masking.scripted_models import save_tf2

    model = str(save_tf2(tmp_path / "model"))
    shown = np.zeros((200, 400, 3), np.uint8)
    batches: list[tuple[int, ...]] = []

    class Watched:
        """The real model, which records its inputs."""

        max_batch = 8
        max_detections = None

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def predict(self, batch: NDArray[np.uint8]) -> Any:
            batches.append(batch.shape[:3])
            return [self.inner.predict(picture[None])[0] for picture in batch]

    def parts(**settings: Any) -> int:
        detector: Any = load_detector(load_settings(overrides={"model_type": model, **settings}).settings).inner
        watched = type(detector)(Watched(detector.model), detector.identity, detector.max_num_pixels, detector.tiles)
        batches.clear()
        watched.detect(shown)
        return sum(shape[0] for shape in batches)

    assert parts(tiles=False) == 1
    assert parts(tile_pixels=200, tile_overlap=0.0) == 1 + 2
    assert parts(tile_pixels=100, tile_overlap=0.0) == 1 + 8
    assert parts(tile_pixels=200, tile_overlap=0.5) == 1 + 3


@effect("max_picture_pixels")
def test_larger_pictures_fail_and_are_tried_again_when_the_limit_is_raised(site: Site) -> None:
    site.fill(2)
    below = run(site, max_picture_pixels=144 * 96 - 1)
    assert (below.total("mask", "masked"), below.total("mask", "failed")) == (0, 2)
    note = (site.errors / FOLDER / "p000_error.txt").read_text()
    assert "144 × 96 pixels, and max_picture_pixels allows 13823; raise it where there is memory" in note
    assert run(site, max_picture_pixels=144 * 96).total("mask", "masked") == 2
    lower = site.workspace(max_picture_pixels=1)  # undoes nothing
    assert mask_folder(lower, FOLDER, CountingDetector()).already_done == 2
    assert check_folder(lower, FOLDER).gaps == ()


@effect("mask_dilation_pixels")
def test_dilation_widens_what_is_hidden(tmp_path: Path) -> None:
    top, left, bottom, right = car_window()
    for pixels in (0, 6):
        (tmp_path / str(pixels)).mkdir()
        site = Site(tmp_path / str(pixels))
        site.put("a.jpg", orange())
        run(site, blur=None, mask_color=[0, 0, 255], mask_dilation_pixels=pixels, jpeg_quality=100)
        picture = decode_jpeg((site.output / FOLDER / "a.jpg").read_bytes()).pixels.astype(int)
        blue = (picture[..., 2] - picture[..., 0]) > 128
        rows, columns = np.nonzero(blue)
        found = (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
        wanted = (top - pixels, left - pixels, bottom + pixels, right + pixels)
        assert np.abs(np.subtract(found, wanted)).max() <= 2


@effect("mask_color")
def test_one_colour_or_one_per_class(tmp_path: Path) -> None:
    one = hidden(tmp_path / "one", blur=None, mask_color=[0, 200, 50])
    per_class = hidden(tmp_path / "class", blur=None)
    assert np.abs(one - (0, 200, 50)).max() < 12
    assert np.abs(per_class - FILL).max() < 12


@effect("blur")
def test_a_wider_blur_has_softer_edges(tmp_path: Path) -> None:
    top, left, bottom, right = car_window()
    soft = []
    for blur in (1, 30, 100):
        hidden(tmp_path / str(blur), blur=blur, gray_blur=True, normalized_gray_blur=False)
        picture = decode_jpeg((tmp_path / str(blur) / "out" / FOLDER / "a.jpg").read_bytes()).pixels.astype(int)
        row = picture[(top + bottom) // 2, left - 4 : right + 4, 0]
        soft.append(int(np.sum(np.abs(row - row[len(row) // 2]) > 3)))
    assert soft[0] == 0
    assert 0 < soft[1] < soft[2]


@effect("gray_blur", "normalized_gray_blur")
def test_gray_blur_removes_colour_and_normalising_brightness(tmp_path: Path) -> None:
    colour = hidden(tmp_path / "c", blur=100, gray_blur=False, normalized_gray_blur=False)
    gray = hidden(tmp_path / "g", blur=100, gray_blur=True, normalized_gray_blur=False)
    level = hidden(tmp_path / "n", blur=100, gray_blur=True, normalized_gray_blur=True)
    assert np.ptp(colour, axis=2).mean() > 40
    assert np.ptp(gray, axis=2).max() < 10
    assert np.ptp(level, axis=2).max() < 10
    assert np.abs(level - 128).max() < 4  # the level of its surroundings
    assert np.abs(gray - 128).min() > 20


def test_every_key_has_a_test_of_its_effect() -> None:
    keys = set(Settings.model_fields)
    assert keys == _SEEN | set(ELSEWHERE)
    here = Path(__file__).parents[1]
    for key, place in ELSEWHERE.items():
        file, _, name = place.partition("::")
        text = (here / file).read_text()
        assert f"def {name}(" in text, key
        assert key in text or key.startswith("email_"), key
