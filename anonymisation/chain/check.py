"""The check step: compare input, output, archive and database, and report every gap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anonymisation.chain.load import rows_present
from anonymisation.chain.shared_ids import names_on_other_rows
from anonymisation.chain.verify import expected_of, original_problem
from anonymisation.database.loading.limits import Collision
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.reporting.partial import keeping
from anonymisation.reporting.step_reports import MAX_LISTED, CheckReport, Failure, Gap
from anonymisation.workspace.folder_state import FAILED, MASKED, FolderState, PictureState, open_state
from anonymisation.workspace.listing import join, list_named
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.set_aside import files_aside
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.workspace import Workspace


def check_folder(workspace: Workspace, folder: str, shard: Shard = WHOLE) -> CheckReport:
    """Check every file and row that the settings want for the pictures of `folder` (or of its `shard`).

    Pictures that failed are not gaps, nor are those that yield their ID to another picture; the report counts and names
    them.

    Raises:
        FolderLockedError: another run works on the folder.
        ShareUnavailableError: a share cannot be reached.
        DatabaseUnavailableError: the database cannot be reached.
    """
    expected = 0
    gaps: list[Gap] = []
    failed: list[Failure] = []
    shared: list[Collision] = []

    def so_far() -> CheckReport:
        listed = tuple(gaps[:MAX_LISTED]), len(failed), tuple(failed[:MAX_LISTED])
        return CheckReport(folder, expected, len(gaps), *listed, len(shared), tuple(shared[:MAX_LISTED]))

    with keeping(so_far):
        workspace.require_shares()
        workspace.require_apart(folder)
        with open_state(workspace.shares.state, folder, shard) as state:
            check = _FolderCheck(workspace, folder, shard, state)
            shared += check.shared
            for finding in check.findings():
                if isinstance(finding, Failure):
                    failed.append(finding)
                    continue
                expected += 1
                if finding.problem is not None:
                    gaps.append(Gap(finding.picture, finding.place, finding.problem))
    return so_far()


@dataclass(frozen=True, slots=True)
class _Finding:
    """One expected file or row: where it should be, and what is wrong with it (None: nothing)."""

    picture: str
    place: str
    problem: str | None


class _FolderCheck:
    def __init__(self, workspace: Workspace, folder: str, shard: Shard, state: FolderState) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._folder = folder
        self._shard = shard
        self._state = state
        self._masked = {name: known for name, known in state.pictures.items() if known.status == MASKED}
        self._failed = {name: known for name, known in state.pictures.items() if known.status == FAILED}
        wants_rows = self._settings.write_exif_to_db
        self._rows = rows_present(workspace, state, self._masked) if wants_rows else frozenset[str]()
        yielding = names_on_other_rows(workspace, folder, state, self._rows) if wants_rows else {}
        self.shared = [collision for _, collision in sorted(yielding.items())]

    def findings(self) -> Iterator[_Finding | Failure]:
        """Every expected file and row of the folder, each with its problem; and the pictures that failed before."""
        files, unread = list_named(self._workspace.shares.input / self._folder, self._shard)
        inputs = dict.fromkeys(file.name for file in files)
        for item in unread:
            if item.path not in self._failed:
                yield _Finding(join(self._folder, item.path), "input", item.reason)
        for name in inputs:
            paths = self._paths(name)
            if name in self._failed:
                yield Failure(paths.relative, self._failed[name].reason or "failed", known=True)
            else:
                known = self._masked.get(name)
                problem = "is not masked yet" if known is None else original_problem(paths.original, known)
                yield _Finding(paths.relative, "input", problem)
        for name, known in sorted(self._masked.items()):
            yield from self._of_picture(self._paths(name), known, in_input=name in inputs)
        yield from self._aside()
        yield from self._strangers()

    def _of_picture(self, paths: ImagePaths, known: PictureState, *, in_input: bool) -> Iterator[_Finding]:
        has_row = known.name in self._rows
        for item in expected_of(paths, known, self._settings, self._state, in_input=in_input, has_row=has_row):
            yield _Finding(paths.relative, item.place, item.problem)

    def _aside(self) -> Iterator[_Finding]:
        """Originals of an interrupted release; the mask step puts back those whose names are free."""
        for place in files_aside(self._workspace.shares.input / self._folder, self._shard):
            problem = f"an interrupted release left it as {place}; release it again, or rename what has its name now"
            yield _Finding(self._paths(place.name).relative, "input", problem)

    def _strangers(self) -> Iterator[_Finding]:
        """Pictures in the output folder that are not known to be masked: they could show people."""
        files, unread = list_named(self._workspace.shares.output / self._folder, self._shard)
        for name in (*(file.name for file in files), *(item.path for item in unread)):
            if name not in self._masked:
                paths = self._paths(name)
                yield _Finding(paths.relative, "output", _stranger_problem(paths.masked))

    def _paths(self, name: str) -> ImagePaths:
        return self._workspace.picture(self._folder, name)


def _stranger_problem(path: Path) -> str | None:
    try:
        unknown = read_provenance(read_plain(path)) is None
    except OSError as error:
        return f"is in the output folder and cannot be read ({error.strerror}); remove it"
    return "is in the output folder and is not a masked picture; remove it" if unknown else None
