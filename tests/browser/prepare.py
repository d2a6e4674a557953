"""Makes a deployment to look at: `python -m tests.browser.prepare ROOT`, with Airflow's environment set.

Two folders masked by a scripted detector, a third one with 100 000 pictures, and in Airflow's database the DAG and one
run that tells of them. In a process of its own, since Airflow takes its settings when it is imported.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anonymisation.chain.run import run_folder
from anonymisation.masking.detections import Detections
from anonymisation.reporting.run_report import FolderReport
from anonymisation.workspace.workspace import open_workspace
from tests.browser.large_folder import write_large_folder
from tests.captures import CAR_BOX, CountingDetector, capture

FOLDER = "TilSladding/F1_2021_05_01"
BROKEN = "TilSladding/F2_2021_05_02"
LARGE = "TilSladding/F3_2021_05_03"
RUN_ID = "manual__first"
# A car without doubt, a person with some.
FOUND = Detections.of([CAR_BOX, (0.0, 0.0, 0.2, 0.1)], [0.9, 0.31], [3, 1])


def main(root: Path) -> None:
    """Everything."""
    reports = [report.to_dict() for report in _mask(root)]
    like = (FOLDER, "p000.jpg")
    write_large_folder(root / "output_state", root / "output", LARGE, like, count=100_000)
    _fill_database(reports)


def _mask(root: Path) -> list[FolderReport]:
    for number, folder in enumerate((FOLDER, BROKEN)):
        (root / "input" / folder).mkdir(parents=True)
        for picture in range(6):
            path = root / "input" / folder / f"p{picture:03d}.jpg"
            path.write_bytes(capture(10 * number + picture, f"F{number}{path.name}"))
    (root / "input" / BROKEN / "broken.jpg").write_bytes(capture(9)[:900])
    workspace = open_workspace(
        input_dir=root / "input",
        output_dir=root / "output",
        archive_dir=root / "archive",
        config=root / "config.yml",
    )
    return [run_folder(workspace, folder, CountingDetector(FOUND)) for folder in (FOLDER, BROKEN)]


def _fill_database(reports: list[dict[str, Any]]) -> None:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    from tests.plugins.operations.rows import add_run, add_task, add_xcom

    initdb()
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow's, without types
    sync_bag_to_db(DagBag(), "dags-folder", None)
    began = datetime.now(UTC) - timedelta(minutes=5)
    run = add_run(RUN_ID, "failed", began, began + timedelta(minutes=3))
    add_task(RUN_ID, "discover", -1, "success")
    units = [{"folder": report["folder"], "shard": 1, "shards": 1} for report in reports]
    add_xcom(run, RUN_ID, "discover", -1, "return_value", units)
    for index, (unit, report) in enumerate(zip(units, reports, strict=True)):
        for step in ("mask", "archive", "load", "check", "release"):
            red = step == "release" and report["mask"]["failed"]
            add_task(RUN_ID, f"folder.{step}", index, "failed" if red else "success")
            add_xcom(run, RUN_ID, f"folder.{step}", index, "return_value", {**report[step], **unit})
    add_task(RUN_ID, "summary", -1, "failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
