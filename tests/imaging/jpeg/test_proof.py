"""libjpeg is used only after it has been tried on a known picture."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from anonymisation.imaging.jpeg import libjpeg, proof
from anonymisation.imaging.jpeg.libjpeg import Blocks, BlocksUnusableError, Grid


@pytest.fixture(autouse=True)
def _unproven() -> Iterator[None]:
    libjpeg._proven.cache_clear()
    yield
    libjpeg._proven.cache_clear()


def replaced(stream: bytes, own: bool, place: tuple[int, int] = proof.PLACE) -> bytes:
    nothing = Blocks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 64), np.int16))
    blocks = [Blocks(np.array([place[0]]), np.array([place[1]]), np.zeros((1, 64), np.int16)), nothing, nothing]
    return libjpeg.replace_blocks(stream, [Grid(*grid) for grid in proof.GRIDS], [blocks], optimise=own)


def test_the_library_in_use_is_proven(caplog: pytest.LogCaptureFixture) -> None:
    assert libjpeg.problem() is None
    assert libjpeg.find_library() is not None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("replace", "expected"),
    [
        (lambda stream, own: stream, "is not replaced correctly"),
        (lambda stream, own: replaced(stream, own, (3, 3)), "is not replaced correctly"),
        (lambda stream, own: replaced(stream, False), "Huffman tables are not made"),
    ],
)
def test_other_results_are_refused(replace: proof.Replace, expected: str) -> None:
    assert expected in str(proof.problem_of(replace, libjpeg.decoder_warnings))


@pytest.mark.parametrize("warnings", [lambda stream: [], lambda stream: ["odd"]])
def test_a_library_that_warns_of_nothing_or_of_everything_is_refused(warnings: proof.Warnings) -> None:
    assert "torn copy" in str(proof.problem_of(replaced, warnings))


class _Shifted(ctypes.Structure):
    """A compressor whose `optimize_coding` is looked for in another place."""

    _fields_ = (
        ("err", ctypes.c_void_p),
        ("rest", ctypes.c_ubyte * (268 - 8)),
        ("optimize_coding", ctypes.c_int),
        ("further", ctypes.c_ubyte * (520 - 272)),
    )


def test_a_field_in_another_place_turns_the_library_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(libjpeg, "Writer", _Shifted)
    assert "Huffman tables" in str(libjpeg.problem())
    assert libjpeg.find_library() is None
    with pytest.raises(BlocksUnusableError, match="not used any more"):
        replaced(proof.known_picture(), False)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "every picture is encoded as a whole" in record.getMessage()


def test_a_missing_library_is_reported_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(libjpeg, "load_library", lambda: None)
    for _ in range(3):
        assert "contains no libjpeg" in str(libjpeg.problem())
    assert len(caplog.records) == 1


def test_a_library_that_refuses_the_known_picture_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "known_picture", lambda: b"\xff\xd8\xff\xd9")
    assert "fails on a known picture" in str(libjpeg.problem())
