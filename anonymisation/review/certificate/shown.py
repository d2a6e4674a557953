"""What a reviewer sees of a sample: the picture at a number, as it was drawn, whether it belongs to the sample or not.

A picture on which a reviewer marks something is kept as it was before that is hidden. Otherwise a second reviewer would
judge another picture, and so would the first one who comes back to it.

    <state>/certificates/<id>/seen/<number>.webp       removed at the issue
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from anonymisation.core.errors import AnonymisationError
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import read_plain
from anonymisation.files.reported import reported
from anonymisation.review.certificate.sample import Drawn, Sample, SeededFault
from anonymisation.review.certificate.seeded import seeded_file
from anonymisation.review.certificate.store import place_of
from anonymisation.review.images import NotShownError, Size, to_webp, upright_masked
from anonymisation.review.rows import Row
from anonymisation.workspace.workspace import Workspace

FOLDER_NAME: Final = "seen"


class MaskedAgainError(AnonymisationError):
    """The picture was masked again since the draw, so its sample says nothing about it any more."""


def at_number(sample: Sample, number: int) -> Drawn | SeededFault | None:
    """What is shown at `number`; None where nothing is."""
    shown: list[Drawn | SeededFault] = [*sample.pictures, *sample.seeded]
    return next((one for one in shown if one.number == number), None)


def shown_picture(workspace: Workspace, sample: Sample, one: Drawn | SeededFault, row: Row | None) -> bytes:
    """The picture as WebP, at most of size REVIEW; `row` is what the state knows of it now.

    Raises:
        NotShownError: there is no such masked picture.
        MaskedAgainError: it was masked again since the draw.
    """
    if isinstance(one, SeededFault):
        with reported(seeded_file(workspace.shares.state, sample.id, one.number), "read"):
            return read_plain(seeded_file(workspace.shares.state, sample.id, one.number))
    with suppress(FileNotFoundError):
        return read_plain(_kept(workspace, sample, one))
    return to_webp(upright_masked(workspace, one.folder, require_as_drawn(one, row), Size.REVIEW))


def require_as_drawn(one: Drawn, row: Row | None) -> Row:
    """The row, if it is of the version that was drawn.

    Raises:
        NotShownError: the state does not know the picture any more.
        MaskedAgainError: it is of another version.
    """
    if row is None:
        raise NotShownError("there is no such picture any more")
    if row.version != one.version:
        raise MaskedAgainError(f"{one.folder}/{one.name} was masked again since the draw; draw a new sample")
    return row


def keep_as_seen(workspace: Workspace, sample: Sample, one: Drawn, row: Row) -> None:
    """Keep the picture for whoever judges it again, before more of it is hidden.

    Raises:
        NotShownError, MaskedAgainError: as `shown_picture`.
        ShareUnavailableError: the copy cannot be written.
    """
    path = _kept(workspace, sample, one)
    if not path.exists():
        data = shown_picture(workspace, sample, one, row)
        with reported(path, "written"):
            write_atomically(path, data, mode=0o600)


def remove_seen(state_root: Path, identity: str) -> None:
    """Remove what was kept of pictures that were marked."""
    place = place_of(state_root, identity) / FOLDER_NAME
    with reported(place, "removed"), suppress(FileNotFoundError):
        shutil.rmtree(place)


def _kept(workspace: Workspace, sample: Sample, one: Drawn) -> Path:
    return place_of(workspace.shares.state, sample.id) / FOLDER_NAME / f"{one.number}.webp"
