"""Makes a contact sheet: one picture that shows originals and masked pictures of a run side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2  # noqa: TID253
import numpy as np
from PIL import Image, ImageOps

MAX_PAIRS: Final = 12
CELL_WIDTH: Final = 800
MARGIN: Final = 12
LABEL_HEIGHT: Final = 26
FONT_SIZE: Final = 16
BACKGROUND: Final = (245, 245, 245)
INK: Final = (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture: its label, the original and the masked file."""

    label: str
    before: Path
    after: Path


def find_pairs(folders: Iterable[str], originals: Sequence[Path], output: Path) -> list[Pair]:
    """Return the masked pictures of the folders, each with its original from the first of `originals` that has one."""
    pairs = []
    for folder in folders:
        for after in sorted((output / folder).glob("*")):
            before = next(
                (base / folder / after.name for base in originals if (base / folder / after.name).is_file()), None
            )
            if before is not None and after.suffix.lower() in {".jpg", ".jpeg"}:
                pairs.append(Pair(f"{folder}/{after.name}", before, after))
    return pairs


def write_contact_sheet(pairs: Sequence[Pair], path: Path) -> bool:
    """Write the sheet with at most MAX_PAIRS evenly chosen pairs. Return False if there are no pairs."""
    if not pairs:
        return False
    step = max(1.0, len(pairs) / MAX_PAIRS)
    chosen = [pairs[int(i * step)] for i in range(min(MAX_PAIRS, len(pairs)))]
    rows = [_row(pair) for pair in chosen]
    sheet = Image.new("RGB", (2 * CELL_WIDTH + 3 * MARGIN, sum(row.height for row in rows) + MARGIN), BACKGROUND)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    sheet.save(path, quality=88)
    return True


def _row(pair: Pair) -> Image.Image:
    before, after = _thumbnail(pair.before), _thumbnail(pair.after)
    height = max(before.height, after.height)
    row = Image.new("RGB", (2 * CELL_WIDTH + 3 * MARGIN, height + LABEL_HEIGHT + MARGIN), BACKGROUND)
    for text, thumbnail, left in (
        (f"before · {pair.label}", before, MARGIN),
        ("after", after, CELL_WIDTH + 2 * MARGIN),
    ):
        row.paste(_label(text), (left, MARGIN))
        row.paste(thumbnail, (left, MARGIN + LABEL_HEIGHT))
    return row


def _label(text: str) -> Image.Image:
    """Render one line of text. OpenCV's own font supports every script of folder names; Pillow's default does not."""
    pixels = np.full((LABEL_HEIGHT, CELL_WIDTH, 3), BACKGROUND, np.uint8)
    cv2.putText(pixels, text, (0, FONT_SIZE), INK, cv2.FontFace("sans"), FONT_SIZE, 400)
    return Image.fromarray(pixels)


def _thumbnail(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    height = max(1, round(upright.height * CELL_WIDTH / upright.width))
    return upright.resize((CELL_WIDTH, height), Image.Resampling.LANCZOS)
