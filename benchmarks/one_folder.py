"""What Airflow adds to masking one folder: `python -m benchmarks.one_folder FOLDER [--pictures 40]`.

Below FOLDER, which must not exist, it draws one capture folder and masks it with the built-in model: by the DAG's mask
task on an Airflow of its own, and by `anonymise mask`. It prints the seconds of both, the start of Python and
TensorFlow included in each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.night_captures import write_captures
from scripts.airflow_stack import AirflowStack, running

DAG_ID: Final = "anonymise_captures"
_CAPTURES: Final = "TilSladding/2021/EV6/S1D1/F1_2021_05_01"
_RUN_SECONDS: Final = 3600.0


def main() -> None:
    """Measure both and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER")
    parser.add_argument("--pictures", type=int, default=40)
    given = parser.parse_args()
    root = given.root.absolute()
    write_captures(root / "captures", [f"{_CAPTURES}/picture_{number:04d}.jpg" for number in range(given.pictures)])
    figures = {
        "pictures": given.pictures,
        "mask task, s": round(_by_airflow(root), 1),
        "anonymise mask, s": round(_by_command(root), 1),
    }
    print(json.dumps(figures, indent=1))


def _by_airflow(root: Path) -> float:
    folders = {"INPUT": "captures", "OUTPUT": "airflow/masked", "STATE": "airflow/state"}
    environment = {f"ANONYMISATION_{name}": str(root / folder) for name, folder in folders.items()}
    stack = AirflowStack(root / "airflow" / "home", {**environment, "ANONYMISATION_SCHEDULE": "none"})
    with running(stack, DAG_ID):
        stack.api.unpause(DAG_ID)
        stack.api.trigger(DAG_ID, "one_folder", {})
        if stack.api.wait_for_run(DAG_ID, "one_folder", _RUN_SECONDS) != "success":
            raise RuntimeError(f"the run failed; its logs are below {stack.home}")
        tasks = stack.api.task_instances(DAG_ID, "one_folder")
        return float(next(task["duration"] for task in tasks if task["task_id"] == "folder.mask"))


def _by_command(root: Path) -> float:
    alone = root / "alone"
    folders = ["-i", str(root / "captures"), "-o", str(alone / "masked")]
    config = root / "config.yml"
    config.write_text(f"state_dir: {alone / 'state'}\n", encoding="utf-8")
    began = time.monotonic()
    command = [sys.executable, "-m", "anonymisation", "mask", *folders, "-k", str(config)]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
