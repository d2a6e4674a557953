"""What the warnings of libjpeg mean for a picture, and the header fields that cause two of them.

| Warning (jerror.h)     | Message                        | Here |
|------------------------|--------------------------------|------|
| JWRN_NOT_SEQUENTIAL    | Invalid SOS parameters for …   | accepted: sequential decoders ignore them [1] |
| JWRN_ADOBE_XFORM       | Unknown Adobe color transform  | accepted: read as YCbCr or YCCK, as viewers do |
| JWRN_EXTRANEOUS_DATA   | extraneous bytes before marker | accepted between segments; after a scan, see [2] |
| JWRN_JFIF_MAJOR        | unknown JFIF revision number   | accepted: the cleaned stream has its own JFIF segment |
| JWRN_BOGUS_ICC         | bad ICC marker                 | never occurs: `imaging.icc` reads profiles |
| JWRN_HIT_MARKER        | premature end of data segment  | refused: blocks are missing |
| JWRN_JPEG_EOF          | Premature end of JPEG file     | refused: the file is truncated |
| JWRN_HUFF_BAD_CODE     | bad Huffman code               | refused: blocks are wrong |
| JWRN_MUST_RESYNC       | found marker … instead of RST… | refused: blocks are missing or misplaced |
| JWRN_BOGUS_PROGRESSION | Inconsistent progression       | refused: a scan is missing or out of order |
| JWRN_ARITH_BAD_CODE    | bad arithmetic code            | never occurs: arithmetic coding is refused |
| JWRN_TOO_MUCH_DATA     | transferred too many scanlines | never occurs: a warning of the encoder |

1. Unless several scans code the same component, as in a progressive file with the wrong frame header.
2. Accepted where `surplus` shows that the picture is whole without these bytes; refused in progressive files.

What is accepted is taken out of the cleaned stream. So the decoder stays strict, and decodes without a warning what is
accepted; and none of it reaches an output.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from anonymisation.imaging.jpeg.segments import SOS, JpegStructure, Segment, is_adobe, is_progressive

_WHOLE: Final = bytes((0, 63, 0))  # all coefficients with all of their bits (ITU-T T.81, B.2.3)
_KNOWN_TRANSFORMS: Final = {3: (0, 1), 4: (0, 2)}  # by the number of components; others are read as the last one
_TRANSFORM: Final = 11  # the place of the colour transform in an Adobe segment


def with_usual_headers(structure: JpegStructure) -> JpegStructure:
    """The same picture, with headers that cause no warning, where their fields change no pixel."""
    segments = tuple(_with_usual_fields(segment, structure) for segment in structure.segments)
    return structure if segments == structure.segments else replace(structure, segments=segments)


def codes_each_component_once(structure: JpegStructure) -> bool:
    """Whether no component is in two scans."""
    scans = (segment.payload for segment in structure.segments if segment.marker == SOS)
    return max(Counter(number for payload in scans for number in payload[1:-3:2]).values(), default=0) == 1


def _with_usual_fields(segment: Segment, structure: JpegStructure) -> Segment:
    payload = segment.payload
    if segment.marker == SOS:
        usual = payload[-3:] == _WHOLE or is_progressive(structure.frame) or not codes_each_component_once(structure)
        return segment if usual else replace(segment, payload=payload[:-3] + _WHOLE)
    known = _KNOWN_TRANSFORMS.get(len(structure.components))
    if known is None or not is_adobe(segment) or payload[_TRANSFORM] in known:
        return segment
    return replace(segment, payload=payload[:_TRANSFORM] + bytes(known[-1:]) + payload[_TRANSFORM + 1 :])
