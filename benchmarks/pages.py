"""How long the operations page takes: `python -m benchmarks.pages [--pictures 100000] [--folders 200] [--nights 20]`.

The real application and auth manager answer in this process, over a state of so many masked pictures (journals alone;
the first and last pictures of a folder have files) and a database with so many nights. Every second night has a
certificate, and one speaks of all folders. Three times are given for each page, in milliseconds of CPU (the clock of a
shared machine says little), the median of several:

    first     the first request after the start of the server: nothing is known yet
    again     the same request once more
    changed   the same request after the journal of one folder grew, as while a night runs

Of versions without certificates it gives the pages that they have.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "/anonymisation"
HOST: Final = "http://testserver"
LIKE: Final = ("sample/like", "p000.jpg")
_TIMES: Final = 5


def main() -> None:
    """Prepare, measure, and print a line for each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=200)
    parser.add_argument("--nights", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        root = Path(place)
        os.environ |= {"AIRFLOW_HOME": str(root / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        os.environ |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "AIRFLOW__API_AUTH__JWT_SECRET": "benchmark" * 8}
        os.environ |= {f"ANONYMISATION_{role}": str(root / name) for role, name in _PLACES.items()}
        folders = _write_state(root, options.pictures, options.folders)
        client = _client()
        nights = _write_nights(folders, options.nights, options.pictures // options.folders)
        judging = _certify(folders, nights)
        print(f"{options.pictures} pictures in {options.folders} folders, {options.nights} nights; milliseconds of CPU")
        print(f"{'':22} {'first':>8} {'again':>8} {'changed':>8}")
        for name, address in _pages(folders, nights, judging).items():
            print(f"{name:22} " + " ".join(f"{value:8.0f}" for value in _times(client, address, root, folders)))
            sys.stdout.flush()


_PLACES: Final = {"INPUT": "in", "OUTPUT": "out", "ARCHIVE": "arch", "CONFIG": "config.yml"}


def _write_state(root: Path, pictures: int, folders: int) -> list[str]:
    """One folder that was really masked, and the state of many like it."""
    from anonymisation.chain.run import run_folder
    from tests.browser.large_folder import write_large_folder
    from tests.captures import CountingDetector, Site

    site = Site(root)
    (root / "config.yml").write_text(f"model_type: {site.model}\n", encoding="utf-8")
    site.fill(1, LIKE[0])
    run_folder(site.workspace(archive=True), LIKE[0], CountingDetector())
    names = [f"2021/F{number:04d}" for number in range(folders)]
    for name in names:
        write_large_folder(site.state, site.output, name, LIKE, pictures // folders)
    return names


def _client() -> Any:
    """A browser of an administrator, without its network."""
    from airflow.api_fastapi.app import create_auth_manager  # noqa: TID251
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: TID251
    from airflow.utils.db import initdb  # noqa: TID251
    from fastapi.testclient import TestClient
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from anonymisation_airflow.operations.web.application import create_app

    initdb()
    manager = create_auth_manager()
    manager.init()
    outer = Starlette(routes=[Mount(PREFIX, create_app())])
    client = TestClient(outer, base_url=HOST, follow_redirects=False, headers={"Origin": HOST})
    client.cookies.set("_token", manager.generate_jwt(SimpleAuthManagerUser(username="admin", role="admin")))
    return client


def _write_nights(folders: list[str], nights: int, pictures: int) -> dict[str, list[str]]:
    """Runs that ended, the folders shared out among them."""
    from tests.plugins.operations.rows import add_run, add_task, add_xcom

    runs: dict[str, list[str]] = {}
    for number in range(nights):
        run_id, own = f"scheduled__{number:03d}", folders[number::nights]
        began = datetime(2021, 5, 1, tzinfo=UTC) + timedelta(days=number)
        run = add_run(run_id, "success", began, began + timedelta(hours=3), "scheduled")
        units = [{"folder": name, "shard": 1, "shards": 1} for name in own]
        add_task(run_id, "discover", -1, "success")
        add_xcom(run, run_id, "discover", -1, "return_value", units)
        mask = {
            "found": pictures,
            "masked": pictures,
            "already_done": 0,
            "failed": 0,
            "known_failed": 0,
            "failures": [],
        }
        for index, unit in enumerate(units):
            add_task(run_id, "folder.mask", index, "success")
            report = {**unit, **mask, "failures": [], "objects": {"car": 3}, "seconds": 100.0}
            add_xcom(run, run_id, "folder.mask", index, "return_value", report)
        add_task(run_id, "summary", -1, "success")
        runs[run_id] = own
    return runs


def _certify(folders: list[str], nights: dict[str, list[str]]) -> str:
    """Certificates of every second night and of all folders; returns the place of a picture of the last to judge.

    Empty where this version has no certificates.
    """
    try:
        from anonymisation.review.certificate.actions import draw_sample, issue_certificate
        from anonymisation.review.certificate.sample import Plan
    except ImportError:
        return ""
    from anonymisation_airflow.operations.web.site import current_site

    workspace = current_site().workspace
    plan = Plan(bound=0.05, second_share=0.0)
    for run_id in list(nights)[::2]:
        sample = draw_sample(workspace, nights[run_id], plan, title=run_id, by="admin", run=run_id)
        _judge(workspace.shares.state, sample)
        issue_certificate(workspace, sample, by="admin")
    sample = draw_sample(workspace, folders, plan, title="All", by="admin")
    return f"/certificates/{sample.id}/pictures/{next(one.number for one in sample.pictures if one.sha256)}"


def _judge(state_root: Path, sample: Any) -> None:
    from anonymisation.review.certificate.store import add_judgement

    for one in sample.pictures:
        add_judgement(state_root, sample, one.number, "admin", missed=False, mistake=False)


def _pages(folders: list[str], nights: dict[str, list[str]], judging: str) -> dict[str, str]:
    from anonymisation.files.digests import name_digest
    from anonymisation_airflow.operations.web.site import current_site, folder_key

    key = folder_key(current_site(), folders[0])
    picture = f"/folders/{key}/pictures/{name_digest('p000001.jpg')}"
    pages = {
        "nights": "/",
        "a night": f"/runs/{next(iter(nights))}",
        "folders": "/folders",
        "gallery": f"/folders/{key}",
        "gallery, one class": f"/folders/{key}?label=bus",
        "picture": picture,
        "review queue": "/review",
        "queue of a night": f"/review?run={next(iter(nights))}",
        "queue of a folder": f"/review?folder={key}",
    }
    if not judging:
        return pages
    pages |= {"certificates": "/certificates", "a certificate": judging.partition("/pictures")[0]}
    pages |= {"judging": judging, "picture to judge": f"{judging}/image"}
    return {**pages, "fixed regions": "/regions", "comparisons": "/comparisons"}


def _times(client: Any, address: str, root: Path, folders: list[str]) -> tuple[float, ...]:
    from anonymisation.workspace.folder_state import state_folder
    from anonymisation_airflow.operations.web import site

    forget = site._site.cache_clear  # noqa: SLF001 - as a server that has just started
    journal = state_folder(root / "out_state", folders[0]) / "pictures.jsonl"

    def get() -> None:
        answer = client.get(PREFIX + address)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code} {answer.text[:500]}")

    def grow() -> None:
        """As a line that a run appends; the last line is that of a picture that is known already."""
        with journal.open("rb+") as stream:
            stream.seek(-4096, os.SEEK_END)
            line = stream.read().splitlines(keepends=True)[-1]
            stream.write(line)

    first = [_took(get, forget) for _ in range(3)]
    again = [_took(get) for _ in range(_TIMES)]
    changed = [_took(get, grow) for _ in range(3)]
    return tuple(1e3 * statistics.median(times) for times in (first, again, changed))


def _took(action: Callable[[], None], before: Callable[[], None] = lambda: None) -> float:
    before()
    began = time.process_time()
    action()
    return time.process_time() - began


if __name__ == "__main__":
    main()
