"""The fixed regions of each camera: those of the configuration, and those that people drew on the operations page.

    <state>/camera_regions.jsonl      one line per region that was added or removed; no line is ever removed

Shared by all workers. A region holds for pictures that are masked from then on.
"""

from __future__ import annotations

import fnmatch
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from anonymisation.core.settings import Settings
from anonymisation.files.append_log import AppendLog, read_entries
from anonymisation.files.digests import name_digest, sha256_of
from anonymisation.masking.fixed_regions import FixedRegions, Polygon, polygons

FILE_NAME: Final = "camera_regions.jsonl"
MAX_NOTE: Final = 300  # characters


class DrawnRegion(msgspec.Struct, frozen=True):
    """A region that `by` drew at `at` (ISO 8601 in UTC): always hidden, or else never searched."""

    id: str
    folders: str
    camera: str
    hide: bool
    polygon: tuple[tuple[float, float], ...]
    by: str
    at: str
    note: str = ""
    removed_by: str = ""
    removed_at: str = ""

    def __post_init__(self) -> None:
        Polygon(self.polygon)  # refuses what is none


class Rule(msgspec.Struct, frozen=True):
    """Regions for the pictures of a camera (empty: of all) in the folders that match a shell pattern."""

    folders: str
    camera: str
    regions: FixedRegions

    def matches(self, folder: str) -> bool:
        """Whether the rule holds in the folder; a pattern without wildcards holds below its folder, too.

        The name of a folder is a pattern of that folder even if it holds what means something in patterns: [ and ].
        """
        own = self.folders.rstrip("/")
        return folder == own or folder.startswith(f"{own}/") or fnmatch.fnmatchcase(folder, own)


class CameraRegions:
    """All rules in force."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)

    @classmethod
    def of(cls, settings: Settings, state_root: Path) -> Self:
        """The rules of the configuration, and the regions that were drawn and not removed.

        Raises:
            ShareUnavailableError: the file of drawn regions is there and cannot be read. Nobody knows then what must be
                hidden, so no picture may be published.
        """
        drawn = (_rule(one) for one in read_drawn(state_root) if not one.removed_at)
        return cls((*_configured(settings), *drawn))

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """The rules of the configuration alone."""
        return cls(_configured(settings))

    def for_picture(self, folder: str, camera: str | None) -> FixedRegions:
        """The regions of a picture whose EXIF names this camera (None: no name)."""
        return self._joined(rule for rule in self._rules if rule.matches(folder) and rule.camera in {"", camera or ""})

    def for_folder(self, folder: str) -> FixedRegions:
        """The regions of a folder's pictures, whatever the camera."""
        return self._joined(rule for rule in self._rules if rule.matches(folder))

    def _joined(self, rules: Iterable[Rule]) -> FixedRegions:
        own = [rule.regions for rule in rules]
        return FixedRegions(
            hidden=tuple(polygon for regions in own for polygon in regions.hidden),
            unsearched=tuple(polygon for regions in own for polygon in regions.unsearched),
        )

    def picture_digest(self, settings: Settings, folder: str) -> str:
        """A digest of everything but the model that changes the masked pictures of a folder: settings, fixed regions.

        `settings` are those of these rules. Without a rule for the folder, it is the digest of the settings alone.
        """
        own, digest = self.digest(folder), settings.picture_digest()
        return name_digest(f"{digest} {own}") if own else digest

    def digest(self, folder: str) -> str:
        """A digest of the rules of a folder, whatever the camera; empty if there is none."""
        own = [
            [rule.camera, [p.points for p in rule.regions.hidden], [p.points for p in rule.regions.unsearched]]
            for rule in self._rules
            if rule.matches(folder)
        ]
        return sha256_of(json.dumps(own).encode())[:16] if own else ""


def read_drawn(state_root: Path) -> list[DrawnRegion]:
    """Every region that was ever drawn, removed ones included, in the order of drawing.

    Raises:
        ShareUnavailableError: the file is there and cannot be read.
    """
    drawn: dict[str, DrawnRegion] = {}

    def add(line: dict[str, Any]) -> None:
        if "removed" in line:
            known = drawn[line["removed"]]
            by, at = str(line["by"]), str(line["at"])
            drawn[known.id] = msgspec.structs.replace(known, removed_by=by, removed_at=at)
        else:
            region = msgspec.convert(line, DrawnRegion)
            drawn[region.id] = region

    for _ in read_entries(state_root / FILE_NAME, add):
        pass
    return list(drawn.values())


def draw_region(
    state_root: Path, polygon: Iterable[Iterable[float]], *, folders: str, camera: str, hide: bool, by: str, note: str
) -> DrawnRegion:
    """Store a region that a person drew.

    Raises:
        ValueError: it is no polygon, the pattern is empty, or the note is too long.
        ShareUnavailableError: it cannot be written.
    """
    folders, note = folders.strip(), " ".join(note.split())
    if not folders or len(note) > MAX_NOTE:
        raise ValueError(f"expected a pattern of folders, and a note of at most {MAX_NOTE} characters")
    corners = tuple((float(x), float(y)) for x, y in polygon)
    region = DrawnRegion(secrets.token_hex(8), folders, camera.strip(), hide, corners, by, _now(), note)
    _append(state_root, msgspec.to_builtins(region))
    return region


def remove_region(state_root: Path, identity: str, by: str) -> None:
    """Store that a region no longer holds. Pictures that are masked already stay as they are.

    Raises:
        LookupError: there is no such region in force.
        ShareUnavailableError: it cannot be written.
    """
    if not any(region.id == identity and not region.removed_at for region in read_drawn(state_root)):
        raise LookupError(f"there is no region {identity} in force")
    _append(state_root, {"removed": identity, "by": by, "at": _now()})


def _configured(settings: Settings) -> Iterator[Rule]:
    for one in settings.camera_regions:
        yield Rule(one.folders, one.camera, FixedRegions(polygons(one.hide), polygons(one.ignore)))


def _rule(drawn: DrawnRegion) -> Rule:
    polygon = (Polygon(drawn.polygon),)
    regions = FixedRegions(hidden=polygon) if drawn.hide else FixedRegions(unsearched=polygon)
    return Rule(drawn.folders, drawn.camera, regions)


def _append(state_root: Path, line: dict[str, Any]) -> None:
    with closing(AppendLog(state_root / FILE_NAME)) as log:
        log.append(line)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
