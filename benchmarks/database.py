"""How fast records go into the database, and in how much memory: `python -m benchmarks.database [--records 100000]`.

For SQLite and PostgreSQL (a private cluster with default settings, so it waits for the disk; needs PostgreSQL with
PostGIS, see scripts/install_test_services.sh), each in a process of its own: a first load (all inserts), then the same
again (all updates). The records are of the size of real ones (4.4 kB of JSON each), over 20 capture days. They are made
while loading, in the same process, so that nothing of them is kept; that takes about 10 µs each.

PostgreSQL also gets the same rows by one plain COPY, made beforehand and committed once, into an empty table like the
other. COPY, insert and update take turns (--rounds), so that other work on the machine touches all of them.
`times_copy` is the median of the loads divided by that of the COPYs, without the time for making the records, which is
measured alone (`records_seconds`): it is the benchmark's, and COPY has its rows beforehand. A load makes its rows from
records, keeps them in the spool until they are committed, and merges.

What is printed, and written as JSON with --json: seconds, rows a second, the loader's own CPU seconds, and the process'
resident memory after the first tenth and at its peak, which differ by little when memory is flat.

What a row costs by part, and what bounds it: NOTES.md, "Rows into PostgreSQL". Measure on idle cores: on a busy machine
every microsecond of either process adds up, and each round trip costs as much as dozens of rows. Partitioned tables and
views cost the same as plain tables.

SQLite: 100 000 records on 2 idle cores took 25.6 s (insert) and 21.4 s (update), with 92 MiB at most. The R-tree of the
GeoPackage takes a fifth to a quarter of the time. Batches of 100 reach four fifths of the speed, of 1 000 the same.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records, open_target
from anonymisation.database.schema import create_table, drop_table
from tests.database.postgres_cluster import NotInstalledError, running_cluster

DAYS: Final = 20
_XML: Final = "<ImageProperties>\n" + '\t<Værdi Navn="Måling">0.123456789012</Værdi>\n' * 65 + "</ImageProperties>\n"
_EMPTY: Final = (
    "exif_speed", "exif_strekning", "exif_delstrekning", "exif_ankerpunkt", "exif_kryssdel", "exif_sideanleggsdel",
    "exif_reflinkinfo", "exif_reflinkid", "exif_reflinkposisjon", "exif_roadident", "exif_roll", "exif_pitch",
    "exif_geoidalseparation", "exif_northrmserror", "exif_eastrmserror", "exif_downrmserror", "exif_rollrmserror",
    "exif_pitchrmserror", "exif_headingrmserror", "senterlinjeposisjon",
)  # fmt: skip


def records(count: int, started: list[float]) -> Iterator[SourceRecord]:
    """Records like those of real captures; notes the resident memory (MiB) after the first tenth in `started`."""
    for number in range(count):
        if number == count // 10:
            started.append(resident())
        day = f"2021-05-{1 + number * DAYS // count:02d}"
        name = f"Fy06_Ev134_hp05_f1_m{number:06d}.jpg"
        time_of_day = f"{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
        record: dict[str, Any] = dict.fromkeys(_EMPTY) | {
            "exif_tid": f"{day}T{time_of_day}.2394114",
            "exif_dato": day,
            "exif_heading": "281.71",
            "exif_gpsposisjon": f"srid=4326;POINT Z( 9.{number:06d} 59.7631780624 51.724 )",
            "exif_fylke": "6",
            "exif_vegkat": "E",
            "exif_vegstat": "V",
            "exif_vegnr": "134",
            "exif_hp": "5",
            "exif_meter": f"{number}.01614226494",
            "exif_feltkode": "1",
            "exif_filnavn": name,
            "exif_imageproperties": _XML,
            "exif_xptitle": "Bilde",
            "exif_kvalitet": "2",
            "bildeid": f"{day}T{time_of_day.replace(':', '.')}.239411_{name[:-4]}",
            "detekterte_objekter": {"car": "2"},
            "versjon": "P0.1_K20210501",
            "mappenavn": f"Vegbilder/06/2021/06_Ev134/{day}",
        }
        yield SourceRecord(f"06/2021/06_Ev134/{day}/{name}", record)


def resident() -> float:
    """This process' resident memory, in MiB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def load(url: str, state: Path, count: int, batch: int) -> dict[str, float]:
    """One load of `count` records, in this process."""
    target = open_target(url, load_layout("VEGBILDER"))
    early: list[float] = []
    began = time.perf_counter()
    for _ in records(count, []):
        pass
    making = time.perf_counter() - began
    began, cpu = time.perf_counter(), time.process_time()
    report = load_records(records(count, early), target, state, LoadLimits(batch_rows=batch))
    seconds = time.perf_counter() - began
    if report.inserted + report.updated != count:
        raise RuntimeError(f"{url}: {report}")  # SystemExit would end the pool's worker, and its caller would wait
    return {
        "inserted": report.inserted,
        "updated": report.updated,
        "seconds": round(seconds, 2),
        "records_seconds": round(making, 2),
        "rows_per_second": round(count / seconds),
        "loader_cpu_seconds": round(time.process_time() - cpu, 2),
        "memory_after_a_tenth_mib": round(early[0], 1) if early else 0.0,
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def copy(url: str, _state: Path, count: int, _batch: int) -> dict[str, float]:
    """One COPY of `count` finished rows, in this process; making them is not measured."""
    target = open_target(url, load_layout("VEGBILDER"))
    rows = [
        [
            value.ewkt() if isinstance(value, Point) else value
            for value in row_from_record(target.layout, item.record).values()
        ]
        for item in records(count, [])
    ]
    with target.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        began, cpu = time.perf_counter(), time.process_time()
        with driver.cursor() as cursor, cursor.copy(f"COPY {target.table} FROM STDIN") as stream:
            for row in rows:
                stream.write_row(row)
        driver.commit()
        seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 2),
        "rows_per_second": round(count / seconds),
        "loader_cpu_seconds": round(time.process_time() - cpu, 2),
    }


def measure(kind: str, url: str, count: int, batch: int, rounds: int) -> list[dict[str, Any]]:
    """COPY (PostgreSQL), the first load and the same again, each in a new process; `rounds` times."""
    results: list[dict[str, Any]] = []
    steps = {"insert": load, "update": load} if kind == "sqlite" else {"copy": copy, "insert": load, "update": load}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for what, step in steps.items():
                if what != "update":
                    _make_table(url)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    result = pool.apply(step, (url, Path(folder), count, batch))
                results.append({"database": kind, "load": what, "records": count, "batch_rows": batch, **result})
                print(json.dumps(results[-1]), flush=True)
    usual = {
        what: statistics.median(
            one["seconds"] - one.get("records_seconds", 0) for one in results if one["load"] == what
        )
        for what in steps
    }
    if "copy" in usual:
        times = {what: round(seconds / usual["copy"], 2) for what, seconds in usual.items() if what != "copy"}
        results.append({"database": kind, "records": count, "times_copy": times})
        print(json.dumps(results[-1]), flush=True)
    return results


def _make_table(url: str) -> None:
    with open_target(url, load_layout("VEGBILDER")) as target:
        drop_table(target)
        create_table(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=LoadLimits().batch_rows, help="db_max_n_accumulated_rows")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured, in turns")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    for kind in options.database or ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder / 'pictures.gpkg'}"
            if kind == "postgresql":
                try:
                    cluster = stack.enter_context(running_cluster(durable=True))
                except NotInstalledError as error:
                    print(error, file=sys.stderr)
                    continue
                url = cluster.url.render_as_string(hide_password=False)
            results += measure(kind, url, options.records, options.batch, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
