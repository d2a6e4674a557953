"""Mail as HTML: the same facts as the text, with every value escaped and on one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from anonymisation.core.text import duration, encodable, hide_credentials, one_line
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import Failure
from anonymisation.reporting.summary import (
    collisions,
    describe_objects,
    describe_suspicion,
    known_failures,
    unlisted,
    verdict,
)

if TYPE_CHECKING:
    from anonymisation.reporting.mail_context import MailContext
    from anonymisation.reporting.mail_pictures import Thumbnail

MAX_FOLDERS: Final = 60  # rows of the table; mail programs cut long messages
MAX_ITEMS: Final = 50  # items of a list

GREEN, AMBER, RED, BLUE, PLAIN = "#1d7044", "#8a5a00", "#b3261e", "#1f5fa8", "#1d2530"
# Each column of the table: heading, step, and the counts of the step's report to add up.
_COLUMNS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Found": ("mask", ("found",)),
    "Masked": ("mask", ("masked",)),
    "Done before": ("mask", ("already_done",)),
    "Failed": ("", ("failed_pictures",)),  # of the folder's report: all steps together
    "Archived": ("archive", ("archived",)),
    "Rows": ("load", ("inserted", "updated")),
}


def finished_html(report: RunReport, context: MailContext, shown: Sequence[tuple[str, Thumbnail]]) -> str:
    """The summary of a run; `shown` are the thumbnails with the content ids of their attachments."""
    known = sum(folder.known_failed for folder in report.folders)
    ordered = sorted(report.folders, key=lambda folder: folder.succeeded)
    return _render(
        "finished.html.j2",
        context,
        title=verdict(report),
        colour=RED if not report.succeeded else AMBER if known or report.suspicious or report.unread else GREEN,
        tiles=_tiles(report),
        hidden=describe_objects(report),
        suspicion=describe_suspicion(report),
        warning=AMBER,
        broken=list(report.broken),
        **_cut("stopped", [Failure(folder.folder, folder.error) for folder in report.folders if folder.error]),
        **_cut("failures", [f for folder in report.folders for f in folder.failures], unlisted(report.folders)),
        columns=list(_COLUMNS),
        folders=[_row(folder) for folder in ordered[:MAX_FOLDERS]],
        folders_more=max(0, len(ordered) - MAX_FOLDERS),
        thumbnails=[
            {"cid": cid, "picture": item.picture, "objects": item.objects, "width": item.width, "height": item.height}
            for cid, item in shown
        ],
        **_cut("known", known_failures(report.folders)),
        **_cut("collisions", *collisions(report.folders)),
        **_cut("problems", (problem for problem in report.problems if problem not in report.broken)),
        unread_title=report.unread.title,
        **_cut("unread", report.unread.lines(), report.unread.more),
    )


def folder_html(report: FolderReport, context: MailContext) -> str:
    """The failures of one folder."""
    return _render(
        "folder.html.j2",
        context,
        title="Something failed in one folder",
        colour=RED,
        folder=report.folder,
        stopped=[report.error] if report.error else [],
        **_cut("failures", report.failures, unlisted([report])),
    )


def note_html(title: str, paragraphs: Sequence[str], context: MailContext, code: str = "") -> str:
    """A few sentences, and `code`, such as a traceback, with its line breaks."""
    return _render("note.html.j2", context, title=title, colour=RED, paragraphs=paragraphs, code=_Block(code))


class _Block(str):
    """Text that keeps its line breaks."""

    __slots__ = ()


def _tiles(report: RunReport) -> list[tuple[str, str, str]]:
    failed = report.failed_pictures
    return [
        (str(len(report.folders)), "folders", PLAIN),
        (str(report.total("mask", "masked")), "masked", BLUE),
        (str(report.total("mask", "already_done")), "done before", PLAIN),
        (str(failed), "failed", RED if failed else PLAIN),
        (str(report.total("load", "inserted") + report.total("load", "updated")), "rows", PLAIN),
        (duration(report.seconds), "time spent", PLAIN),
    ]


def _row(folder: FolderReport) -> dict[str, Any]:
    cells = [_cell(getattr(folder, step) if step else folder, counts) for step, counts in _COLUMNS.values()]
    return {"name": folder.folder, "good": folder.succeeded, "counts": cells}


def _cell(report: object | None, counts: Iterable[str]) -> str:
    """The sum of the counts; a dash if the step did not run."""
    return "–" if report is None else str(sum(getattr(report, count) for count in counts))


def _cut(name: str, items: Iterable[Any], more: int = 0) -> dict[str, Any]:
    listed = list(items)
    return {name: listed[:MAX_ITEMS], f"{name}_more": more + max(0, len(listed) - MAX_ITEMS)}


def _render(template: str, context: MailContext, **values: Any) -> str:
    def clean(value: Any) -> Any:
        """Make a value safe to show, before it is escaped."""
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        text = value if isinstance(value, _Block) else one_line(value)
        return encodable(hide_credentials(text, context.secrets))

    environment = Environment(
        loader=PackageLoader("anonymisation.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(context=context, **values)
