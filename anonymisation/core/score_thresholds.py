"""The setting `score_thresholds`: least scores by class or group, and by size; how it is checked and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from anonymisation.core.text import did_you_mean

GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"person": ("person",), "vehicle": ("bicycle", "car", "motorcycle", "bus", "truck")}
)
"""The classes of each group, by their labels."""
NAMES: Final = tuple(dict.fromkeys([*GROUPS, *(label for labels in GROUPS.values() for label in labels)]))
"""The classes and groups that the setting may name."""
SIZES: Final = ("small", "medium", "large")
# The area ranges of COCO (pycocotools, Params.setDetParams).
_SMALL_BELOW: Final = 32**2
_LARGE_ABOVE: Final = 96**2
_LONGEST_SHOWN: Final = 60  # characters of an unknown name in a message

EXAMPLE: Final = "{person: 0.1, vehicle: {small: 0.15, large: 0.4}}"


def size_of(area: float) -> str:
    """The size (large, medium or small) of an area in pixels."""
    if area > _LARGE_ABOVE:
        return "large"
    return "small" if area < _SMALL_BELOW else "medium"


def group_of(label: str) -> str:
    """The group of a class.

    Raises:
        KeyError: there is no such class.
    """
    for group, labels in GROUPS.items():
        if label in labels:
            return group
    raise KeyError(label)


def checked(value: object) -> object:
    """The value of the setting, if it is one: class or group → number, or → {size: number}, each 0 to 1.

    Raises:
        ValueError: it is not; the message has every problem, each with its key.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"expected classes and their least scores, such as {EXAMPLE}")
    if problems := [problem for name, given in value.items() for problem in _problems(name, given)]:
        raise ValueError("; ".join(problems))
    return value


def threshold_of(label: str, size: str, default: float, given: Mapping[str, float | Mapping[str, float]]) -> float:
    """The least score of a class (a label) and size. A class goes before its group, and a group before `default`."""
    for name in (label, group_of(label)):
        value = given.get(name)
        if isinstance(value, Mapping):
            value = value.get(size)
        if value is not None:
            return float(value)
    return default


def _problems(name: object, given: object) -> Iterator[str]:
    if not isinstance(name, str) or name not in NAMES:
        yield _unknown("class", name, NAMES)
    elif not isinstance(given, Mapping):
        yield from _number_problems(name, given, ", or numbers by size, such as {small: 0.1, large: 0.4}")
    elif not given:
        yield f"{name}: expected a number or sizes ({', '.join(SIZES)}), which are missing"
    else:
        for size, number in given.items():
            if not isinstance(size, str) or size not in SIZES:
                yield f"{name}: {_unknown('size', size, SIZES)}"
            else:
                yield from _number_problems(f"{name}.{size}", number)


def _number_problems(key: str, number: Any, otherwise: str = "") -> Iterator[str]:
    # NaN fails the comparison, too. True and False are numbers in Python, and a slip here.
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
        yield f"{key}: expected a number from 0 to 1{otherwise}"


def _unknown(what: str, name: object, known: Sequence[str]) -> str:
    text = str(name)[:_LONGEST_SHOWN]
    return f"{text}: unknown {what}{did_you_mean(text, known)}, expected one of {', '.join(known)}"
