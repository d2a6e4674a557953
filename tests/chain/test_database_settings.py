"""The keys of the configuration that concern the database have an effect; `test_settings_effects` names these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from anonymisation.reporting.run_report import RunReport
from tests.captures import Site, plain


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def run(site: Site, **settings: Any) -> RunReport:
    return site.run(site.workspace(**settings))


def test_rows_go_to_the_configured_database(site: Site) -> None:
    site.fill(2)
    run(site)
    assert site.rows() == []
    other = site.root / "other.db"
    assert run(site, write_exif_to_db=True, database=f"sqlite:///{other}").total("load", "inserted") == 2
    assert other.exists()
    assert site.rows() == []


def test_refused_rows_are_tolerated_up_to_a_number(site: Site) -> None:
    for number in range(4):
        site.put(f"p{number}.jpg", plain(number), "somewhere")  # has no road, which VEGBILDER requires
    (patient,) = run(site, write_exif_to_db=True, db_table="VEGBILDER").folders
    assert patient.load is not None
    assert patient.load.failed == 4
    (strict,) = run(site, write_exif_to_db=True, db_table="VEGBILDER", db_max_n_errors=2).folders
    assert "4 rows were refused (db_max_n_errors 2)" in str(strict.error)
    assert strict.error_exit_code == 1
    (lenient,) = run(site, write_exif_to_db=True, db_table="PICTURES").folders
    assert lenient.load is not None
    assert lenient.load.inserted == 4


def test_rows_are_sent_in_batches(tmp_path: Path) -> None:
    commits: list[object] = []

    def committed(connection: sa.Connection) -> None:
        commits.append(connection)

    sa.event.listen(sa.Engine, "commit", committed)
    try:
        counts = []
        for rows in (1, 100):
            (tmp_path / str(rows)).mkdir()
            site = Site(tmp_path / str(rows))
            site.fill(5)
            commits.clear()
            run(site, write_exif_to_db=True, db_max_n_accumulated_rows=rows)
            counts.append(len(commits))
    finally:
        sa.event.remove(sa.Engine, "commit", committed)
    assert counts[0] == counts[1] + 4


def test_a_custom_formatter_provides_a_column_value(site: Site) -> None:
    site.fill(2)
    module = site.root / "mine.py"
    module.write_text("def Meter(record):\n    return 4711\n", "utf-8")
    run(site, write_exif_to_db=True, db_formatters_module=str(module))
    assert site.rows("SELECT DISTINCT Meter FROM PICTURES") == [(4711,)]


def test_the_number_of_waiting_rows_is_limited(site: Site) -> None:
    site.fill(3)
    away: dict[str, Any] = {"write_exif_to_db": True, "database": f"sqlite:///{site.root / 'away' / 'rows.db'}"}
    (waiting,) = run(site, **away).folders
    assert (waiting.error_exit_code, "3 rows wait" in str(waiting.error)) == (3, True)
    site.fill(3, first=3)
    (full,) = run(site, **away, db_max_cache_size=4).folders
    assert full.error_exit_code == 1
    (site.root / "away").mkdir()
    (sent,) = run(site, **away).folders
    assert sent.succeeded, sent.error
