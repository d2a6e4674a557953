"""Work units: a capture folder, or a shard, which is a fixed part of the pictures of a large one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from anonymisation.workspace.paths import stem_of


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Part `number` (from 1) of `count` parts of a folder's pictures; part 1 of 1 is the whole folder.

    The part depends only on the picture's name, so that late pictures do not move others. Names that differ only in
    suffix or case are in the same part, since they have the same derived files on some shares.

    With `only`, the part is that one picture, for a process that has the whole folder to itself: it takes no other
    picture from the input, and knows the state of those that have the same derived files.
    """

    number: int = 1
    count: int = 1
    only: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"expected a shard from 1 to {self.count}, got {self.number}")
        if self.only and self.count != 1:
            raise ValueError(f"expected one picture of a whole folder, got {self.only} of {self.number}/{self.count}")

    @property
    def is_whole(self) -> bool:
        """Whether no other process may work on the folder."""
        return self.count == 1

    def holds(self, name: str) -> bool:
        """Whether the picture with this file name is in the shard, or has the derived files of one that is."""
        if self.only:
            return stem_of(name).casefold() == stem_of(self.only).casefold()
        if self.is_whole:
            return True
        stem = stem_of(name).casefold().encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(stem).digest()[:8]) % self.count == self.number - 1

    def takes(self, name: str) -> bool:
        """Whether the picture with this file name is taken from the input."""
        return name == self.only if self.only else self.holds(name)

    def meets(self, other: Shard) -> bool:
        """Whether a picture can be in both shards: some hash has both remainders."""
        return (self.number - other.number) % math.gcd(self.count, other.count) == 0

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE: Final = Shard()


@dataclass(frozen=True, slots=True, order=True)
class WorkUnit:
    """The unit of one chain of tasks: a folder (its path below the input folder, with `/`) or a shard of it."""

    folder: str
    shard: Shard = WHOLE

    @property
    def label(self) -> str:
        """The unit as text, such as `2021/EV6 [2/5]`."""
        return self.folder if self.shard.is_whole else f"{self.folder} [{self.shard}]"

    def to_value(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"folder": self.folder, "shard": self.shard.number, "shards": self.shard.count}

    @classmethod
    def from_value(cls, value: Mapping[str, Any] | str) -> WorkUnit:
        """The inverse of `to_value`; a string is the name of a whole folder."""
        if isinstance(value, str):
            return cls(value)
        return cls(value["folder"], Shard(value.get("shard", 1), value.get("shards", 1)))


def units_of(folder: str, pictures: int, largest: int, most: int) -> tuple[WorkUnit, ...]:
    """Split a folder with `pictures` pictures into units.

    Args:
        largest: the approximate number of pictures in a unit (a hash assigns them); 0: never split.
        most: the maximum number of units.
    """
    count = 1 if largest == 0 else max(1, min(math.ceil(pictures / largest), most))
    return tuple(WorkUnit(folder, Shard(number, count)) for number in range(1, count + 1))
