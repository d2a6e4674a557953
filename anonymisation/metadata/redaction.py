"""Removes driver, plate and comment of the capture car from the vendor's XML before any other code reads it.

An `XmlElement` is always redacted: this module makes it from the parser's own tree and drops that tree.
"""

from __future__ import annotations

import html
import re
from typing import Final
from xml.dom import minidom

from anonymisation.core.errors import ImageMetadataError
from anonymisation.core.safe_xml import parse_xml
from anonymisation.metadata.xml_tree import MAX_DEPTH, XmlElement, local_name, pretty_xml

REDACTED: Final = "FJERNET"
SENSITIVE_NAMES: Final = frozenset(("driver", "carid", "comment"))
"""Local names, in lower case, of the redacted elements and attributes; they match in any case, namespace and depth."""

_MARKUP_IN_TEXT: Final = re.compile(rf"<\s*(?:[\w.\-]+:)?(?:{'|'.join(sorted(SENSITIVE_NAMES))})\b", re.IGNORECASE)
_MAX_UNESCAPING: Final = 8


def redact_xml(xml: bytes, *, source: str) -> str:
    """The XML of a tag as it may be published: redacted, pretty-printed with tabs, ending with a line break.

    - An element named Driver, CarID or Comment (in any case, namespace and depth) keeps its name. Its content becomes
      FJERNET, without attributes or children; an empty element stays empty. Text directly after it is removed.
    - An attribute of such a name on another element gets the value FJERNET.
    - A text or attribute value that contains such an element as escaped markup or CDATA becomes FJERNET as a whole.
    - Comments and processing instructions are dropped, and the white space between elements is replaced.

    Args:
        xml: UTF-8 (with or without a mark), UTF-16 or UTF-32, or declared Latin-1 / Windows-1252; NULs may follow.
        source: names the picture in messages. Messages never quote the document.

    Raises:
        ImageMetadataError: undecodable, malformed, too deep, or with a document type, entities or external references.
    """
    return pretty_xml(read_redacted(xml, source=source))


def redact_tag(xml: bytes | None, *, source: str) -> str | None:
    """`redact_xml` of an EXIF tag's value; None where the tag is missing or holds nothing but padding."""
    root = read_redacted_tag(xml, source=source)
    return None if root is None else pretty_xml(root)


def read_redacted_tag(xml: bytes | None, *, source: str) -> XmlElement | None:
    """`read_redacted` of an EXIF tag's value; None where the tag is missing or holds nothing but padding."""
    return read_redacted(xml, source=source) if xml is not None and xml.strip(b"\x00 \t\r\n") else None


def read_redacted(xml: bytes, *, source: str) -> XmlElement:
    """The root of the XML of a tag, redacted as `redact_xml` says. Raises ImageMetadataError like it."""
    return _element(parse_xml(xml, source=source), MAX_DEPTH, source)


def _element(node: minidom.Element, depth_left: int, source: str) -> XmlElement:
    if depth_left == 0:
        raise ImageMetadataError(
            f"{source}: its XML metadata is nested deeper than {MAX_DEPTH} elements; repair the tag"
        )
    if _is_sensitive(node.tagName):
        return _without_secrets(node)
    attributes = {name: _safe_value(name, value) for name, value in node.attributes.items()}
    return XmlElement(node.tagName, attributes, _content(node, depth_left - 1, source))


def _content(node: minidom.Element, depth_left: int, source: str) -> tuple[XmlElement | str, ...]:
    """Children in order. Texts are joined across comments and CDATA borders, so that no name can hide in pieces."""
    content: list[XmlElement | str] = []
    pieces: list[str] = []
    behind_secret = False

    def end_text() -> None:
        text = "".join(pieces)
        pieces.clear()
        if text.strip() and not behind_secret:
            content.append(_safe_text(text))

    for child in node.childNodes:
        if isinstance(child, minidom.Text):  # CDATA sections are Text as well
            pieces.append(child.data)
        elif isinstance(child, minidom.Element):
            end_text()
            content.append(_element(child, depth_left, source))
            behind_secret = _is_sensitive(child.tagName)
    end_text()
    if len(content) == 1:
        return tuple(content)
    # among elements, outer white space is layout; the printer writes its own
    return tuple(item.strip() if isinstance(item, str) else item for item in content)


def _without_secrets(node: minidom.Element) -> XmlElement:
    # If only this element declares a prefix, both go: a prefix without its declaration is not well-formed.
    prefix = node.tagName.rpartition(":")[0]
    name = local_name(node.tagName) if node.hasAttribute(f"xmlns:{prefix}") else node.tagName
    return XmlElement(name, {}, (REDACTED,) if _holds_anything(node) else ())


def _holds_anything(node: minidom.Element) -> bool:
    if any(not isinstance(child, minidom.Text) or child.data.strip() for child in node.childNodes):
        return True
    # xsi:nil is a serialiser's mark for an empty element; a namespace is not a value
    return any(
        value.strip() and local_name(name) != "nil" and name.partition(":")[0] != "xmlns"
        for name, value in node.attributes.items()
    )


def _is_sensitive(name: str) -> bool:
    return local_name(name).casefold() in SENSITIVE_NAMES


def _safe_value(name: str, value: str) -> str:
    return REDACTED if _is_sensitive(name) and value.strip() else _safe_text(value)


def _safe_text(text: str) -> str:
    """`text`, or FJERNET where `text` contains a redacted element after unescaping (once or several times)."""
    plain = text
    for _ in range(_MAX_UNESCAPING):
        if _MARKUP_IN_TEXT.search(plain):
            return REDACTED
        try:
            unescaped = html.unescape(plain)
        except ValueError:  # a character reference of thousands of digits
            return REDACTED
        if unescaped == plain:
            return text
        plain = unescaped
    return REDACTED  # a real measurement is never escaped that often
