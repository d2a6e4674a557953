"""`anonymise certificate`: draw a random sample of masked pictures, and issue and verify its certificate."""

from __future__ import annotations

import getpass
from pathlib import Path
from shlex import join
from typing import Any, Final

import click
from rich.table import Table

from anonymisation.cli.folders import require_results, selected_folders
from anonymisation.cli.options import ChainOptions, chain_options, config_option
from anonymisation.cli.session import Session, open_session, output_console
from anonymisation.cli.tables import print_table
from anonymisation.core.text import counted, one_line
from anonymisation.files.plain import read_plain
from anonymisation.files.reported import reported
from anonymisation.review.certificate.actions import CertificateError, draw_sample, draw_stage, issue_certificate
from anonymisation.review.certificate.bounds import at_most
from anonymisation.review.certificate.document import in_words
from anonymisation.review.certificate.judgements import next_number, progress
from anonymisation.review.certificate.sample import Plan, Sample
from anonymisation.review.certificate.seeded import shown_file
from anonymisation.review.certificate.store import (
    CERTIFICATE,
    add_judgement,
    parse_certificate,
    read_certificate,
    read_judgements,
    read_sample,
    read_samples,
)
from anonymisation.review.certificate.verify import verify_document, verify_pictures
from anonymisation.workspace.workspace import open_workspace

_DEFAULT: Final = Plan()
_PAGE: Final = "the operations page (Certificates)"
_FOLDER: Final = click.Path(path_type=Path, file_okay=False)
_by_option = click.option("--by", default=getpass.getuser, show_default="your user name", help="Who does it.")
_id_argument = click.argument("identity", metavar="ID")


@click.group("certificate")
def certificate_group() -> None:
    """Certify what share of the masked pictures has something missed, from a random sample that people review.

    \b
    Examples:
      anonymise certificate draw -i in/ -o out/ --from 2021-05-01 --to 2021-05-31 --bound 1
      anonymise certificate issue -i in/ -o out/ ID
    """


@certificate_group.command("draw", short_help="Draw a random sample of masked pictures.")
@click.option(
    "--bound",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    default=100 * _DEFAULT.bound,
    show_default=True,
    help="Bound to reach, in percent of the pictures.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(50, 100, min_open=True, max_open=True),
    show_default=True,
    default=100 * _DEFAULT.confidence,
    help="Confidence of the bound, in percent.",
)
@click.option(
    "--tolerated",
    type=click.IntRange(0, 1000),
    default=_DEFAULT.tolerated,
    show_default=True,
    help="Faulty pictures in the sample with which the bound is still reached; more need a larger sample.",
)
@click.option(
    "--second",
    type=click.FloatRange(0, 100),
    default=100 * _DEFAULT.second_share,
    show_default=True,
    help="Percent of the sample that a second reviewer judges, too.",
)
@click.option(
    "--seeded",
    type=click.IntRange(0, 1000),
    default=_DEFAULT.seeded,
    show_default=True,
    help="Copies with a visible object to show among the sample; they measure the reviewers.",
)
@click.option("--title", default="", help="Title of the certificate, such as the name of the night.")
@_by_option
@chain_options
def draw_command(
    options: ChainOptions, bound: float, confidence: float, tolerated: int, second: float, seeded: int, title: str,
    by: str,
) -> None:  # fmt: skip
    """Draw a random sample of the masked pictures of the selected folders.

    \b
    Example:
      anonymise certificate draw -i in/ -o out/ --folder '2021/E6*' --bound 2
    """
    session = open_session(options)
    require_results(session.workspace)
    plan = Plan(bound / 100, confidence / 100, tolerated, second / 100, seeded)
    names = selected_folders(session)
    sample = draw_sample(session.workspace, names, plan, title=title or _title_of(options), by=by)
    _print_sample(session, sample)


@certificate_group.command("more", short_help="Draw a further stage of a sample.")
@_id_argument
@click.option("--pictures", type=click.IntRange(1), required=True, help="How many more pictures to draw.")
@chain_options
def more_command(options: ChainOptions, identity: str, pictures: int) -> None:
    """Draw a further stage of a sample, if its result is not good enough. Each look at a result costs confidence.

    \b
    Example:
      anonymise certificate more -i in/ -o out/ 2021-05-02-1a2b3c4d --pictures 200
    """
    session = open_session(options)
    _print_sample(session, draw_stage(session.workspace, _sample(session, identity), pictures))


@certificate_group.command("list", short_help="List all samples, and what their certificates say.")
@chain_options
def list_command(options: ChainOptions) -> None:
    """List all samples, and what their certificates say.

    \b
    Example:
      anonymise certificate list -i in/ -o out/
    """
    session = open_session(options)
    require_results(session.workspace)
    state_root = session.workspace.shares.state
    table = Table("ID", "Title", "Pictures", "Judged", "Missed", "By mistake")
    samples = list(read_samples(state_root))
    if not samples:
        session.out.print("No sample has been drawn yet. To draw one of all masked pictures:")
        _print_command(session, "draw")
        return
    for sample in samples:
        left = progress(sample, read_judgements(state_root, sample.id))
        values = read_certificate(state_root, sample.id)
        judged = f"{left.shown - len(left.without_judgement)} of {left.shown}"
        table.add_row(sample.id, one_line(sample.title), str(sample.population), judged, *_bounds(values))
    print_table(session.out, table)


@certificate_group.command("issue", short_help="Issue the certificate of a sample that is judged.")
@_id_argument
@_by_option
@chain_options
def issue_command(options: ChainOptions, identity: str, by: str) -> None:
    """Issue the certificate of a sample whose pictures are all judged: a page for print, and the JSON file.

    \b
    Example:
      anonymise certificate issue -i in/ -o out/ 2021-05-02-1a2b3c4d
    """
    session = open_session(options)
    page = issue_certificate(session.workspace, _sample(session, identity), by=by)
    values = read_certificate(session.workspace.shares.state, identity) or {}
    for sentence in in_words(values):
        session.out.print(sentence)
    session.out.print(f"Page for print: {page}")
    session.out.print(f"File to verify: {page.with_name(CERTIFICATE)}")


@certificate_group.command("show", short_help="List the pictures that you still have to judge.")
@_id_argument
@_by_option
@chain_options
def show_command(options: ChainOptions, identity: str, by: str) -> None:
    """List the pictures of a sample that you still have to judge: number and file.

    A sample with known faults is judged on the operations page alone: the names of their files would give them away.

    \b
    Example:
      anonymise certificate show -i in/ -o out/ 2021-05-02-1a2b3c4d
    """
    session = open_session(options)
    sample = _sample(session, identity)
    _require_without_known_faults(sample)
    lines = read_judgements(session.workspace.shares.state, sample.id)
    left = progress(sample, lines)
    mine = [number for number in left.without_second if by not in lines.of(number)]
    numbers = sorted((*left.without_judgement, *mine))
    if numbers:
        table = Table("Number", "Picture")
        for number in numbers:
            table.add_row(str(number), one_line(str(shown_file(session.workspace, sample, number))))
        print_table(session.out, table)
    _print_what_is_left(session, sample, by)


@certificate_group.command("judge", short_help="Judge one picture of a sample.")
@_id_argument
@click.argument("number", type=click.IntRange(1))
@click.option("--missed", is_flag=True, help="A person or vehicle in it is not hidden.")
@click.option("--mistake", is_flag=True, help="Something else in it is hidden.")
@_by_option
@chain_options
def judge_command(options: ChainOptions, identity: str, number: int, by: str, *, missed: bool, mistake: bool) -> None:
    """Judge one picture of a sample. Without flags: nothing missed, nothing hidden by mistake.

    The review of the operations page is quicker, and hides what is missed at once.

    \b
    Example:
      anonymise certificate judge -i in/ -o out/ 2021-05-02-1a2b3c4d 17 --missed
    """
    session = open_session(options)
    sample = _sample(session, identity)
    _require_without_known_faults(sample)
    try:
        add_judgement(session.workspace.shares.state, sample, number, by, missed=missed, mistake=mistake)
    except ValueError as error:
        raise CertificateError(str(error)) from None
    said = f"{'something' if missed else 'nothing'} missed, {'something' if mistake else 'nothing'} hidden by mistake"
    session.out.print(f"Picture {number}: {said}. Recorded for {by}.")
    _print_what_is_left(session, sample, by)


@certificate_group.command("verify", short_help="Compute a certificate again, and compare it.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-i", "--input-folder", type=_FOLDER, help="Folder of the originals.")
@click.option("-o", "--output-folder", type=_FOLDER, help="Folder of the masked pictures.")
@click.option("-a", "--archive-folder", type=_FOLDER, help="Folder of the archived originals, if settings need it.")
@click.option("--state", "--state-dir", "state", type=_FOLDER, help="State folder (state_dir).")
@config_option
def verify_command(
    file: Path,
    input_folder: Path | None,
    output_folder: Path | None,
    archive_folder: Path | None,
    state: Path | None,
    config_file: Path | None,
) -> None:
    """Compute a certificate again from its sample, and with -i and -o compare it with the pictures as they are now.

    Ends with exit code 1 if the certificate does not hold.

    \b
    Example:
      anonymise certificate verify certificate.json -i in/ -o out/
    """
    if (input_folder is None) != (output_folder is None):
        raise click.UsageError("give both -i and -o, or neither")
    if not file.is_file():
        raise click.BadParameter(f"{file} does not exist or is not a file", param_hint="FILE")
    with reported(file, "read"):
        values = parse_certificate(read_plain(file), file)
    verdict, out = verify_document(values), output_console()
    sentences = in_words(values) if verdict.is_valid else []  # nobody is to read what does not follow from the sample
    if input_folder is not None and output_folder is not None:
        workspace = open_workspace(
            input_dir=input_folder,
            output_dir=output_folder,
            archive_dir=archive_folder,
            config=config_file,
            overrides={} if state is None else {"state_dir": str(state)},
        )
        require_results(workspace)
        verdict = verdict.with_more(verify_pictures(values, workspace))
    else:
        out.print("Verified in itself alone; give -i and -o to compare it with the pictures.")
    for sentence in (*sentences, *(f"Note: {note}" for note in verdict.notes)):
        out.print(sentence)
    for problem in verdict.problems:
        out.print(f"NOT VALID: {problem}", style="red")
    if verdict.is_valid:
        out.print("The certificate is valid.", style="green")
    click.get_current_context().exit(0 if verdict.is_valid else 1)


def _require_without_known_faults(sample: Sample) -> None:
    if sample.seeded:
        raise CertificateError(f"{sample.id} shows known faults, which file names would give away; judge it on {_PAGE}")


def _title_of(options: ChainOptions) -> str:
    """What the flags select, as the title of a certificate."""
    first, last = options.date_from, options.date_to
    period = f"{first} to {last}" if first and last else f"from {first}" if first else f"until {last}" if last else ""
    words = [", ".join(options.folders), str(options.capture_date or ""), period]
    title = ", ".join(filter(None, words))
    return f"{title[:1].upper()}{title[1:]}" if title and not options.folders else title or "All folders"


def _bounds(values: dict[str, Any] | None) -> tuple[str, str]:
    if values is None:
        return "not issued", ""
    missed, mistake = (values["statements"][fault]["share"] for fault in ("missed", "mistake"))
    return f"at most {at_most(missed)} %", f"at most {at_most(mistake)} %"


def _sample(session: Session, identity: str) -> Sample:
    try:
        sample = read_sample(session.workspace.shares.state, identity)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="ID") from None
    if sample is None:
        raise click.BadParameter(
            f"there is no sample {identity}; `anonymise certificate list` shows them", param_hint="ID"
        )
    return sample


def _print_sample(session: Session, sample: Sample) -> None:
    out, drawn = session.out, f"{len(sample.pictures)} of {counted(sample.population, 'masked picture')}"
    out.print(f"{sample.id}: {drawn} drawn from {counted(len(sample.strata), 'stratum', 'strata')}")
    copies = "copy with a visible object", "copies with a visible object"
    if sample.seeded:
        out.print(f"Shown among them: {counted(len(sample.seeded), *copies)}; only this line says so")
    if len(sample.seeded) < sample.plan.seeded:
        missing = counted(sample.plan.seeded - len(sample.seeded), *copies)
        session.err.print(f"No original at hand for {missing}", style="yellow")
    if sample.earlier:
        session.err.print(f"Earlier looks at these pictures: {', '.join(sample.earlier)}", style="yellow")
    if sample.seeded:
        out.print(f"Judge it on {_PAGE}: the names of files would give the copies away.")
    else:
        out.print(f"Judge it on {_PAGE}, or on the command line:")
        _print_command(session, "show", sample.id)


def _print_what_is_left(session: Session, sample: Sample, by: str) -> None:
    """How far the review of a sample is, and the command that comes next."""
    out, state_root = session.out, session.workspace.shares.state
    lines = read_judgements(state_root, sample.id)
    left = progress(sample, lines)
    seconds = len(left.without_second)
    also = f", {counted(seconds, 'judgement')} of a second reviewer missing" if seconds else ""
    out.print(f"{left.shown - len(left.without_judgement)} of {counted(left.shown, 'picture')} judged{also}.")
    if left.is_complete:
        certificate = read_certificate(state_root, sample.id)
        if certificate is not None and certificate.get("stages") == sample.stages:
            out.print("Its certificate has been issued.")
        else:
            out.print("All are judged. To issue the certificate:")
            _print_command(session, "issue", sample.id)
    elif (number := next_number(left, lines, by)) is not None:
        out.print(f"To judge picture {number}, where nothing is missed, and nothing hidden by mistake:")
        whose = () if by == getpass.getuser() else ("--by", by)
        _print_command(session, "judge", sample.id, str(number), *whose)
    else:
        out.print("Only pictures for a second reviewer are left. Another person has to judge them (--by).")


def _print_command(session: Session, verb: str, *words: str) -> None:
    session.out.print(f"  anonymise certificate {verb} {session.places} {join(words)}".rstrip())
