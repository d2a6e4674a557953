"""A second opinion on doubtful detections, and on vehicles that the detector misses, from NanoDet.

The detector takes signs, boards and bushes for persons and vehicles, mostly with low scores. NanoDet looks at each of
its doubtful detections again, in a window around it, so that all are seen at a good size and the others cost nothing.
It also looks at the whole of small pictures (the coarsest view), and adds vehicles of which the detector found nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import tensorflow as tf  # noqa: TID253 - runs in the exported model

from training.judge import Judge, evidence_of
from training.nanodet import Convolution, NanoDet, decode
from training.network import COCO80_ROWS, COCO_IDS, MIX, PROTOTYPES, WAVES

PADDING: Final = 114
"""Gray level of the padding around the picture, as in the training of YOLOX."""
PERSON_ROW: Final = COCO_IDS.index(1)
_CERTAIN: Final = 1e-3
"""Scores are kept at least this far from 0 and 1: no network is surer than that."""
_ROUNDED: Final = (4.0, 4.0, 2)
"""The mask of an added vehicle is a rounded box: the logit is the first number minus the second times the sum of two
cosines with two half waves per side, which are 1 at its edges and -1 in the middle."""

_ODDS_STEP: Final = 1 / 8
_SCORE_STEP: Final = 1 / 64
"""What the second network gives is rounded to such steps, and its boxes to whole pixels: the last bits of its
convolutions depend on the number of threads and the size of the batch, and must not reach the output."""
_LANES: Final = 16
"""Numbers in the longest vectors (AVX-512)."""

Tensor = Any


class Found(NamedTuple):
    """Detections of a whole batch in one list: `picture` (n,) index in the batch, `boxes` (n, 4) y0, x0, y1, x1 in
    network pixels, clipped to the picture, `whole` (n, 4) the same unclipped, `scores` and class rows `classes` (n,),
    mask coefficients `mix` (n, MIX or 0)."""

    picture: Tensor
    boxes: Tensor
    whole: Tensor
    scores: Tensor
    classes: Tensor
    mix: Tensor

    def taken(self, rows: Tensor) -> Found:
        """The detections `rows` (m,), in this order."""
        return Found(*(tf.gather(values, rows) for values in self))


@dataclass(frozen=True, slots=True)
class OpinionOptions:
    """When the second network is asked, and what its answer changes. Chosen on the held-out pictures.

    - `doubtful`: the range of scores of the detections to judge;
    - `window`: side of the window in network pixels, a multiple of 32; the detection fills 1 / `context` of it;
    - `largest`: larger detections, as a fraction of the picture, are left to the second look: close-ups of a part of a
      person have no surroundings from which the network could tell what they are;
    - `leniency` (persons, vehicles): added to the sum of both log odds;
    - `near`: persons longer than this, in network pixels, get `near_leniency`: few of them are false;
    - `mercy` (persons, vehicles): added to the judge's log odds; the higher of the two counts;
    - `same_iou`: the second network's boxes with at least this IoU are its opinion of the detection;
    - `most`: most detections to judge in a picture, the largest first; the others stay as they are;
    - `whole_pixels`: pictures with at most so many pixels are looked at as a whole;
    - `added_score`: vehicles found there with at least this score are added;
    - `covered`: unless another detection covers this fraction of the box.
    """

    doubtful: tuple[float, float] = (0.15, 0.5)
    window: int = 160
    context: float = 3.0
    largest: float = 1 / 15
    leniency: tuple[float, float] = (2.0, 0.5)
    near: float = 80.0
    near_leniency: float = 4.0
    mercy: tuple[float, float] = (-1.2, -1.2)
    same_iou: float = 0.3
    most: int = 24
    whole_pixels: int = 200_000
    added_score: float = 0.5
    covered: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.doubtful[0] < self.doubtful[1] < 1:
            raise ValueError(f"doubtful: expected two rising scores between 0 and 1, got {self.doubtful}")
        if self.window % 32 or self.window <= 0 or self.context < 1:
            raise ValueError(f"expected a window of a multiple of 32 and a context of at least 1, got {self}")


class SecondOpinion:
    """Judges and completes the detections in a batch of float pictures in RGB."""

    def __init__(
        self,
        convolutions: Mapping[str, Convolution],
        options: OpinionOptions | None = None,
        judge: Judge | None = None,
    ) -> None:
        """`convolutions` are those of NanoDet, as from `read_convolutions`; `judge`, if any, weighs what it sees."""
        self._convolutions, self._judge = convolutions, judge
        self._options = options or OpinionOptions()

    def on(self, pictures: Tensor, found: Found, inner: Tensor) -> Found:
        """The detections with their final scores, and the added ones. `pictures` (batch, height, width, 3); `inner` is
        (height, width) of the part that is not padding."""
        network = NanoDet(self._convolutions)
        found = self._judged(network, pictures, found, tf.reduce_prod(inner))
        pixels = tf.reduce_prod(tf.shape(pictures)[1:3])
        completed: Found = tf.cond(
            pixels <= self._options.whole_pixels,
            lambda: self._completed(network, pictures, found, inner),
            lambda: found,
        )
        return completed

    def _judged(self, network: NanoDet, pictures: Tensor, found: Found, pixels: Tensor) -> Found:
        """The detections with their final scores, in pictures of so many `pixels`."""
        rows = self.doubtful(found, pixels)
        # With oneDNN, convolutions fail on no pictures.
        judged: Found = tf.cond(
            tf.size(rows) > 0, lambda: self._rescored(network, pictures, found, rows), lambda: found
        )
        return judged

    def _rescored(self, network: NanoDet, pictures: Tensor, found: Found, rows: Tensor) -> Found:
        """The detections, `rows` of them with joint scores."""
        doubtful = found.taken(rows)
        opinion, evidence = self.looked_at(network, pictures, doubtful)
        leniency = self._leniency(doubtful)
        verdict = tf.fill(tf.shape(leniency), -math.inf)
        if self._judge is not None:
            odds = _rounded_to(self._judge.odds(evidence), _ODDS_STEP)
            verdict = odds + self._of_kind(self._options.mercy, doubtful)
        joint = _alike(self._joint, doubtful.scores, opinion, leniency, verdict)
        return found._replace(scores=tf.tensor_scatter_nd_update(found.scores, rows[:, None], joint))

    def looked_at(self, network: NanoDet, pictures: Tensor, doubtful: Found) -> tuple[Tensor, Tensor]:
        """The second network's score (n,) for each detection, and the evidence for the judge (n, EVIDENCE)."""
        windows, boxes = self._windows(pictures, doubtful)
        levels = network.levels(windows)
        raw = network.heads(levels)
        scores, places = decode(raw, self._options.window, self._options.window)
        best = tf.reduce_max(tf.gather(scores, COCO80_ROWS, axis=2), axis=2)
        same = _iou(boxes[:, None], places) > self._options.same_iou
        opinion = tf.reduce_max(tf.where(same, best, 0.0), axis=1)
        return opinion, evidence_of(levels, raw, same, boxes, doubtful, self._options.window)

    def _joint(self, score: Tensor, opinion: Tensor, leniency: Tensor, verdict: Tensor) -> Tensor:
        # The log odds of independent opinions add up, as in the second look (`masking/second_look.py`).
        own, other = _log_odds(score), _rounded_to(_log_odds(opinion), _ODDS_STEP)
        # One advocate is enough: either the sum or the judge. Neither makes anything surer than both networks are.
        return tf.sigmoid(tf.minimum(tf.maximum(own + other + leniency, verdict), own + tf.maximum(other, 0.0)))

    def _leniency(self, found: Found) -> Tensor:
        longer = tf.reduce_max(found.boxes[:, 2:] - found.boxes[:, :2], axis=1)
        near = (found.classes == PERSON_ROW) & (longer > self._options.near)
        return tf.where(near, self._options.near_leniency, self._of_kind(self._options.leniency, found))

    def _of_kind(self, values: tuple[float, float], found: Found) -> Tensor:
        persons, vehicles = values
        return tf.where(found.classes == PERSON_ROW, persons, vehicles)

    def doubtful(self, found: Found, pixels: Tensor) -> Tensor:
        """Rows of the detections to judge: of each picture the `most` largest doubtful ones."""
        low, high = self._options.doubtful
        areas = _area(found.boxes)
        doubtful = (found.scores >= low) & (found.scores < high) & (areas < self._options.largest * pixels)
        rows = tf.where(doubtful)[:, 0]
        rows = tf.gather(rows, tf.argsort(tf.gather(areas, rows), direction="DESCENDING", stable=True))
        rows = tf.gather(rows, tf.argsort(tf.gather(found.picture, rows), stable=True))
        return tf.boolean_mask(rows, places_in_picture(tf.gather(found.picture, rows)) < self._options.most)

    def _windows(self, pictures: Tensor, found: Found) -> tuple[Tensor, Tensor]:
        """A square window (n, window, window, 3) around each detection, and its box in the window."""
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        half = tf.maximum(tf.reduce_max(high - low, axis=1, keepdims=True), 1.0) * (self._options.context / 2)
        middle, side = (low + high) / 2, self._options.window
        corners = tf.concat([middle - half, middle + half], axis=1)
        last = tf.tile(tf.cast(tf.shape(pictures)[1:3], tf.float32) - 1.0, [2])
        # The outer samples lie at the centres of the window's outer pixels; positions count from a pixel's centre.
        step = half / side
        samples = corners + tf.concat([step, step, -step, -step], axis=1) - 0.5
        windows = tf.image.crop_and_resize(
            pictures, samples / last, found.picture, (side, side), extrapolation_value=PADDING
        )
        origin = tf.tile(middle - half, [1, 2])
        return windows, (found.boxes - origin) * (side / (2 * half))

    def _completed(self, network: NanoDet, pictures: Tensor, found: Found, inner: Tensor) -> Found:
        """Add the vehicles in whole pictures of which nothing was detected."""
        scores, places = decode(network(pictures), tf.shape(pictures)[1], tf.shape(pictures)[2])
        six = tf.gather(scores, COCO80_ROWS, axis=2)
        vehicles = tf.where(tf.one_hot(PERSON_ROW, len(COCO_IDS)) > 0, 0.0, six)
        best = _rounded_to(tf.reduce_max(vehicles, axis=2), _SCORE_STEP)
        where = tf.where(best >= self._options.added_score)
        picture = tf.cast(where[:, 0], tf.int32)
        boxes = tf.clip_by_value(tf.round(tf.gather_nd(places, where)), 0.0, tf.tile(inner, [2]))
        classes = tf.argmax(tf.gather_nd(vehicles, where), axis=1, output_type=tf.int32)
        more = Found(picture, boxes, boxes, tf.gather_nd(best, where), classes, _rounded(tf.shape(picture)[0]))
        solid = tf.reduce_min(boxes[:, 2:] - boxes[:, :2], axis=1) >= 1.0
        more = more.taken(tf.where(solid & ~self._known(more, found))[:, 0])
        apart = tf.cast(more.picture, tf.float32)[:, None] * (inner[0] + 1.0)
        moved = more.boxes + tf.concat([apart, tf.zeros_like(apart)] * 2, axis=1)
        more = more.taken(tf.image.non_max_suppression(moved, more.scores, tf.size(more.scores), self._options.covered))
        return Found(*(tf.concat(pair, axis=0) for pair in zip(found, more, strict=True)))

    def _known(self, more: Found, found: Found) -> Tensor:
        """Whether a detection that counts covers a new box (n,)."""
        counts = (found.picture == more.picture[:, None]) & (found.scores >= self._options.doubtful[0])
        common = _common(more.boxes[:, None], found.boxes)
        return tf.reduce_any(counts & (common >= self._options.covered * _area(more.boxes)[:, None]), axis=1)


def places_in_picture(picture: Tensor) -> Tensor:
    """The place of each row among those of the same picture, for indices (n,) in ascending order."""
    return tf.range(tf.size(picture)) - tf.searchsorted(picture, picture, side="left")


def _rounded(count: Tensor) -> Tensor:
    """Mask coefficients (count, MIX) of a rounded box."""
    level, wave, half_waves = _ROUNDED
    places = [PROTOTYPES, PROTOTYPES + half_waves, PROTOTYPES + half_waves * WAVES]
    mix = tf.reduce_sum(tf.one_hot(places, MIX) * tf.constant([[level], [-wave], [-wave]]), axis=0)
    return tf.tile(mix[None], [count, 1])


def _alike(function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """The function of values (n,), each repeated so that it fills a processor's vector: the last bits of a logarithm
    differ between whole vectors and the rest at the end, and so would depend on the other detections of a batch."""
    return function(*(tf.repeat(value[:, None], _LANES, axis=1) for value in values))[:, 0]


def _rounded_to(values: Tensor, step: float) -> Tensor:
    return tf.round(values / step) * step


def _log_odds(scores: Tensor) -> Tensor:
    inside = tf.clip_by_value(scores, _CERTAIN, 1 - _CERTAIN)
    return tf.math.log(inside / (1 - inside))


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _common(one: Tensor, other: Tensor) -> Tensor:
    sides = tf.minimum(one[..., 2:], other[..., 2:]) - tf.maximum(one[..., :2], other[..., :2])
    return tf.maximum(sides[..., 0], 0.0) * tf.maximum(sides[..., 1], 0.0)


def _iou(one: Tensor, other: Tensor) -> Tensor:
    common = _common(one, other)
    return common / tf.maximum(_area(one) + _area(other) - common, 1e-6)
