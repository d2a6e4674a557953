"""A site with real pictures, a real (tiny) model, and the command line to run on it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import pytest
import yaml
from click.testing import CliRunner, Result

from anonymisation.cli import cli
from anonymisation.database.keys import make_key
from tests.captures import Site


@pytest.fixture(scope="session")
def car_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that finds the same car in every picture."""
    from tests.masking.scripted_models import save_one_car

    return save_one_car(tmp_path_factory.mktemp("models") / "cars")


def as_in_a_terminal() -> None:
    """For `preexec_fn`: Ctrl-C interrupts, also where the tests themselves run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Program:
    """The command line on one site."""

    site: Site
    config: Path

    def configure(self, **settings: Any) -> None:
        """Change the configuration file of the site."""
        known = yaml.safe_load(self.config.read_text()) if self.config.exists() else {}
        self.config.write_text(yaml.safe_dump({**known, **settings}, allow_unicode=True))

    def flags(self, *, archive: bool = False) -> list[str]:
        """Folders and configuration."""
        flags = ["-i", str(self.site.input), "-o", str(self.site.output), "-k", str(self.config)]
        return [*flags, "-a", str(self.site.archive)] if archive else flags

    def __call__(self, verb: str, *more: str, archive: bool = False) -> Result:
        """Run a verb of the chain on the site."""
        return invoke(verb, *self.flags(archive=archive), *more)


def invoke(*arguments: str) -> Result:
    """Run the command line in this process; an exception that escapes it is the test's failure."""
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


@pytest.fixture
def program(tmp_path: Path, car_model: Path) -> Program:
    """A site whose configuration names the tiny model; shares are waited for briefly."""
    program = Program(Site(tmp_path), tmp_path / "config.yml")
    program.configure(model_type=str(car_model), tiles=False)
    program.configure(file_access_retry_seconds=0.05, file_access_timeout_seconds=0.2)
    return program


@pytest.fixture
def run_verb() -> Callable[..., Result]:
    """Any verb, without a site."""
    return invoke


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A person with a key and connections of their own, and no keyring; returns the folder of the connections."""
    monkeypatch.setenv("ORACLE_KEY", make_key())
    monkeypatch.setenv("ANONYMISATION_CONNECTIONS_DIR", str(tmp_path / "connections"))
    monkeypatch.delenv("ANONYMISATION_DB_PASSWORD", raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    yield tmp_path / "connections"
    keyring.set_keyring(before)


@pytest.fixture
def database(person: Path, tmp_path: Path) -> Path:
    """A file, stored as the connection `local` with the table PICTURES."""
    path = tmp_path / "pictures.gpkg"
    assert invoke("db", "configure", "--dsn", f"sqlite:///{path}", "--table-name", "PICTURES", "--name", "local")
    return path
