"""Record files and the connection `local`, for the tests of `anonymise db`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from anonymisation.cli import cli


def db(verb: str, *arguments: str, answer: str | None = None) -> Result:
    """A verb of `anonymise db` on the connection `local`."""
    command = ["db", verb, "--connection", "local", *arguments]
    return CliRunner().invoke(cli, command, input=answer, catch_exceptions=False)


def rows(database: Path, sql: str = "SELECT Filnavn FROM PICTURES ORDER BY 1") -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute(sql)]


def put_record(folder: Path, name: str, number: int = 1, **changes: Any) -> Path:
    """A record file with what the table requires."""
    record = {
        "bildeid": f"2021-05-01T10.00.{number:02d}.000000_p{number}",
        "exif_tid": "2021-05-01T10:00:00",
        "exif_filnavn": f"p{number}.jpg",
        **changes,
    }
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), "utf-8")
    return path
