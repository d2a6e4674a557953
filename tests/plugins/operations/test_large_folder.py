"""A folder of many pictures: read once, paged by place, found by key, read again only when it changed.

The tests in the browser have one of 100 000.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from anonymisation.files.append_log import AppendLog
from anonymisation.files.digests import name_digest
from anonymisation.review import index as review_index
from anonymisation.review.index import FolderIndex, IndexCache, Wanted
from anonymisation.workspace.folder_state import read_pictures, state_folder
from tests.browser.large_folder import write_large_folder
from tests.captures import FOLDER
from tests.plugins.operations.conftest import Page

LARGE = "TilSladding/large"
COUNT = 30_000


def _noting(readings: list[str]) -> Callable[[Path, str], FolderIndex]:
    """`read_index`, which notes the folders that it reads."""
    read = review_index.read_index

    def noted(state_root: Path, folder: str) -> FolderIndex:
        readings.append(folder)
        return read(state_root, folder)

    return noted


def test_many_pictures_are_read_once_and_paged(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    write_large_folder(page.site.state, page.site.output, LARGE, (FOLDER, "p000.jpg"), COUNT)
    readings: list[str] = []
    monkeypatch.setattr(review_index, "read_index", _noting(readings))
    client = page.as_user("viewer")
    gallery = page.folder(LARGE)

    def names(**query: str) -> list[str]:
        answer = client.get(gallery, params=query)
        assert len(answer.content) < 200_000
        return re.findall(r'class="name">([^<]+)<', answer.text)

    assert names() == [f"p{number:06d}.jpg" for number in range(60)]
    assert names(page="500") == [f"p{number:06d}.jpg" for number in range(COUNT - 60, COUNT)]
    assert names(page="900000") == names(page="500")
    assert len(names(label="bus", below="0.4")) == 60
    assert "p015000.jpg" in client.get(f"{gallery}/pictures/{name_digest('p015000.jpg')}").text
    for number in (0, 59, COUNT - 60, COUNT - 1):
        place = f"{gallery}/pictures/{name_digest(f'p{number:06d}.jpg')}"
        assert client.get(f"{place}/small").headers["content-type"] == "image/webp"
        assert client.get(f"{place}/small").status_code == 200
    queue = client.get("/anonymisation/review", params={"folder": gallery.rpartition("/")[2]})
    assert "Review 200" in re.sub(r"<[^>]+>", "", queue.text)  # the least certain of the folder
    assert len(readings) == 1


def test_an_index_is_read_again_when_its_folder_changed_and_some_time_went_by(page: Page) -> None:
    now = [0.0]
    cache = IndexCache(page.site.state, clock=lambda: now[0])
    first = cache.index(FOLDER)
    assert cache.index(FOLDER) is first
    known = read_pictures(page.site.state, FOLDER)["p000.jpg"]
    journal = AppendLog(state_folder(page.site.state, FOLDER) / "pictures.jsonl")
    journal.append({**msgspec.to_builtins(known), "name": "p009.jpg"})
    journal.close()
    assert len(cache.index(FOLDER)) == len(first) + 1


def test_what_took_long_to_read_is_not_read_again_at_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    read = review_index.read_index

    def slowly(*args: object) -> object:
        now[0] += 3
        return read(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(review_index, "read_index", slowly)
    cache = IndexCache(page.site.state, clock=lambda: now[0])
    first = cache.index(FOLDER)
    (state_folder(page.site.state, FOLDER) / "pictures.jsonl").touch()
    now[0] += 59
    assert cache.index(FOLDER) is first
    now[0] += 2
    assert cache.index(FOLDER) is not first


def test_the_oldest_indexes_make_room_and_their_least_certain_pictures_stay_known(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = IndexCache(page.site.state, max_pictures=5)
    readings: list[str] = []
    monkeypatch.setattr(review_index, "read_index", _noting(readings))
    write_large_folder(page.site.state, page.site.output, LARGE, (FOLDER, "p000.jpg"), 130)
    doubtful = cache.doubtful(FOLDER)
    cache.index(LARGE)
    assert cache.doubtful(FOLDER) is doubtful
    assert readings == [FOLDER, LARGE]
    cache.index(FOLDER)
    assert readings == [FOLDER, LARGE, FOLDER]


@pytest.mark.parametrize("wrong", [{"show": "some"}, {"label": "ghost"}, {"below": 1.5}, {"below": -0.1}])
def test_pictures_of_no_kind_are_not_asked_for(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Wanted(**wrong)  # type: ignore[arg-type]
