"""The indexes of folders that the review pages share."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.review.index import IndexCache


def test_what_is_kept_of_folders_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonymisation.review.index.MAX_FOLDERS", 3)
    cache = IndexCache(tmp_path)
    for number in range(10):
        cache.doubtful(f"folder {number}")
        cache.reviews(f"folder {number}")
    assert list(cache._tops) == list(cache._reviews) == ["folder 7", "folder 8", "folder 9"]
