"""Work units: a capture folder, or a stable part (shard) of a large one's pictures."""

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

    A picture's part follows from its name alone, so that pictures which arrive late change no other's part. Names that
    differ only in their ending, or in case, share their derived files on some share: they are in one part.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"expected a shard from 1 to {self.count}, got {self.number}")

    @property
    def is_whole(self) -> bool:
        """Whether it holds every picture."""
        return self.count == 1

    def holds(self, name: str) -> bool:
        """Whether the picture of this file name is in it."""
        if self.is_whole:
            return True
        stem = stem_of(name).casefold().encode("utf-8", "surrogateescape")
        return int.from_bytes(hashlib.sha256(stem).digest()[:8]) % self.count == self.number - 1

    def meets(self, other: Shard) -> bool:
        """Whether a picture can be in both: the remainders by which pictures are parted agree for some number."""
        return (self.number - other.number) % math.gcd(self.count, other.count) == 0

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE: Final = Shard()


@dataclass(frozen=True, slots=True, order=True)
class WorkUnit:
    """What one chain of tasks works on: a folder (its path below the input folder, with `/`) or one shard of it."""

    folder: str
    shard: Shard = WHOLE

    @property
    def label(self) -> str:
        """How a person reads it, as in `2021/EV6 [2/5]`."""
        return self.folder if self.shard.is_whole else f"{self.folder} [{self.shard}]"

    def to_value(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"folder": self.folder, "shard": self.shard.number, "shards": self.shard.count}

    @classmethod
    def from_value(cls, value: Mapping[str, Any] | str) -> WorkUnit:
        """The unit that `to_value` was called on; the name of a folder alone is the whole folder."""
        if isinstance(value, str):
            return cls(value)
        return cls(value["folder"], Shard(value.get("shard", 1), value.get("shards", 1)))


def units_of(folder: str, pictures: int, largest: int, most: int) -> tuple[WorkUnit, ...]:
    """The units of a folder with so many pictures.

    Args:
        largest: pictures that a unit holds, about (the parts are equal by chance only); 0: never split.
        most: units that a folder may have at all, whatever its size.
    """
    count = 1 if largest == 0 else max(1, min(math.ceil(pictures / largest), most))
    return tuple(WorkUnit(folder, Shard(number, count)) for number in range(1, count + 1))
