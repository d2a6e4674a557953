"""Driver, plate and comment of the capture car out of the vendor's XML, before anything else looks at it.

A tree of this package's XML can only be had redacted: the parser's own tree is turned into it here and dropped.
"""

from __future__ import annotations

import html
import re
from typing import Final
from xml.dom import minidom

from anonymisation.core.errors import ImageMetadataError
from anonymisation.metadata.xml_tree import MAX_DEPTH, XmlElement, local_name, parse_xml, pretty_xml

REDACTED: Final = "FJERNET"
SENSITIVE_NAMES: Final = frozenset(("driver", "carid", "comment"))
"""Local names, lower case, of the elements and attributes that are redacted: in any case, namespace and depth."""

_MARKUP_IN_TEXT: Final = re.compile(rf"<\s*(?:[\w.\-]+:)?(?:{'|'.join(sorted(SENSITIVE_NAMES))})\b", re.IGNORECASE)
_MAX_UNESCAPING: Final = 8


def redact_xml(xml: bytes, *, source: str) -> str:
    """The XML of a tag as it may be published: redacted, pretty-printed with tabs, ending with a line break.

    - An element named Driver, CarID or Comment (whatever case, namespace and depth) that holds anything becomes that
      name around FJERNET, without attributes or children; an empty one stays, empty. Text directly behind it goes.
    - An attribute of such a name on another element gets the value FJERNET.
    - Text or an attribute value that carries such an element as escaped markup or CDATA becomes FJERNET as a whole.
    - Comments and processing instructions are dropped, and white space between elements is made anew.

    Args:
        xml: UTF-8 (with or without a mark), UTF-16 or UTF-32, or a declared Latin-1 / Windows-1252; NULs may follow.
        source: the picture, for messages. Messages never quote the document.

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
    """Children in order; texts are joined across comments and CDATA borders, so that nothing hides in the pieces."""
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
    # among elements, outer white space is layout and made anew
    return tuple(item.strip() if isinstance(item, str) else item for item in content)


def _without_secrets(node: minidom.Element) -> XmlElement:
    # A prefix that only this element declares goes with the declaration, or the result would not be well-formed.
    prefix = node.tagName.rpartition(":")[0]
    name = local_name(node.tagName) if node.hasAttribute(f"xmlns:{prefix}") else node.tagName
    return XmlElement(name, {}, (REDACTED,) if _holds_anything(node) else ())


def _holds_anything(node: minidom.Element) -> bool:
    if any(not isinstance(child, minidom.Text) or child.data.strip() for child in node.childNodes):
        return True
    # xsi:nil is how a serialiser says that the element is empty; a namespace is no value
    return any(
        value.strip() and local_name(name) != "nil" and name.partition(":")[0] != "xmlns"
        for name, value in node.attributes.items()
    )


def _is_sensitive(name: str) -> bool:
    return local_name(name).casefold() in SENSITIVE_NAMES


def _safe_value(name: str, value: str) -> str:
    return REDACTED if _is_sensitive(name) and value.strip() else _safe_text(value)


def _safe_text(text: str) -> str:
    """`text`, or FJERNET where it would show one of the elements to whoever unescapes it (once or several times)."""
    plain = text
    for _ in range(_MAX_UNESCAPING):
        if _MARKUP_IN_TEXT.search(plain):
            return REDACTED
        unescaped = html.unescape(plain)
        if unescaped == plain:
            return text
        plain = unescaped
    return REDACTED  # nobody escapes a measurement that often
