"""Does a neighbouring picture of the drive confirm a doubtful find? Measured against lower `score_thresholds`.

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
from anonymisation.evaluation.folders import open_empty, open_rasters
from anonymisation.evaluation.reading import read_stored
from anonymisation.evaluation.truth import Source, Truth
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import patches
from anonymisation.masking.labels import label_of
from anonymisation.masking.models.factory import load_detector

LOWEST: Final = 0.05
"""The built-in model gives no score below."""
IN_FORCE: Final = 0.15
LEVELS: Final = np.arange(IN_FORCE, LOWEST - 1e-9, -0.01)
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
        """The objects of a picture; its place in the drive is the last number in its name, but for a lane (`_f1`)."""
        drive, number = re.findall(r"^(.*?)(\d+)(?:_f\d\w?)?\D*$", Path(name).stem)[0]
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


def hidden_pixels(shot: Shot, raised: NDArray[np.bool_]) -> Floats:
    """(6,): hidden and all pixels of persons, vehicles and clean ones, where these objects (n,) count as sure."""
    found = shot.found
    scores = np.where(np.isin(found.objects, shot.numbers[raised]), np.float32(1), found.scores).astype(np.float32)
    hidden = Detections(found.boxes, scores, found.classes, found.masks, found.objects)
    hides = best_scores(hidden, shot.truth.height, shot.truth.width, 0) >= np.float32(IN_FORCE)
    parts, sought = [], shot.truth.nothing()
    for group in GROUPS:
        own = shot.truth.nothing()
        for region in shot.truth.regions:
            if group_of(region.label) == group:
                own |= region.pixels.mask()
        parts.append(own)
        sought |= own
    parts.append(~(sought | shot.truth.unknown()))
    return np.array([np.count_nonzero(which) for part in parts for which in (part & hides, part)], np.float64)


def gain(curve: Floats, rule: Floats, group: int) -> float:
    """The recall of a group (0: persons, 1: vehicles) by the rule (sums (6,)), less that of the curve (sums
    (levels, 6)) where it hides as many clean pixels."""
    by_curve = curve[:, 2 * group] / curve[:, 2 * group + 1]
    return float(rule[2 * group] / rule[2 * group + 1] - np.interp(rule[4], curve[:, 4], by_curve))


def draws(count: int) -> NDArray[np.int64]:
    """(DRAWS, pictures) numbers of pictures, drawn as blocks of successive ones."""
    generator, blocks = np.random.default_rng(1), max(1, count // BLOCK)
    starts = generator.integers(0, count, (DRAWS, blocks))
    return np.asarray((starts[:, :, None] + np.arange(BLOCK)).reshape(DRAWS, -1) % count, np.int64)


def report(shots: Sequence[Shot], apart: int) -> None:
    """Print the figures of every rule, for each group alone: `score_thresholds` may differ by class, too."""
    chosen = draws(len(shots))
    for number, group in enumerate(GROUPS):
        own = [shot.groups == group for shot in shots]
        curve = np.stack([_lowered(shot, which) for shot, which in zip(shots, own, strict=True)])
        for level, sums in zip(LEVELS, curve.sum(axis=0), strict=True):
            print(f"{group}, threshold {level:.2f}: {_shares(sums, number)}")
        print(f"{group}: low sure far: confirmed true / false, recall and clean hidden, gain over the curve [95 %]")
        for rule in (Rule(*values) for values in product((LOWEST, 0.1), (IN_FORCE, 0.3, 0.5), (0.5, 1.0, 2.0))):
            sure = [confirmed(*around, rule) for around in neighbours(shots, apart)]
            kept = [which & ours for which, ours in zip(sure, own, strict=True)]
            true, false = np.sum([_verdicts(*pair) for pair in zip(shots, kept, strict=True)], axis=0)
            ruled = np.stack([hidden_pixels(*pair) for pair in zip(shots, kept, strict=True)])
            total = gain(curve.sum(axis=0), ruled.sum(axis=0), number)
            spread = [gain(curve[rows].sum(axis=0), ruled[rows].sum(axis=0), number) for rows in chosen]
            low, high = np.nanpercentile(spread, [2.5, 97.5])
            figures = _shares(ruled.sum(axis=0), number)
            print(f"{rule.low:.2f} {rule.sure:.2f} {rule.far:.1f}: {true:3} / {false:3}, {figures},"
                  f" {total:+.4f} [{low:+.4f}, {high:+.4f}]", flush=True)  # fmt: skip


def _lowered(shot: Shot, which: NDArray[np.bool_]) -> Floats:
    """(levels, 6): the pixels with these objects (n,) from each threshold on."""
    doubtful = which & (shot.scores < IN_FORCE)
    return np.stack([hidden_pixels(shot, doubtful & (shot.scores >= level)) for level in LEVELS])


def _shares(sums: Floats, group: int) -> str:
    with np.errstate(invalid="ignore"):
        return " ".join(f"{sums[k] / sums[k + 1]:.4f}" for k in (2 * group, 4))


def _verdicts(shot: Shot, which: NDArray[np.bool_]) -> tuple[int, int]:
    """How many of these objects are true, with half of their pixels on what must be hidden, and false: under 5 %."""
    sought, true, false = shot.truth.must_hide(), 0, 0
    for number in shot.numbers[which]:
        own = shot.found.rows(shot.found.objects == number)
        marked = best_scores(own, shot.truth.height, shot.truth.width, 0) >= 0
        share = int(np.count_nonzero(marked & sought)) / max(1, int(np.count_nonzero(marked)))
        true, false = true + (share >= 0.5), false + (share < 0.05)
    return true, false


def best_scores(found: Detections, height: int, width: int, dilation: int) -> NDArray[np.float32]:
    """(height, width) float32: the highest score of the instances that mark a pixel after dilation; -1 for none."""
    best = np.full((height, width), -1, np.float32, order="F")
    for row in np.argsort(found.scores, kind="stable"):
        for patch in patches(found.boxes[row], found.masks[row], height, width, dilation):
            best[patch.window][patch.marked] = found.scores[row]
    return best


def shots_of(source: Source, settings: Settings, kept: Path) -> list[Shot]:
    """The pictures with all finds, in the order of the drives, without those of a car that stands still."""
    kept.mkdir(parents=True, exist_ok=True)
    detector = None
    shots, last = [], None
    for picture in source.pictures:
        pixels = read_stored(picture).pixels
        file = kept / f"{picture.name.replace('/', '_')}.npz"
        if not file.exists():
            detector = detector or load_detector(settings, doubtful_from=LOWEST)
            found = detector.detect_at(pixels, [LOWEST])[1]
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
