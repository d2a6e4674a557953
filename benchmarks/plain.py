"""Masks computed the plain, slow way, to compare those of the pipeline with: `likeness`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anonymisation.chain.mask import mask_folder
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.masking.detections import Detections
from anonymisation.workspace.paths import ImagePaths
from benchmarks.material import FOLDER, SIZES, ScriptedModel, detections, photographs, write_folder
from benchmarks.measuring import Figures, site

LEAST_IOU = 0.999


def plain_union(found: Detections, height: int, width: int, dilation: int) -> NDArray[np.bool_]:
    """(height, width): every instance on a frame of the picture's size, its samples interpolated pixel by pixel, cut at
    one half, and widened by moving the frame about."""
    hidden = np.zeros((height, width), np.bool_)
    for box, mask in zip(found.boxes.astype(np.float64), found.masks.astype(np.float64), strict=True):
        top, left = math.floor(box[0] * height), math.floor(box[1] * width)
        bottom, right = math.ceil(box[2] * height), math.ceil(box[3] * width)
        y = np.linspace(0, mask.shape[0] - 1, bottom - top)[:, None]
        x = np.linspace(0, mask.shape[1] - 1, right - left)[None]
        above, before = y.astype(int), x.astype(int)
        below, after = np.minimum(above + 1, mask.shape[0] - 1), np.minimum(before + 1, mask.shape[1] - 1)
        upper = mask[above, before] * (1 - (x - before)) + mask[above, after] * (x - before)
        lower = mask[below, before] * (1 - (x - before)) + mask[below, after] * (x - before)
        frame = np.zeros((height, width), np.bool_)
        frame[top:bottom, left:right] = upper * (1 - (y - above)) + lower * (y - above) > 0.5
        padded = np.pad(frame, dilation)
        for down in range(2 * dilation + 1):
            for across in range(2 * dilation + 1):
                hidden |= padded[down : down + height, across : across + width]
    return hidden


def likeness(size: str, objects: int) -> Figures:
    """What the chain wrote of one picture against the plain way: intersection over union, and pixels that it lacks.

    Raises:
        RuntimeError: they differ by more than rounding, or a pixel outside of the touched blocks changed.
    """
    width, height = SIZES[size]
    data = photographs(size, 1)
    with site() as workspace:
        write_folder(workspace.shares.input / FOLDER, data, 1)
        mask_folder(workspace, FOLDER, lambda: ScriptedModel(objects))
        (name,) = (path.name for path in (workspace.shares.output / FOLDER).glob("*.jpg"))
        paths: ImagePaths = workspace.picture(FOLDER, name)
        (place,) = paths.masks(workspace.settings)
        written = decode_mask(place.read_bytes())
        masked, original = decode_jpeg(paths.masked.read_bytes()).pixels, decode_jpeg(data[0]).pixels
        plain = plain_union(detections(objects), height, width, workspace.settings.mask_dilation_pixels)
    iou = np.count_nonzero(plain & written) / np.count_nonzero(plain | written)
    missing = np.count_nonzero(plain & ~written)
    if iou < LEAST_IOU or missing or (masked != original).any(axis=2)[~_near(written)].any():
        raise RuntimeError(f"{size}, {objects} objects: intersection over union {iou:.5f}, {missing} pixels missing")
    return {"IoU": float(iou), "missing": float(missing), "changed": float((masked != original).any(axis=2).mean())}


def _near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the 16 × 16 blocks that hold a masked one, and the ring around them that chroma smooths."""
    height, width = mask.shape
    whole = np.zeros((-(-height // 16) * 16, -(-width // 16) * 16), np.bool_)
    whole[:height, :width] = mask
    blocks = whole.reshape(whole.shape[0] // 16, 16, whole.shape[1] // 16, 16).any(axis=(1, 3))
    padded = np.pad(blocks.repeat(16, 0).repeat(16, 1)[:height, :width], 1)
    near = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(np.any(near, axis=0), np.bool_)
