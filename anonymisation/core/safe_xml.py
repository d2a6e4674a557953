"""Safe parsing of XML that comes with pictures: the vendor's tags, and XMP.

Anyone can make a file with such XML. So the parser refuses document types, entities and external references
(defusedxml), and the size is limited.
"""

from __future__ import annotations

import codecs
import re
from typing import Final
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from defusedxml import DefusedXmlException
from defusedxml import minidom as defused_minidom

from anonymisation.core.errors import ImageMetadataError

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
