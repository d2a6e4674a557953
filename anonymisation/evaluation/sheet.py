"""A contact sheet of a model's worst pictures, to see at a glance what it misses and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import cv2  # noqa: TID253 - only imported when a sheet is drawn
import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError
from anonymisation.core.text import one_line
from anonymisation.evaluation.measure import Evaluation, Example
from anonymisation.evaluation.reading import oriented, read_stored
from anonymisation.evaluation.tally import clean_pixels
from anonymisation.evaluation.truth import Mask

Pixels = NDArray[np.uint8]

OVERVIEW: Final = (400, 800)  # largest height and width in pixels
ZOOM_SIDE: Final = 400
MARGIN: Final = 12
LINE_HEIGHT: Final = 26
FONT_SIZE: Final = 16
BACKGROUND: Final = (245, 245, 245)
INK: Final = (40, 40, 40)
MISSED: Final = (230, 0, 0)
WRONGLY: Final = (0, 70, 255)
RIGHTLY: Final = (0, 170, 60)
JPEG_QUALITY: Final = 88
_TINT: Final = 0.55  # share of the colour, so that the picture stays recognisable
_WIDTH: Final = OVERVIEW[1] + ZOOM_SIDE + 3 * MARGIN
_LEAST_ZOOMED: Final = 64  # side of the smallest enlarged square, in the picture's pixels


def contact_sheet(evaluation: Evaluation) -> Pixels | None:
    """The worst misses, then the worst false finds, unmasked, each next to its enlarged worst place; (H, W, 3) RGB.

    None if nothing is missed and nothing is hidden by mistake.
    """
    if not evaluation.misses and not evaluation.false_finds:
        return None
    rows = [_line(f"{evaluation.model}, dilation {evaluation.dilation} px", weight=700), _legend()]
    rows += _section("Most pixels missed", evaluation.misses, misses=True)
    rows += _section("Most clean pixels hidden by mistake", evaluation.false_finds, misses=False)
    return np.vstack(rows)


def encode_sheet(sheet: Pixels, suffix: str) -> bytes:
    """The bytes of a .png, .jpg or .jpeg file."""
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    written, data = cv2.imencode(suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), options)
    if not written:
        raise ValueError(f"a contact sheet of {sheet.shape} cannot be encoded as {suffix}")
    return bytes(data)


def _section(title: str, examples: Iterable[Example], *, misses: bool) -> Iterator[Pixels]:
    for number, example in enumerate(examples):
        if not number:
            yield _line(title, weight=700)
        yield _line(_caption(example))
        try:
            yield _row(example, misses=misses)
        except ImageError as error:  # the picture can no longer be read
            yield _line(str(error))


def _caption(example: Example) -> str:
    sought, clean = example.figures.sought, example.figures.clean
    parts = [one_line(example.picture.name)]
    if sought.share is not None:
        parts.append(f"missed {sought.missed} of {sought.total} px, recall {sought.share:.3f}")
    if clean.share is not None:
        parts.append(f"clean hidden {clean.hidden} px, {clean.share:.3f}")
    return "  ·  ".join(parts)


def _row(example: Example, *, misses: bool) -> Pixels:
    stored = read_stored(example.picture)
    pixels, _ = oriented(example.picture, stored.pixels, stored.orientation)
    truth = example.picture.truth(*pixels.shape[:2])
    hidden, sought = example.hidden.mask(), truth.must_hide()
    missed = np.asarray(sought & ~hidden, np.bool_)
    wrongly = np.asarray(clean_pixels(truth, sought, hidden, example.hidden_as_labelled.mask()) & hidden, np.bool_)
    layers = ((RIGHTLY, np.asarray(sought & hidden, np.bool_)), (WRONGLY, wrongly), (MISSED, missed))
    place = _worst_place(missed if misses else wrongly)
    overview = _drawn(pixels, layers, OVERVIEW)
    scale = overview.shape[1] / pixels.shape[1]
    top, left, side = (round(value * scale) for value in place)
    cv2.rectangle(overview, (left, top), (left + side, top + side), MISSED if misses else WRONGLY, 2)
    window = slice(place[0], place[0] + place[2]), slice(place[1], place[1] + place[2])
    zoom = _drawn(pixels[window], tuple((colour, mask[window]) for colour, mask in layers), (ZOOM_SIDE, ZOOM_SIDE))
    row = _blank(max(overview.shape[0], zoom.shape[0]) + MARGIN)
    left = MARGIN
    for part in (overview, zoom):
        row[: part.shape[0], left : left + part.shape[1]] = part
        left += part.shape[1] + MARGIN
    return row


def _worst_place(mask: Mask) -> tuple[int, int, int]:
    """Top, left and side of a square around the largest connected part of the mask, inside the picture."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    left, top, width, height, _ = (int(value) for value in stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())])
    side = max(_LEAST_ZOOMED, round(1.5 * max(width, height)))
    first_row = top + height // 2 - side // 2
    first_column = left + width // 2 - side // 2
    rows, columns = mask.shape
    return max(0, min(first_row, rows - side)), max(0, min(first_column, columns - side)), side


def _drawn(pixels: Pixels, layers: Iterable[tuple[tuple[int, int, int], Mask]], within: tuple[int, int]) -> Pixels:
    """The picture scaled to fit, tinted where a mask (of its size) has a pixel; small marks stay visible."""
    height, width = pixels.shape[:2]
    scale = min(within[0] / height, within[1] / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smaller = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    drawn = np.asarray(cv2.resize(pixels, size, interpolation=smaller), np.uint8)
    for colour, mask in layers:
        share = cv2.resize(mask.astype(np.float32), size, interpolation=smaller)
        marked = share > 0
        drawn[marked] = np.round(drawn[marked] * (1 - _TINT) + np.array(colour) * _TINT)
    return drawn


def _legend() -> Pixels:
    row = _blank(LINE_HEIGHT)
    left = MARGIN
    for text, colour in (("missed", MISSED), ("hidden by mistake", WRONGLY), ("rightly hidden", RIGHTLY)):
        row[4 : 4 + FONT_SIZE, left : left + FONT_SIZE] = colour
        _write(row, text, left + FONT_SIZE + 6, 400)
        left += 180
    return row


def _line(text: str, weight: int = 400) -> Pixels:
    row = _blank(LINE_HEIGHT)
    _write(row, text, MARGIN, weight)
    return row


def _write(row: Pixels, text: str, left: int, weight: int) -> None:
    """Write text with OpenCV's own font, which has every script of file names; Pillow's has not."""
    cv2.putText(row, text, (left, FONT_SIZE + 2), INK, cv2.FontFace("sans"), FONT_SIZE, weight)


def _blank(height: int) -> Pixels:
    return np.full((height, _WIDTH, 3), BACKGROUND, np.uint8)
