"""Known faults that measure how much reviewers overlook: copies of masked pictures in which one object is visible.

    <state>/certificates/<id>/seeded/<number>.webp     readable by the software's own user alone, removed at the issue

The copy is made as every other picture of the review is shown, so a reviewer cannot tell it from the sample. Published
pictures never change. A copy shows what the original shows, so people who judge a sample with known faults need the
right to see originals.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from PIL import Image

from anonymisation.files.atomic import write_atomically
from anonymisation.files.reported import reported
from anonymisation.review.certificate.population import Candidate, Population
from anonymisation.review.certificate.sample import Sample, SeededFault, random_order, with_seeded
from anonymisation.review.certificate.store import place_of
from anonymisation.review.images import (
    NotShownError,
    Size,
    orientation_of,
    to_webp,
    upright,
    upright_masked,
    upright_original,
)
from anonymisation.review.rows import LOW_SCORE, KnownRows, Row, Seen
from anonymisation.workspace.workspace import Workspace

FOLDER_NAME: Final = "seeded"
_SMALLEST_SHARE: Final = 1e-3  # of the picture: an object that people can see in the copy


def seeded_file(state_root: Path, identity: str, number: int) -> Path:
    """The copy that is shown at `number`."""
    return place_of(state_root, identity) / FOLDER_NAME / f"{number}.webp"


def shown_file(workspace: Workspace, sample: Sample, number: int) -> Path:
    """The file of the picture that is shown at `number`: a masked picture, or a copy with a known fault.

    Raises:
        LookupError: the sample shows no such picture.
    """
    for one in sample.pictures:
        if one.number == number:
            return workspace.picture(one.folder, one.name).masked
    if any(fault.number == number for fault in sample.seeded):
        return seeded_file(workspace.shares.state, sample.id, number)
    raise LookupError(f"the sample {sample.id} shows no picture {number}")


def seed(workspace: Workspace, sample: Sample, population: Population) -> Sample:
    """Make the known faults that the plan asks for; fewer where originals are no longer at hand.

    Raises:
        ShareUnavailableError: a copy cannot be written, or the state of a folder cannot be read.
    """
    made: list[tuple[SeededFault, Image.Image]] = []
    for candidate, row, seen in _suitable(workspace.shares.state, sample, population):
        if len(made) >= sample.plan.seeded:
            break
        try:
            copy, box = _with_visible(workspace, candidate.folder, row, seen)
        except NotShownError as error:
            logging.getLogger(__name__).info("%s/%s: no known fault: %s", candidate.folder, candidate.name, error)
            continue
        made.append((SeededFault(0, candidate.folder, candidate.name, seen.label, box), copy))
    seeded = with_seeded(sample, [fault for fault, _ in made])
    copies = {(fault.folder, fault.name): copy for fault, copy in made}
    for fault in seeded.seeded:
        path = seeded_file(workspace.shares.state, sample.id, fault.number)
        with reported(path, "written"):
            write_atomically(path, to_webp(copies[fault.folder, fault.name]), mode=0o600)
    return seeded


def remove_seeded(state_root: Path, identity: str) -> None:
    """Remove the copies of a sample."""
    place = place_of(state_root, identity) / FOLDER_NAME
    with reported(place, "removed"), suppress(FileNotFoundError):
        shutil.rmtree(place)


def _suitable(state_root: Path, sample: Sample, population: Population) -> Iterator[tuple[Candidate, Row, Seen]]:
    """Pictures outside the sample with an object that people can see, in random order, and that object."""
    drawn = {(one.folder, one.name) for one in sample.pictures}
    others = [one for one in population.candidates if one.found and (one.folder, one.name) not in drawn]
    others.sort(key=lambda one: random_order(sample.seed, "seeded", one.folder, one.name))
    rows = KnownRows(state_root)
    for candidate in others:
        row = rows.of(candidate.folder, candidate.name)
        seen = None if row is None else next((one for one in reversed(row.objects) if _is_clear(one)), None)
        if row is not None and seen is not None:
            yield candidate, row, seen


def _is_clear(seen: Seen) -> bool:
    top, left, bottom, right = seen.box
    # One that the seam of a panorama cuts would be uncovered in part only.
    return seen.beyond is None and seen.score >= LOW_SCORE and (bottom - top) * (right - left) >= _SMALLEST_SHARE


def _with_visible(
    workspace: Workspace, folder: str, row: Row, seen: Seen
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The masked picture with one object of the original in it, and the object's box, both upright."""
    masked = upright_masked(workspace, folder, row, Size.REVIEW)
    original = upright_original(workspace, folder, row, Size.REVIEW)
    if masked.size != original.size:
        raise NotShownError("the original has another size than the masked picture")
    top, left, bottom, right = upright([seen.box], orientation_of(workspace, folder, row))[0]
    width, height = masked.size
    place = (int(left * width), int(top * height), int(right * width) + 1, int(bottom * height) + 1)
    copy = masked.convert("RGB")
    copy.paste(original.convert("RGB").crop(place), place[:2])
    return copy, (top, left, bottom, right)
