"""Does a neighbouring picture of the drive confirm a doubtful find? Measured against a lower `score_threshold`.

    python -m training.sequence --images EVAL/camvid --annotations EVAL/camvid --kept FOLDER [--apart 10]

What the pictures' names have before the last number is the drive, the number their order. FOLDER keeps the model's
finds, so that a second call takes seconds. `--apart` takes pictures so many places away as neighbours: if those confirm
as much, the drive proves nothing. A picture that shows the same as the one before it, since the car stands still, is
left out: survey cameras take a picture per 20 metres, not per second.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.core.settings import Settings, load_settings
from anonymisation.evaluation.classes import GROUPS, group_of
from anonymisation.evaluation.curve import best_scores
from anonymisation.evaluation.folders import open_empty, open_rasters
from anonymisation.evaluation.reading import read_stored
from anonymisation.evaluation.truth import Source, Truth
from anonymisation.masking.detections import Detections
from anonymisation.masking.labels import label_of
from anonymisation.masking.models.factory import load_detector

LOWEST: Final = 0.02
IN_FORCE: Final = 0.15
LEVELS: Final = np.arange(IN_FORCE, LOWEST - 1e-9, -0.0025)
"""The thresholds of the curve, falling."""
VANISHING: Final = (0.45, 0.5)
"""Where the road ends in the picture, as y and x: objects grow away from there as the car drives on."""
GROWTH: Final = (0.8, 4.0)
"""How much taller an object may be in the next picture: one that drives ahead is smaller, one nearby much larger."""
STILL: Final = 0.93
"""Least correlation of two small grey pictures from a car that stands still or crawls; 20 metres give .6 to .85."""
BLOCK: Final = 5
"""Successive pictures that the bootstrap draws together, since they show the same objects."""
DRAWS: Final = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture of a drive with all finds from LOWEST on. `objects` (n, 4) are their boxes, ymin, xmin, ymax, xmax."""

    drive: str
    place: int
    truth: Truth
    found: Detections
    numbers: NDArray[np.int64]
    boxes: Floats
    scores: Floats
    groups: NDArray[np.str_]

    @classmethod
    def of(cls, name: str, truth: Truth, found: Detections) -> Shot:
        """The objects of a picture; its place in the drive is the last number in its name."""
        drive, number = re.findall(r"(.*?)(\d+)\D*$", Path(name).stem)[0]
        best = found.best_instances()
        groups = [group_of(label_of(int(found.classes[row]))) for row in best.values()]
        boxes = np.array([*found.object_boxes().values()], np.float64).reshape(-1, 4)
        scores = found.scores[[*best.values()]].astype(np.float64)
        return cls(drive, int(number), truth, found, np.array([*best], np.int64), boxes, scores, np.array(groups, "U8"))


@dataclass(frozen=True, slots=True)
class Rule:
    """Doubtful finds from `low` on count if a neighbour has a find of the same group from `sure` on, at most
    `far` heights from where it has to be."""

    low: float
    sure: float
    far: float


def confirmed(shot: Shot, before: Shot | None, after: Shot | None, rule: Rule) -> NDArray[np.bool_]:
    """(n,) bool: which doubtful objects a neighbour confirms."""
    doubtful = (shot.scores >= rule.low) & (shot.scores < IN_FORCE)
    seen = np.zeros(len(doubtful), np.bool_)
    low, high = GROWTH
    for other, growth in ((before, (1 / high, 1 / low)), (after, (low, high))):
        if other is not None:
            seen |= _seen_in(shot, other, growth, rule)
    return doubtful & seen


def _seen_in(shot: Shot, other: Shot, growth: tuple[float, float], rule: Rule) -> NDArray[np.bool_]:
    sure = other.scores >= rule.sure
    boxes, groups = other.boxes[sure], other.groups[sure]
    aspect = shot.truth.width / shot.truth.height
    heights = boxes[:, 2] - boxes[:, 0]
    factor = heights / np.maximum(shot.boxes[:, 2] - shot.boxes[:, 0], 1e-6)[:, None]
    middle = np.array(VANISHING)
    expected = middle + factor[..., None] * (_centres(shot.boxes)[:, None] - middle)
    off = (_centres(boxes) - expected) * (1, aspect) / np.maximum(heights, 1e-6)[:, None]
    fits = (np.hypot(off[..., 0], off[..., 1]) <= rule.far) & (factor >= growth[0]) & (factor <= growth[1])
    return np.asarray((fits & (groups == shot.groups[:, None])).any(axis=1), np.bool_)


def _centres(boxes: Floats) -> Floats:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def neighbours(shots: Sequence[Shot], apart: int) -> Iterator[tuple[Shot, Shot | None, Shot | None]]:
    """Each picture with those `apart` places before and after it in its drive."""
    for at, shot in enumerate(shots):
        around = [shots[place] if 0 <= place < len(shots) else None for place in (at - apart, at + apart)]
        before, after = (one if one is not None and one.drive == shot.drive else None for one in around)
        yield shot, before, after


def hidden_pixels(shot: Shot, raised: NDArray[np.bool_] | None = None) -> Floats:
    """(levels, 6): hidden and all pixels of persons, vehicles and clean ones, at each threshold; with `raised` objects
    (1, 6) at the threshold in force, where these objects count as sure."""
    found, levels = shot.found, LEVELS
    if raised is not None:
        scores = np.where(np.isin(found.objects, shot.numbers[raised]), np.float32(1), found.scores)
        found = Detections(found.boxes, scores.astype(np.float32), found.classes, found.masks, found.objects)
        levels = LEVELS[:1]
    best = best_scores(found, shot.truth.height, shot.truth.width, 0)
    parts, sought = [], shot.truth.nothing()
    for group in GROUPS:
        own = shot.truth.nothing()
        for region in shot.truth.regions:
            if group_of(region.label) == group:
                own |= region.pixels.mask()
        parts.append(own)
        sought |= own
    parts.append(~(sought | shot.truth.unknown()))
    counts = [[np.count_nonzero(best[part] >= np.float32(level)) for level in levels] for part in parts]
    totals = [[np.count_nonzero(part)] * len(levels) for part in parts]
    return np.array([column for pair in zip(counts, totals, strict=True) for column in pair], np.float64).T


def gain(curve: Floats, rule: Floats) -> Floats:
    """Recall of persons, of vehicles, and both hidden by the rule (sums (6,)), less that of the curve (sums
    (levels, 6)) where it hides as many clean pixels."""
    with np.errstate(invalid="ignore"):
        by_rule = _recalls(rule[None])[0]
        by_curve = _recalls(curve)
    return np.array([by_rule[k] - np.interp(rule[4], curve[:, 4], by_curve[:, k]) for k in range(3)])


def _recalls(sums: Floats) -> Floats:
    both = (sums[:, 0] + sums[:, 2]) / (sums[:, 1] + sums[:, 3])
    return np.stack([sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3], both], axis=1)


def draws(count: int) -> NDArray[np.int64]:
    """(DRAWS, pictures) numbers of pictures, drawn as blocks of successive ones."""
    generator, blocks = np.random.default_rng(1), max(1, count // BLOCK)
    starts = generator.integers(0, count, (DRAWS, blocks))
    return np.asarray((starts[:, :, None] + np.arange(BLOCK)).reshape(DRAWS, -1) % count, np.int64)


def report(shots: Sequence[Shot], apart: int) -> None:
    """Print the figures of every rule."""
    curves = np.stack([hidden_pixels(shot) for shot in shots])
    total = curves.sum(axis=0)
    chosen = draws(len(shots))
    for level in (0.15, 0.12, 0.1, 0.07, 0.05, 0.03, 0.02):
        row = total[np.argmin(abs(LEVELS - level))]
        print(f"threshold {level:.2f}: {' '.join(f'{value:.4f}' for value in _shares(row))}")
    print("low sure far: confirmed true / false, person / vehicle / clean, gain of both over the curve [95 %]")
    for rule in (Rule(*values) for values in product((0.02, 0.05, 0.1), (IN_FORCE, 0.3, 0.5), (0.5, 1.0, 2.0))):
        kept = [confirmed(*around, rule) for around in neighbours(shots, apart)]
        verdicts = [_verdicts(shot, which) for shot, which in zip(shots, kept, strict=True)]
        true, false = (sum(pair[side] for pair in verdicts) for side in (0, 1))
        ruled = np.stack([hidden_pixels(shot, which)[0] for shot, which in zip(shots, kept, strict=True)])
        gains = gain(total, ruled.sum(axis=0))
        spread = [gain(curves[rows].sum(axis=0), ruled[rows].sum(axis=0))[2] for rows in chosen]
        low, high = np.nanpercentile(spread, [2.5, 97.5])
        figures = " ".join(f"{value:.4f}" for value in _shares(ruled.sum(axis=0)))
        print(f"{rule.low:.2f} {rule.sure:.2f} {rule.far:.1f}: {true:3} / {false:3}, {figures}, persons {gains[0]:+.4f}"
              f" vehicles {gains[1]:+.4f} both {gains[2]:+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)  # fmt: skip


def _shares(sums: Floats) -> list[float]:
    return [float(sums[k] / sums[k + 1]) if sums[k + 1] else float("nan") for k in (0, 2, 4)]


def _verdicts(shot: Shot, which: NDArray[np.bool_]) -> tuple[int, int]:
    """How many of these objects are true, with half of their pixels on what must be hidden, and false: under 5 %."""
    sought, true, false = shot.truth.must_hide(), 0, 0
    for number in shot.numbers[which]:
        own = shot.found.rows(shot.found.objects == number)
        marked = best_scores(own, shot.truth.height, shot.truth.width, 0) >= 0
        share = np.count_nonzero(marked & sought) / max(1, np.count_nonzero(marked))
        true, false = true + (share >= 0.5), false + (share < 0.05)
    return true, false


def shots_of(source: Source, settings: Settings, kept: Path) -> list[Shot]:
    """The pictures with all finds, in the order of the drives, without those of a car that stands still."""
    kept.mkdir(parents=True, exist_ok=True)
    detector = None
    shots, last = [], None
    for picture in source.pictures:
        pixels = read_stored(picture)[0]
        file = kept / f"{picture.name.replace('/', '_')}.npz"
        if not file.exists():
            detector = detector or load_detector(settings, doubtful_from=LOWEST)
            found = detector.detect_doubtful(pixels)[1]
            np.savez(file, **{name: getattr(found, name) for name in Detections.__slots__})
        small = np.asarray(Image.fromarray(pixels).convert("L").resize((48, 36), Image.Resampling.BOX), np.float64)
        with np.load(file) as stored:
            shot = Shot.of(picture.name, picture.truth(*pixels.shape[:2]), Detections(**stored))
        if last is None or shot.drive != shots[-1].drive or np.corrcoef(small.ravel(), last.ravel())[0, 1] < STILL:
            shots.append(shot)
            last = small
    return shots


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--annotations", type=Path, help="folder of class rasters; none: nothing is to be hidden")
    parser.add_argument("--kept", type=Path, required=True, help="folder that keeps the model's finds")
    parser.add_argument("--apart", type=int, default=1, help="neighbours are so many places away")
    options = parser.parse_args()
    source = open_empty(options.images)
    if options.annotations is not None:
        source = open_rasters(options.images, options.annotations)
    shots = shots_of(source, load_settings(None).settings, options.kept)
    print(f"{len(shots)} of {len(source.pictures)} pictures, {len({shot.drive for shot in shots})} drives")
    report(shots, options.apart)


if __name__ == "__main__":
    main()
