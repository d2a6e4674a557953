"""The functions for programs, as the package gives them; `tests/test_package.py` tries them as a stranger would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import anonymisation
from anonymisation import AnonymisationError, ImageError, MaskedPicture, Masker, mask_folder, mask_picture, read_record
from anonymisation.core.errors import ConfigurationError, ModelFailedError, ShareUnavailableError
from anonymisation.core.settings import load_settings
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.masking.detections import Detections
from anonymisation.masking.models.factory import model_identity
from tests.captures import CAR, SECRET_DRIVER, capture, names_below
from tests.conftest import REPOSITORY
from tests.doubles import ScriptedDetector


def masker(detections: Callable[[NDArray[np.uint8]], Detections] | Detections = CAR, **settings: Any) -> Masker:
    """A masker whose model is loaded already, and finds what the test says."""
    made = Masker(settings=settings)
    made._detector = ScriptedDetector(detections, model_identity(load_settings().settings))
    return made


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "picture.jpg"
    path.parent.mkdir()
    path.write_bytes(capture(1))
    return path


def test_a_picture_is_masked_and_described(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "masked.jpg"
    masked = masker().mask_picture(picture, target)
    assert isinstance(masked, MaskedPicture)
    assert target.read_bytes() == masked.jpeg
    assert names_below(tmp_path) == ["in/picture.jpg", "out/masked.jpg"]  # nothing else was written
    assert picture.read_bytes() == capture(1)
    assert masked.objects == {"car": 1}
    assert masked.record["detekterte_objekter"] == {"car": "1"}
    assert masked.record["exif_filnavn"] == "picture.jpg"
    assert [found["label"] for found in masked.detections] == ["car"]
    assert SECRET_DRIVER.encode() not in masked.jpeg
    hidden = decode_mask(masked.mask)
    before = decode_jpeg(capture(1)).pixels
    after = decode_jpeg(masked.jpeg).pixels
    assert hidden.any()
    assert not hidden.all()
    assert np.abs(before.astype(int) - after)[hidden > 0].mean() > 20  # the car's grain is gone


def test_one_picture_is_masked_as_in_a_folder(picture: Path, tmp_path: Path) -> None:
    one = masker()
    alone = one.mask_picture(picture)
    report = one.mask_folder(picture.parent, str(tmp_path / "out"))
    assert (report.succeeded, report.total("mask", "masked")) == (True, 1)
    assert (tmp_path / "out" / "picture.jpg").read_bytes() == alone.jpeg


def test_a_configuration_with_previews_gives_the_masked_picture_alone(picture: Path) -> None:
    masked = masker(remote_preview=True, local_preview=True).mask_picture(picture)
    assert masked.jpeg.startswith(b"\xff\xd8")
    assert names_below(picture.parent) == ["picture.jpg"]


@pytest.mark.parametrize("key", ["draw_mask", "remote_mask"])
def test_what_a_configuration_for_nights_leaves_out_is_made(picture: Path, key: str) -> None:
    settings: dict[str, Any] = {key: False, "remote_json": True, "local_json": True, "local_mask": True}
    masked = masker(**settings).mask_picture(picture)
    assert masked.jpeg.startswith(b"\xff\xd8")
    assert decode_mask(masked.mask).any()
    assert names_below(picture.parent) == ["picture.jpg"]


@pytest.mark.parametrize("kind", ["file", "link", "the original"])
def test_nothing_is_replaced(picture: Path, tmp_path: Path, kind: str) -> None:
    target = picture if kind == "the original" else tmp_path / "taken.jpg"
    if kind == "link":
        target.symlink_to(tmp_path / "nowhere.jpg")
    elif kind == "file":
        target.write_bytes(b"taken")
    before = names_below(tmp_path)
    with pytest.raises(ImageError, match="exists already and is not replaced"):
        masker().mask_picture(picture, target)
    assert names_below(tmp_path) == before
    assert picture.read_bytes() == capture(1)


def _fails(_: NDArray[np.uint8]) -> Detections:
    raise ModelFailedError("no answer")


def _breaks(_: NDArray[np.uint8]) -> Detections:
    raise MemoryError


@pytest.mark.parametrize("detections", [_fails, _breaks])
def test_a_picture_that_the_model_fails_on_is_not_written(
    picture: Path, tmp_path: Path, detections: Callable[[NDArray[np.uint8]], Detections]
) -> None:
    target = tmp_path / "out.jpg"
    with pytest.raises((ModelFailedError, MemoryError)):
        masker(detections).mask_picture(picture, target)
    report = masker(detections).mask_folder(picture.parent, tmp_path / "out")
    assert not report.succeeded
    assert [failure.picture for folder in report.folders for failure in folder.failures] == ["picture.jpg"]
    assert not target.exists()
    assert not (tmp_path / "out" / "picture.jpg").exists()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("cut.jpg", capture(1)[:-500], "."),
        ("text.jpg", b"text", "."),
        ("picture.png", capture(1), "convert the picture"),
        ("gone.jpg", None, "No such file"),
        ("xml.jpg", capture(1, xml=b"<ImageProperties"), "."),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_its_name(
    tmp_path: Path, name: str, data: bytes | None, reason: str
) -> None:
    source = tmp_path / name
    if data is not None:
        source.write_bytes(data)
    with pytest.raises(ImageError, match=reason) as caught:
        masker().mask_picture(source, tmp_path / "out.jpg")
    assert f"picture: {source}" in caught.value.__notes__
    assert not (tmp_path / "out.jpg").exists()


def test_a_link_is_not_followed(picture: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.jpg"
    link.symlink_to(picture)
    with pytest.raises(ImageError, match="cannot be read"):
        masker().mask_picture(link)


@pytest.mark.parametrize(("target", "reason"), [("out.png", "must end in .jpg"), ("no/folder/out.jpg", "No such file")])
def test_a_target_that_cannot_be_written_is_named(picture: Path, tmp_path: Path, target: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        masker().mask_picture(picture, tmp_path / target)
    assert names_below(tmp_path) == ["in/picture.jpg"]


def test_mistakes_of_settings_and_folders_are_errors_of_the_package(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="scorethreshold"):
        mask_picture(picture, settings={"scorethreshold": 0.3})
    with pytest.raises(ConfigurationError, match="nested"):
        mask_folder(picture.parent, picture.parent / "out")
    with pytest.raises(ShareUnavailableError, match="gone"):
        mask_folder(tmp_path / "gone", tmp_path / "out", settings={"file_access_timeout_seconds": 0})
    assert issubclass(ConfigurationError, AnonymisationError)
    assert names_below(tmp_path) == ["in/picture.jpg"]


def test_a_record_is_read_from_its_file_and_from_a_picture(picture: Path, tmp_path: Path) -> None:
    masker(remote_json=True).mask_folder(picture.parent, tmp_path / "out")
    written = read_record(str(tmp_path / "out" / "picture.json"))
    assert written == json.loads((tmp_path / "out" / "picture.json").read_bytes())
    made = read_record(picture)
    assert made["detekterte_objekter"] is None
    assert {**made, "detekterte_objekter": {"car": "1"}, "versjon": written["versjon"]} == written
    assert SECRET_DRIVER not in json.dumps(made, ensure_ascii=False)


@pytest.mark.parametrize(("name", "data"), [("a.json", b"{"), ("a.jpg", b"text"), ("a.png", b"text"), ("b.json", None)])
def test_what_has_no_record_is_refused_with_its_name(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_record(tmp_path / name)
    assert f"file: {tmp_path / name}" in caught.value.__notes__


def test_the_examples_of_the_page_for_programs_run(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    detector = ScriptedDetector(CAR, model_identity(load_settings().settings))
    monkeypatch.setattr("anonymisation.api.masker.load_detector", lambda *_given, **_named: detector)
    (tmp_path / "pictures").mkdir()
    for copy in ("IMG_0001.jpg", "pictures/IMG_0001.jpg"):
        shutil.copy(picture, tmp_path / copy)
    (tmp_path / "our.yml").write_text("remote_json: True\n", "utf-8")
    shown: dict[str, Any] = {"names": ["IMG_0002.jpg"]}
    page = (REPOSITORY / "docs" / "how-to" / "python.md").read_text("utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        exec(example, shown)
    assert "IMG_0002.jpg is not published" in capsys.readouterr().out


_IMPORTED = """
import sys
import anonymisation
alone = [name for name in sys.modules if name.startswith("anonymisation")]
from anonymisation import Masker, mask_folder, mask_picture, read_record
heavy = [name for name in ("tensorflow", "keras", "airflow") if name in sys.modules]
print(alone, heavy, set(anonymisation.__all__) <= set(dir(anonymisation)))
"""


def test_the_import_loads_nothing_and_no_name_of_it_loads_tensorflow() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True)
    assert done.stdout == "['anonymisation'] [] True\n"


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(anonymisation, name) is not None for name in anonymisation.__all__)
    with pytest.raises(AttributeError, match="mask_video"):
        anonymisation.mask_video  # noqa: B018
