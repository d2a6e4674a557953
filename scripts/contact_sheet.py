"""Before and after side by side: one picture that shows what a run has hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

MAX_PAIRS: Final = 12
CELL_WIDTH: Final = 800
MARGIN: Final = 12
LABEL_HEIGHT: Final = 26
BACKGROUND: Final = (245, 245, 245)
INK: Final = (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture: its label, the original and the masked file."""

    label: str
    before: Path
    after: Path


def find_pairs(folders: Iterable[str], originals: Sequence[Path], output: Path) -> list[Pair]:
    """The masked pictures of the capture folders, each with its original in the first of `originals` that has it."""
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
    """Write the sheet with at most MAX_PAIRS of the pairs, evenly chosen; False when there is none to show."""
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
    draw = ImageDraw.Draw(row)
    font = ImageFont.load_default(size=16)
    draw.text((MARGIN, MARGIN), f"before  ·  {pair.label}", INK, font)
    draw.text((CELL_WIDTH + 2 * MARGIN, MARGIN), "after", INK, font)
    row.paste(before, (MARGIN, MARGIN + LABEL_HEIGHT))
    row.paste(after, (CELL_WIDTH + 2 * MARGIN, MARGIN + LABEL_HEIGHT))
    return row


def _thumbnail(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    height = max(1, round(upright.height * CELL_WIDTH / upright.width))
    return upright.resize((CELL_WIDTH, height), Image.Resampling.LANCZOS)
