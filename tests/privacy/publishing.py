"""Publish a picture from the camera, with production code where there is any."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.core.settings import load_settings
from anonymisation.imaging.jpeg.codec import Frame, decode_jpeg, encode_jpeg
from anonymisation.masking.detections import Detections
from anonymisation.masking.rendering import Appearance, Redaction, redact

Pixels = NDArray[np.uint8]
"""A picture, (H, W, 3) uint8 RGB."""
Hide = Callable[[Pixels, Detections, int, tuple[int, int]], Redaction]
"""Hides detections in a picture, given the dilation in pixels and the size of the coded units."""

SURVEY_WIDTH: Final = 2692
DILATION: Final = 4
"""The default of `mask_dilation_pixels`."""
QUALITY: Final = 90
"""JPEG quality of the camera's files, unless a case has another."""
_NOISE: Final = 2.0  # standard deviation of the camera's noise, in gray levels


@dataclass(frozen=True, slots=True)
class Published:
    """A published file, its pixels, and its hidden pixels `mask` (H, W)."""

    data: bytes
    pixels: Pixels
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Product:
    """Hides like production; in a window of a survey picture, with the blur of the whole picture."""

    appearance: Appearance

    def __call__(
        self, pixels: Pixels, detections: Detections, dilation: int, coded_unit: tuple[int, int] = (1, 1)
    ) -> Redaction:
        """Hide the detections."""
        appearance = in_window(self.appearance, pixels.shape[1])
        return redact(pixels, detections, appearance, dilation, coded_unit=coded_unit)


def in_window(appearance: Appearance, width: int) -> Appearance:
    """The appearance that blurs a window of this width like `appearance` blurs a whole survey picture."""
    side = appearance.blur_side(SURVEY_WIDTH)
    return appearance if side is None else replace(appearance, blur=(side + 0.5) / width * 1000)


def product(blur: float | None = None, *, gray: bool = True, normalised: bool = True) -> Product:
    """The product with default settings and a few changes; `blur` None: the default."""
    changes = {"gray_blur": gray, "normalized_gray_blur": normalised} | ({} if blur is None else {"blur": blur})
    return Product(Appearance.from_settings(load_settings(overrides=changes).settings))


def photographed(scene: Pixels, random: np.random.Generator) -> Pixels:
    """The scene with new camera noise."""
    noise = random.standard_normal(scene.shape, np.float32)
    noise *= np.float32(_NOISE)
    noise += scene
    return np.rint(noise).clip(0, 255).astype(np.uint8)


def camera_frame(picture: Pixels, quality: int) -> Frame:
    """The frame that production decodes from the camera's file with this JPEG quality."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return decode_jpeg(buffer.getvalue())


def publish(frame: Frame, detections: Detections, hide: Hide, dilation: int = DILATION) -> Published:
    """Hide the detections in a picture, write it like production, and read the written file."""
    hidden = hide(frame.pixels, detections, dilation, frame.coded_unit)
    encoded = encode_jpeg(hidden.pixels, frame, quality="keep", exif=None, mask=hidden.mask)
    if encoded.reencoded is not None:
        raise RuntimeError(f"the blocks around the mask were not kept: {encoded.reencoded}")
    return Published(encoded.data, decode_jpeg(encoded.data).pixels, hidden.mask)
