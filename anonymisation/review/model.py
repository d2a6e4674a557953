"""The review of a picture as values: boxes that reviewers added or withdrew, and whether a reviewer called it ok."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

SMALLEST_SIDE: Final = 1e-4  # share of the picture; a smaller box is drawn by accident


@dataclass(frozen=True, slots=True)
class Box:
    """A region to hide: edges as shares (0 to 1) of the height and width of the picture as its file stores it.

    Raises:
        ValueError: an edge lies outside the picture, or the box is empty.
    """

    top: float
    left: float
    bottom: float
    right: float

    def __post_init__(self) -> None:
        if not all(0 <= side <= 1 for side in self.as_tuple()):  # NaN fails the comparison, too
            raise ValueError(f"expected edges from 0 to 1, got {self.as_tuple()}")
        if self.bottom - self.top < SMALLEST_SIDE or self.right - self.left < SMALLEST_SIDE:
            raise ValueError(f"expected top < bottom and left < right, got {self.as_tuple()}")

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Top, left, bottom, right."""
        return self.top, self.left, self.bottom, self.right


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Who withdrew a box, when (ISO 8601 in UTC), and why."""

    by: str
    at: str
    reason: str


@dataclass(frozen=True, slots=True)
class AddedBox:
    """A box, who drew it and when (ISO 8601 in UTC). `number` counts all boxes ever drawn on the picture, from 0.

    A box whose line is damaged leaves a gap: later lines name boxes by these numbers, and must not mean another box.
    """

    number: int
    box: Box
    by: str
    at: str
    withdrawn: Withdrawal | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """The review of one picture: its boxes in the order they were drawn, and which of them the masked picture hides.

    `seen` is the version that the last reviewer looked at (see `review.rows.Row.version`). `ok` says that the reviewer
    found nothing missing in that version. Both say nothing about another version of the picture.
    """

    boxes: tuple[AddedBox, ...] = ()
    hidden: frozenset[int] = frozenset()
    ok: bool = False
    seen: str = ""
    by: str = ""
    at: str = ""

    @property
    def next_number(self) -> int:
        """The number of the next box that is drawn."""
        return self.boxes[-1].number + 1 if self.boxes else 0

    @property
    def active(self) -> tuple[AddedBox, ...]:
        """The boxes that are not withdrawn; every masking hides them."""
        return tuple(added for added in self.boxes if added.withdrawn is None)

    @property
    def waiting(self) -> tuple[AddedBox, ...]:
        """The active boxes that the masked picture does not hide yet."""
        return tuple(added for added in self.active if added.number not in self.hidden)

    @property
    def remaining(self) -> frozenset[int]:
        """The numbers of withdrawn boxes that the masked picture still hides: a hidden region is never uncovered."""
        return self.hidden.difference(added.number for added in self.active)

    def is_ok(self, version: str) -> bool:
        """Whether a reviewer found nothing missing in this version of the picture."""
        return self.ok and self.seen == version

    def is_judged(self, version: str) -> bool:
        """Whether a reviewer called this version of the picture ok, or drew boxes on it."""
        return self.seen == version and (self.ok or bool(self.active))

    def with_line(self, line: Mapping[str, Any]) -> Self:
        """The review after one more line of the journal.

        Raises:
            ArithmeticError, LookupError, TypeError, ValueError: the line comes from another version of the software.
        """
        if "box" in line:
            added = AddedBox(self._number_in(line), Box(*line["box"]), _text(line, "by"), _text(line, "at"))
            return self._judged(line, boxes=(*self.boxes, added), ok=False, seen=str(line.get("of", "")))
        if "hidden" in line:
            return self._hiding(line["hidden"])
        if "withdrawn" in line:
            return self._judged(line, boxes=self._without(int(line["withdrawn"]), line), ok=False)
        # Earlier versions wrote the model's name as `ok`. It matches no version, so the picture is reviewed again.
        return self._judged(line, ok=True, seen=str(line["ok"]))

    def _judged(self, line: Mapping[str, Any], **changes: Any) -> Self:
        return replace(self, **changes, by=_text(line, "by"), at=_text(line, "at"))

    def _number_in(self, line: Mapping[str, Any]) -> int:
        """The number of the box on a line; earlier versions wrote none. A number that is taken is never believed."""
        number = line.get("number")
        return number if type(number) is int and number > self.next_number else self.next_number

    def _hiding(self, numbers: int | list[int]) -> Self:
        """With the numbers of the boxes that are hidden now. Earlier versions wrote a count: the first boxes."""
        known = [added.number for added in self.boxes]
        hidden = frozenset(known[: max(0, numbers)] if isinstance(numbers, int) else (n for n in numbers if n in known))
        if self.hidden <= hidden:
            return replace(self, hidden=hidden)
        return replace(self, hidden=hidden, ok=False, seen="")  # less is hidden than the reviewer saw

    def _without(self, number: int, line: Mapping[str, Any]) -> tuple[AddedBox, ...]:
        known = [added.number for added in self.boxes]
        if number not in known:
            raise ValueError(f"expected the number of a box, one of {known}, got {number}")
        withdrawal = Withdrawal(_text(line, "by"), _text(line, "at"), str(line["reason"]))
        return tuple(replace(added, withdrawn=withdrawal) if added.number == number else added for added in self.boxes)


def _text(line: Mapping[str, Any], key: str) -> str:
    value = line[key]
    if not isinstance(value, str):
        raise TypeError(f"{key}: expected text, got {value!r}")
    return value


NOTHING: Final = Review()
