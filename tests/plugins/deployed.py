"""A deployment for tests of the tasks: its folders, its configuration, and whole runs in this process."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from anonymisation.masking.detector import Detector
from anonymisation.masking.models.factory import load_detector
from tests.captures import CountingDetector, Site

_RUNS = itertools.count(1)


@pytest.fixture(name="site")
def deployed_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Folders as a deployment names them, and a scripted detector at the boundary to the model."""
    site = Site(tmp_path)
    for name, path in (("INPUT", site.input), ("OUTPUT", site.output), ("ARCHIVE", site.archive)):
        monkeypatch.setenv(f"ANONYMISATION_{name}", str(path))
    configure(site, monkeypatch)
    detector = CountingDetector()

    def scripted(_: Any) -> Detector:
        return detector()

    monkeypatch.setattr("anonymisation.masking.models.factory.load_detector", scripted)
    assert load_detector is not scripted
    return site


def configure(site: Site, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    config = site.root / "config.yml"
    content = {"model_type": str(site.model), "remote_json": True, "write_exif_to_db": True, **settings}
    config.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("ANONYMISATION_CONFIG", str(config))


def run(kind: str = "manual", key: str | None = None, **form: Any) -> Any:
    """One whole run."""
    from tests.plugins.plain_run import PlainRun

    plain = PlainRun(form, run_id=f"{kind}__{next(_RUNS)}", run_type=kind, partition_key=key)
    plain.go()
    return plain
