"""How fast pictures are masked with the built-in model: `python -m benchmarks.pictures [--pictures 24] [-i FOLDER]`.

The whole chain (mask, record, mask file, archive) over copies of the sample captures of 2692 × 1032 pixels, or of the
pictures of FOLDER, with the default settings but for `-s key=value` and `-m MODEL`. One process; the first two pictures
are a folder of their own, since loading and the model's first look are measured apart.

What is printed, and written as JSON with --json: seconds until the model is loaded, seconds for the first folder,
pictures a second, the process' CPU seconds a picture, its resident memory with the model loaded and at its peak, and
the CPU and wall milliseconds of each stage, worked through one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.image_worker import PictureWorker
from anonymisation.chain.mask import mask_folder
from anonymisation.files.writer import write_one_by_one
from anonymisation.masking.guard import GuardedDetector
from anonymisation.masking.models.factory import load_detector
from anonymisation.masking.tiling import TilingDetector
from anonymisation.masking.views import canvases, views_of
from anonymisation.workspace.listing import PictureFile, list_pictures
from anonymisation.workspace.workspace import Workspace, open_workspace
from benchmarks.measuring import Stopwatch, peak_memory
from scripts.sample_captures import LARGE, SAMPLES, write_samples

_TOP: Final = "TilSladding"
FIRST, REST, STAGED = (f"{_TOP}/{name}" for name in ("first", "rest", "staged"))
WRITTEN: Final = {"remote_json": True, "remote_mask": True, "archive_json": True, "archive_mask": True}
_STAGED_PICTURES: Final = 4


def sample_pictures(folder: Path) -> list[Path]:
    """The sample captures of the road cars' size, written below `folder`."""
    written = iter(write_samples(folder))
    return [path for sample in SAMPLES for scene, path in zip(sample.scenes, written, strict=False) if _large(scene)]


def _large(scene: Any) -> bool:
    return (scene.width, scene.height) == LARGE


def fill(folder: Path, sources: list[Path], number: int) -> None:
    """`number` files, copies of `sources` in turn."""
    folder.mkdir(parents=True)
    for index in range(number):
        shutil.copyfile(sources[index % len(sources)], folder / f"m{index:05d}.jpg")


def resident_mib() -> int:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


class Stages:
    """Milliseconds of wall and CPU per stage, a median over the pictures."""

    def __init__(self) -> None:
        self._taken: dict[str, list[tuple[float, float]]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what the block takes."""
        watch = Stopwatch()
        yield
        self._taken.setdefault(name, []).append((watch.wall, watch.cpu))

    def as_json(self) -> dict[str, dict[str, float]]:
        """`wall_ms` and `cpu_ms` per stage, in the order in which they came."""
        return {
            name: {
                key: round(1000 * statistics.median(pair[index] for pair in taken), 1)
                for index, key in enumerate(("wall_ms", "cpu_ms"))
            }
            for name, taken in self._taken.items()
        }


def staged(workspace: Workspace, detector: TilingDetector, files: list[PictureFile]) -> dict[str, Any]:
    """One picture after the other, stage by stage, without overlap."""
    stages = Stages()
    worker = PictureWorker(workspace, STAGED, model=detector.identity, run=None)
    for file in files:
        with stages.stage("read and decode"):
            picture = worker.prepare(file, worker.read(file))
        pixels = picture.upright()
        with stages.stage("views, scaled"):
            list(canvases(views_of(pixels.shape[0], pixels.shape[1], detector.tiles, detector.form), pixels))
        with stages.stage("detect, with the views"):
            found = detector.detect(pixels)
        with stages.stage("redact, encode"):
            made = worker.make(picture, found)
        with stages.stage("write"):
            write_one_by_one(workspace.settings, made.files)
    return stages.as_json()


def measure(
    workspace: Workspace, load: Callable[[], GuardedDetector], sources: list[Path], number: int
) -> dict[str, Any]:
    """All figures; `sources` are copied into the workspace's input folder."""
    for name, count in ((FIRST, 2), (REST, number), (STAGED, _STAGED_PICTURES)):
        fill(workspace.shares.input / name, sources, count)
    started = Stopwatch()
    detector = load()
    loaded, loaded_mib = started.wall, resident_mib()
    mask_folder(workspace, FIRST, lambda: detector)
    first = started.wall - loaded
    watch = Stopwatch()
    report = mask_folder(workspace, REST, lambda: detector)
    archived = archive_folder(workspace, REST)
    wall, cpu = watch.wall, watch.cpu
    if report.masked != number or archived.archived != number:
        raise RuntimeError(f"expected {number} pictures masked and archived, got {report} and {archived}")
    figures: dict[str, Any] = {
        "pictures": number,
        "seconds_to_load": round(loaded, 2),
        "seconds_for_the_first_two": round(first, 2),
        "pictures_a_second": round(number / wall, 2),
        "cpu_seconds_a_picture": round(cpu / number, 3),
        "mib_with_the_model": loaded_mib,
        "mib_at_the_peak": int(peak_memory()),
    }
    if isinstance(detector.inner, TilingDetector):
        figures["stages"] = staged(workspace, detector.inner, list_pictures(workspace.shares.input / STAGED))
    return figures


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--pictures", type=int, default=24, help="how many pictures; default: 24")
    parser.add_argument("-i", "--input", type=Path, help="folder of pictures to use instead of the sample captures")
    parser.add_argument("-m", "--model", default="Built-in", help="model_type; default: Built-in")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="another setting")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    changed = {key: yaml.safe_load(value) for key, _, value in (item.partition("=") for item in options.set)}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sources = sorted(options.input.rglob("*.jpg")) if options.input else sample_pictures(root / "samples")
        for name in ("in", "out", "arch"):
            (root / name).mkdir()
        workspace = open_workspace(
            input_dir=root / "in",
            output_dir=root / "out",
            archive_dir=root / "arch",
            overrides=WRITTEN | {"model_type": options.model} | changed,
        )
        figures = measure(workspace, lambda: load_detector(workspace.settings), sources, options.pictures)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
