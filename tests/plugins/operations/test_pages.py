"""What operators read on the page, and what marking a region does."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import pytest
from PIL import Image

from anonymisation.chain.run import run_folder
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.reporting.progress import ProgressNote
from anonymisation.reporting.step_reports import ImageOutcome, Status
from anonymisation.review.store import read_reviews
from anonymisation.workspace.camera_regions import draw_region
from anonymisation.workspace.folder_state import open_state, read_detections, read_pictures
from tests.captures import FOLDER, CountingDetector, capture
from tests.plugins.operations.conftest import BOX, FOUND, PREFIX, SETTINGS, Page, words
from tests.plugins.operations.rows import add_run, add_task, add_xcom


def test_nights_are_listed_with_their_totals(page: Page, night: str) -> None:
    answer = page.as_user("viewer").get(f"{PREFIX}/")
    assert answer.status_code == 200
    text = words(answer.text)
    assert "2021-05-01 02:00" in text
    assert "failed 1 1 failed 1 203 1 202 0 1 1 200 4.0 GB 3 min 20 s" in text


def test_one_night_shows_a_folder_of_two_shards_as_one(page: Page, night: str) -> None:
    text = page.as_user("viewer").get(f"{PREFIX}/runs/{quote(night, safe='')}").text
    read = words(text)
    assert read.count(f"{FOLDER} ") >= 1
    assert "2 shards" in read
    assert "1 203 1 202 0 1" in read
    assert "6.0/s" in read
    assert "truncated or corrupt &lt;b&gt;picture&lt;/b&gt;" in text
    assert f"runs/{quote(night, safe='')}/tasks/folder.release/mapped/1" in text
    assert page.folder() in text
    assert "Folders 1 1 failed Pictures 1 203 Masked 1 202" in read
    assert text.index("<table") < text.index("What failed")


def test_the_folders_that_failed_stand_first(page: Page) -> None:
    run_id = f"many {page.site.root.name}"
    run = add_run(run_id, "failed", datetime(2021, 7, 1, tzinfo=UTC), datetime(2021, 7, 1, 1, tzinfo=UTC))
    names = [f"TilSladding/F{number}" for number in range(1, 5)]
    add_task(run_id, "discover", -1, "success")
    add_xcom(run, run_id, "discover", -1, "return_value", [{"folder": name, "shard": 1, "shards": 1} for name in names])
    for index, name in enumerate(names):
        add_task(run_id, "folder.mask", index, "failed" if index == 2 else "success")
        if index != 2:
            mask = {"found": 4, "masked": 4, "already_done": 0, "failed": 0, "known_failed": 0, "seconds": 8.0}
            add_xcom(
                run, run_id, "folder.mask", index, "return_value", {**mask, "folder": name, "shard": 1, "shards": 1}
            )
    text = page.as_user("viewer").get(f"{PREFIX}/runs/{quote(run_id)}").text
    shown = re.findall(r"TilSladding/F\d", text.partition("<tbody>")[2].partition("</tbody>")[0])
    assert list(dict.fromkeys(shown)) == [names[index] for index in (2, 0, 1, 3)]


def test_a_running_night_tells_progress_pace_and_what_is_left(page: Page) -> None:
    run_id = f"running {page.site.root.name}"
    run = add_run(run_id, "running", datetime(2021, 6, 1, tzinfo=UTC), None)
    add_task(run_id, "discover", -1, "success")
    add_xcom(run, run_id, "discover", -1, "return_value", [{"folder": FOLDER, "shard": 1, "shards": 1}])
    add_xcom(run, run_id, "discover", -1, "pictures", {FOLDER: {"pictures": 500, "pending": 500}})
    for step, state in {"mask": "running", "archive": None, "load": None, "check": None, "release": None}.items():
        add_task(run_id, f"folder.{step}", 0, state or "scheduled")
    now = [1000.0]
    note = ProgressNote(page.site.state, run_id, FOLDER, clock=lambda: now[0])
    for number in range(100):
        note.count(ImageOutcome(f"{FOLDER}/{number}.jpg", Status.MASKED))
    now[0] += 50
    note.close()

    read = words(page.as_user("viewer").get(f"{PREFIX}/runs/{quote(run_id)}").text)
    assert "running mask" in read
    assert "20 %" in read
    assert "2.0/s" in read
    assert "3 min 20 s" in read
    assert "500 100 0 0 0 2.0/s" in read
    # The unit's report takes the place of its progress.
    mask = {
        "folder": FOLDER,
        "found": 500,
        "masked": 499,
        "already_done": 0,
        "failed": 1,
        "known_failed": 0,
        "seconds": 100,
    }
    add_xcom(run, run_id, "folder.mask", 0, "return_value", {**mask, "shard": 1, "shards": 1})
    read = words(page.as_user("viewer").get(f"{PREFIX}/runs/{quote(run_id)}").text)
    assert "500 499 0 1 0 5.0/s" in read


def test_a_run_of_another_dag_is_none_of_ours(page: Page, night: str) -> None:
    answer = page.as_user("viewer").get(f"{PREFIX}/runs/{quote(night, safe='')}?dag=something_else")
    assert answer.status_code == 404
    assert f'href="{PREFIX}/"' in answer.text  # a way on
    assert f'href="{PREFIX}/static/app.css"' in answer.text


def test_the_gallery_filters_by_class_score_and_state(page: Page) -> None:
    client = page.as_user("viewer")

    def shown(**query: str) -> list[str]:
        text = client.get(page.folder(), params=query).text
        return sorted(set(re.findall(r'class="name">([^<]+)<', text)))

    everything = ["p000.jpg", "p001.jpg", "p002.jpg", "p003.jpg"]
    assert shown() == everything
    assert shown(show="failed") == ["p003.jpg"]
    assert shown(label="person", below="0.4") == everything[:3]
    assert shown(label="car", below="0.4") == []
    assert shown(label="bus") == []
    assert client.get(page.folder(), params={"label": "ghost"}).status_code == 422


def test_the_gallery_names_what_stands_still_and_leads_to_the_form_of_a_region(page: Page) -> None:
    known = read_pictures(page.site.state, FOLDER)["p000.jpg"]
    seen = read_detections(page.site.state, FOLDER)["p000.jpg"]
    bonnet = {"label": "car", "score": 0.4, "box": [0.8, 0.1, 1.0, 0.9]}
    with open_state(page.site.state, "bonnet") as state:
        for number in range(40):
            own = msgspec.structs.replace(known, name=f"b{number}.jpg")
            state.put_masked(own, {}, [*seen["detections"], bonnet] if number else seen["detections"])
    client = page.as_user("operator")
    answer = client.get(page.folder("bonnet"))
    assert "A car at the same place in 39 of 40 pictures (10 to 90 % from the left" in words(answer.text)
    (form,) = set(re.findall(r'href="([^"]+/regions[?]folder=[^"]+)"', answer.text.replace("&amp;", "&")))
    assert "Draw a region" in words(client.get(form).text)
    assert "draw a fixed region" not in page.as_user("viewer").get(page.folder("bonnet")).text
    assert "at the same place" not in words(client.get(page.folder()).text).lower()  # four pictures
    everywhere = ((0, 0), (0, 1), (1, 1), (1, 0))
    draw_region(page.site.state, everywhere, folders="bonnet", camera="any", hide=False, by="operator", note="")
    assert "at the same place" not in words(client.get(page.folder("bonnet")).text).lower()


def test_thumbnails_are_made_once_from_the_masked_picture(page: Page) -> None:
    client = page.as_user("viewer")
    first = client.get(f"{page.picture('p000.jpg')}/small").content
    kept = list((page.site.state / "folders").glob("*/thumbnails/*/*.webp"))
    assert len(kept) == 1
    stamp = kept[0].stat().st_mtime_ns
    assert client.get(f"{page.picture('p000.jpg')}/small").content == first
    assert kept[0].stat().st_mtime_ns == stamp
    pixels = np.asarray(Image.open(io.BytesIO(first)).convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    assert abs(pixels[height // 2, width // 2] - np.array([0, 0, 255])).max() < 40  # the car is hidden


def test_the_mask_can_be_laid_over(page: Page) -> None:
    answer = page.as_user("viewer").get(f"{page.picture('p000.jpg')}/mask")
    alpha = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))[..., 3]
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] > 60
    assert alpha[-1, -1] == 0
    (page.site.output / FOLDER / "p000.webp").unlink()
    assert page.as_user("viewer").get(f"{page.picture('p000.jpg')}/mask").status_code == 404


def test_a_picture_s_page_tells_what_was_found(page: Page) -> None:
    read = words(page.as_user("viewer").get(page.picture("p000.jpg")).text)
    assert "person 1 0.31" in read
    assert "car 1 0.90" in read
    failed = words(page.as_user("viewer").get(page.picture("p003.jpg")).text)
    assert "There is no masked picture" in failed


def test_the_queue_begins_with_failures_and_forgets_what_is_ok(page: Page) -> None:
    client = page.as_user("operator")
    names = re.findall(r'class="name">([^<]+)<', client.get(f"{PREFIX}/review").text)
    assert names == ["p003.jpg", "p000.jpg", "p001.jpg", "p002.jpg"]
    assert "1 object with a low score, the lowest 0.31" in words(client.get(f"{PREFIX}/review").text)

    def call_ok(name: str) -> Any:
        return client.post(f"{page.picture(name)}/ok", data={**page.form(client, name), "queue": "all"})

    answer = call_ok("p003.jpg")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{page.picture('p000.jpg')}?said=ok&queue=all"
    names = re.findall(r'class="name">([^<]+)<', client.get(f"{PREFIX}/review").text)
    assert names == ["p000.jpg", "p001.jpg", "p002.jpg"]
    for name in names:
        answer = call_ok(name)
    assert answer.headers["location"] == f"{PREFIX}/review"
    assert "Nothing is waiting" in client.get(f"{PREFIX}/review").text


def test_a_marked_region_is_hidden_at_once(page: Page) -> None:
    client = page.as_user("operator")
    page.as_user("viewer").get(f"{page.picture('p000.jpg')}/small")
    data = {**BOX, "csrf_token": page.token(client)}
    answer = client.post(f"{page.picture('p000.jpg')}/boxes", data=data)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"{page.picture('p000.jpg')}?said=hidden"
    pixels = decode_jpeg((page.site.output / FOLDER / "p000.jpg").read_bytes()).pixels.astype(int)
    height, width = pixels.shape[:2]
    region = pixels[2 : int(0.18 * height), int(0.52 * width) : int(0.88 * width)]
    assert np.abs(region - np.array([0, 0, 255])).mean() < 8
    review = read_reviews(page.site.state, FOLDER)["p000.jpg"]
    assert review.by == "operator"
    assert review.waiting == ()
    text = client.get(answer.headers["location"]).text
    assert "The region is hidden now" in text
    assert "Region 1 hidden left 50, top 1, right 90, bottom 20 %; by operator" in words(text)
    # The thumbnail is of the picture as it is now, and the old one is gone.
    thumbnail = client.get(f"{page.picture('p000.jpg')}/small").content
    small = np.asarray(Image.open(io.BytesIO(thumbnail)).convert("RGB")).astype(int)
    assert np.abs(small[int(0.1 * small.shape[0]), int(0.7 * small.shape[1])] - np.array([0, 0, 255])).max() < 40
    assert len(list((page.site.state / "folders").glob("*/thumbnails/*/*.webp"))) == 1


def test_a_region_marked_while_the_folder_is_worked_on_is_kept(page: Page) -> None:
    client = page.as_user("operator")
    data = {**BOX, "csrf_token": page.token(client)}
    with open_state(page.site.state, FOLDER):
        answer = client.post(f"{page.picture('p000.jpg')}/boxes", data=data)
    assert answer.headers["location"].endswith("said=waiting")
    assert len(read_reviews(page.site.state, FOLDER)["p000.jpg"].waiting) == 1
    text = client.get(answer.headers["location"]).text
    assert "not hidden yet" in text


@pytest.mark.parametrize(
    "wrong",
    [{"top": "30"}, {"left": "95"}, {"right": "101"}, {"top": "-1"}, {"top": "nan"}, {"top": "inf"}, {"top": ""},
     {"bottom": "1"}, {"top": "many"}],
)  # fmt: skip
def test_a_box_that_is_none_is_refused(page: Page, wrong: dict[str, str]) -> None:
    client = page.as_user("operator")
    data = {**BOX, "csrf_token": page.token(client), **wrong}
    assert client.post(f"{page.picture('p000.jpg')}/boxes", data=data).status_code == 422
    assert read_reviews(page.site.state, FOLDER) == {}


def test_nothing_is_marked_on_a_picture_that_failed(page: Page) -> None:
    client = page.as_user("operator")
    data = {**BOX, "csrf_token": page.token(client)}
    assert client.post(f"{page.picture('p003.jpg')}/boxes", data=data).status_code == 409
    assert "Mask this region" not in client.get(page.picture("p003.jpg")).text


def test_the_page_says_what_is_wrong_with_the_configuration(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANONYMISATION_OUTPUT")
    answer = page.as_user("viewer").get(f"{PREFIX}/folders")
    assert answer.status_code == 503
    assert "ANONYMISATION_OUTPUT" in answer.text


def test_folders_are_found_by_their_path(page: Page) -> None:
    client = page.as_user("viewer")
    assert FOLDER in client.get(f"{PREFIX}/folders", params={"find": "ev6"}).text
    assert "No folder with that" in client.get(f"{PREFIX}/folders", params={"find": "<script>"}).text


def test_no_page_leads_to_a_copy_that_the_browser_kept_from_before_a_region_was_hidden(page: Page) -> None:
    client = page.as_user("admin")
    masked = re.compile(rf"{page.picture('p000.jpg')}/(?:small|large|masked|mask)[^\"]*")
    places = (page.folder(), page.picture("p000.jpg"), f"{page.picture('p000.jpg')}/compare")

    def addresses() -> set[str]:
        return {found for place in places for found in masked.findall(client.get(place).text)}

    before = addresses()
    assert len(before) >= 4
    answer = client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, "csrf_token": page.token(client)})
    assert answer.headers["location"].endswith("said=hidden")
    assert not before & addresses()


def test_what_was_called_ok_is_looked_at_again_when_it_is_another_picture(page: Page) -> None:
    client = page.as_user("operator")

    def waiting() -> list[str]:
        return re.findall(r'class="name">([^<]+)<', client.get(f"{PREFIX}/review").text)

    def mask(**settings: Any) -> None:
        run_folder(page.site.workspace(archive=True, **SETTINGS, **settings), FOLDER, CountingDetector(FOUND))

    for name in ("p000.jpg", "p001.jpg", "p002.jpg", "p003.jpg"):
        client.post(f"{page.picture(name)}/ok", data=page.form(client, name))
    assert waiting() == []
    mask(force_remask=True)  # the same bytes in the same way
    assert waiting() == []

    (page.site.archive / FOLDER / "p001.jpg").unlink()
    page.site.put("p001.jpg", capture(8, "p001.jpg"))  # other bytes under the name
    page.site.put("p003.jpg", capture(9)[:700])  # it fails again, with other bytes
    mask()
    assert waiting() == ["p003.jpg", "p001.jpg"]
    text = words(client.get(page.picture("p001.jpg")).text)
    assert "Called ok by operator" in text
    assert "The picture has changed since" in text
    client.post(f"{page.picture('p001.jpg')}/ok", data=page.form(client, "p001.jpg"))
    assert waiting() == ["p003.jpg"]

    mask(force_remask=True, mask_dilation_pixels=3)  # the same bytes in another way
    assert waiting() == ["p003.jpg", "p000.jpg", "p001.jpg", "p002.jpg"]


def test_ok_is_not_taken_for_what_the_person_did_not_see(page: Page) -> None:
    client = page.as_user("operator")
    form = page.form(client)
    answer = client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **form})
    assert answer.status_code == 303
    answer = client.post(f"{page.picture('p000.jpg')}/ok", data=form)  # from a page of before
    assert answer.headers["location"] == f"{page.picture('p000.jpg')}?said=changed"
    assert "nothing was recorded. Look at the picture again." in client.get(answer.headers["location"]).text
    assert not read_reviews(page.site.state, FOLDER)["p000.jpg"].ok
    # A box that is drawn on such a page is hidden, and the picture looked at again.
    answer = client.post(f"{page.picture('p000.jpg')}/boxes", data={**BOX, **form})
    assert answer.headers["location"].endswith("said=hidden")
    assert "p000.jpg" in client.get(f"{PREFIX}/review").text
    assert client.post(f"{page.picture('p000.jpg')}/ok", data=page.form(client)).status_code == 303
    assert "p000.jpg" not in client.get(f"{PREFIX}/review").text


def test_a_picture_whose_masking_failed_later_is_shown_as_it_is_published_and_can_be_marked(page: Page) -> None:
    client = page.as_user("operator")
    page.site.put("p001.jpg", capture(1, "p001.jpg")[:900])
    run_folder(page.workspace, FOLDER, CountingDetector(FOUND))
    text = client.get(page.picture("p001.jpg")).text
    assert "Masking this picture failed" in text
    assert "which is still in the output folder" in text
    assert client.get(f"{page.picture('p001.jpg')}/large").status_code == 200
    answer = client.post(f"{page.picture('p001.jpg')}/boxes", data={**BOX, **page.form(client, "p001.jpg")})
    assert answer.headers["location"].endswith("said=hidden")
    pixels = decode_jpeg((page.site.output / FOLDER / "p001.jpg").read_bytes()).pixels.astype(int)
    height, width = pixels.shape[:2]
    region = pixels[2 : int(0.18 * height), int(0.52 * width) : int(0.88 * width)]
    assert np.abs(region - np.array([0, 0, 255])).mean() < 8
    # What is no masked picture of ours is not shown, whatever became of the original.
    (page.site.output / FOLDER / "p001.jpg").write_bytes(capture(1, "p001.jpg"))
    assert "There is no masked picture" in client.get(page.picture("p001.jpg")).text
    for file in ("small", "large", "masked"):
        assert client.get(f"{page.picture('p001.jpg')}/{file}").status_code == 404


def test_looking_at_many_pictures_does_not_fill_the_disk(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from anonymisation_airflow.operations.web.site import current_site

    monkeypatch.setattr(current_site().sweeper, "_limit", 0)
    monkeypatch.setattr(current_site().sweeper, "_every", 3)
    client = page.as_user("viewer")
    kept = []
    for name in ("p000.jpg", "p001.jpg", "p002.jpg"):
        assert client.get(f"{page.picture(name)}/small").status_code == 200
        kept.append(len(list((page.site.state / "folders").glob("*/thumbnails/*/*.webp"))))
    assert kept == [1, 2, 0]
