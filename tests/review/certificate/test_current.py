"""Whether a certificate still holds is known at once, from journals that are read again only when they changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from anonymisation.review.certificate import current
from anonymisation.review.certificate.actions import draw_sample
from anonymisation.review.certificate.current import FOLDERS
from anonymisation.review.certificate.overview import Overview
from anonymisation.review.certificate.population import masked_digest, read_population
from anonymisation.review.certificate.sample import Plan
from anonymisation.review.certificate.store import place_of
from anonymisation.workspace.folder_state import open_state, read_pictures
from anonymisation.workspace.shards import Shard
from tests.captures import Site

FOLDERS_DRAWN = ("2021/day_1", "2021/day_2")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two folders of masked pictures, one of them with a torn one, and a sample of both."""
    site = Site(tmp_path)
    for first, folder in enumerate(FOLDERS_DRAWN):
        site.fill(2, folder, first=10 * first)
    site.put("torn.jpg", b"torn", FOLDERS_DRAWN[0])
    workspace = site.workspace()
    site.run(workspace)
    draw_sample(workspace, FOLDERS_DRAWN, Plan(bound=0.5, second_share=0), title="", by="kari")
    return site


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders whose journals were read."""
    noted: list[str] = []

    def noting(state_root: Path, folder: str) -> str:
        noted.append(folder)
        return masked_digest(state_root, folder)

    monkeypatch.setattr(current, "masked_digest", noting)
    return noted


def verdict(overview: Overview) -> str:
    ((_, void),) = overview.with_verdicts(overview.entries())
    return void


def release(site: Site, folder: str) -> None:
    """Append a line to the journal that changes no masked picture."""
    with open_state(site.state, folder) as state:
        known = state.pictures["p000.jpg"]
        state.put(replace(known, released=not known.released))


def test_the_digest_alone_is_that_of_the_count(site: Site) -> None:
    for count in read_population(site.state, FOLDERS_DRAWN).folders:
        assert masked_digest(site.state, count.folder) == count.digest


def test_journals_are_read_once_and_by_no_later_server(site: Site, readings: list[str]) -> None:
    overview = Overview(site.state)
    assert verdict(overview) == verdict(overview) == verdict(Overview(site.state)) == ""
    assert sorted(readings) == sorted(FOLDERS_DRAWN)


def test_a_changed_journal_is_read_again_and_no_other(site: Site, readings: list[str]) -> None:
    overview = Overview(site.state)
    verdict(overview)
    readings.clear()
    release(site, FOLDERS_DRAWN[0])
    assert verdict(overview) == verdict(Overview(site.state)) == ""
    assert readings == [FOLDERS_DRAWN[0]]


def test_a_line_of_a_running_shard_counts(site: Site) -> None:
    overview = Overview(site.state)
    assert verdict(overview) == ""
    known = read_pictures(site.state, FOLDERS_DRAWN[1])
    shard = next(shard for shard in (Shard(1, 2), Shard(2, 2)) if any(map(shard.holds, known)))
    with open_state(site.state, FOLDERS_DRAWN[1], shard) as state:
        name = next(filter(shard.holds, known))
        state.put(replace(known[name], digest="0123456789abcdef"))
        assert "masked again" in verdict(overview)
    assert "masked again" in verdict(Overview(site.state))


@pytest.mark.parametrize(
    "note", [b"", b'{"folders": {"2021/day_1": 7}}\n', b'{"folders": {"2021/day_1": {"stamp": "", "digest": "x"}}}\n']
)
def test_a_note_that_is_damaged_or_old_changes_no_verdict(site: Site, note: bytes) -> None:
    (entry,) = Overview(site.state).entries()
    (place_of(site.state, entry.sample.id) / FOLDERS).write_bytes(note)
    assert verdict(Overview(site.state)) == ""


def test_the_list_holds_no_pictures_and_an_entry_all(site: Site) -> None:
    overview = Overview(site.state)
    (listed,) = overview.entries()
    whole = overview.entry(listed.sample.id)
    assert whole is not None
    assert whole.sample.pictures
    assert listed.sample == replace(whole.sample, pictures=(), seeded=())
    assert listed.left == whole.left
    (again,) = overview.entries()
    assert again.sample.pictures == ()
