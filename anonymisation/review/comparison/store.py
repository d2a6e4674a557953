"""The files of comparisons in the state folder.

<state>/comparisons/<id>/study.json        the sides, the pictures and what differs; written once
<state>/comparisons/<id>/sayings.jsonl     what people say of each region; the last line of a region counts
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from anonymisation.files.append_log import AppendLog, read_as
from anonymisation.files.atomic import write_atomically
from anonymisation.files.reported import reported
from anonymisation.review.certificate.store import now
from anonymisation.review.comparison.study import FORMAT, Saying, Study
from anonymisation.review.values import ID_PATTERN, ids_below, read_value

STUDY: Final = "study.json"
SAYINGS: Final = "sayings.jsonl"


def place_of(state_root: Path, identity: str) -> Path:
    """The folder of one comparison.

    Raises:
        ValueError: this is not the ID of a comparison.
    """
    if not re.fullmatch(ID_PATTERN, identity):
        raise ValueError(f"{identity!r} is not the ID of a comparison; `anonymise compare list` shows them")
    return state_root / "comparisons" / identity


def keep_study(state_root: Path, study: Study) -> None:
    """Store a comparison.

    Raises:
        ShareUnavailableError: it cannot be written.
    """
    path = place_of(state_root, study.id) / STUDY
    with reported(path, "written"):
        write_atomically(path, msgspec.json.encode(study), mode=0o600)


def read_study(state_root: Path, identity: str) -> Study | None:
    """The comparison with this ID; None where there is none.

    Raises:
        ShareUnavailableError: its file is there and cannot be read, is damaged, or comes from a newer version.
    """
    return read_value(place_of(state_root, identity) / STUDY, Study, FORMAT)


def read_studies(state_root: Path) -> Iterator[Study]:
    """All comparisons, the newest first. Raises: as `read_study`."""
    for identity in ids_below(state_root / "comparisons"):
        study = read_study(state_root, identity)
        if study is not None:
            yield study


def add_saying(state_root: Path, study: Study, number: int, by: str, *, is_object: bool) -> None:
    """Store what `by` says of a region.

    Raises:
        ValueError: the comparison has no such region.
        ShareUnavailableError: the log cannot be written.
    """
    if not 1 <= number <= len(study.regions):
        raise ValueError(f"the comparison {study.id} has no region {number}")
    with closing(AppendLog(place_of(state_root, study.id) / SAYINGS, mode=0o600)) as log:
        log.append(msgspec.to_builtins(Saying(number, by, now(), is_object)))


def read_sayings(state_root: Path, identity: str) -> dict[int, Saying]:
    """What was said last of each region, by number.

    Raises:
        ShareUnavailableError: the log is there and cannot be read.
    """
    return {saying.number: saying for saying in read_as(place_of(state_root, identity) / SAYINGS, Saying)}
