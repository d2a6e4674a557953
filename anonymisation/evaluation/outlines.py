"""COCO's outlines. They are checked before native code, which trusts lengths and would go beyond its memory."""

from __future__ import annotations

import math

import msgspec
from pycocotools import mask as rle_codec

from anonymisation.evaluation.truth import Rle


class CodedMask(msgspec.Struct, frozen=True):
    """Run lengths by column, beginning with pixels outside: numbers, or COCO's compressed text. `size`: [h, w]."""

    size: tuple[int, int]
    counts: list[int] | str


Outline = list[list[float]] | CodedMask


def outline_rle(outline: Outline, height: int, width: int) -> Rle:
    """The pixels inside polygons (x, y, x, y …; together one region), or those of run lengths.

    Raises:
        ValueError: the outline is neither, or does not fit a picture of this size.
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
    if min(runs, default=0) < 0:
        raise ValueError(f"segmentation: expected runs of 0 pixels or more, got {min(runs)}")
    if sum(runs) != height * width:
        raise ValueError(f"segmentation: expected runs of {height * width} pixels, got {sum(runs)}")
    coded = rle_codec.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return Rle(height, width, coded["counts"])


def _check_polygon(polygon: list[float], height: int, width: int) -> None:
    if len(polygon) < 6 or len(polygon) % 2:
        raise ValueError(f"segmentation: expected polygons of at least 3 points, got {len(polygon)} numbers")
    for values, limit in ((polygon[::2], width), (polygon[1::2], height)):
        # Outlines just beyond the edge are cut there. An outline far outside is a mistake, and would take all memory.
        if not all(math.isfinite(value) and -limit <= value <= 2 * limit for value in values):
            raise ValueError(f"segmentation: a polygon lies far outside the picture of {width} × {height}")


def _runs(text: str) -> list[int]:
    """Decode COCO's compressed run lengths (pycocotools, maskApi.c, rleFrString).

    A character minus "0" has 5 bits of a number, low bits first. Bit 5: more characters follow; bit 4 of the last
    character: the sign. From the fourth run on, numbers are differences from the run two before.
    """
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
