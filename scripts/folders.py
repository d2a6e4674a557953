"""Chooses the folders of `make run` and `make serve`: the user's own, or new sample captures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anonymisation.workspace.workspace import Workspace, open_workspace
from scripts.airflow_stack import ROOT
from scripts.sample_captures import write_samples

RUN_FOLDER: Final = ROOT / ".run"
DEFAULT_CONFIG: Final = ROOT / "config" / "full_chain.yml"


class UsageError(Exception):
    """The variables given to make cannot be used."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders and the configuration of one Airflow. `sample` marks sample captures as input."""

    input: Path
    output: Path
    archive: Path
    state: Path | None
    config: Path
    sample: bool

    def environment(self) -> dict[str, str]:
        """Return the environment variables that the DAG and its tasks read."""
        paths = {"INPUT": self.input, "OUTPUT": self.output, "ARCHIVE": self.archive, "CONFIG": self.config}
        if self.state is not None:
            paths["STATE"] = self.state
        return {f"ANONYMISATION_{name}": str(path) for name, path in paths.items()}

    def workspace(self) -> Workspace:
        """Open the workspace in the same way as the tasks; a ConfigurationError lists every problem."""
        return open_workspace(
            input_dir=self.input,
            output_dir=self.output,
            archive_dir=self.archive,
            config=self.config,
            overrides={} if self.state is None else {"state_dir": str(self.state)},
        )


def choose_folders(place: Path, given: Mapping[str, str] | None = None) -> Folders:
    """Return the folders given to make as INPUT, OUTPUT, ARCHIVE and CONFIG.

    Without INPUT, the input is sample captures below `place`, which are made if they are missing.

    Raises:
        UsageError: INPUT is not a folder, or OUTPUT or ARCHIVE is given without INPUT.
    """
    given = os.environ if given is None else given
    config = _path(given, "CONFIG") or DEFAULT_CONFIG
    source = _path(given, "INPUT")
    if source is None:
        if alone := [name for name in ("OUTPUT", "ARCHIVE") if given.get(name)]:
            raise UsageError(f"{alone[0]} is given without INPUT: name the folder with your pictures, INPUT=…")
        samples = Folders(place / "captures", place / "masked", place / "archive", place / "state", config, sample=True)
        if not samples.input.is_dir():
            write_samples(samples.input)
        return samples
    if not source.is_dir():
        raise UsageError(f"INPUT={source} is not a folder that can be read")
    output = _path(given, "OUTPUT") or source.with_name(f"{source.name}_masked")
    archive = _path(given, "ARCHIVE") or source.with_name(f"{source.name}_archive")
    return Folders(source, output, archive, None, config, sample=False)


def _path(given: Mapping[str, str], name: str) -> Path | None:
    value = given.get(name)
    return Path(value).expanduser().absolute() if value else None
