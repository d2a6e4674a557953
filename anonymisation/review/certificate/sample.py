"""The random sample of a certificate: how it is drawn, and the file that holds it.

    <state>/certificates/<id>/sample.json       what was drawn, from what, and how; replaced only by a further stage
    <state>/certificates/<id>/judgements.jsonl  what the reviewers said (see `judgements`)
    <state>/certificates/<id>/certificate.json  the result, and certificate.html for print (see `document`)

The order in which pictures are drawn from a stratum is that of SHA-256 over a random seed and the picture's path. So
everybody who has the seed can repeat the draw. The seed is random and made when the population is fixed.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from anonymisation.review.certificate.bounds import sample_size
from anonymisation.review.certificate.population import Candidate, FolderCount, Masking, Population

FORMAT: Final = 1
_LEAST_EXPECTED: Final = 2.0  # pictures drawn from a folder's stratum; smaller ones are put together


class Plan(msgspec.Struct, frozen=True):
    """What the certificate is to say: at most `bound` of the pictures, with `confidence`.

    The sample is large enough for the bound if reviewers find `tolerated` faulty pictures in it. `second_share` of the
    sample is judged by a second reviewer, too. `seeded` pictures with a known fault are shown among the sample.

    Raises:
        ValueError: a value lies outside its range.
    """

    bound: float = 0.01
    confidence: float = 0.95
    tolerated: int = 0
    second_share: float = 0.1
    seeded: int = 0

    def __post_init__(self) -> None:
        ranges = (
            ("bound", 0 < self.bound < 1, "between 0 and 1"),
            ("confidence", 0.5 < self.confidence < 1, "between 0.5 and 1"),
            ("tolerated", 0 <= self.tolerated <= 1000, "from 0 to 1000"),
            ("second_share", 0 <= self.second_share <= 1, "from 0 to 1"),
            ("seeded", 0 <= self.seeded <= 1000, "from 0 to 1000"),
        )
        for name, fits, expected in ranges:
            if not fits:  # NaN fits nowhere
                raise ValueError(f"{name}: expected a number {expected}, got {getattr(self, name)}")


class StratumPlan(msgspec.Struct, frozen=True):
    """Pictures of which the same share is drawn: of `folders`, in which the model found something (`found`), or
    nothing."""

    folders: tuple[str, ...]
    found: bool
    population: int
    drawn: int


class Drawn(msgspec.Struct, frozen=True):
    """A picture of the sample: the `number` at which it is shown (from 1), and the stage and stratum it comes from.

    `sha256` is that of the masked picture's file when it was drawn. `second`: a second reviewer judges it, too.
    """

    number: int
    stage: int
    stratum: int
    folder: str
    name: str
    version: str
    sha256: str = ""
    second: bool = False


class SeededFault(msgspec.Struct, frozen=True):
    """A copy of a masked picture with a known fault, shown at `number` as if it belonged to the sample."""

    number: int
    folder: str
    name: str
    label: str
    box: tuple[float, float, float, float]


class Sample(msgspec.Struct, frozen=True):
    """A sample, all its stages included.

    `earlier`: older samples of the same unchanged pictures, each stage of them a look. `run`: the run whose folders it
    is drawn from, where a person chose a run.
    """

    id: str
    title: str
    by: str
    at: str
    plan: Plan
    seed: str
    folders: tuple[FolderCount, ...]
    maskings: tuple[Masking, ...]
    strata: tuple[StratumPlan, ...]
    pictures: tuple[Drawn, ...]
    seeded: tuple[SeededFault, ...] = ()
    stages: int = 1
    earlier: tuple[str, ...] = ()
    run: str = ""
    format: int = FORMAT

    @property
    def population(self) -> int:
        """The number of masked pictures that the sample is drawn from."""
        return sum(stratum.population for stratum in self.strata)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of all pictures that are shown, known faults included, in order."""
        pictures = (one.number for one in self.pictures)
        return tuple(sorted((*pictures, *(one.number for one in self.seeded))))

    @property
    def looks(self) -> int:
        """How often somebody could look at a bound on these pictures: the stages of this sample and of earlier ones."""
        return self.stages + len(self.earlier)

    def is_drawn_from(self, population: Population) -> bool:
        """Whether nothing was masked again, added or removed since the draw, and finds are still known."""
        return self.folders == population.folders


def draw(
    population: Population, plan: Plan, *, title: str, by: str, at: str, earlier: Iterable[str] = (), run: str = ""
) -> Sample:
    """Draw a sample that can reach the plan's bound. The files' checksums are added by `store`.

    Raises:
        ValueError: there is no masked picture to draw, or the plan's bound is out of reach.
    """
    total = len(population.candidates)
    if not total:
        raise ValueError("no masked picture to draw from")
    seed, looks = secrets.token_hex(32), tuple(earlier)
    size = sample_size(
        total, plan.bound, plan.confidence, tolerated=plan.tolerated, stage=len(looks) + 1, seeded=plan.seeded
    )
    wanted = max(1, size)
    strata = _strata(population.candidates, wanted / total)
    sample = Sample(
        id=f"{at[:10]}-{seed[:8]}",
        title=title,
        by=by,
        at=at,
        plan=plan,
        seed=seed,
        folders=population.folders,
        maskings=population.maskings,
        strata=tuple(_plan_of(key, members, 0) for key, members in strata.items()),
        pictures=(),
        stages=0,
        earlier=looks,
        run=run,
    )
    return _with_stage(sample, population, wanted / total)


def draw_more(sample: Sample, population: Population, more: int) -> Sample:
    """The sample with a further stage of about `more` pictures, from the same strata in the same random order.

    Raises:
        ValueError: pictures were masked again since the draw, or all of them are in the sample already.
    """
    if not sample.is_drawn_from(population):
        raise ValueError("pictures were masked again, added or removed since the draw; draw a new sample")
    if len(sample.pictures) >= sample.population:
        raise ValueError(f"all {sample.population} masked pictures are in the sample already")
    if more < 1:
        raise ValueError(f"expected to draw at least 1 picture more, got {more}")
    return _with_stage(sample, population, min(1.0, (len(sample.pictures) + more) / sample.population))


def _with_stage(sample: Sample, population: Population, share: float) -> Sample:
    """With one more stage, after which at least `share` of every stratum is in the sample."""
    members = order_of(sample, population)
    stage, new, strata = sample.stages + 1, list[Drawn](), list[StratumPlan]()
    for index, stratum in enumerate(sample.strata):
        drawn = max(stratum.drawn, math.ceil(share * stratum.population - 1e-9))
        new += [Drawn(0, stage, index, c.folder, c.name, c.version) for c in members[index][stratum.drawn : drawn]]
        strata.append(replace(stratum, drawn=drawn))
    new.sort(key=lambda one: random_order(sample.seed, "shown", one.folder, one.name))
    twice = sorted(new, key=lambda one: random_order(sample.seed, "second", one.folder, one.name))
    second = {(one.folder, one.name) for one in twice[: math.ceil(sample.plan.second_share * len(new))]}
    shown_before = len(sample.pictures) + len(sample.seeded)
    numbered = [
        replace(one, number=shown_before + at, second=(one.folder, one.name) in second)
        for at, one in enumerate(new, start=1)
    ]
    return replace(sample, strata=tuple(strata), pictures=(*sample.pictures, *numbered), stages=stage)


def with_seeded(sample: Sample, faults: Sequence[SeededFault]) -> Sample:
    """The sample with known faults at random places among the pictures of its first stage, numbered again.

    Raises:
        ValueError: the sample has a second stage or known faults already, so people may have judged its pictures.
    """
    if sample.stages != 1 or sample.seeded:
        raise ValueError("known faults can only be added to a new sample")
    shown: list[Drawn | SeededFault] = [*sample.pictures, *faults]
    shown.sort(key=lambda one: random_order(sample.seed, "shown", one.folder, one.name))
    numbered = [replace(one, number=number) for number, one in enumerate(shown, start=1)]
    return replace(
        sample,
        pictures=tuple(one for one in numbered if isinstance(one, Drawn)),
        seeded=tuple(one for one in numbered if isinstance(one, SeededFault)),
    )


_Key = tuple[tuple[str, ...], bool]


def _strata(candidates: Sequence[Candidate], share: float) -> dict[_Key, list[Candidate]]:
    """The strata: a folder's pictures with finds, and those without; small ones of several folders are put together."""
    own: dict[tuple[str, bool], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        own[candidate.folder, candidate.found].append(candidate)
    strata: dict[_Key, list[Candidate]] = {}
    for found in (True, False):
        small: list[tuple[str, list[Candidate]]] = []
        for (folder, kind), members in own.items():
            if kind is not found:
                continue
            if len(members) * share >= _LEAST_EXPECTED:
                strata[(folder,), found] = members
            else:
                small.append((folder, members))
        if small:
            strata[tuple(folder for folder, _ in small), found] = [one for _, members in small for one in members]
    return strata


def _plan_of(key: _Key, members: Sequence[Candidate], drawn: int) -> StratumPlan:
    return StratumPlan(folders=key[0], found=key[1], population=len(members), drawn=drawn)


def order_of(sample: Sample, population: Population) -> list[list[Candidate]]:
    """The pictures of each stratum in the random order in which they are drawn.

    A picture is left out if its stratum did not exist at the draw.
    """
    places = {(folder, stratum.found): at for at, stratum in enumerate(sample.strata) for folder in stratum.folders}
    members: list[list[Candidate]] = [[] for _ in sample.strata]
    for candidate in population.candidates:
        place = places.get((candidate.folder, candidate.found))
        if place is not None:
            members[place].append(candidate)
    for own in members:
        own.sort(key=lambda one: random_order(sample.seed, "drawn", one.folder, one.name))
    return members


def random_order(seed: str, purpose: str, folder: str, name: str) -> bytes:
    """A place in a random order that everybody can compute again."""
    return hashlib.sha256(f"{seed}\0{purpose}\0{folder}\0{name}".encode("utf-8", "surrogateescape")).digest()
