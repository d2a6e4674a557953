"""Centre lines of the road network step in every kind of database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from tests.database.oracle_sql import RowError
from tests.database.sites import FakeOracleSite, Site

Make = Callable[..., list[SourceRecord]]

PLACE = [47822.906, 6815943.503]
WRITTEN = "srid=5973;POINT Z(47822.906 6815943.503 2.809)"


def test_they_are_stored_next_to_those_of_the_column_s_own_system(
    site: Site, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    target = site.target()
    records = [*make_records(2, senterlinjeposisjon=WRITTEN), *make_records(1, 2, senterlinjeposisjon=None)]
    records += make_records(1, 3, senterlinjeposisjon=WRITTEN.replace("5973", "25833"))
    report = load_records(records, target, state, limits)
    assert (report.inserted, report.failed) == (4, ())
    stored = [row["SenterlinjePosisjon"] for row in sorted(site.rows(target.layout), key=lambda row: row["Filnavn"])]
    own = 5973 if site.kind.endswith("oracle") else 25833  # elsewhere a column has one reference system
    assert stored == [(own, PLACE), (own, PLACE), None, (25833, PLACE)]
    assert {row["SenterlinjeHoyde"] for row in site.rows(target.layout)} == {2.809, None}


def test_an_index_of_oracle_that_takes_one_system_gets_it(state: Path, make_records: Make) -> None:
    pytest.importorskip("oracledb")
    site = FakeOracleSite()

    refused: list[str] = []

    def indexed(row: dict[str, Any]) -> None:
        geometry = row["SENTERLINJEPOSISJON"]
        if geometry is not None and geometry.SDO_SRID != 25833:
            refused.append(row["FILNAVN"])
            message = "ORA-29875: failed in the execution of the ODCIINDEXINSERT routine\nORA-13365: layer SRID does"
            raise RowError(29875, f"{message} not match geometry SRID")

    site.server.triggers.append(indexed)
    records = [*make_records(3, senterlinjeposisjon=WRITTEN), *make_records(1, 3, senterlinjeposisjon=None)]
    report = load_records(records, site.target(), state, LoadLimits(batch_rows=2))
    assert (report.inserted, report.failed) == (4, ())
    stored = [row["SenterlinjePosisjon"] for row in site.rows(site.target().layout)]
    assert sorted(map(str, stored)) == sorted(map(str, [(25833, PLACE)] * 3 + [None]))
    assert len(refused) == 2  # later batches are sent as the index wants them
