"""What the DAG's tasks do: each opens the workspace, calls one function of `anonymisation`, and returns its report.

Reports travel as XComs of plain JSON values. A step that cannot run leaves the reason as an XCom of its own, so that
the summary can name it, and raises: `retries.py` says what is tried again.

The steps are imported inside the tasks: Airflow reads the DAG file again and again, and that must not cost the seconds
which OpenCV and TensorFlow take to import.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Context, conf, get_current_context

from anonymisation.errors import AnonymisationError
from anonymisation.outcomes import FolderReport, ImageOutcome
from anonymisation_airflow.deployment import Deployment
from anonymisation_airflow.notifier import mail_folder
from anonymisation_airflow.request import RunRequest, workspace_for

if TYPE_CHECKING:
    from anonymisation.discovery import Discovery
    from anonymisation.workspace import Workspace

GROUP: Final = "folder"
DISCOVER: Final = "discover"
NEXT_PART: Final = "next_part"
STEPS: Final = ("mask", "archive", "load", "check", "release")
FOLDER_NAME: Final = "folder_name"  # the context variable that labels a folder's tasks in the grid
ERROR_KEY: Final = "error"
NEXT_PART_KEY: Final = "next_part"
FINDINGS_KEY: Final = "findings"
PROGRESS_EVERY: Final = 100  # pictures
MAX_FINDINGS: Final = 100

_UPSTREAM: Final = [f"{GROUP}.{step}" for step in STEPS[:-1]]


def find_folders() -> list[str]:
    """The folders that this run takes; what does not fit into it is left as the next run's form, see `next_part.py`."""
    from anonymisation.discovery import discover

    context = get_current_context()
    with _explained(context, "."):
        request = RunRequest.from_context(context)
        found = discover(workspace_for(context), request.selection())
        _tell(found, request)
        folders = [item.folder for item in found.folders]
        taken, remaining = share_of_run(folders, request.continue_after, _limit())
        context["ti"].xcom_push(FINDINGS_KEY, _findings(found, request))
        if remaining:
            form = {**request.next_part(after=taken[-1]), "remaining": remaining}
            context["ti"].xcom_push(NEXT_PART_KEY, form)
        return taken


def share_of_run(folders: list[str], after: str, limit: int) -> tuple[list[str], int]:
    """The first `limit` folders behind `after` in the order of their paths, and how many come behind those.

    Each part begins behind the last folder of the one before, whether that succeeded or not, so parts come to an end.
    """
    behind = sorted(folder for folder in folders if not after or folder > after)
    return behind[:limit], max(0, len(behind) - limit)


def mask(folder: str) -> dict[str, Any]:
    """Mask the folder's pictures; pictures that fail are in the report."""
    from anonymisation.masking.factory import load_detector
    from anonymisation.pipeline import mask_folder

    run = get_current_context()["dag_run"].run_id

    def step(workspace: Workspace, name: str) -> Any:
        return mask_folder(workspace, name, lambda: load_detector(workspace.settings), _Progress(name), run=run)

    return _step(step, folder)


def archive(folder: str) -> dict[str, Any]:
    """Copy the originals to the archive and verify the copies."""
    from anonymisation.archive import archive_folder

    return _step(archive_folder, folder)


def load(folder: str) -> dict[str, Any]:
    """Bring the records into the database."""
    from anonymisation.loading import load_folder

    return _step(load_folder, folder)


def check(folder: str) -> dict[str, Any]:
    """Look whether everything expected is there and agrees."""
    from anonymisation.integrity import check_folder

    return _step(check_folder, folder)


def release(folder: str) -> None:
    """Remove the originals that are safe, if so configured; then be red when anything of the folder failed anew.

    Raises:
        PicturesFailedError: names the pictures; every other picture of the folder went through every step.
    """
    from anonymisation.chain import failed_pictures_error
    from anonymisation.release import release_folder

    context = get_current_context()
    report = _step(release_folder, folder)
    context["ti"].xcom_push("return_value", report)
    whole = _folder_report(context, folder, report)
    failed = failed_pictures_error(whole)
    if failed is not None:
        mail_folder(context, whole)
        raise failed


def _step(step: Callable[[Workspace, str], Any], folder: str) -> dict[str, Any]:
    context = get_current_context()
    context[FOLDER_NAME] = folder  # type: ignore[typeddict-unknown-key]
    with _explained(context, folder):
        report: dict[str, Any] = step(workspace_for(context), folder).to_dict()
    counts = ", ".join(f"{name} {value}" for name, value in report.items() if isinstance(value, int) and value)
    logging.getLogger(__name__).info("%s: %s", folder, counts or "nothing to do")
    return report


@contextmanager
def _explained(context: Context, folder: str) -> Iterator[None]:
    try:
        yield
    except AnonymisationError as error:
        context["ti"].xcom_push(ERROR_KEY, {"folder": folder, "message": str(error)})
        raise
    except Exception as error:
        context["ti"].xcom_push(ERROR_KEY, {"folder": folder, "message": f"{type(error).__name__}: {error}"})
        raise


def _folder_report(context: Context, folder: str, release_report: dict[str, Any]) -> FolderReport:
    values: dict[str, Any] = {"folder": folder, "release": release_report}
    reports = context["ti"].xcom_pull(task_ids=_UPSTREAM, map_indexes=context["ti"].map_index)
    values.update(zip(STEPS, reports, strict=False))
    return FolderReport.from_dict(values)


def _findings(found: Discovery, request: RunRequest) -> dict[str, list[Any]]:
    """What the first part's summary tells besides the folders, cut to a size that an XCom holds well."""
    if request.part > 1:
        return {"idle": [], "problems": [], "broken": []}
    return {
        "idle": [report.to_dict() for report in found.idle[:MAX_FINDINGS]],
        "problems": [str(problem) for problem in found.problems][:MAX_FINDINGS],
        "broken": [str(problem) for problem in found.problems if problem.hides_pictures][:MAX_FINDINGS],
    }


def _limit() -> int:
    return min(Deployment.from_environment().max_folders, conf.getint("core", "max_map_length"))


def _tell(found: Discovery, request: RunRequest) -> None:
    log = logging.getLogger(__name__)
    date = f" of {request.capture_date}" if request.capture_date else ""
    log.info("%d capture folders%s have something left to do", len(found.folders), date)
    for folder in found.unsettled:
        log.info("%s still changes and is left for a later run", folder)
    for problem in found.problems:
        log.warning("%s", problem)


class _Progress:
    """Logs how far a folder is, and every picture that fails."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._count = 0

    def __call__(self, outcome: ImageOutcome) -> None:
        log = logging.getLogger(__name__)
        self._count += 1
        if outcome.reason is not None:
            log.warning("%s: %s: %s", outcome.picture, outcome.status, outcome.reason)
        if self._count % PROGRESS_EVERY == 0:
            log.info("%s: %d pictures so far", self._folder, self._count)
