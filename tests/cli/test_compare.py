"""`anonymise compare` ends with the command that prints the result, as it can be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

from anonymisation.masking.detections import Detections
from anonymisation.review.comparison.shadow import Contender, compare
from anonymisation.review.comparison.store import add_saying
from tests.captures import CAR, FOLDER, CountingDetector, Site
from tests.cli.conftest import invoke
from tests.doubles import ScriptedDetector


def test_the_command_that_prints_the_result_is_named_until_everything_is_judged(tmp_path: Path) -> None:
    (tmp_path / "my night").mkdir()
    site = Site(tmp_path / "my night")
    site.fill(1)
    workspace = site.workspace()
    site.run(workspace, CountingDetector())
    sides = tuple(
        Contender(name, workspace.settings, {}, ScriptedDetector(found, name))
        for name, found in (("A", CAR), ("B", Detections.empty()))
    )
    study = compare(workspace, [FOLDER], (sides[0], sides[1]), 1, title="", by="kari")
    flags = ["-i", str(site.input), "-o", str(site.output)]
    first = invoke("compare", *flags, "--result", study.id)
    assert "0 of 1 region on 1 picture judged" in first.stdout
    program, *command = shlex.split(first.stdout.splitlines()[-1])
    assert (program, command) == ("anonymise", ["compare", *flags, "--result", study.id])
    add_saying(site.state, study, 1, "kari", is_object=True)
    second = invoke(*command)
    assert "B misses something that A hides in 1 of 1 pictures" in second.stdout
    assert "--result" not in second.stdout
