"""The pages of environment variables, exit codes and metrics, from the docstrings that describe them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from anonymisation.core import errors
from anonymisation.database.airflow_connections import CONN_ID_VARIABLE
from anonymisation.database.connections import FOLDER_VARIABLE, PASSWORD_VARIABLE, WALLET_PASSWORD_VARIABLE
from anonymisation.database.keys import KEY_VARIABLE
from scripts.docs_site.markdown import code, page, table
from scripts.docs_site.paths import ROOT

_DEFAULT = re.compile(r"\s*\(default: (.*?)\)(?=$)")
_COMPOSE = re.compile(r"([A-Z_]+)=(.*)")

COMMAND_LINE = {
    KEY_VARIABLE: """Key that encrypts and decrypts the passwords of stored connections. `anonymise db make-key` prints
        a new one. Without it, the key in the operating system's keyring is used.""",
    PASSWORD_VARIABLE: """Password of the database, for an address that has none, and for `anonymise db configure`.
        Passwords never go on the command line, where every user of the machine sees them.""",
    WALLET_PASSWORD_VARIABLE: "Password of Oracle's wallet.",
    "TNS_ADMIN": "Folder of Oracle's `tnsnames.ora`, where nothing else names one.",
    FOLDER_VARIABLE: "Folder of stored connections, as `--connections-dir`.",
    "ANONYMISATION_DB_TABLES_DIR": "Folder of table layouts of your own, where `db_tables_dir` names none.",
    "AIRFLOW__SECRETS__BACKEND_KWARGS": """Where its `connections_file_path` names a file, as in the containers,
        `anonymise` uses the database of Airflow's Connection in that file, as the tasks do.""",
    CONN_ID_VARIABLE: "Name of that Connection (default: `anonymisation_db`).",
}
MAKE = {
    "INPUT, OUTPUT, ARCHIVE": "Folders for `make run` and `make serve`; without `INPUT`, sample captures are drawn.",
    "CONFIG": "Configuration file; default: `config/full_chain.yml`.",
    "PORT, SCHEDULE, TIMEZONE": "Port of the UI, cron expression and time zone of the nights, for `make serve`.",
    "PYTHON": "The Python for `.venv`, if the first that is found is not the right one.",
}


def environment_variables() -> str:
    """The page: the command line, a deployment of Airflow, the Compose file, make."""
    return page(
        "Environment variables",
        "A variable that is set and empty counts as not set.",
        "## Command line",
        table(("variable", "meaning"), [(code(name), text) for name, text in COMMAND_LINE.items()]),
        "## Airflow",
        "The DAG `anonymise_captures`, its tasks and the operations page read these variables. The API server, the "
        "scheduler and all workers need the same values.",
        table(("variable", "meaning", "default"), _deployment()),
        "## Docker Compose",
        "`docker/.env.example` explains each of these. Copy it to `docker/.env` and fill it in, see "
        "[Docker Compose](../operate/compose.md).",
        table(("variable", "value in the example"), _compose()),
        "## make",
        table(("variable", "meaning"), [(code(name), text) for name, text in MAKE.items()]),
    )


def _deployment() -> Iterator[tuple[str, str, str]]:
    source = (ROOT / "plugins/anonymisation_airflow/deployment.py").read_text(encoding="utf-8")
    paragraphs = source.split('"""')[1].split("\n\n")
    described = "\n".join(text.strip() for text in paragraphs if text.strip().startswith("ANONYMISATION_"))
    for entry in re.split(r"\n(?=ANONYMISATION_)", described):
        name, _, text = " ".join(entry.split()).partition(" ")
        default = _DEFAULT.search(text)
        yield code(name), _DEFAULT.sub("", text), "" if default is None else default[1]


def _compose() -> Iterator[tuple[str, str]]:
    for line in (ROOT / "docker/.env.example").read_text(encoding="utf-8").splitlines():
        if found := _COMPOSE.fullmatch(line):
            yield code(found[1]), code(found[2]) if found[2] else "empty"


_CODES = (
    ("0", "All done.", "Nothing."),
    (
        "1",
        "Something failed: a picture, a row, a check. Everything else is done.",
        "Read the summary: it names each failure with its reason. The next run tries again what can succeed.",
    ),
    ("2", "Usage or configuration. Nothing was touched.", "The message lists every mistake."),
    (
        "3",
        "The environment prevents the work: share, disk, model or database not available, or the folder in use.",
        "Mend what the message names, and run again.",
    ),
    ("130", "Interrupted with Ctrl-C. What was finished is kept.", "Run again; the rest is done then."),
)
_SPECIAL = """\
A run in which folders failed for several reasons ends with 3 only if all of them failed for a reason of code 3.
`anonymise db status` ends with 1 if there is no table, 2 if the login is refused and 3 if the database is away."""
_TREE = """\
Each class of error in `anonymisation.core.errors` has one code. An error without a number has that of the class above
it."""


def exit_codes() -> str:
    """The page: what each code means, and the tree of errors."""
    tree = (errors.__doc__ or "").split("\n\n")[1]
    return page(
        "Exit codes",
        "Every verb of `anonymise` ends with one of these codes.",
        table(("code", "meaning", "what to do"), _CODES),
        _SPECIAL,
        "## Errors",
        _TREE,
        f"```text\n{tree}\n```",
    )


_METRICS = """\
Airflow sends these metrics to StatsD or OpenTelemetry, as its section `[metrics]` says, next to its own. It puts its
`statsd_prefix` (`airflow`) in front of each name. `docker/monitoring` shows them in Grafana, with alerts: see
[Watching it](../operate/alarms.md)."""


def metrics() -> str:
    """The page: every metric that the tasks send."""
    source = (ROOT / "plugins/anonymisation_airflow/metrics.py").read_text(encoding="utf-8")
    rows = [line for line in source.split('"""')[1].splitlines() if line.startswith("|")]
    return page("Metrics", _METRICS, "\n".join(rows))
