"""COCO's outlines, checked before native code sees them: it trusts lengths, and reads or writes beyond memory."""

from __future__ import annotations

import math

import msgspec
from pycocotools import mask as rle_codec

from anonymisation.evaluation.truth import Rle


class CodedMask(msgspec.Struct, frozen=True):
    """Run lengths column by column, first of pixels outside: numbers, or COCO's compressed text. `size`: [h, w]."""

    size: tuple[int, int]
    counts: list[int] | str


Outline = list[list[float]] | CodedMask


def outline_rle(outline: Outline, height: int, width: int) -> Rle:
    """The pixels inside polygons (x, y, x, y …; together one region) or of run lengths.

    Raises:
        ValueError: it is none, or does not fit a picture of that size.
    """
    if isinstance(outline, CodedMask):
        return _coded(outline, height, width)
    if not outline:
        raise ValueError("segmentation: expected at least one polygon, got none")
    for polygon in outline:
        _check_polygon(polygon, height, width)
    merged = rle_codec.merge(rle_codec.frPyObjects(outline, height, width))
    return Rle(height, width, merged["counts"])


def _coded(outline: CodedMask, height: int, width: int) -> Rle:
    if outline.size != (height, width):
        raise ValueError(f"segmentation: expected size {[height, width]}, got {list(outline.size)}")
    runs = outline.counts if isinstance(outline.counts, list) else _runs(outline.counts)
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"segmentation: expected runs of {height * width} pixels, got {sum(runs)}")
    coded = rle_codec.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return Rle(height, width, coded["counts"])


def _check_polygon(polygon: list[float], height: int, width: int) -> None:
    if len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"segmentation: expected polygons of at least 3 points, got {len(polygon)} numbers")
    for values, limit in ((polygon[::2], width), (polygon[1::2], height)):
        # Outlines that stray beyond the edge are cut there; far outside is a mistake, and would take all memory.
        if not all(math.isfinite(value) and -limit <= value <= 2 * limit for value in values):
            raise ValueError(f"segmentation: a polygon lies far outside the picture of {width} × {height}")


def _runs(text: str) -> list[int]:
    """COCO's compressed run lengths: groups of 5 bits, low first, from "0" on, bit 5: more follow, bit 4 of the last:
    the sign; from the fourth on as differences from the run before the last (pycocotools, maskApi.c, rleFrString)."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"segmentation: {character!r} is no part of coded run lengths")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("segmentation: the coded run lengths break off")
    return runs
