"""What a picture costs on its way through the chain: `python -m benchmarks.chain` (`make bench`).

Each case runs in a process of its own, on pictures that look like photographs and have the road cars' size, EXIF and
compression, with a model that finds so many objects at once, or after a set time without any CPU:

    pictures    mask (with record and mask file), archive and check of 2.8, 5 and 24 megapixels with 0, 8 and 30 objects
    likeness    masks as written against the plain, slow computation: intersection over union (0.999 or it fails)
    stages      the parts of the mask step one by one
    model       wall time with a model of 0.1 s per picture: what is not hidden behind it
    command     the whole chain through `anonymise run` with a SavedModel: one picture more, and the program's start
    scaling     small pictures in greater and greater folders, all steps of the chain: time per picture and memory
    discovery   the first task of a nightly run, over files that are all done (--full: a million, and 100 000 pictures
                through the chain)

Times are per picture in milliseconds: wall clock, and CPU of all threads. Since machines differ and are shared, each
case is also given as a ratio to decoding and encoding the same picture once with libjpeg-turbo, measured in the same
process right before. Memory is the peak of the process, with Python and all libraries but TensorFlow. Results are
written to benchmarks/results/ with --keep, and compared with the last ones kept there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.chart import chart
from benchmarks.material import SIZES

RESULTS: Final = Path(__file__).parent / "results"
_PICTURES: Final = {"2.8 MP": 40, "5 MP": 24, "24 MP": 8}
FULL_SCALE: Final = (1000, 10_000, 100_000)
FULL_DISCOVERY: Final = ((1_000_000, 1000), (1_000_000, 100_000))  # files, and how many of them in each folder
_QUICK_SHARE: Final = 4  # with --quick, so many times fewer pictures


def cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What to measure, each as the arguments of a function of `benchmarks.cases`."""
    share = _QUICK_SHARE if options.quick else 1
    found: list[dict[str, Any]] = [
        {"case": "pictures", "size": size, "objects": objects, "number": max(2, _PICTURES[size] // share)}
        for size in SIZES
        for objects in (0, 8, 30)
    ]
    found += [{"case": "likeness", "size": size, "objects": objects} for size in SIZES for objects in (8, 30)]
    found += [{"case": "stages", "size": "2.8 MP", "objects": 8}, {"case": "stages", "size": "24 MP", "objects": 30}]
    found.append({"case": "model", "size": "2.8 MP", "objects": 8, "number": 120 // share, "seconds": 0.1})
    found.append({"case": "command", "size": "2.8 MP", "objects": 8, "number": 200 // share})
    scales, folders = (FULL_SCALE, FULL_DISCOVERY) if options.full else (options.scale, ())
    found += [{"case": "scaling", "number": number} for number in scales]
    found += [{"case": "discovery", "number": number} for number in options.discover]
    found += [{"case": "discovery", "number": number, "per_folder": size} for number, size in folders]
    return found


def measured(case: dict[str, Any]) -> dict[str, Any]:
    """The case with its results, from a fresh process."""
    command = [sys.executable, "-m", "benchmarks.cases", json.dumps(case)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {**case, **json.loads(finished.stdout.splitlines()[-1])}


def key(result: dict[str, Any]) -> str:
    """What names a case in tables, charts and comparisons."""
    words = [result["case"], result.get("size"), f"{result['objects']} objects" if "objects" in result else None]
    words += [f"{result['number']} files" if result["case"] in {"scaling", "discovery"} else None]
    words += [f"{result['per_folder']} a folder" if "per_folder" in result else None]
    return " · ".join(word for word in words if word)


def line_of(result: dict[str, Any], before: dict[str, Any] | None) -> str:
    """One line, with the change of the ratio (of the time, where there is none) since the last kept result."""
    figures = [f"{name} {value:g}" for name, value in result["figures"].items()]
    line = f"{key(result):40} " + "  ".join(figures)
    name = next((name for name in ("CPU ratio", "wall / model", "seconds") if name in result["figures"]), None)
    if before is None or name is None or not before["figures"].get(name):
        return line
    return f"{line}   ({name} {100 * (result['figures'][name] / before['figures'][name] - 1):+.0f} %)"


def last_kept() -> dict[str, dict[str, Any]]:
    """Of each case the newest result kept, by its key; a file may hold some of the cases only."""
    kept = sorted(RESULTS.glob("chain-*.json"))
    return {key(result): result for path in kept for result in json.loads(path.read_text("utf-8"))["results"]}


def keep(name: str, results: list[dict[str, Any]]) -> None:
    """Write the results so far, and their chart."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"results": results}, indent=1, ensure_ascii=False)
    (RESULTS / f"chain-{name}.json").write_text(text + "\n", "utf-8")
    (RESULTS / f"chain-{name}.svg").write_text(chart([(key(r), r["figures"]) for r in results]), "utf-8")


def main() -> None:
    """Measure, print, and with --keep write a result and its chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures")
    parser.add_argument("--full", action="store_true", help="also very many files; about an hour, 8 GB of disk")
    parser.add_argument("--only", nargs="*", default=[""], help="cases whose name holds one of these")
    parser.add_argument("--scale", type=int, nargs="*", default=[200, 1000], help="pictures in a folder")
    parser.add_argument("--discover", type=int, nargs="*", default=[1, 1000, 20_000], help="files to find")
    parser.add_argument("--keep", metavar="NAME", help="write results/chain-NAME.json and .svg; names sort by age")
    options = parser.parse_args()
    before = last_kept()
    results = []
    for case in cases(options):
        if not any(words in key(case) for words in options.only):
            continue
        results.append(measured(case))
        print(line_of(results[-1], before.get(key(results[-1]))), flush=True)
        if options.keep:
            keep(options.keep, results)


if __name__ == "__main__":
    main()
