"""The certificate as a document: what is stated, and everything that the statements follow from.

It holds the whole sample and every judgement. So everybody can compute the statements again, with this module or
another program, and `verify` does. `digest` shows that nothing was changed by accident; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from anonymisation.review.certificate.bounds import Bound, Seeded, Stratum, at_most, upper_bound
from anonymisation.review.certificate.judgements import Judged, Judgement, agreement, progress
from anonymisation.review.certificate.sample import Sample, SeededFault

KIND: Final = "certificate of masked pictures"
FORMAT: Final = 1
METHOD: Final = (
    "The sample is random, stratified by folder and by whether the model found anything, and drawn without "
    "replacement. The order of drawing is SHA-256 over the seed and the path. A picture has something missed, or "
    "hidden by mistake, if any of its reviewers says so. The bounds are one-sided: Clopper and Pearson (1934) for the "
    "sum over all strata, which holds for stratified samples by Hoeffding (1956, theorem 4). Each look at the result "
    "uses a part of the error probability: 0.8, 0.1, 0.05 and so on. Each statement has its own confidence."
)


class Issue(msgspec.Struct, frozen=True):
    """Who issued the certificate, when (ISO 8601 in UTC), with which program, and which classes are hidden."""

    by: str
    at: str
    software: str
    classes: tuple[str, ...]


class NotCompleteError(ValueError):
    """Pictures of the sample are still to be judged."""


def certificate_of(sample: Sample, lines: Judged, issue: Issue) -> dict[str, Any]:
    """The certificate as JSON values.

    Raises:
        NotCompleteError: a picture still lacks a judgement.
    """
    left = progress(sample, lines)
    if not left.is_complete:
        open_ones, seconds = len(left.without_judgement), len(left.without_second)
        missing = ((open_ones, "not judged yet"), (seconds, "not judged by a second reviewer yet"))
        raise NotCompleteError(
            ", ".join(
                f"{number} {'picture is' if number == 1 else 'pictures are'} {what}"
                for number, what in missing
                if number
            )
        )
    seeded = _seeded(sample, lines)
    strata = {fault: _strata(sample, lines, fault) for fault in ("missed", "mistake")}
    missed = upper_bound(strata["missed"], sample.plan.confidence, stage=sample.looks, seeded=seeded)
    mistake = upper_bound(strata["mistake"], sample.plan.confidence, stage=sample.looks)
    values: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "id": sample.id,
        "title": sample.title,
        "issued": msgspec.to_builtins(issue),
        "statements": {"missed": _statement(missed), "mistake": _statement(mistake)},
        "pictures": {
            "masked": sample.population,
            "with_finds": sum(count.with_finds for count in sample.folders),
            "failed": sum(count.failed for count in sample.folders),
            "drawn": len(sample.pictures),
            "missed": sum(stratum.faulty for stratum in strata["missed"]),
            "mistake": sum(stratum.faulty for stratum in strata["mistake"]),
        },
        "strata": _strata_in_words(sample, strata["missed"], strata["mistake"], seeded),
        "reviewers": _reviewers(sample, lines),
        "agreement": _agreement(sample, lines),
        "seeded": None if seeded is None else {"shown": seeded.shown, "recognised": seeded.recognised},
        "method": METHOD,
        "stages": sample.stages,
        "looks": sample.looks,
        "sample": msgspec.to_builtins(sample),
        "judgements": msgspec.to_builtins(_all(lines)),
    }
    values = msgspec.json.decode(msgspec.json.encode(values))  # lists for tuples, as whoever reads the file has it
    return {**values, "digest": digest_of(values)}


def digest_of(values: dict[str, Any]) -> str:
    """The SHA-256 of the certificate without its `digest`, as JSON with sorted keys and without spaces, in ASCII."""
    content = {key: value for key, value in values.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def in_words(values: dict[str, Any]) -> list[str]:
    """The two statements as sentences."""
    ends = {"missed": "have something missed", "mistake": "have something hidden by mistake"}
    return [_sentence(values["statements"][fault], end) for fault, end in ends.items()]


def _sentence(statement: dict[str, Any], end: str) -> str:
    confidence, share = 100 * statement["confidence"], at_most(statement["share"])
    counts = f"{statement['pictures']} of {statement['population']}"
    return f"With {confidence:.4g} % confidence at most {share} % of the pictures ({counts}) {end}."


def _statement(bound: Bound) -> dict[str, Any]:
    return {
        "population": bound.population,
        "pictures": bound.pictures,
        "share": round(bound.share, 6),
        "confidence": bound.confidence,
        "sensitivity": round(bound.sensitivity, 6),
    }


def _strata(sample: Sample, lines: Judged, fault: str) -> list[Stratum]:
    found = lines.missed if fault == "missed" else lines.mistake
    faulty = Counter(one.stratum for one in sample.pictures if found(one.number))
    return [Stratum(plan.population, plan.drawn, faulty[at]) for at, plan in enumerate(sample.strata)]


def _strata_in_words(
    sample: Sample, missed: Sequence[Stratum], mistake: Sequence[Stratum], seeded: Seeded | None
) -> list[dict[str, Any]]:
    """Each stratum with its own bounds, which hold for each alone, not for all of them together.

    They pay for the looks, and for what reviewers overlook, as the bounds for all pictures do.
    """
    confidence, looks = sample.plan.confidence, sample.looks
    return [
        {
            "folders": list(plan.folders),
            "found": plan.found,
            "population": plan.population,
            "drawn": plan.drawn,
            "missed": one.faulty,
            "missed_at_most": round(upper_bound([one], confidence, stage=looks, seeded=seeded).share, 6),
            "mistake": other.faulty,
            "mistake_at_most": round(upper_bound([other], confidence, stage=looks).share, 6),
        }
        for plan, one, other in zip(sample.strata, missed, mistake, strict=True)
    ]


def _seeded(sample: Sample, lines: Judged) -> Seeded | None:
    """The known faults, and how many of them their first reviewer recognised; None where none was shown."""
    if not sample.seeded:
        return None
    recognised = sum(map(_recognised, sample.seeded, (lines.first(fault.number) for fault in sample.seeded)))
    return Seeded(len(sample.seeded), recognised)


def _recognised(fault: SeededFault, first: Judgement | None) -> bool:
    return first is not None and first.recognises(fault.box)


def _reviewers(sample: Sample, lines: Judged) -> list[dict[str, Any]]:
    """Each reviewer, and how many known faults each was the first to judge: a reviewer without any was not measured."""
    shown = sample.numbers
    counts = Counter(by for number in shown for by in lines.of(number))
    firsts = {number: first for number in shown if (first := lines.first(number)) is not None}
    first_by = Counter(first.by for first in firsts.values())
    known = Counter(firsts[fault.number].by for fault in sample.seeded if fault.number in firsts)
    return [
        {"name": by, "judged": counts[by], "as_second": counts[by] - first_by[by], "known_faults": known[by]}
        for by in sorted(counts)
    ]


def _agreement(sample: Sample, lines: Judged) -> dict[str, Any]:
    found = agreement(sample, lines)
    return {
        "twice": found.twice,
        "same_missed": found.same_missed,
        "same_mistake": found.same_mistake,
        "kappa": None if found.kappa is None else round(found.kappa, 4),
    }


def _all(lines: Judged) -> list[Judgement]:
    """Every judgement that counts: by number, each picture's reviewers in the order in which they judged it."""
    return [judgement for _, own in sorted(lines.by_number.items()) for judgement in own.values()]
