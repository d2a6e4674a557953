"""A sample of masked pictures, from the draw to the verified certificate, with real pictures and a real state."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from anonymisation import __version__
from anonymisation.masking.detections import Detections
from anonymisation.review.apply import remask_folder
from anonymisation.review.certificate.actions import CertificateError, draw_sample, draw_stage, issue_certificate
from anonymisation.review.certificate.bounds import Stratum, upper_bound
from anonymisation.review.certificate.document import digest_of, in_words
from anonymisation.review.certificate.judgements import next_number, progress
from anonymisation.review.certificate.population import read_population
from anonymisation.review.certificate.printed import printed_page
from anonymisation.review.certificate.sample import Plan, Sample
from anonymisation.review.certificate.seeded import seeded_file
from anonymisation.review.certificate.store import (
    add_judgement,
    read_certificate,
    read_judgements,
    read_sample,
)
from anonymisation.review.certificate.verify import NoCertificateError, verify_document, verify_pictures
from anonymisation.review.model import Box
from anonymisation.review.store import add_box
from anonymisation.workspace.workspace import Workspace
from tests.captures import CAR, CountingDetector, Site

FOLDERS = ("2021/day_1", "2021/day_2")
PLAN = Plan(bound=0.3, confidence=0.9, second_share=0.0)


@pytest.fixture
def night(tmp_path: Path) -> Workspace:
    """Two folders of eight and five masked pictures; the model found a car in those of the first."""
    site = Site(tmp_path)
    workspace = site.workspace()
    site.fill(8, FOLDERS[0])
    site.run(workspace)
    site.fill(5, FOLDERS[1], first=20)
    site.run(workspace, CountingDetector(Detections.empty()))
    return workspace


def drawn(workspace: Workspace, plan: Plan = PLAN) -> Sample:
    return draw_sample(workspace, FOLDERS, plan, title="Night of 1 May", by="kari")


def judge_all(workspace: Workspace, sample: Sample, by: str = "kari", **found: int) -> None:
    """Judge what is left for this reviewer; `missed` and `mistake` name the picture with each."""
    state = workspace.shares.state
    while True:
        lines = read_judgements(state, sample.id)
        number = next_number(progress(sample, lines), lines, by)
        if number is None:
            return
        said = {fault: found.get(fault) == number for fault in ("missed", "mistake")}
        add_judgement(state, sample, number, by, missed=said["missed"], mistake=said["mistake"])


def issued(workspace: Workspace, sample: Sample) -> dict[str, Any]:
    issue_certificate(workspace, sample, by="kari")
    values = read_certificate(workspace.shares.state, sample.id)
    assert values is not None
    return values


def test_a_night_is_certified_and_verified(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample, missed=1)
    values = issued(night, sample)
    assert values["pictures"] == {
        "masked": 13, "with_finds": 8, "failed": 0, "drawn": len(sample.pictures), "missed": 1, "mistake": 0,
    }  # fmt: skip
    missed, mistake = in_words(values)
    assert missed.startswith("With 90 % confidence at most ")
    assert mistake.endswith("have something hidden by mistake.")
    assert verify_document(values).is_valid
    verdict = verify_pictures(values, night)
    assert verdict.is_valid, verdict.problems


def test_program_and_version_tag_are_named_and_not_confused(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    values = issued(night, sample)
    assert values["issued"]["software"] == f"image-anonymisation {__version__}"
    page = " ".join(re.sub(r"<[^>]+>", " ", printed_page(values)).split())
    assert f"Issued with image-anonymisation {__version__}" in page
    assert f"version tag of the records {night.version_tag}" in page


def test_the_draw_is_stratified_and_can_be_repeated(night: Workspace) -> None:
    sample = drawn(night)
    assert read_sample(night.shares.state, sample.id) == sample
    assert {(stratum.folders, stratum.found, stratum.population) for stratum in sample.strata} == {
        ((FOLDERS[0],), True, 8), ((FOLDERS[1],), False, 5),
    }  # fmt: skip
    seen = Counter(one.stratum for one in sample.pictures)
    assert [seen[at] for at, _ in enumerate(sample.strata)] == [stratum.drawn for stratum in sample.strata]
    assert sorted(one.number for one in sample.pictures) == list(range(1, len(sample.pictures) + 1))
    assert all(one.sha256 for one in sample.pictures)


def test_a_further_stage_adds_pictures_and_pays_for_the_look(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    first = issued(night, sample)
    larger = draw_stage(night, sample, 3)
    assert larger.pictures[: len(sample.pictures)] == sample.pictures
    assert len(larger.pictures) >= len(sample.pictures) + 3
    judge_all(night, larger)
    second = issued(night, larger)
    assert (first["looks"], second["looks"]) == (1, 2)
    assert verify_document(second).is_valid
    assert verify_pictures(second, night).is_valid


def test_a_new_sample_of_the_same_pictures_counts_the_earlier_look(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    assert drawn(night).earlier == (f"{sample.id} stage 1",)


def test_samples_that_are_drawn_before_either_is_judged_are_two_looks(night: Workspace) -> None:
    samples = [drawn(night) for _ in range(3)]
    for sample in samples:
        judge_all(night, sample)
    looks = [issued(night, sample)["looks"] for sample in reversed(samples)]
    assert sorted(looks) == [1, 2, 3]


def test_a_further_stage_counts_what_was_judged_in_between(night: Workspace) -> None:
    first = drawn(night)
    judge_all(night, first)
    second = drawn(night)
    judge_all(night, second)
    larger = draw_stage(night, first, 2)
    judge_all(night, larger)
    looks = [issued(night, sample)["looks"] for sample in (larger, second)]
    assert looks[0] != looks[1]  # within one second, the IDs decide which came first
    assert max(looks) == 3


def test_the_bounds_of_a_stratum_pay_for_looks_and_for_what_reviewers_overlook(night: Workspace) -> None:
    first = drawn(night)
    judge_all(night, first)
    again = drawn(night)
    judge_all(night, again)
    for look, sample in enumerate((first, again), start=1):
        one = issued(night, sample)["strata"][0]
        paid = upper_bound([Stratum(one["population"], one["drawn"], 0)], 0.9, stage=look).share
        assert one["missed_at_most"] == pytest.approx(paid, abs=1e-6)


def test_nothing_is_issued_before_every_picture_is_judged(night: Workspace) -> None:
    sample = drawn(night)
    with pytest.raises(CertificateError, match=f"{len(sample.pictures)} pictures are not judged yet"):
        issue_certificate(night, sample, by="kari")


def test_the_second_reviewer_is_another_person(night: Workspace) -> None:
    sample = drawn(night, replace(PLAN, second_share=0.5))
    judge_all(night, sample)
    with pytest.raises(CertificateError, match=r": \d+ pictures? (is|are) not judged by a second reviewer yet"):
        issue_certificate(night, sample, by="kari")
    twice = next(one.number for one in sample.pictures if one.second)
    judge_all(night, sample, by="ola", missed=twice)
    values = issued(night, sample)
    assert values["pictures"]["missed"] == 1  # the stricter judgement counts
    assert values["agreement"]["twice"] == sum(one.second for one in sample.pictures)
    assert values["agreement"]["same_missed"] == values["agreement"]["twice"] - 1


def test_judgements_of_an_issued_certificate_do_not_change(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    issued(night, sample)
    with pytest.raises(ValueError, match="has been issued"):
        add_judgement(night.shares.state, sample, 1, "kari", missed=True, mistake=False)
    larger = draw_stage(night, sample, 2)
    with pytest.raises(ValueError, match="has been issued"):
        add_judgement(night.shares.state, larger, 1, "kari", missed=True, mistake=False)
    add_judgement(night.shares.state, larger, larger.numbers[-1], "kari", missed=True, mistake=False)


def test_a_picture_that_is_masked_again_ends_the_certificate(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    values = issued(night, sample)
    site = Site(night.shares.input.parent)
    site.run(site.workspace(force_remask=True, mask_dilation_pixels=9))
    verdict = verify_pictures(values, night)
    assert not verdict.is_valid
    assert f"pictures of {FOLDERS[0]}, {FOLDERS[1]} were masked again" in verdict.problems[0]


def test_what_reviewers_mark_is_hidden_and_the_certificate_stays_valid(night: Workspace) -> None:
    sample = drawn(night)
    one = sample.pictures[0]
    add_judgement(night.shares.state, sample, one.number, "kari", missed=True, mistake=False)
    add_box(night.shares.state, one.folder, one.name, Box(0.1, 0.1, 0.3, 0.3), "kari", one.version)
    assert one.name in remask_folder(night, one.folder)
    judge_all(night, sample)
    verdict = verify_pictures(issued(night, sample), night)
    assert verdict.is_valid, verdict.problems
    assert verdict.notes == ("1 picture was corrected after the draw: more is hidden now",)


def test_a_file_that_is_not_the_judged_one_is_named(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    values = issued(night, sample)
    one = sample.pictures[0]
    path = night.picture(one.folder, one.name).masked
    path.write_bytes(path.read_bytes() + b"\0")
    assert f"{one.folder}/{one.name}" in verify_pictures(values, night).problems[0]


def changed(values: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy with one value changed, and a digest that fits."""
    copy: dict[str, Any] = json.loads(json.dumps(values))
    place: Any = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return {**copy, "digest": digest_of(copy)}


def test_a_changed_certificate_is_recognised(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample, missed=1)
    values = issued(night, sample)
    assert "digest" in verify_document({**values, "title": "Another night"}).problems[0]
    for path, to in (
        (("statements", "missed", "pictures"), 0),
        (("judgements", 0, "missed"), False),
        (("sample", "strata", 0, "drawn"), 7),
    ):
        assert not verify_document(changed(values, *path, to=to)).is_valid, path
    less = changed(values, "judgements", to=values["judgements"][1:])
    assert "should not have been issued" in verify_document(less).problems[0]


@pytest.mark.parametrize("wrong", [{}, {"kind": "certificate of masked pictures"}, {"kind": 7, "format": 1}])
def test_another_file_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(NoCertificateError):
        verify_document(wrong)


def test_known_faults_are_shown_measured_and_removed(night: Workspace) -> None:
    site = Site(night.shares.input.parent)
    site.fill(30, FOLDERS[0])
    site.run(night)
    sample = drawn(night, Plan(bound=0.5, confidence=0.9, second_share=0.0, seeded=8))
    assert len(sample.seeded) == 8
    copies = [seeded_file(night.shares.state, sample.id, fault.number) for fault in sample.seeded]
    assert all(copy.stat().st_mode & 0o077 == 0 for copy in copies)
    assert sorted(sample.numbers) == list(range(1, len(sample.pictures) + 9))
    recognised, overlooked = sample.seeded[:2]
    for fault, place in ((recognised, recognised.box), (overlooked, (0.0, 0.0, 0.01, 0.01))):
        add_judgement(night.shares.state, sample, fault.number, "kari", missed=True, mistake=False, place=place)
    judge_all(night, sample)
    values = issued(night, sample)
    assert values["seeded"] == {"shown": 8, "recognised": 1}  # what is missed elsewhere in a copy is no known fault
    assert values["reviewers"][0]["known_faults"] == 8
    assert verify_document(values).is_valid
    assert values["pictures"]["missed"] == 0  # known faults belong to no stratum
    assert values["statements"]["missed"]["sensitivity"] < 0.5
    assert not any(copy.exists() for copy in copies)


def test_originals_that_are_gone_give_no_known_faults(night: Workspace) -> None:
    for path in night.shares.input.rglob("*.jpg"):
        path.unlink()
    assert drawn(night, Plan(bound=0.9, confidence=0.9, seeded=20)).seeded == ()


def test_a_bound_that_is_out_of_reach_is_refused(night: Workspace) -> None:
    with pytest.raises(CertificateError, match="out of reach with 0 tolerated faults and 2 known"):
        drawn(night, replace(PLAN, seeded=2))


def test_folders_without_masked_pictures_have_no_sample(night: Workspace) -> None:
    with pytest.raises(CertificateError, match="no masked picture"):
        draw_sample(night, ["2022/nothing"], PLAN, title="", by="kari")


def test_the_population_counts_what_failed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(2, FOLDERS[0])
    site.put("torn.jpg", b"\xff\xd8 torn", FOLDERS[0])
    workspace = site.workspace()
    site.run(workspace)
    (count,) = read_population(workspace.shares.state, [FOLDERS[0]]).folders
    assert (count.masked, count.with_finds, count.failed) == (2, 2 if len(CAR) else 0, 1)


@pytest.mark.parametrize(
    "wrong", [{"bound": 0}, {"bound": 1.5}, {"confidence": 95}, {"seeded": -1}, {"second_share": float("nan")}]
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected a number"):
        Plan(**wrong)


def test_a_sample_that_holds_every_picture_has_no_further_stage(night: Workspace) -> None:
    sample = drawn(night, replace(PLAN, bound=0.01))
    with pytest.raises(CertificateError, match="all 13 masked pictures are in the sample already"):
        draw_stage(night, sample, 5)


def test_a_forged_certificate_is_not_the_one_that_was_issued(night: Workspace) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    values = issued(night, sample)
    forged = changed(values, "issued", "classes", to=["person"])
    assert verify_document(forged).is_valid  # in itself
    assert verify_pictures(forged, night).problems == ("it is not the certificate that was issued under this ID",)
    (night.shares.state / "certificates" / sample.id / "certificate.json").unlink()
    verdict = verify_pictures(values, night)
    assert verdict.is_valid
    assert "the state folder does not hold this certificate" in verdict.notes[0]


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("stages",), 10**30),
        (("pictures", 0, "folder"), "../../elsewhere"),
        (("pictures", 0, "name"), "\0"),
        (("pictures", 0, "stratum"), 10**30),
        (("strata",), []),
        (("id",), "../../elsewhere"),
    ],
)
def test_values_that_cannot_be_are_a_problem_and_no_crash(night: Workspace, path: tuple[Any, ...], to: object) -> None:
    sample = drawn(night)
    judge_all(night, sample)
    forged = changed(issued(night, sample), "sample", *path, to=to)
    assert not verify_document(forged).with_more(verify_pictures(forged, night)).is_valid


def test_a_corrected_picture_whose_file_was_replaced_is_named(night: Workspace) -> None:
    sample = drawn(night)
    one = sample.pictures[0]
    add_judgement(night.shares.state, sample, one.number, "kari", missed=True, mistake=False)
    add_box(night.shares.state, one.folder, one.name, Box(0.1, 0.1, 0.3, 0.3), "kari", one.version)
    remask_folder(night, one.folder)
    judge_all(night, sample)
    values = issued(night, sample)
    paths = night.picture(one.folder, one.name)
    paths.masked.write_bytes(paths.original.read_bytes())
    assert f"{one.folder}/{one.name}" in verify_pictures(values, night).problems[0]
