"""`anonymise certificate`: each verb says what it did and names the next command, which works as it is printed."""

from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from anonymisation.cli.certificate import _title_of
from anonymisation.cli.options import ChainOptions
from anonymisation.review.certificate.actions import issue_certificate
from anonymisation.review.certificate.store import add_judgement, known_ids, read_certificate, read_sample
from tests.captures import Site
from tests.cli.conftest import invoke


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two masked pictures, in folders whose names need quotes."""
    (tmp_path / "my night").mkdir()
    site = Site(tmp_path / "my night")
    site.fill(2)
    site.run(site.workspace())
    return site


def flags(site: Site) -> list[str]:
    return ["-i", str(site.input), "-o", str(site.output)]


def drawn(site: Site, *more: str) -> Result:
    return invoke("certificate", "draw", *flags(site), "--second", "0", *more)


def next_command(result: Result) -> list[str]:
    """The words of the command that the output ends with, without the program's name."""
    assert result.exit_code == 0, result.output
    program, *words = shlex.split(result.stdout.splitlines()[-1])
    assert program == "anonymise"
    return words


def test_each_command_leads_to_the_next_up_to_the_certificate(site: Site) -> None:
    listed = invoke("certificate", "list", *flags(site))
    assert "No sample has been drawn yet" in listed.stdout
    assert next_command(listed)[:2] == ["certificate", "draw"]
    result = drawn(site)
    assert "2 of 2 masked pictures drawn from 1 stratum" in result.stdout
    result = invoke(*next_command(result))
    for number in (1, 2):
        command = next_command(result)
        assert command[1:2] == ["judge"]
        assert command[-1] == str(number)
        result = invoke(*command)
        assert f"Picture {number}: nothing missed, nothing hidden by mistake" in result.stdout
        assert f"{number} of 2 pictures judged" in result.stdout
    result = invoke(*next_command(result))
    assert result.exit_code == 0
    assert "With 95 % confidence at most" in result.stdout
    identity = listed_id(site)
    assert "has been issued" in invoke("certificate", "show", *flags(site), identity).stdout
    file = str(site.state / "certificates" / identity / "certificate.json")
    assert "The certificate is valid." in invoke("certificate", "verify", file, *flags(site)).stdout
    config = site.root / "archiving.yml"
    config.write_text("archive_json: True\nremote_json: True\n", encoding="utf-8")
    more = ["-k", str(config), "-a", str(site.archive)]
    assert "The certificate is valid." in invoke("certificate", "verify", file, *flags(site), *more).stdout
    mistyped = site.root / "ouy"
    result = invoke("certificate", "verify", file, "-i", str(site.input), "-o", str(mistyped))
    assert result.exit_code == 2
    assert not mistyped.exists()


def listed_id(site: Site) -> str:
    (place,) = (site.state / "certificates").iterdir()
    return place.name


def test_a_selection_without_folders_is_named(site: Site) -> None:
    result = drawn(site, "--from", "2099-01-01", "--folder", "E6")
    assert result.exit_code == 1
    assert "no capture folder matches --folder E6, --from 2099-01-01" in result.stderr


def test_what_a_judgement_says_is_repeated(site: Site) -> None:
    drawn(site)
    result = invoke("certificate", "judge", *flags(site), listed_id(site), "1", "--missed", "--by", "Kari N")
    assert "Picture 1: something missed, nothing hidden by mistake. Recorded for Kari N." in result.stdout
    assert next_command(result)[-2:] == ["--by", "Kari N"]


def test_the_first_reviewer_is_not_asked_for_the_second_judgement(site: Site) -> None:
    invoke("certificate", "draw", *flags(site), "--second", "100")
    for number in "12":
        result = invoke("certificate", "judge", *flags(site), listed_id(site), number, "--by", "kari")
    assert "2 judgements of a second reviewer missing" in result.stdout
    assert "Another person has to judge them" in result.stdout
    result = invoke("certificate", "show", *flags(site), listed_id(site), "--by", "ola")
    assert next_command(result)[-3:] == ["1", "--by", "ola"]
    refused = invoke("certificate", "issue", *flags(site), listed_id(site))
    assert "not judged by a second reviewer yet" in refused.stderr
    assert "or with `anonymise certificate judge`" in refused.stderr
    assert "another person's (--by NAME)" in refused.stderr


def test_known_faults_are_not_given_away_by_the_names_of_their_files(site: Site) -> None:
    site.fill(12, first=2)
    site.run(site.workspace())
    result = drawn(site, "--seeded", "2", "--bound", "95", "--confidence", "51")
    assert "Shown among them: 2 copies with a visible object" in result.stdout, result.output
    assert "certificate show" not in result.stdout
    result = invoke("certificate", "show", *flags(site), listed_id(site))
    assert result.exit_code == 1
    assert "seeded" not in result.output
    assert "operations page" in result.stderr
    assert invoke("certificate", "judge", *flags(site), listed_id(site), "1").exit_code == 1


def test_what_does_not_follow_from_the_sample_is_not_stated(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    assert drawn(site).exit_code == 0
    (identity,) = known_ids(site.state)
    sample = read_sample(site.state, identity)
    assert sample is not None
    for number in sample.numbers:
        add_judgement(site.state, sample, number, "kari", missed=False, mistake=False)
    issue_certificate(site.workspace(), sample, by="kari")
    values = read_certificate(site.state, identity)
    wrong: tuple[Any, ...] = (None, {"missed": {}})
    for statements in wrong:
        file.write_text(json.dumps({**(values or {}), "statements": statements}))
        result = invoke("certificate", "verify", str(file))
        assert result.exit_code == 1, result.output
        assert "NOT VALID" in result.output
        assert "confidence at most" not in result.output


@pytest.mark.parametrize(
    ("flags", "title"),
    [
        ({}, "All folders"),
        ({"date_from": date(2021, 5, 1), "date_to": date(2021, 5, 31)}, "2021-05-01 to 2021-05-31"),
        ({"date_to": date(2021, 5, 31)}, "Until 2021-05-31"),
        ({"folders": ("2021/E6*", "e8"), "date_from": date(2021, 5, 1)}, "2021/E6*, e8, from 2021-05-01"),
        ({"capture_date": date(2021, 5, 1)}, "2021-05-01"),
    ],
)
def test_a_certificate_without_a_title_is_named_by_what_was_selected(flags: dict[str, Any], title: str) -> None:
    assert _title_of(ChainOptions(Path("in"), Path("out"), **flags)) == title
