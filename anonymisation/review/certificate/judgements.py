"""What reviewers say about the pictures of a sample. Every line stays; the last one of each reviewer counts.

<state>/certificates/<id>/judgements.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from anonymisation.review.certificate.sample import Sample


class Judgement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reviewer's judgement of the picture shown at `number`.

    `missed`: a person or vehicle is not hidden. `mistake`: something else is hidden. `at` is ISO 8601 in UTC. `place`
    is where: top, left, bottom, right as shares of the upright picture; None if the reviewer marked no place.
    """

    number: int
    by: str
    at: str
    missed: bool
    mistake: bool
    place: tuple[float, float, float, float] | None = None

    def recognises(self, box: tuple[float, float, float, float]) -> bool:
        """Whether the marked place touches the box. A picture with a known fault may have another one, too."""
        if not self.missed or self.place is None:
            return False
        top, left, bottom, right = self.place
        return top < box[2] and box[0] < bottom and left < box[3] and box[1] < right


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgements of all pictures: by number, then by reviewer in the order in which they first judged it."""

    by_number: Mapping[int, Mapping[str, Judgement]]

    def of(self, number: int) -> Mapping[str, Judgement]:
        """The last judgement of each reviewer of the picture shown at `number`."""
        return self.by_number.get(number, {})

    def missed(self, number: int) -> bool:
        """Whether any reviewer found that something is not hidden."""
        return any(judgement.missed for judgement in self.of(number).values())

    def mistake(self, number: int) -> bool:
        """Whether any reviewer found something hidden by mistake."""
        return any(judgement.mistake for judgement in self.of(number).values())

    def first(self, number: int) -> Judgement | None:
        """The judgement of the first reviewer; None before there is one."""
        return next(iter(self.of(number).values()), None)


def judged(lines: Iterable[Judgement]) -> Judged:
    """Sort the lines of the log."""
    by_number: dict[int, dict[str, Judgement]] = {}
    for line in lines:
        by_number.setdefault(line.number, {})[line.by] = line
    return Judged(by_number)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the review is: pictures without any judgement, and those that lack the second reviewer's."""

    shown: int
    without_judgement: tuple[int, ...]
    without_second: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to judge."""
        return not self.without_judgement and not self.without_second


def progress(sample: Sample, judged: Judged) -> Progress:
    """What is left to judge, in the order in which pictures are shown."""
    numbers = sample.numbers
    twice = {one.number for one in sample.pictures if one.second}
    return Progress(
        shown=len(numbers),
        without_judgement=tuple(number for number in numbers if not judged.of(number)),
        without_second=tuple(number for number in numbers if number in twice and len(judged.of(number)) == 1),
    )


def next_number(left: Progress, judged: Judged, by: str) -> int | None:
    """The picture that the reviewer `by` is to judge next; None if none of the rest is for this reviewer."""
    if left.without_judgement:
        return left.without_judgement[0]
    return next((number for number in left.without_second if by not in judged.of(number)), None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often two reviewers of one picture say the same, of `twice` pictures that two have judged.

    `kappa` is Cohen's (1960) for *missed*: 1 is full agreement, 0 that of chance; None where it is not defined.
    """

    twice: int
    same_missed: int
    same_mistake: int
    kappa: float | None


def agreement(sample: Sample, judged: Judged) -> Agreement:
    """The agreement of the first two reviewers of each picture."""
    pairs = [tuple(own.values())[:2] for one in sample.pictures if len(own := judged.of(one.number)) > 1]
    same = sum(first.missed == second.missed for first, second in pairs)
    return Agreement(
        twice=len(pairs),
        same_missed=same,
        same_mistake=sum(first.mistake == second.mistake for first, second in pairs),
        kappa=_kappa([(first.missed, second.missed) for first, second in pairs]),
    )


def _kappa(pairs: list[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa: (observed - expected) / (1 - expected) agreement."""
    if not pairs:
        return None
    count = len(pairs)
    observed = sum(first == second for first, second in pairs) / count
    one, two = (sum(pair[at] for pair in pairs) / count for at in (0, 1))
    expected = one * two + (1 - one) * (1 - two)
    return None if expected == 1 else (observed - expected) / (1 - expected)
