from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from anonymisation.cli import models as command
from anonymisation.cli.models import models_group
from anonymisation.core.errors import ModelUnavailableError
from anonymisation.masking.models.zoo import ZOO, ZooModel
from tests.masking.model_server import Site, serving, tar_gz

ARCHIVE = tar_gz({"tiny/saved_model/saved_model.pb": b"graph" * 1000})
TINY = ZooModel("Tiny", "tiny.tar.gz", len(ARCHIVE), hashlib.sha256(ARCHIVE).hexdigest(), "for tests")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(f"model_dir: '{tmp_path / 'models'}'\nmodel_type: Fast\n")
    return path


def test_list_shows_every_model_with_its_state_and_the_whole_path_of_installed_ones(
    config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / ZOO["Medium"].archive_name / "saved_model"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(bytes(2_000_000))
    result = CliRunner().invoke(models_group, ["list", "-k", str(config)])
    assert result.exit_code == 0, result.output
    lines = {name: next(line for line in result.output.splitlines() if f" {name} " in line) for name in ZOO}
    assert "installed, 2.0 MB" in lines["Medium"]
    assert f"\nMedium: {folder}\n" in result.output
    assert "177.8 MB to fetch" in lines["Fast"]
    assert f"\nFetched models go to: {tmp_path / 'models'}\n" in result.output
    table = result.output.split("\nBuilt-in: ")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_pull_without_names_takes_the_configured_model(config: Path, tmp_path: Path) -> None:
    """The server's file has another size than the zoo's, which is as far as a test without the network goes."""
    with serving(Site({f"/{ZOO['Fast'].path}": ARCHIVE})) as site:
        result = CliRunner().invoke(models_group, ["pull", "-k", str(config), "--base-url", site.base_url])
        assert [path for path, _ in site.requests] == [f"/{ZOO['Fast'].path}"]
    assert isinstance(result.exception, ModelUnavailableError)
    assert "another file than expected" in str(result.exception)


def test_pull_fetches_and_says_where(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ZOO", {"Fast": TINY})
    with serving(Site({"/tiny.tar.gz": ARCHIVE})) as site:
        arguments = ["pull", "fast", "-k", str(config), "--base-url", site.base_url]
        first, again = (CliRunner().invoke(models_group, arguments) for _ in range(2))
        assert len(site.requests) == 1
    folder = tmp_path / "models" / "tiny" / "saved_model"
    assert f"Tiny is installed: {folder}" in first.stdout
    assert f"Tiny is installed already: {folder}" in again.stdout


def test_the_built_in_model_needs_no_pull_and_unknown_names_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(models_group, ["pull"])
    assert result.exit_code == 0
    assert "Built-in needs no download; name one of: Slow, Medium, Fast, Slow-TF2" in result.output
    assert CliRunner().invoke(models_group, ["pull", "Slowest"]).exit_code == 2
