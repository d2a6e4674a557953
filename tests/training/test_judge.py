"""The judge: what counts as true, that it learns, and that it only lowers scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf  # noqa: TID253 - runs the judge
from skimage import data

from tests.sources import SHARED, sources
from tests.training.random_nanodet import random_convolutions
from training.judge import EVIDENCE, JUDGE, Judge, read_judge, save_judge
from training.nanodet import read_convolutions
from training.network import COCO_IDS, MIX
from training.opinion import Found, OpinionOptions, SecondOpinion
from training.sources import NANODET
from training.trial import Cases, fit, verdict

HEAD = [40.0, 170.0, 210.0, 280.0]  # y0, x0, y1, x1 in the picture of the astronaut, 512 × 512


def test_what_lies_on_an_object_is_true_and_what_may_lie_on_an_unlabelled_one_is_unknown() -> None:
    boxes = np.zeros((1, 24, 4), np.float32)
    boxes[0, 0] = [100, 100, 200, 300]
    classes = np.full((1, 24), -1)
    classes[0, 0] = 0
    ignore = np.array([[[300, 300, 400, 400]]], np.float32)
    target = {"boxes": boxes, "classes": classes, "ignore": ignore}

    def judged(*box: float) -> bool | None:
        return verdict(np.array(box, np.float32), target, 0)

    assert judged(105, 110, 200, 290) is True
    assert judged(120, 120, 160, 160) is True  # a part of it
    assert judged(0, 0, 50, 50) is False
    assert judged(150, 250, 350, 290) is None  # a quarter of it
    assert judged(310, 310, 380, 380) is None


def test_the_judge_learns_its_cases_and_is_stored(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    evidence = rng.normal(0, 1, (400, EVIDENCE)).astype(np.float16)
    true = rng.random(400) < 0.5
    evidence[:, 3] += np.where(true, 4, 0).astype(np.float16)
    save_judge(fit(Cases(evidence, true, 1)), tmp_path / "judge.npz")
    odds = read_judge(tmp_path / "judge.npz").odds(tf.constant(evidence.astype(np.float32))).numpy()
    assert ((odds > 0) == true).mean() > 0.9


@pytest.mark.parametrize("source", sources("random", "published"))
def test_the_judge_lowers_a_score_and_never_raises_one(source: str) -> None:
    published = SHARED / "training" / NANODET
    convolutions = random_convolutions() if source == "random" else read_convolutions(published)
    ends = {"hidden": np.zeros((EVIDENCE, 1)), "hidden_bias": np.zeros(1), "last": np.zeros(1)}
    shapes = {"centre": np.zeros(EVIDENCE), "spread": np.ones(EVIDENCE), **ends}
    boxes = tf.constant([HEAD])
    found = Found(
        tf.constant([0]), boxes, boxes, tf.constant([0.3]), tf.constant([COCO_IDS.index(1)]), tf.zeros((1, MIX))
    )
    picture = tf.constant(data.astronaut()[None].astype(np.float32))
    options = OpinionOptions(largest=0.5, mercy=(2.0, 2.0))
    alone = replace(options, leniency=(-100.0, -100.0), near_leniency=-100.0)  # the sum of both keeps nothing
    scores = []
    for bias, rules in ((None, options), (9.0, options), (-6.0, options), (-6.0, alone)):
        judge = None if bias is None else Judge(**{k: v.astype(np.float32) for k, v in shapes.items()},
                                                last_bias=np.array(bias, np.float32))  # fmt: skip
        judged = SecondOpinion(convolutions, rules, judge).on(picture, found, tf.constant([512.0, 512.0]))
        scores.append(float(judged.scores[0]))
    assert scores[0] == scores[1] == scores[2]
    np.testing.assert_allclose(scores[3], 1 / (1 + np.exp(4.0)), atol=1e-4)


def test_the_shipped_judge_fits_the_evidence() -> None:
    assert read_judge(JUDGE).hidden.shape[0] == EVIDENCE
