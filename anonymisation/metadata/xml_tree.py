"""The XML of the vendor's tags: access by name, and pretty-printing. `core.safe_xml` parses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 64
"""Maximum nesting; the vendor's documents have four levels."""


@dataclass(frozen=True, slots=True)
class XmlElement:
    """One element: its name with prefix, its attributes in order, and its texts and elements in order.

    It has no comments and no processing instructions. Adjacent texts are joined, and no text is only white space.
    """

    name: str
    attributes: Mapping[str, str]
    content: tuple[XmlElement | str, ...]

    def elements(self) -> Iterator[XmlElement]:
        """The elements directly inside, in order."""
        return (item for item in self.content if isinstance(item, XmlElement))

    def child(self, *path: str) -> XmlElement | None:
        """The element at `path` (local names, downwards), or None; the first element of each name counts."""
        found: XmlElement | None = self
        for name in path:
            if found is None:
                return None
            found = next((child for child in found.elements() if local_name(child.name) == name), None)
        return found

    def text(self, *path: str) -> str | None:
        """The text of the element at `path`, without outer white space; None where there is no text."""
        element = self.child(*path)
        if element is None:
            return None
        return "".join(item for item in element.content if isinstance(item, str)).strip() or None


def local_name(name: str) -> str:
    """`name` of an element or attribute without its namespace prefix."""
    return name.rpartition(":")[2]


def pretty_xml(root: XmlElement) -> str:
    """The document as text: declaration, one element per line, tabs; as Python's minidom (3.11) prints it."""
    return "\n".join(('<?xml version="1.0" ?>', *_lines(root, 0), ""))


def pretty_or_none(root: XmlElement | None) -> str | None:
    """`pretty_xml` of a document that may be missing."""
    return None if root is None else pretty_xml(root)


def _lines(element: XmlElement, depth: int) -> Iterator[str]:
    indent = "\t" * depth
    attributes = "".join(f' {name}="{_escaped_value(value)}"' for name, value in element.attributes.items())
    opening, closing = f"{indent}<{element.name}{attributes}", f"</{element.name}>"
    match element.content:
        case ():
            yield f"{opening}/>"
        case (str(text),):
            yield f"{opening}>{_escaped(text)}{closing}"
        case _:
            yield f"{opening}>"
            for item in element.content:
                if isinstance(item, str):
                    yield f"{indent}\t{_escaped(item)}"
                else:
                    yield from _lines(item, depth + 1)
            yield f"{indent}{closing}"


def _escaped(text: str) -> str:
    for character, reference in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), (">", "&gt;"), ("\r", "&#13;")):
        text = text.replace(character, reference)
    return text


def _escaped_value(text: str) -> str:
    return _escaped(text).replace("\t", "&#9;").replace("\n", "&#10;")
