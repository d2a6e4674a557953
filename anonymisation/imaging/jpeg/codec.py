"""Reads and writes JPEG pictures: strict about damage to pixels, lenient about damage around them.

Coordinates: arrays are (height, width, channels), rows from the top, as the file stores them. `to_upright` turns an
array as a viewer does after reading the EXIF orientation.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.core.blocks import BLOCK_SIDE
from anonymisation.core.errors import ImageWriteError, UnreadableImageError
from anonymisation.imaging.icc import GRAY, RGB, profile_of, profile_segments, published_profile, space_of
from anonymisation.imaging.jpeg.decoding import decode_pixels, require_sound
from anonymisation.imaging.jpeg.keep_blocks import is_gray, keep_untouched, quantisation_definitions
from anonymisation.imaging.jpeg.libjpeg import BlocksUnusableError
from anonymisation.imaging.jpeg.segments import (
    APP1,
    MAX_PAYLOAD,
    MAX_PIXELS,
    JpegStructure,
    Segment,
    check_signature,
    is_frame,
    parse_frame,
    read_structure,
    segments_of,
)
from anonymisation.imaging.xmp import XMP_MARK

Scalar = TypeVar("Scalar", bound=np.generic)
Colour = Literal["gray", "ycc", "rgb", "cmyk"]
Sampling = Literal["4:4:4", "4:2:2", "4:2:0"]

# The colour spaces of the profiles that Chrome and Firefox apply. Colours of CMYK are converted to sRGB.
_PROFILES: Final[dict[Colour, tuple[bytes, ...]]] = {"gray": (GRAY, RGB), "ycc": (RGB,), "rgb": (RGB,), "cmyk": ()}
_SAMPLINGS: Final[dict[tuple[int, int], Sampling]] = {(2, 1): "4:2:2", (2, 2): "4:2:0"}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture, and the form of its file."""

    pixels: NDArray[np.uint8]
    """(height, width, 3) RGB as stored, EXIF orientation not applied; read-only. Gray comes as three equal channels."""
    colour: Colour
    """gray, YCbCr, RGB, or any of the four-channel forms (CMYK, YCCK)."""
    quantisation: tuple[tuple[int, ...], ...]
    """One table of 64 steps per component, row by row; tables at the end that repeat the table before are left out.
    For CMYK, half the file's steps."""
    sampling: Sampling
    """Chroma subsampling; the finest where the encoder cannot write the file's own."""
    icc_profile: bytes | None
    """Colour profile of the pixels, reduced to its colour tags; None for CMYK, which is converted to sRGB."""
    coded: JpegStructure | None = None
    """The coded picture without its metadata; None where the file is not available."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels: expected (H, W, 3) uint8, got {self.pixels.shape} {self.pixels.dtype}")
        self.pixels.setflags(write=False)

    @property
    def coded_unit(self) -> tuple[int, int]:
        """Rows and columns of pixels that one block of some component stands for, at most; (1, 1) where the file is not
        at hand."""
        if self.coded is None:
            return 1, 1
        down, across = (
            max(getattr(component, axis) for component in self.coded.components)
            // min(getattr(component, axis) for component in self.coded.components)
            for axis in ("vertical", "horizontal")
        )
        return BLOCK_SIDE * down, BLOCK_SIDE * across

    def yield_pixels(self) -> NDArray[np.uint8]:
        """The pixels, now writable, without a copy. For callers that do not need the original pixels any more."""
        self.pixels.setflags(write=True)
        return self.pixels


def decode_jpeg(data: bytes, *, source: str = "a picture", max_pixels: int = MAX_PIXELS) -> Frame:
    """Decode a whole, sound JPEG file; `source` names it in the log.

    Junk between the segments and after the end of the picture is ignored, with a line in the log.

    Raises:
        UnreadableImageError: not a JPEG, truncated, anything the decoder warns about, more than `max_pixels` pixels, or
            an unsupported process (lossless, 12 bits). The message gives the reason, and not the file's name.
    """
    structure = read_structure(data, max_pixels)
    if structure.leftovers:
        logging.getLogger(__name__).info(
            "%s: %d bytes outside the picture data are ignored", source, structure.leftovers
        )
    profile = profile_of(structure.metadata)
    pixels, decoded = decode_pixels(structure, profile)
    published = published_profile(profile, _PROFILES[structure.colour])
    return Frame(pixels, structure.colour, _quantisation(structure), _sampling(structure), published, decoded)


def sound_size(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) in pixels as stored, of a file that `decode_jpeg` decodes; takes half of its time.

    Raises:
        UnreadableImageError: as `decode_jpeg`.
    """
    structure = read_structure(data, max_pixels)
    require_sound(structure, profile_of(structure.metadata))
    return structure.width, structure.height


def jpeg_size(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) in pixels as stored, from the header alone; `data` may be a prefix of the file.

    Raises:
        UnreadableImageError: no frame header in `data`, or one that cannot be decoded.
    """
    check_signature(data)
    for item in segments_of(data, header_only=True):
        if isinstance(item, Segment) and is_frame(item.marker):
            width, height, _ = parse_frame(item, max_pixels)
            return width, height
    raise UnreadableImageError("truncated or corrupt: no frame header found")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JPEG file. `reencoded` is the reason why no block was kept although blocks should be."""

    data: bytes
    reencoded: str | None = None


def encode_jpeg(
    pixels: NDArray[np.uint8],
    like: Frame,
    *,
    quality: int | Literal["keep"],
    exif: bytes | None,
    xmp: bytes | None = None,
    mask: NDArray[np.bool_] | None = None,
    source: str = "a picture",
) -> Encoded:
    """Encode `pixels`, (H, W, 3) RGB of the same size as `like.pixels`, as a baseline JPEG file.

    Quality "keep" with a `mask` (H, W) keeps the coefficients of every block that the mask does not touch; outside the
    mask, `pixels` must equal those of `like`. If the original's form does not allow this, the result and the log say
    so, and the picture is encoded as without a mask. "keep" without a mask uses the quantisation tables and chroma
    subsampling of `like`. 1 to 100 is the usual JPEG quality, with the same subsampling. A gray original stays
    single-channel where `pixels` are gray. `exif` begins with the mark "Exif"; `xmp` is a packet. Of the original's
    metadata, only the colour profile is written, where it still fits. `source` names the picture in the log.

    Raises:
        ImageWriteError: wrong shape or type, or the encoder fails.
        ValueError: the quality is not 1 to 100.
    """
    if quality != "keep" and not 1 <= quality <= 100:
        raise ValueError(f"quality: expected 1 to 100 or 'keep', got {quality}")
    if pixels.shape != like.pixels.shape or pixels.dtype != np.uint8:
        raise ImageWriteError(
            f"expected pixels of {like.pixels.shape} uint8 as in the original, got {pixels.shape} {pixels.dtype}"
        )
    if mask is not None and (mask.shape != pixels.shape[:2] or mask.dtype != np.bool_):
        raise ImageWriteError(f"expected a mask of {pixels.shape[:2]} bool, got {mask.shape} {mask.dtype}")
    if exif and len(exif) > MAX_PAYLOAD:
        raise ImageWriteError(f"the EXIF has {len(exif)} bytes, a JPEG segment holds {MAX_PAYLOAD}")
    if quality == "keep" and mask is not None and like.coded is not None:
        metadata = Segment(APP1, exif).encoded() if exif else b""
        metadata += Segment(APP1, XMP_MARK + xmp).encoded() if xmp else b""
        if like.icc_profile is not None:
            metadata += b"".join(segment.encoded() for segment in profile_segments(like.icc_profile))
        try:
            return Encoded(keep_untouched(pixels, mask, like.coded, metadata))
        except BlocksUnusableError as error:
            message = "%s: the whole picture is encoded again, not only its masked blocks: %s"
            logging.getLogger(__name__).warning(message, source, error)
            return Encoded(_encode_whole(pixels, like, quality, exif, xmp), str(error))
    return Encoded(_encode_whole(pixels, like, quality, exif, xmp))


def _encode_whole(
    pixels: NDArray[np.uint8], like: Frame, quality: int | Literal["keep"], exif: bytes | None, xmp: bytes | None
) -> bytes:
    gray = like.colour == "gray" and is_gray(pixels)
    recoloured = like.colour == "gray" and not gray
    options: dict[str, object] = {"keep_rgb": like.colour == "rgb", "exif": exif or b"", "xmp": xmp or b""}
    if not gray:
        options["subsampling"] = "4:4:4" if recoloured else like.sampling
    if quality == "keep":
        options["qtables"] = [list(table) for table in like.quantisation]
    else:
        options["quality"] = quality
    if like.icc_profile is not None and (not recoloured or space_of(like.icc_profile) == RGB):
        options["icc_profile"] = like.icc_profile
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if gray else pixels))
    buffer = io.BytesIO()
    try:
        picture.save(buffer, "JPEG", **options)
    except (OSError, ValueError) as error:
        raise ImageWriteError(f"the masked picture cannot be encoded as JPEG: {error}") from error
    return buffer.getvalue()


def to_upright(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Turn an array (H, W) or (H, W, C) from stored to upright, as a viewer does for EXIF orientation 1 to 8.

    Meaning of the numbers: CIPA DC-008 (EXIF 2.32), section 4.6.4, tag 274.
    """
    if orientation not in range(1, 9):
        raise ValueError(f"orientation: expected 1 to 8, got {orientation}")
    turned = np.swapaxes(pixels, 0, 1) if orientation >= 5 else pixels
    if orientation in {3, 4, 7, 8}:
        turned = turned[::-1]
    if orientation in {2, 3, 6, 7}:
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def _sampling(structure: JpegStructure) -> Sampling:
    if len(structure.components) != 3:  # converted CMYK was never subsampled as YCbCr
        return "4:4:4"
    first, *others = structure.components
    if any((c.horizontal, c.vertical) != (1, 1) for c in others):
        return "4:4:4"
    return _SAMPLINGS.get((first.horizontal, first.vertical), "4:4:4")


def _quantisation(structure: JpegStructure) -> tuple[tuple[int, ...], ...]:
    tables: dict[int, tuple[int, ...]] = {}
    for number, table in quantisation_definitions(structure):
        tables.setdefault(number, table)  # the first of a number is what the first scan uses
    try:
        found = [tables[component.table] for component in structure.components[:3]]
    except KeyError as error:
        raise UnreadableImageError(f"corrupt: quantisation table {error} is missing") from None
    if structure.colour == "cmyk":  # converted pixels lie off the grid of these steps: finer ones lose nothing visible
        found = [tuple((step + 1) // 2 for step in table) for table in found]
    while len(found) > 1 and found[-1] == found[-2]:
        found.pop()
    return tuple(found)
