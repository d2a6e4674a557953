"""Decodes the cleaned stream of a JPEG file to RGB pixels. Every stream with a decoder warning is refused.

libjpeg-turbo (through simplejpeg) stops at its first warning. Its interface does not support rare forms of subsampling.
Pillow decodes these, but never warns. So this module counts their restart markers, and reads the warnings from libjpeg
directly.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from itertools import zip_longest
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.JpegImagePlugin import JpegImageFile

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.jpeg.harmless import with_usual_headers
from anonymisation.imaging.jpeg.libjpeg import BlocksUnusableError, decoder_warnings
from anonymisation.imaging.jpeg.segments import DRI, SOS, JpegStructure
from anonymisation.imaging.jpeg.surplus import without_surplus

_UNKNOWN_SAMPLING: Final = "Could not determine subsampling"
_EXTRANEOUS: Final = "extraneous bytes before marker"
_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")
_PILLOW_ERRORS: Final = (OSError, SyntaxError, ValueError, struct.error, IndexError)
_PIXELS_AT_ONCE: Final = 1 << 20  # limits memory


class _SurplusError(UnreadableImageError):
    """The decoder warns about bytes after the coded data, and about nothing before that."""


def decode_pixels(structure: JpegStructure, profile: bytes | None) -> tuple[NDArray[np.uint8], JpegStructure]:
    """Pixels (H, W, 3) RGB as stored, and the structure that decodes to them without a warning.

    The second lacks what `harmless` and `surplus` accept. `profile` is the ICC profile of the file; only CMYK needs it.

    Raises:
        UnreadableImageError: the decoder warns or fails; the message quotes the decoder.
    """
    structure = with_usual_headers(structure)
    try:
        return _decoded(structure, profile), structure
    except _SurplusError as error:
        _require_decodable(structure)
        structure = without_surplus(structure, str(error))
    return _decoded(structure, profile), structure


def _decoded(structure: JpegStructure, profile: bytes | None) -> NDArray[np.uint8]:
    stream = structure.stream()
    pixels: NDArray[np.uint8] | None = None
    try:
        if structure.colour == "cmyk":
            _read_whole(stream, "CMYK", strict=True)
        else:
            pixels = simplejpeg.decode_jpeg(stream, "RGB", strict=True)
    except ValueError as error:
        if _UNKNOWN_SAMPLING not in str(error):
            raise _refusal(str(error)) from error
        _check_restarts(structure)
        pixels = _with_pillow(structure, profile)
        _check_warnings(stream)
    except MemoryError as error:
        raise UnreadableImageError(f"no memory for {structure.width} × {structure.height} pixels") from error
    if pixels is None:
        pixels = _with_pillow(structure, profile)
    if pixels.shape != (structure.height, structure.width, 3):
        raise UnreadableImageError(f"decoded to {pixels.shape}, the header says {structure.width} × {structure.height}")
    return pixels


def _read_whole(stream: bytes, form: str, *, strict: bool) -> None:
    """Have the decoder read all coded data, and make only the average of each block into a pixel."""
    simplejpeg.decode_jpeg(stream, form, min_height=1, min_width=1, strict=strict)


def _refusal(warning: str) -> UnreadableImageError:
    kind = _SurplusError if _EXTRANEOUS in warning else UnreadableImageError
    return kind(f"truncated or corrupt picture data: {warning}")


def _require_decodable(structure: JpegStructure) -> None:
    """Refuse a stream that has an error after its first warning: errors in libjpeg are costly, see `libjpeg`."""
    try:
        _read_whole(structure.stream(), "CMYK" if structure.colour == "cmyk" else "GRAY", strict=False)
    except ValueError as error:
        if _UNKNOWN_SAMPLING not in str(error):  # Pillow has decoded these
            raise _refusal(str(error)) from error


def require_sound(structure: JpegStructure, profile: bytes | None) -> None:
    """Refuse what `decode_pixels` refuses, in half of its time and little memory.

    All coded data is read, which is what the decoder warns about. Of each block only the average is made into a pixel,
    and none of colour.

    Raises:
        UnreadableImageError: as `decode_pixels`.
    """
    try:
        if structure.colour != "cmyk":
            simplejpeg.decode_jpeg(
                with_usual_headers(structure).stream(), "GRAY", min_height=1, min_width=1, strict=True
            )
            return
    except ValueError:
        pass  # decoded again: for a rare form, or to find out what is wrong
    decode_pixels(structure, profile)


def _with_pillow(structure: JpegStructure, profile: bytes | None) -> NDArray[np.uint8]:
    """The pixels as Pillow decodes them, converted in bands: a whole copy would take as much memory again."""
    try:
        # Not Image.open, which has a limit of its own: the size is checked already.
        with JpegImageFile(io.BytesIO(structure.stream())) as picture:
            picture.load()
            convert = _conversion(profile) if picture.mode == "CMYK" else _to_rgb
            pixels = np.empty((picture.height, picture.width, 3), np.uint8)
            rows = max(1, _PIXELS_AT_ONCE // picture.width)
            for top in range(0, picture.height, rows):
                bottom = min(top + rows, picture.height)
                pixels[top:bottom] = np.asarray(convert(picture.crop((0, top, picture.width, bottom))))
    except _PILLOW_ERRORS as error:
        raise UnreadableImageError(f"truncated or corrupt picture data: {error}") from error
    return pixels


def _to_rgb(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB")


def _conversion(profile: bytes | None) -> Callable[[Image.Image], Image.Image]:
    """CMYK to sRGB by the picture's own profile if it is usable, else by red = (1 - cyan) · (1 - black) and so on.

    Pillow has already inverted Adobe's inverted CMYK.
    """
    if profile is None or profile[16:20] != b"CMYK":
        return _to_rgb
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError):
        return _to_rgb  # a broken profile changes the colours a little; the picture is still usable

    def convert(picture: Image.Image) -> Image.Image:
        try:
            return ImageCms.applyTransform(picture, transform) or _to_rgb(picture)
        except (ImageCms.PyCMSError, OSError):
            return _to_rgb(picture)

    return convert


def _check_restarts(structure: JpegStructure) -> None:
    """Refuse a single-scan stream whose restart markers are incomplete or out of order."""
    scans = [segment.scan for segment in structure.segments if segment.marker == SOS]
    if len(scans) != 1:
        return
    expected = _expected_restarts(structure)
    numbers = (marker[0][1] & 7 for marker in _RESTART.finditer(scans[0]))
    # One by one, since a scan may hold millions; the surplus marker, if any, is the last one that is looked at.
    if any(found != number % 8 for number, found in zip_longest(range(expected), numbers, fillvalue=-1)):
        raise UnreadableImageError(f"corrupt picture data: expected {expected} restart markers in order")


def _expected_restarts(structure: JpegStructure) -> int:
    """The number of restart markers in a picture with a single scan."""
    interval = _restart_interval(structure)
    wide, high = _unit(structure)
    units = -(-structure.width // wide) * -(-structure.height // high)
    return (units - 1) // interval if interval else 0


def _check_warnings(stream: bytes) -> None:
    """Refuse a stream with libjpeg warnings. Called after Pillow decoded the stream, so that libjpeg meets no error."""
    try:
        found = decoder_warnings(stream)
    except BlocksUnusableError as error:
        raise UnreadableImageError(f"its rare subsampling cannot be checked for damage: {error}") from error
    if found:
        raise _refusal(found[0])


def _restart_interval(structure: JpegStructure) -> int:
    payloads = [s.payload for s in structure.segments if s.marker == DRI and len(s.payload) >= 2]
    return int.from_bytes(payloads[-1][:2], "big") if payloads else 0


def _unit(structure: JpegStructure) -> tuple[int, int]:
    """Width and height in pixels of the smallest coded unit (MCU; ITU-T T.81, A.2)."""
    if len(structure.components) == 1:
        return 8, 8
    return 8 * max(c.horizontal for c in structure.components), 8 * max(c.vertical for c in structure.components)
