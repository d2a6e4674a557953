"""What people corrected, as COCO annotations that other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from anonymisation.review.apply import remask_folder
from anonymisation.review.certificate.actions import draw_sample
from anonymisation.review.certificate.sample import Plan, Sample
from anonymisation.review.certificate.store import add_judgement
from anonymisation.review.export import MARKED, coco_annotations
from anonymisation.review.model import Box
from anonymisation.review.rows import read_rows
from anonymisation.review.store import add_box, mark_ok, withdraw_box
from anonymisation.workspace.folder_state import state_folder
from anonymisation.workspace.workspace import Workspace
from tests.captures import CAR_BOX, FOLDER, HEIGHT, WIDTH, Site


@pytest.fixture
def night(tmp_path: Path) -> Workspace:
    site = Site(tmp_path)
    workspace = site.workspace()
    site.fill(4)
    site.run(workspace)
    return workspace


def version(workspace: Workspace, name: str) -> str:
    rows = read_rows(state_folder(workspace.shares.state, FOLDER))
    return next(row.version for row in rows if row.name == name)


def exported(workspace: Workspace) -> dict[str, Any]:
    return coco_annotations(workspace.shares.state, [FOLDER], at="2021-05-02T00:00:00+00:00")


def test_only_judged_pictures_are_exported_and_pycocotools_reads_them(night: Workspace, tmp_path: Path) -> None:
    state = night.shares.state
    mark_ok(state, FOLDER, "p000.jpg", version(night, "p000.jpg"), "kari")
    add_box(state, FOLDER, "p001.jpg", Box(0.1, 0.2, 0.3, 0.4), "ola", version(night, "p001.jpg"))
    remask_folder(night, FOLDER)
    file = tmp_path / "corrections.json"
    file.write_text(json.dumps(exported(night)))
    coco = COCO(str(file))
    assert [image["file_name"] for image in coco.imgs.values()] == [f"{FOLDER}/p000.jpg", f"{FOLDER}/p001.jpg"]
    assert all(len(image["sha256"]) == 64 for image in coco.imgs.values())
    (car,) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    top, left, bottom, right = CAR_BOX
    sides = [left * WIDTH, top * HEIGHT, (right - left) * WIDTH, (bottom - top) * HEIGHT]
    assert car["bbox"] == pytest.approx(sides, abs=0.01)
    assert (coco.cats[car["category_id"]]["name"], car["source"]) == ("car", "detection")
    (marked,) = coco.loadAnns(coco.getAnnIds(imgIds=[2], catIds=[MARKED]))
    assert marked["bbox"] == pytest.approx([0.2 * WIDTH, 0.1 * HEIGHT, 0.2 * WIDTH, 0.2 * HEIGHT], abs=0.01)
    assert marked["by"] == "ola"


def test_withdrawn_boxes_are_no_annotations(night: Workspace) -> None:
    state, seen = night.shares.state, version(night, "p000.jpg")
    added = add_box(state, FOLDER, "p000.jpg", Box(0.1, 0.2, 0.3, 0.4), "ola", seen)
    withdraw_box(state, FOLDER, "p000.jpg", added.number, "ola", "a sign")
    mark_ok(state, FOLDER, "p000.jpg", seen, "ola")
    assert [one["source"] for one in exported(night)["annotations"]] == ["detection"]


def test_what_reviewers_of_a_sample_say_counts(night: Workspace) -> None:
    sample: Sample = draw_sample(night, [FOLDER], Plan(bound=0.1, second_share=0.0), title="", by="kari")
    names = {one.number: one.name for one in sample.pictures}
    for number in names:
        add_judgement(night.shares.state, sample, number, "kari", missed=number == 1, mistake=number == 2)
    values = exported(night)
    assert values["info"]["left_out"] == sorted(f"{FOLDER}/{names[n]}" for n in (1, 2))
    assert {image["file_name"] for image in values["images"]} == {f"{FOLDER}/{names[n]}" for n in names if n > 2}


def test_a_picture_that_was_masked_again_is_not_judged_any_more(night: Workspace) -> None:
    mark_ok(night.shares.state, FOLDER, "p000.jpg", version(night, "p000.jpg"), "kari")
    site = Site(night.shares.input.parent)
    site.run(site.workspace(force_remask=True, mask_dilation_pixels=9))
    assert exported(night)["images"] == []


def test_what_one_sample_calls_missed_another_does_not_make_sound(night: Workspace) -> None:
    for missed in (True, False):
        sample = draw_sample(night, [FOLDER], Plan(bound=0.1, second_share=0.0), title="", by="kari")
        for one in sample.pictures:
            said = missed and one.name == "p001.jpg"
            add_judgement(night.shares.state, sample, one.number, "kari", missed=said, mistake=False)
    mark_ok(night.shares.state, FOLDER, "p001.jpg", version(night, "p001.jpg"), "kari")
    assert exported(night)["info"]["left_out"] == [f"{FOLDER}/p001.jpg"]
    add_box(night.shares.state, FOLDER, "p001.jpg", Box(0.1, 0.2, 0.3, 0.4), "ola", version(night, "p001.jpg"))
    assert exported(night)["info"]["left_out"] == []
