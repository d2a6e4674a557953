"""A night of ten folders in which one has an unreadable journal, one a deadly picture and one a full state disk, and in
which the rows of an earlier run cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import yaml

from anonymisation.chain.load import table_key
from anonymisation.workspace.folder_state import state_folder
from tests.captures import CountingDetector, Site, names_below
from tests.faults.conftest import Tried
from tests.faults.deadly_process import Deadly
from tests.faults.forked_run import ForkedRun
from tests.faults.memory_disk import MemoryDisks
from tests.smtp_catcher import mail_connection

FOLDERS = [f"TilSladding/2021/EV6/F{number}_2021_05_{number + 1:02d}" for number in range(10)]
UNREADABLE, DEADLY, FULL = FOLDERS[2], FOLDERS[5], FOLDERS[7]
DEADLY_PICTURE = 51


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path)
    for number, folder in enumerate(FOLDERS):
        site.fill(3, folder, first=10 * number)
    for name, path in (("INPUT", site.input), ("OUTPUT", site.output), ("ARCHIVE", site.archive)):
        monkeypatch.setenv(f"ANONYMISATION_{name}", str(path))
    settings = {
        "model_type": str(site.model), "remote_json": True, "write_exif_to_db": True, "finished_email": True,
        "capture_settle_seconds": 0,
        "email_from_address": "airflow@roads.example", "email_to_addresses": ["operator@roads.example"],
    }  # fmt: skip
    config = site.root / "config.yml"
    config.write_text(yaml.safe_dump(settings))
    monkeypatch.setenv("ANONYMISATION_CONFIG", str(config))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example:8080")
    deadly = Deadly("killed", (DEADLY_PICTURE,)).detector()
    monkeypatch.setattr("anonymisation.masking.models.factory.load_detector", lambda _: deadly())
    return site


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EmailMessage]]:
    with mail_connection() as (catcher, connection):
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", connection)
        yield catcher.mails


@pytest.fixture
def full_disk(site: Site, disks: MemoryDisks) -> Path:
    """The state of one folder, on a disk of its own without room."""
    place = state_folder(site.state, FULL)
    disks.mount(place, "size=16k")
    return place


def test_each_fault_costs_its_folder_and_is_named(
    site: Site, mails: list[EmailMessage], full_disk: Path, tried: Tried
) -> None:
    journal = state_folder(site.state, UNREADABLE) / "pictures.jsonl"
    journal.mkdir(parents=True)
    spool = site.state / "spool" / str(table_key(site.workspace(write_exif_to_db=True)))
    spool.mkdir(parents=True)
    poison = spool / "000000000001-2.jsonl"
    poison.write_bytes(b"\x00\xff not a row\n" * 2)

    night = ForkedRun(run_id="scheduled__2021-05-30", run_type="scheduled")
    night.go()

    good = [folder for folder in FOLDERS if folder not in (UNREADABLE, DEADLY, FULL)]
    for folder in good:
        assert names_below(site.output / folder) == sorted(
            f"p{10 * FOLDERS.index(folder) + number:03d}{end}" for number in range(3) for end in (".jpg", ".json")
        )
    assert sorted(name for name in names_below(site.output / DEADLY) if name.endswith(".jpg")) == [
        "p050.jpg",
        "p052.jpg",
    ]
    assert night.states["summary"] == "failed"
    assert 2 <= night.deaths <= 3
    table = night.table()
    assert {folder for folder in FOLDERS if table[folder]["error"] or table[folder]["failed"]} >= {
        UNREADABLE, DEADLY, FULL
    }  # fmt: skip
    summary = mails[-1]
    assert "FAILED" in summary["Subject"]
    part = summary.get_body(("plain",))
    assert part is not None
    text = " ".join(str(part.get_content()).split())
    assert f"{journal} cannot be read" in text
    assert f"{DEADLY}/p051.jpg: the process ended 2 times while it worked on this picture alone" in text
    assert f"{full_disk}" in text
    assert "disk full" in text
    assert f"{poison}" in text
    tried("one night", "unreadable journal, deadly picture, full state disk and poisoned spool, together")


def test_a_night_without_faults_has_no_deaths(site: Site, mails: list[EmailMessage]) -> None:
    """The forked run itself kills nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("anonymisation.masking.models.factory.load_detector", lambda _: CountingDetector()())
        night = ForkedRun(run_id="scheduled__2021-05-30", run_type="scheduled")
        night.go()
    assert (night.states["summary"], night.deaths) == ("success", 0)
    assert mails[-1]["Subject"].endswith("Finished: 10 folders, 30 pictures masked")
