"""Pictures of the operations page for the documentation: `python -m tests.browser.screenshots [FOLDER [ROOT]]`.

Sample captures (drawn roads) are masked by the built-in model; nights, certificates, a comparison and a fixed region
are made of them. Then a browser looks at the pages. Written as WebP of at most MOST_BYTES each, into docs/screenshots
unless another folder is named. With ROOT, the deployment is kept there, and used again where it is.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from PIL import Image

from anonymisation.chain.run import run_folder
from anonymisation.cli.model import ModelOnDemand
from anonymisation.core.settings import load_settings
from anonymisation.review.certificate.actions import draw_sample, issue_certificate
from anonymisation.review.certificate.sample import Plan, Sample
from anonymisation.review.certificate.store import add_judgement
from anonymisation.review.comparison.shadow import Contender, compare
from anonymisation.review.comparison.store import add_saying
from anonymisation.workspace.camera_regions import draw_region
from anonymisation.workspace.folder_state import open_state, read_detections, read_pictures, state_folder
from anonymisation.workspace.workspace import Workspace, open_workspace
from scripts.airflow_stack import AirflowStack
from scripts.sample_captures import write_samples

REPOSITORY: Final = Path(__file__).parents[2]
MOST_BYTES: Final = 60_000
LOOK: Final[dict[str, Any]] = {"viewport": {"width": 1400, "height": 900}, "reduced_motion": "reduce"}
ROAD: Final = "TilSladding/2026/EV00018/S{section}/D1/F1_2026_10_{day:02d}"
NIGHTS: Final = {  # the day of October, and the number of pictures in each folder
    "scheduled__2026-10-05": (5, (800, 640)),
    "scheduled__2026-10-06": (6, (900,)),
    "scheduled__2026-10-07": (7, (760, 520)),
}
VOID, IN_REVIEW, CERTIFIED = NIGHTS


def prepare(root: Path) -> None:
    """Folders, state and database; in a process of its own, since Airflow takes its settings when it is imported."""
    write_samples(root / "input")
    workspace = open_workspace(
        input_dir=root / "input", output_dir=root / "output", archive_dir=root / "archive", config=root / "config.yml"
    )
    torn = next((root / "input").rglob("FV00013*m00060*"))
    torn.write_bytes(torn.read_bytes()[:30_000])
    folders = sorted({str(path.parent.relative_to(root / "input")) for path in (root / "input").rglob("*.jpg")})
    model = ModelOnDemand(workspace.settings)
    masked = {folder: run_folder(workspace, folder, model).to_dict() for folder in folders}
    like = next(folder for folder in folders if "EV00006" in folder)
    reports: dict[str, list[dict[str, Any]]] = {}
    for run_id, (_, counts) in NIGHTS.items():
        names = _roads(run_id)
        for name, count in zip(names, counts, strict=True):
            _clone(workspace, name, like, count)
        reports[run_id] = [_scaled(masked[like], name, count) for name, count in zip(names, counts, strict=True)]
    reports[CERTIFIED] += [_loaded(report) for report in masked.values()]
    _fill_database(reports)
    _certify(workspace, reports)
    _compare(workspace, folders)
    draw_region(
        workspace.shares.state, [[0, 1], [0, 0.93], [0.5, 0.88], [1, 0.93], [1, 1]], folders="TilSladding/2026/*",
        camera="Ladybug5", hide=False, by="kari", note="the camera car's bonnet",
    )  # fmt: skip


def _roads(run_id: str) -> list[str]:
    """The large folders of a night."""
    day, counts = NIGHTS[run_id]
    return [ROAD.format(section=section, day=day) for section, _ in enumerate(counts, start=11)]


def _clone(workspace: Workspace, folder: str, like: str, count: int) -> None:
    """A folder of many pictures, each one of those of `like` under another name."""
    state, output = workspace.shares.state, workspace.shares.output
    pictures, seen = list(read_pictures(state, like).values()), read_detections(state, like)
    place = state_folder(state, folder)
    place.mkdir(parents=True)
    (output / folder).mkdir(parents=True)
    (place / "folder.json").write_text(json.dumps({"folder": folder}) + "\n")
    with (place / "pictures.jsonl").open("w") as known, (place / "detections.jsonl").open("w") as detections:
        for number in range(count):
            own = pictures[number % len(pictures)]
            name = f"EV00006_S57D1_m{20 * number:05d}_f1.jpg"
            known.write(json.dumps({**msgspec.to_builtins(own), "name": name}) + "\n")
            found = [{**one, "score": max(one["score"], 0.95)} for one in seen[own.name]["detections"]]
            detections.write(json.dumps({**seen[own.name], "name": name, "detections": found}) + "\n")
            (output / folder / name).hardlink_to(output / like / own.name)


def _scaled(report: dict[str, Any], folder: str, count: int) -> dict[str, Any]:
    mask = {**report["mask"], "found": count, "masked": count, "seconds": 1.9 * count, "failures": []}
    archive = {**report["archive"], "archived": count, "size": 640_000 * count}
    return _loaded({**report, "folder": folder, "mask": mask, "archive": archive})


def _loaded(report: dict[str, Any]) -> dict[str, Any]:
    """As with a database."""
    return {**report, "load": {**(report["load"] or {}), "inserted": report["mask"]["masked"]}}


def _fill_database(reports: dict[str, list[dict[str, Any]]]) -> None:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    from tests.plugins.operations.rows import add_run, add_task, add_xcom

    initdb()
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow's, without types
    sync_bag_to_db(DagBag(), "dags-folder", None)
    for run_id, own in reports.items():
        began = datetime.fromisoformat(f"{run_id.rpartition('_')[2]}T20:00:00+00:00")
        failed = any(report["mask"]["failed"] for report in own)
        run = add_run(run_id, "failed" if failed else "success", began, began + timedelta(minutes=52), "scheduled")
        units = [{"folder": report["folder"], "shard": 1, "shards": 1} for report in own]
        add_task(run_id, "discover", -1, "success")
        add_xcom(run, run_id, "discover", -1, "return_value", units)
        for index, (unit, report) in enumerate(zip(units, own, strict=True)):
            for step in ("mask", "archive", "load", "check", "release"):
                red = step == "release" and report["mask"]["failed"]
                add_task(run_id, f"folder.{step}", index, "failed" if red else "success")
                add_xcom(run, run_id, f"folder.{step}", index, "return_value", {**(report[step] or {}), **unit})
        add_task(run_id, "summary", -1, "failed" if failed else "success")


def _certify(workspace: Workspace, reports: dict[str, list[dict[str, Any]]]) -> None:
    """One certificate that holds, one in review, and one whose night was masked again."""
    for run_id in (VOID, IN_REVIEW, CERTIFIED):
        names, title = [report["folder"] for report in reports[run_id]], f"Night of {NIGHTS[run_id][0]} October"
        sample = draw_sample(workspace, names, Plan(bound=0.02, tolerated=1), title=title, by="kari", run=run_id)
        _judge(workspace, sample, until=70 if run_id == IN_REVIEW else len(sample.pictures))
        if run_id != IN_REVIEW:
            issue_certificate(workspace, sample, by="kari")
        if run_id == VOID:
            with open_state(workspace.shares.state, names[0]) as state:
                first = next(iter(state.pictures.values()))
                state.put(replace(first, digest="0123456789abcdef"))


def _judge(workspace: Workspace, sample: Sample, until: int) -> None:
    state = workspace.shares.state
    for one in sample.pictures[:until]:
        for by in ("kari", "ola") if one.second else ("kari",):
            missed, mistake = one.number == 41, one.number in {17, 58}
            add_judgement(state, sample, one.number, by, missed=missed, mistake=mistake)


def _compare(workspace: Workspace, folders: list[str]) -> None:
    changed = {"score_threshold": 0.1}
    other = load_settings(None, changed).settings
    sides = (
        Contender("A", workspace.settings, {}, ModelOnDemand(workspace.settings)()),
        Contender("B", other, changed, ModelOnDemand(other)()),
    )
    study = compare(workspace, folders, sides, 20, title="A lower threshold", by="kari")
    for region in study.regions:
        add_saying(workspace.shares.state, study, region.number, "kari", is_object=False)


def take(deployment: Any, window: Any, folder: Path) -> None:
    """Look at every page, and keep what is seen."""

    def keep(name: str, height: int, address: str = "", width: int = 1400) -> None:
        if address:
            window.goto(f"{deployment.page}/{address}", wait_until="networkidle")
        window.set_viewport_size({"width": width, "height": height})
        _write(window.screenshot(), folder / f"{name}.webp")
        window.set_viewport_size(LOOK["viewport"])

    keep("night", 760, f"runs/{CERTIFIED}")
    keep("review", 700, "review")
    keep("certificates", 870, "certificates")
    window.get_by_role("row").filter(has_text="7 October").get_by_role("link").click()
    printed = window.get_by_role("link", name="For print").get_attribute("href")
    window.goto(f"{deployment.page}/certificates", wait_until="networkidle")
    window.get_by_role("row").filter(has_text="6 October").get_by_role("link").click()
    window.get_by_role("link", name="Judge the next picture").click()
    window.wait_for_load_state("networkidle")
    window.keyboard.press("m")
    for key, times in (("ArrowRight", 6), ("Shift+ArrowLeft", 4), ("ArrowUp", 2)):
        for _ in range(times):
            window.keyboard.press(key)
    keep("judging", 760)
    window.goto(f"{deployment.stack.url}{printed}", wait_until="networkidle")
    keep("certificate_printed", 1040, width=900)
    window.goto(f"{deployment.page}/comparisons", wait_until="networkidle")
    window.get_by_role("row").nth(1).get_by_role("link").click()
    window.wait_for_load_state("networkidle")
    keep("comparison", 580)
    window.goto(f"{deployment.page}/folders?find=EV00006", wait_until="networkidle")
    window.get_by_role("link", name="F1_2026_10_05").click()
    window.locator(".gallery a").first.click()
    window.wait_for_load_state("networkidle")
    _draw_box(window, left=70, top=38, right=80, bottom=52)
    window.get_by_role("button", name="Mask this region").click()
    window.get_by_text("The region is hidden now").wait_for()
    window.goto(window.url.partition("?")[0], wait_until="networkidle")
    _draw_box(window, left=44, top=28, right=56, bottom=60)
    window.get_by_label("Mask", exact=True).check()
    window.wait_for_timeout(3000)
    keep("picture", 900)
    window.get_by_role("link", name="Fixed region").click()
    window.wait_for_load_state("networkidle")
    room = window.locator("#area").bounding_box()
    for x, y in ((0.7, 0.02), (0.95, 0.02), (0.95, 0.22), (0.78, 0.25)):
        window.mouse.click(room["x"] + x * room["width"], room["y"] + y * room["height"])
    window.get_by_label("Camera (EXIF Model)").fill("Ladybug5")
    window.get_by_label("Note").fill("reflection in the windscreen")
    keep("fixed_regions", 900)


def _draw_box(window: Any, **edges: int) -> None:
    for edge, value in edges.items():
        window.get_by_label(edge).fill(str(value))


def _write(png: bytes, path: Path) -> None:
    """As sharp as MOST_BYTES allow."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in (100, *range(84, 20, -4)):
        data = io.BytesIO()
        picture.save(data, "webp", quality=quality, method=6, lossless=quality == 100)
        if data.tell() <= MOST_BYTES:
            break
    path.write_bytes(data.getvalue())
    print(f"{path}: {picture.width} x {picture.height}, quality {quality}, {data.tell()} bytes", flush=True)  # noqa: T201


def main() -> None:
    """Prepare a deployment, serve it, and look at it."""
    words = sys.argv[1:]
    if words[:1] == ["--prepare"]:
        prepare(Path(words[1]))
        return
    folder = Path(words[0]) if words else REPOSITORY / "docs" / "screenshots"
    if len(words) > 1:
        _look(Path(words[1]).absolute(), folder)
    else:
        with tempfile.TemporaryDirectory(prefix="screenshots-") as place:
            _look(Path(place), folder)


def _look(root: Path, folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser import conftest  # late: in the process that prepares, it would move Airflow's home

    stack = AirflowStack(root / "airflow", conftest._environment(root))
    environment = stack._full_environment()
    if not (root / "config.yml").exists():
        root.mkdir(exist_ok=True)
        (root / "config.yml").write_text("remote_mask: True\n", encoding="utf-8")
        command = [sys.executable, "-m", "tests.browser.screenshots", "--prepare", str(root)]
        subprocess.run(command, env=environment, cwd=REPOSITORY, check=True)
    found = next(filter(None, map(shutil.which, conftest.BROWSERS)))
    with conftest._serving(stack, environment), sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        window = browser.new_context(**LOOK, locale="en-GB", color_scheme="light").new_page()
        window.set_default_timeout(conftest.PATIENCE)
        deployment = conftest.Deployment(stack, root)
        conftest._sign_in(window, deployment, "admin")
        window.goto("about:blank")
        take(deployment, window, folder)
        browser.close()


if __name__ == "__main__":
    main()
