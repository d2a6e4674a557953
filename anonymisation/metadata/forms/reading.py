"""What every form of records is made from: the tags of a picture, read once, and the settings for records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from anonymisation.metadata.path_fallback import path_elements
from anonymisation.metadata.timestamps import Timestamp
from anonymisation.metadata.xml_tree import XmlElement

if TYPE_CHECKING:
    from anonymisation.imaging.exif.read import ExifTags
    from anonymisation.metadata.forms.context import RecordContext

V = TypeVar("V", bound="Values")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One picture: its path, its EXIF, the redacted XML of the vendor's tags, and what is known of it from elsewhere.

    `size` is the width and height in pixels, None where it is not known. `objects` are the numbers of found objects per
    label, None when no model looked for them.
    """

    path: Path
    exif: ExifTags
    context: RecordContext
    properties: XmlElement | None
    """ImageProperties, tag 40055."""
    link: XmlElement | None
    """ReflinkInfo, tag 40056."""
    sha256: str | None = None
    size: tuple[int, int] | None = None
    objects: Mapping[str, int] | None = None

    @property
    def source(self) -> str:
        """The name of the picture in messages."""
        return str(self.path)

    @cached_property
    def path_names(self) -> tuple[str, ...]:
        """The names of the picture's path that say something about it, the file's own name last."""
        return path_elements(self.path, input_root=self.context.input_root, top_dir=self.context.exif_top_dir)

    @property
    def counts(self) -> dict[str, str] | None:
        """`detekterte_objekter`: the counts as text, sorted by label."""
        return None if self.objects is None else {label: str(n) for label, n in sorted(self.objects.items())}

    @property
    def title(self) -> str | None:
        """XPTitle; "" where the tag is missing, None without EXIF."""
        return (self.exif.xp_title or "").lstrip("\ufeff").rstrip("\x00") if self.exif.present else None


class Values(Protocol):
    """The values of one picture in one form."""

    @property
    def taken(self) -> Timestamp:
        """The time of exposure."""

    @property
    def outweighing_tags(self) -> str | None:
        """What the record is made from, where the published EXIF states its time and place in place of those of the
        standard tags; None where these stand.
        """


@dataclass(frozen=True, slots=True)
class RecordForm(Generic[V]):
    """A form: its name, how the values of a picture are read, and the source of each key, in the order of the keys."""

    name: int
    values: Callable[[Reading], V]
    sources: Mapping[str, Callable[[V], Any]]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a record, in order."""
        return tuple(self.sources)

    def fits(self, keys: Iterable[str]) -> bool:
        """Whether a record with `keys` is of this form."""
        return set(keys) == self.sources.keys()
