"""The cases of the long attack, each a value that can run independently and returns its results."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final

from tests.privacy.backgrounds import backgrounds
from tests.privacy.correlation import MEASURES, likeness_levels
from tests.privacy.faces import FaceCandidates
from tests.privacy.geometries import AT_THE_EDGE, INSIDE
from tests.privacy.identification import CANDIDATES, Camera, MakeCandidates, identify
from tests.privacy.lettering import GUESSING, Font
from tests.privacy.publishing import SURVEY_WIDTH, Hide, product
from tests.privacy.reading import read_plates
from tests.privacy.scenes import CarCandidates
from tests.privacy.stats import LEVEL, at_least, at_least_of
from tests.privacy.weak_blurs import WeakBlur, WeakKind

BLUR: Final = 15.0  # the default
_CARS: Final = (440, 380, 300)
_SIZES: Final = ((440, 33), (200, 100), (200, 15))
_BLURS: Final = (1.0, 5.0, 30.0, 100.0)
_ROAD_CARS: Final = 75  # JPEG quality of the survey pictures


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        case: the attacked case.
        hidden_by: the settings, or the blur of a control.
        result: the attacker's result.
        chance: the result of guessing.
        level: the probability that guessing does as well.
        control: whether the attack must succeed.
    """

    case: str
    hidden_by: str
    result: str
    chance: str
    level: float
    control: bool

    @property
    def above(self) -> bool:
        """Whether the attack is significantly better than guessing."""
        return self.level < LEVEL

    @property
    def as_it_must_be(self) -> bool:
        """Whether the result is as expected: a control is broken, or the product is not."""
        return self.above == self.control


@dataclass(frozen=True, slots=True)
class Hiding:
    """A way of hiding: the product with some settings, or a control's blur."""

    name: str
    blur: float = BLUR
    kind: WeakKind = "normalised"
    control: bool = False

    @property
    def side(self) -> int:
        """Side of the box blur on a survey picture, in pixels."""
        return int(self.blur / 1000 * SURVEY_WIDTH)

    def hide(self) -> Hide:
        """The function that hides this way."""
        if self.control:
            return WeakBlur(self.side, self.kind)
        return product(self.blur, gray=self.kind != "colour", normalised=self.kind == "normalised")


def _ways(blur: float = BLUR) -> list[Hiding]:
    names: dict[WeakKind, str] = {"normalised": "default", "gray": "gray only", "colour": "colour"}
    shown = "" if blur == BLUR else f", blur {blur:g}"
    return [Hiding(name + shown, blur, kind) for kind, name in names.items()]


def _controls(*kinds: WeakKind, blur: float = BLUR) -> list[Hiding]:
    return [Hiding(f"plain {kind} blur {blur:g}", blur, kind, control=True) for kind in kinds]


@dataclass(frozen=True, slots=True)
class Reading:
    """Attack (a) on every available picture."""

    car: int
    quality: int
    font: Font
    hiding: Hiding

    @property
    def name(self) -> str:
        """Of the case."""
        known = "" if self.font == "pillow" else ", wrong font"
        return f"reading: car {self.car}, JPEG {self.quality}{known}"

    def run(self) -> list[Row]:
        """Read them."""
        pictures = backgrounds()
        found = read_plates(
            pictures, self.car, self.hiding.hide(), self.hiding.kind, self.hiding.side,
            seed=self.car, quality=self.quality, font=self.font,
        )  # fmt: skip
        chances = GUESSING * len(pictures)
        result = f"{found.characters} of {len(chances)} characters, {found.whole} whole"
        level = at_least_of(found.characters, chances)
        return [Row(self.name, self.hiding.name, result, f"{sum(chances):.1f}", level, self.hiding.control)]


@dataclass(frozen=True, slots=True)
class Identification:
    """Attack (b). With `tones`, a guess may use that candidates have different tones, as documented."""

    name: str
    make: MakeCandidates
    hidings: tuple[Hiding, ...]
    trials: int
    camera: Camera = field(default_factory=Camera)
    tones: bool = False

    def run(self) -> list[Row]:
        """Attack each way of hiding on the same pictures."""
        hides = {hiding.name: hiding.hide() for hiding in self.hidings}
        seed = zlib.crc32(" ".join([self.name, *hides]).encode())  # a different seed for each case
        outcomes = identify(self.make, hides, self.trials, seed, self.camera)
        rows = []
        for hiding in self.hidings:
            outcome = outcomes[hiding.name]
            chance = outcome.bound if self.tones and not hiding.control else 1 / CANDIDATES
            result = f"{outcome.right} of {outcome.trials}, {outcome.forms:.1f} forms of {CANDIDATES}"
            level = at_least(outcome.right, outcome.trials, chance)
            rows.append(Row(self.name, hiding.name, result, f"{chance * self.trials:.1f}", level, hiding.control))
        return rows


@dataclass(frozen=True, slots=True)
class Correlation:
    """Attack (c), in all channels, in pixels and coefficients; the level is that of the most significant of the six."""

    hiding: Hiding
    quality: int

    @property
    def name(self) -> str:
        """Of the case."""
        return f"correlation: JPEG {self.quality}"

    def run(self) -> list[Row]:
        """Compare."""
        levels = likeness_levels(self.hiding.hide(), seed=self.quality, quality=self.quality)
        most = min(levels, key=lambda name: levels[name])
        level = min(1.0, levels[most] * len(MEASURES))
        result = f"p = {levels[most]:.4f} ({most})"
        return [Row(self.name, self.hiding.name, result, f"{1 / len(MEASURES):.2f}", level, self.hiding.control)]


Case = Reading | Identification | Correlation


def cases(trials: int, *, quick: bool) -> list[Case]:
    """All cases, the longest first; with `quick`, a selection."""
    return [*_identifications(trials), *_readings(quick), *_correlations()]


def _readings(quick: bool) -> list[Case]:
    hidings = [*_controls("normalised", "gray"), *(_ways()[:1] if quick else _ways())]
    settings: list[tuple[int, Font]] = [(90, "pillow")] if quick else [
        (quality, font) for quality in (90, 70) for font in ("pillow", "opencv")
    ]  # fmt: skip
    return [Reading(car, quality, font, hiding) for car in _CARS for quality, font in settings for hiding in hidings]


def _identifications(trials: int) -> list[Case]:
    found: list[Case] = []
    for car, plate in _SIZES:
        hidings = (*_controls("normalised"), *_ways())
        found.append(Identification(f"plate {plate} on car {car}", CarCandidates(car, plate), hidings, trials))
    for blur in _BLURS:
        hidings = (*(_controls("normalised", blur=blur) if blur < 100 else ()), *_ways(blur))
        found.append(Identification("plate 33 on car 440", CarCandidates(440, 33), hidings, trials))
    for name, make in INSIDE.items():
        found.append(Identification(name, make, (*_controls("normalised"), *_ways()), trials))
    for name, make in AT_THE_EDGE.items():
        camera = Camera(quality=_ROAD_CARS)
        found.append(Identification(f"{name}, JPEG {_ROAD_CARS}", make, tuple(_ways()), trials, camera))
    for name, face in (("face close up", FaceCandidates(120, True)), ("face far away", FaceCandidates(40, False))):
        found.append(Identification(name, face, (*_controls("normalised", "colour"), *_ways()), trials, tones=True))
    return found


def _correlations() -> list[Case]:
    hidings = [*_controls("normalised", "gray", "colour"), *_ways(), *_ways(1.0)]
    return [Correlation(hiding, quality) for hiding in hidings for quality in (90, 70)]
