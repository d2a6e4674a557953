"""A dry run: what a run would do and how long its masking would take, without changing anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from anonymisation.chain.discover import EVERYTHING, Discovery, FoundFolder, Selection, discover
from anonymisation.core.text import counted, duration, one_line
from anonymisation.workspace.timing import seconds_per_picture
from anonymisation.workspace.unread import NOTHING_UNREAD, NotRead
from anonymisation.workspace.workspace import Workspace

MAX_LISTED: Final = 200  # folders listed one by one; the totals are exact


@dataclass(frozen=True, slots=True)
class Plan:
    """The folders that a run would process; `seconds_per_picture` is from earlier runs with this model (None: unknown).

    `problems` are entries that were not read; those in `broken` may hide pictures. `unsettled` folders still change.
    `unread` are files in other formats than JPEG.
    """

    folders: tuple[FoundFolder, ...]
    seconds_per_picture: float | None
    problems: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    unread: NotRead = NOTHING_UNREAD

    @property
    def to_do(self) -> int:
        """Pictures with something left to do."""
        return sum(found.pending for found in self.folders)

    @property
    def to_mask(self) -> int:
        """Of these, pictures that need the model."""
        return sum(found.to_mask for found in self.folders)

    @property
    def size(self) -> int:
        """Bytes of the pictures with something left to do."""
        return sum(found.pending_bytes for found in self.folders)

    @property
    def seconds(self) -> float | None:
        """How long masking would take one process; None if no earlier run recorded it."""
        if not self.to_mask:
            return 0.0
        return None if self.seconds_per_picture is None else self.seconds_per_picture * self.to_mask

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the first folders."""
        return {
            "folders": [_row(found) for found in self.folders[:MAX_LISTED]],
            "folder_count": len(self.folders),
            "to_do": self.to_do,
            "to_mask": self.to_mask,
            "bytes": self.size,
            "seconds": self.seconds,
            "seconds_per_picture": self.seconds_per_picture,
            "unsettled": list(self.unsettled[:MAX_LISTED]),
            "unread": self.unread.to_dict(),
        }


def make_plan(workspace: Workspace, selection: Selection = EVERYTHING) -> Plan:
    """Look at what a run with this selection would do.

    Raises:
        ShareUnavailableError: the input folder, or the state folder, cannot be read.
        ModelUnavailableError: the model is not installed.
    """
    return plan_of(workspace, discover(workspace, selection, look_only=True))


def plan_of(workspace: Workspace, found: Discovery) -> Plan:
    """The plan for what discovery found. A folder of which it is not known what is left makes the plan incomplete."""
    unknown = tuple(f"{item.folder}: {item.trouble}" for item in found.folders if item.trouble)
    return Plan(
        folders=found.folders,
        seconds_per_picture=seconds_per_picture(workspace.shares.state, workspace.model_identity()),
        problems=(*(str(problem) for problem in found.problems), *unknown),
        broken=(*(str(problem) for problem in found.problems if problem.hides_pictures), *unknown),
        unsettled=found.unsettled,
        unread=found.unread,
    )


def render_plan(plan: Plan) -> str:
    """The plan as a person reads it."""
    width = max((len(one_line(found.folder)) for found in plan.folders[:MAX_LISTED]), default=0)
    lines = [
        f"  {one_line(found.folder):<{width}}  {found.pending:>7} of {found.pictures:>7} pictures, "
        f"{found.to_mask:>7} to mask, {_megabytes(found.pending_bytes):>9}"
        for found in plan.folders[:MAX_LISTED]
    ]
    more = len(plan.folders) - MAX_LISTED
    return "\n".join(
        [
            "Dry run: nothing was touched.",
            f"A run would take {counted(len(plan.folders), 'folder')}, in which {counted(plan.to_do, 'picture')} "
            f"({_megabytes(plan.size)}) {'has' if plan.to_do == 1 else 'have'} something left to do, {plan.to_mask} of "
            "them to mask.",
            f"Masking them one after another: {_duration(plan)}.",
            *lines,
            *([f"  … and {more} more folders"] if more > 0 else []),
            *_list("Still changing, left for a later run", plan.unsettled),
            *_list("Not entered", plan.problems),
            *_list(plan.unread.title, plan.unread.lines(), more=plan.unread.more),
        ]
    )


def _duration(plan: Plan) -> str:
    if plan.seconds is None:
        return "unknown: no earlier run with this model recorded the time per picture"
    about = duration(plan.seconds)
    if plan.seconds_per_picture is None:
        return f"about {about}"
    return f"about {about}, at {plan.seconds_per_picture:.2g} s a picture as in the last runs with this model"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _list(title: str, items: Iterable[str], *, more: int = 0) -> list[str]:
    lines = [f"  {one_line(item)}" for item in items]
    rest = [f"  … and {more} more folders"] if more else []
    return [f"{title}:", *lines[:MAX_LISTED], *rest] if lines else []


def _row(found: FoundFolder) -> dict[str, Any]:
    return {
        "folder": found.folder,
        "pictures": found.pictures,
        "to_do": found.pending,
        "to_mask": found.to_mask,
        "bytes": found.pending_bytes,
    }
