"""The XML of the vendor's tags: decoding, safe parsing, access by name, and pretty-printing.

Anyone can make a file with these tags. So the parser refuses document types, entities and external references
(defusedxml), and the depth is limited.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from defusedxml import DefusedXmlException
from defusedxml import minidom as defused_minidom

from anonymisation.core.errors import ImageMetadataError

MAX_DEPTH: Final = 64
"""Maximum nesting; the vendor's documents have four levels."""
MAX_BYTES: Final = 1 << 20
"""Most bytes of a document; the vendor's have a few thousand."""
MAX_PARTS: Final = 20_000
"""Most elements and attributes, counted by `<` and `=`; each takes about a kilobyte of memory."""

_BYTE_ORDER_MARKS: Final = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED: Final = ((b"<\x00", "utf-16-le"), (b"\x00<", "utf-16-be"))  # XML 1.0, appendix F
_ONE_BYTE: Final = frozenset(("iso8859-1", "iso8859-15", "cp1252"))
# Encodings a declaration may name. Anything else is refused: in UTF-7 and the like, plain ASCII can hide markup.
_KNOWN: Final = _ONE_BYTE | {"ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"}
_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']""")


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


def parse_xml(xml: bytes, *, source: str) -> minidom.Element:
    """Parse the bytes of a tag; `source` names the picture in messages. The result is not redacted yet.

    Raises:
        ImageMetadataError: undecodable, malformed or too large, or with a document type, entities or external
            references.
    """
    if len(xml) > MAX_BYTES:
        reason = f"{len(xml)} bytes, at most {MAX_BYTES}"
        raise ImageMetadataError(f"{source}: its XML metadata is too large ({reason}); repair the tag")
    text = _decode(xml, source)
    if (parts := text.count("<") + text.count("=")) > MAX_PARTS:
        reason = f"{parts} elements and attributes, at most {MAX_PARTS}"
        raise ImageMetadataError(f"{source}: its XML metadata is too large ({reason}); repair the tag")
    try:
        document = defused_minidom.parseString(text, forbid_dtd=True)  # of a str, the declared encoding is ignored
    except ExpatError as error:
        raise ImageMetadataError(f"{source}: its XML metadata is malformed ({error}); repair the tag") from error
    except (DefusedXmlException, ValueError) as error:  # ValueError: names and characters the parser cannot represent
        # Only the class, and `from None`: such an error can quote the document, and messages go to logs and mails.
        reason = type(error).__name__
        raise ImageMetadataError(f"{source}: its XML metadata is refused ({reason}); repair the tag") from None
    root = document.documentElement
    if root is None:
        raise ImageMetadataError(f"{source}: its XML metadata holds no element; repair the tag")
    return root


def pretty_xml(root: XmlElement) -> str:
    """The document as text: declaration, one element per line, tabs; as Python's minidom (3.11) prints it."""
    return "\n".join(('<?xml version="1.0" ?>', *_lines(root, 0), ""))


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


def _decode(xml: bytes, source: str) -> str:
    """The text of a tag, without byte order mark and padding. The bytes outweigh the declared encoding."""
    try:
        text = _decoded(xml)
    except (UnicodeDecodeError, LookupError) as error:
        reason = getattr(error, "reason", error)
        raise ImageMetadataError(f"{source}: its XML metadata cannot be decoded ({reason}); repair the tag") from None
    return text.rstrip("\x00 \t\r\n").lstrip(" \t\r\n")  # EXIF values are often padded with NULs


def _decoded(xml: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if xml.startswith(mark):
            return _decoded_as(xml[len(mark) :], encoding)
    for start, encoding in _UNMARKED:
        if xml.startswith(start):
            return _decoded_as(xml, encoding)
    declared = _declared_encoding(xml)
    try:
        return xml.decode("utf-8")
    except UnicodeDecodeError:
        if declared not in _ONE_BYTE:
            raise
        return xml.decode(declared)


def _decoded_as(xml: bytes, encoding: str) -> str:
    if encoding.startswith("utf-16") and len(xml) % 2 and xml.endswith(b"\x00"):
        xml = xml[:-1]  # a single byte of padding
    return xml.decode(encoding)


def _declared_encoding(xml: bytes) -> str:
    match = _DECLARED.search(xml[:200])
    if match is None:
        return "utf-8"
    name = codecs.lookup(match[1].decode("ascii", "replace")).name
    if name not in _KNOWN:
        raise LookupError(f"the declared encoding {name} is not supported")
    return name
