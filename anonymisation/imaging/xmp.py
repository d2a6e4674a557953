"""XMP of a JPEG file: the few properties that are read. Extended XMP is ignored: it holds depth maps and sound.

Segment and serialisation: ISO 16684-1:2019, sections 7.2 to 7.5, and Adobe's XMP specification part 3, section 1.1.3.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final
from xml.dom import minidom

from anonymisation.core.errors import ImageMetadataError, UnreadableImageError
from anonymisation.core.safe_xml import parse_xml
from anonymisation.imaging.jpeg.segments import APP1, Segment, segments_of
from anonymisation.imaging.panorama import GPANO, Panorama, read_panorama

XMP_MARK: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_PACKETS: Final = 2  # a file has one; some programs add another
_END: Final = b"</x:xmpmeta>"  # some programs leave the end of a longer packet behind
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_TIFF: Final = "http://ns.adobe.com/tiff/1.0/"

_Texts = dict[tuple[str, str], str]  # (namespace, name) → text


@dataclass(frozen=True, slots=True)
class Xmp:
    """What XMP says of a picture: `orientation` as in EXIF (1 to 8), and its `panorama`; None where it says nothing."""

    orientation: int | None = None
    panorama: Panorama | None = None


def read_xmp(data: bytes, *, source: str = "a picture") -> Xmp:
    """Read the XMP of a JPEG file given as bytes; `source` names it in the log.

    Of several packets, the first with a property counts. A packet that cannot be read is logged, and counts as absent.
    """
    texts: _Texts = {}
    for packet in islice(_packets(data), _MAX_PACKETS):
        try:
            found = _properties(parse_xml(packet, source=source))
        except ImageMetadataError as error:
            logging.getLogger(__name__).info("its XMP is ignored: %s", error)
            continue
        texts = {**found, **texts}
    orientation = texts.get((_TIFF, "Orientation"), "").strip()
    panorama = {name: text for (space, name), text in texts.items() if space == GPANO}
    return Xmp(
        int(orientation) if orientation in {*"12345678"} else None,
        read_panorama(panorama, source=source) if panorama else None,
    )


def _packets(data: bytes) -> Iterator[bytes]:
    if not data.startswith(b"\xff\xd8"):
        return
    try:
        for item in segments_of(data, header_only=True):
            if isinstance(item, Segment) and item.marker == APP1 and item.payload.startswith(XMP_MARK):
                packet = item.payload[len(XMP_MARK) :]
                before, end, _ = packet.partition(_END)
                yield before + end
    except UnreadableImageError:  # too many segments: what comes first counts
        return


def _properties(root: minidom.Element) -> _Texts:
    """The simple properties of all descriptions, given as attributes or as elements; the first of each name counts."""
    found: _Texts = {}
    for description in _descriptions(root):
        for attribute in description.attributes.values():
            found.setdefault((attribute.namespaceURI or "", attribute.localName or ""), attribute.value)
        for element in _elements(description):
            text = "".join(node.data for node in element.childNodes if isinstance(node, minidom.Text))
            found.setdefault((element.namespaceURI or "", element.localName or ""), text)
    return found


def _descriptions(root: minidom.Element) -> Iterator[minidom.Element]:
    """The elements rdf:Description of rdf:RDF, which is the root or directly inside."""
    for rdf in (root, *_elements(root)):
        if (rdf.namespaceURI, rdf.localName) == (_RDF, "RDF"):
            yield from (item for item in _elements(rdf) if (item.namespaceURI, item.localName) == (_RDF, "Description"))


def _elements(node: minidom.Element) -> Iterator[minidom.Element]:
    return (child for child in node.childNodes if isinstance(child, minidom.Element))
