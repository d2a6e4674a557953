"""Damaged, odd and hostile pictures: each is masked soundly or fails with a reason, and its good neighbour is masked.

With ANONYMISATION_FAULTS=long, thousands of damaged pictures go through the chain, and some through the command line.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from anonymisation.chain.mask import mask_folder
from anonymisation.files.plain import read_plain
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.reporting.step_reports import MaskReport
from tests.captures import CAR_BOX, FOLDER, SECRET_DRIVER, CountingDetector, Site, capture, counts, names_below
from tests.faults.conftest import LONG
from tests.faults.mutations import mutation
from tests.imaging import bombs
from tests.imaging.broken import BROKEN
from tests.imaging.builders import jpeg, with_exif, with_segments
from tests.limits import bounded, preload

preload(__name__)

NEIGHBOUR: Final = "neighbour.jpg"
SIDECARS: Final[dict[str, Any]] = {"remote_json": True, "remote_mask": True}
needs_long = pytest.mark.skipif(not LONG, reason="needs ANONYMISATION_FAULTS=long")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def fill(site: Site, pictures: Mapping[str, bytes]) -> None:
    """Lay the pictures into the folder, with a good neighbour."""
    for name, data in pictures.items():
        site.put(name, data)
    site.put(NEIGHBOUR, capture(99))


def require_sound(site: Site) -> list[str]:
    """The masked pictures: each decodes, shows no detail where the scripted car is, and has its record and mask."""
    written = names_below(site.output)
    masked = [name for name in written if not name.endswith((".webp", ".json"))]
    stems = {name.rpartition(".")[0] for name in masked}
    assert written == sorted([*masked, *(f"{stem}{suffix}" for stem in stems for suffix in (".webp", ".json"))])
    for name in masked:
        data = (site.output / name).read_bytes()
        pixels = decode_jpeg(data).pixels.astype(int)
        height, width, _ = pixels.shape
        top, left, bottom, right = (np.array(CAR_BOX) * (height, width, height, width)).astype(int)
        hidden = pixels[top + 8 : bottom - 8, left + 8 : right - 8]
        if hidden.shape[0] > 1 and hidden.shape[1] > 1:
            assert max(np.abs(np.diff(hidden, axis=axis)).mean() for axis in (0, 1)) < 2, name
        for secret in (SECRET_DRIVER.encode(), SECRET_DRIVER.encode("utf-16-le")):
            assert secret not in data
            assert secret not in (site.output / f"{name.rpartition('.')[0]}.json").read_bytes()
    return [name.removeprefix(f"{FOLDER}/") for name in masked]


def require_reasons(report: MaskReport) -> None:
    """Every failure is one that the software expects; an unexpected one begins with the name of a Python class."""
    assert report.found == report.masked + report.failed
    for failure in report.failures:
        assert failure.reason
        assert not re.match(r"[A-Za-z]*(Error|Exception|Warning)\b", failure.reason), failure


def through_the_chain(root: Path, pictures: Mapping[str, bytes]) -> int:
    """Mask the pictures and their neighbour; the number of pictures that come out."""
    root.mkdir(exist_ok=True)
    site = Site(root)
    fill(site, pictures)
    report = mask_folder(site.workspace(**SIDECARS), FOLDER, CountingDetector())
    require_reasons(report)
    masked = require_sound(site)
    assert report.masked == len(masked)
    assert NEIGHBOUR in masked
    failed = {name for name in names_below(site.errors) if name.endswith(".jpg")}
    assert failed == {f"{FOLDER}/{name}" for name in pictures if name not in masked}
    return report.masked


def test_a_picture_truncated_at_every_hundredth_fails(tmp_path: Path) -> None:
    data = capture(1)
    pictures = {f"cut{share:02d}.jpg": data[: len(data) * share // 100] for share in range(100)}
    assert through_the_chain(tmp_path, pictures) == 1


def mutations(seeds: Iterable[int]) -> dict[str, bytes]:
    return {f"m{seed:05d}.jpg": mutation(seed) for seed in seeds}


def test_damaged_pictures(tmp_path: Path) -> None:
    masked = through_the_chain(tmp_path, mutations(range(150)))
    assert 20 < masked < 150  # both happens


def campaign(root: Path, first: int, number: int) -> int:
    return through_the_chain(root, mutations(range(first, first + number)))


@needs_long
@pytest.mark.parametrize("first", range(1000, 6000, 100))
def test_thousands_of_damaged_pictures(tmp_path: Path, first: int) -> None:
    assert bounded(campaign, tmp_path, first, 100, seconds=120, mebibytes=1500) > 1


@needs_long
def test_damaged_pictures_through_the_command_line(site: Site, tmp_path: Path) -> None:
    from tests.masking.scripted_models import save_one_car

    model = save_one_car(tmp_path / "cars")
    fill(site, mutations(range(10_000, 10_200)))
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({"model_type": str(model), **SIDECARS}), encoding="utf-8")  # JSON is YAML
    folders = ["-i", str(site.input), "-o", str(site.output), "-k", str(config)]
    done = subprocess.run(
        [sys.executable, "-m", "anonymisation", "run", *folders],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert NEIGHBOUR in require_sound(site)


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "exif.jpg": lambda: with_exif(jpeg(), bombs.shared_bytes(5000, kind=12)),
    "segments.jpg": lambda: with_segments(jpeg(), b"\xff\xe5\0\2" * 500_000),
    "scans.jpg": lambda: bombs.many_scans(13_000, 450),
    "xml.jpg": lambda: bombs.vendor_xml(b"<a>" + b"<b/>" * 300_000 + b"</a>"),
}


def all_bombs(root: Path) -> int:
    return through_the_chain(root, {name: made() for name, made in BOMBS.items()})


def test_bombs_in_one_folder(tmp_path: Path) -> None:
    assert bounded(all_bombs, tmp_path, seconds=15, mebibytes=700) == 2  # the neighbour, and that of the EXIF


def test_pictures_that_broke_other_programs(cases: Path, tmp_path: Path) -> None:
    torture = cases.parent / "torture"  # only next to the real cases
    files = {path.name: path.read_bytes() for path in torture.iterdir()} if torture.is_dir() else {}
    broken = files or {name: make() for name, (make, _) in BROKEN.items()}
    found = {path.name: path.read_bytes() for path in (cases / "pictures").iterdir()}
    assert through_the_chain(tmp_path, {**broken, **found}) > 20


def test_odd_names(site: Site) -> None:
    names = [
        "line\nbreak.jpg", "tab\tand\rreturn.jpg", "🚗 🚙.jpg", "å.jpg", "a\u030a.jpg", "-rf.jpg", "%s{0}$(id)`.jpg",
        "x" * 251 + ".jpg", "<b>&amp;.jpg", "'\";DROP TABLE.jpg", "\u202egpj.jpg", "CON.JPG", " .jpeg",
    ]  # fmt: skip
    for number, name in enumerate(names):
        site.put(name, capture(number))
    invalid = [os.fsdecode(raw) for raw in (b"bl\xe5b\xe6r.jpg", b"\xff\xfe.jpg", b"\xed\xa0\x80.jpg")]
    for name in invalid:
        site.put(name, capture(50))
    report = site.run(site.workspace())
    assert report.exit_code == 1
    (folder,) = report.folders
    assert folder.mask is not None
    assert counts(folder.mask) == (len(names) + 3, len(names), 0, 3, 0)
    assert sorted(path.name for path in (site.output / FOLDER).iterdir()) == sorted(names)
    assert all("not valid UTF-8" in failure.reason for failure in folder.mask.failures)
    json.dumps(report.folders[0].to_dict()).encode("utf-8")
    again = site.run(site.workspace())
    assert again.total("mask", "known_failed") == 3
    assert again.exit_code == 0


def test_odd_kinds_of_files(site: Site) -> None:
    """Nothing waits for a pipe, reads a device, or follows a loop."""
    place = site.put(NEIGHBOUR, capture(99)).parent
    os.mkfifo(place / "pipe.jpg")
    (place / "loop.jpg").symlink_to("loop.jpg")
    (place / "one.jpg").symlink_to("other.jpg")
    (place / "other.jpg").symlink_to("one.jpg")
    (place / "zero.jpg").symlink_to("/dev/zero")
    (place / "broken.jpg").symlink_to("nowhere")
    (place / "folder.jpg").mkdir()
    (place / "folder.jpg" / "inside.jpg").write_bytes(capture(98))
    (place / "up.jpg").symlink_to("..", target_is_directory=True)
    strange = ["pipe.jpg", "loop.jpg", "one.jpg", "other.jpg", "zero.jpg", "broken.jpg", "socket.jpg"]
    before = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(place)  # the name of a socket has at most 107 bytes
        try:
            server.bind("socket.jpg")
        finally:
            os.chdir(before)
    if os.geteuid() == 0:
        os.mknod(place / "device.jpg", 0o20666, os.makedev(1, 5))
        strange.append("device.jpg")
    report = site.run(site.workspace())
    assert report.exit_code == 1
    for name in strange:
        assert any(f"{FOLDER}/{name}: " in problem for problem in report.broken), name
    assert any(f"{FOLDER}/up.jpg: is a link to a folder" in problem for problem in report.problems)
    assert names_below(site.output) == [f"{FOLDER}/folder.jpg/inside.jpg", f"{FOLDER}/{NEIGHBOUR}"]


def huge_file(root: Path) -> tuple[int, int, int, int, int]:
    site = Site(root)
    site.put(NEIGHBOUR, capture(99))
    with site.put("huge.jpg", capture(1)).open("r+b") as stream:
        stream.truncate(8 << 30)  # without blocks on the disk
    with pytest.raises(OSError, match="too large"):
        read_plain(site.input / FOLDER / "huge.jpg")
    workspace = site.workspace()
    report = mask_folder(workspace, FOLDER, CountingDetector())
    assert "too large: 8589934592 bytes" in report.failures[0].reason
    assert counts(report) == (2, 1, 0, 1, 0)
    assert names_below(site.errors) == [f"{FOLDER}/huge_error.txt"]
    return counts(mask_folder(workspace, FOLDER, CountingDetector()))


def test_a_file_that_is_larger_than_the_memory(tmp_path: Path) -> None:
    assert bounded(huge_file, tmp_path, mebibytes=700) == (2, 0, 1, 0, 1)
