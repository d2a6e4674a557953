"""Merges the logs of a DAG run's tasks into one readable log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_run_log(home: Path, dag_id: str, path: Path) -> None:
    """Write the log lines of all tasks of the DAG below the AIRFLOW_HOME `home` to `path`, in the order of time."""
    base = home / "logs" / f"dag_id={dag_id}"
    lines: list[tuple[str, str]] = []
    for log in sorted(base.rglob("attempt=*.log")):
        lines += _lines(log, base)
    path.write_text("".join(f"{text}\n" for _, text in sorted(lines, key=lambda line: line[0])), encoding="utf-8")


def _lines(log: Path, base: Path) -> list[tuple[str, str]]:
    task = " ".join(part.partition("=")[2] for part in log.relative_to(base).parent.parts[1:])
    found: list[tuple[str, str]] = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"event": line}
        if isinstance(entry, dict) and _is_relevant(entry):
            moment = str(entry.get("timestamp") or (found[-1][0] if found else ""))
            found.append((moment, f"{moment[:23]} {_level(entry):8}{task}: {_message(entry)}"))
    return found


def _is_relevant(entry: dict[str, Any]) -> bool:
    """Whether the entry is ours or reports a problem. Airflow's own routine entries are left out."""
    logger = str(entry.get("logger", ""))
    return logger.startswith("anonymisation") or (_level(entry) != "INFO" and logger != "py.warnings")


def _level(entry: dict[str, Any]) -> str:
    return str(entry.get("level", "")).upper()


def _message(entry: dict[str, Any]) -> str:
    errors = entry.get("error_detail") or []
    reasons = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in errors if isinstance(error, dict)]
    return "\n    ".join([str(entry.get("event", "")), *reasons])
