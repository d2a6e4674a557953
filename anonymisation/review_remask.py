"""Hiding what a person marked on a masked picture, on that picture itself: no original, no model, no waiting.

Only more is hidden, never less: what stands hidden in the masked picture is not looked at again, so that a model which
finds less than the one before uncovers nothing. The next masking from the original hides the same boxes (see
`review.ReviewedBoxes`). Blocks of the file that no box touches are written as they were, coefficient by coefficient.
"""

from __future__ import annotations

import logging

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from anonymisation.errors import AnonymisationError, FolderLockedError, UnreadableImageError
from anonymisation.files import with_access, write_atomically
from anonymisation.imaging.jpeg import decode_jpeg, encode_jpeg
from anonymisation.imaging.mask_file import decode_mask, encode_mask
from anonymisation.imaging.provenance import EXIF_MARK, read_provenance
from anonymisation.imaging.segments import APP1, Segment, segments_of
from anonymisation.masking.detections import Detections
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.paths import ImagePaths
from anonymisation.plain_text import one_line
from anonymisation.review import Box, ReviewedBoxes, known_folders, mark_hidden, with_boxes
from anonymisation.state import MASKED, FileStamp, FolderState, PictureState, open_state
from anonymisation.workspace import Workspace


def remask_folder(workspace: Workspace, folder: str) -> list[str]:
    """Hide every box of `folder` that waits for it; the names of the pictures that were masked again.

    A picture that cannot be masked again keeps its boxes waiting, with the reason in the log. Who is refused because
    this is at work has kept the box before: it is hidden here, after a look whether something waits by now.

    Raises:
        FolderLockedError: another run works on the folder; its mask step hides the boxes before it ends.
    """
    with open_state(workspace.shares.state, folder) as state:
        hidden = newly = hide_waiting(workspace, folder, state)
    while newly and any(ReviewedBoxes(workspace.shares.state, folder).waiting()):
        try:
            with open_state(workspace.shares.state, folder) as state:
                newly = hide_waiting(workspace, folder, state)
        except FolderLockedError:
            break
        hidden = [*hidden, *newly]
    return hidden


def finish_outstanding(workspace: Workspace) -> list[str]:
    """Hide all boxes of all folders that wait, such as those drawn while their folder was worked on; the folders."""
    done = []
    for folder in known_folders(workspace.shares.state):
        if not any(ReviewedBoxes(workspace.shares.state, folder).waiting()):
            continue
        try:
            if remask_folder(workspace, folder):
                done.append(folder)
        except FolderLockedError as error:
            logging.getLogger(__name__).warning("what a reviewer marked is not hidden yet: %s", error)
    return done


def hide_waiting(workspace: Workspace, folder: str, state: FolderState) -> list[str]:
    """As `remask_folder`, for pictures whose state is open already."""
    log = logging.getLogger(__name__)
    hidden = []
    for name, review in list(ReviewedBoxes(workspace.shares.state, folder).waiting()):
        known = state.pictures.get(name)
        if known is None or known.status != MASKED or known.output is None:
            continue  # nothing of it is published; its first masking hides the boxes
        paths = workspace.picture(folder, name)
        try:
            # A file that is not the one that was written last may come from before the other boxes were hidden.
            same = known.output == FileStamp.of(paths.masked)
            boxes = review.waiting if same else review.boxes
            mask = _hide(workspace, paths, known, boxes)
            state.put(replace(known, output=FileStamp.of(paths.masked)))
            _add_to_masks(workspace, paths, mask)
        except (AnonymisationError, OSError) as error:
            told = one_line(paths.relative), one_line(str(error))
            log.error("%s: what a reviewer marked is not hidden everywhere yet: %s", *told)
            continue
        mark_hidden(workspace.shares.state, folder, name, len(review.boxes))
        log.info("%s: hid %d more boxes", one_line(paths.relative), len(boxes))
        hidden.append(name)
    return hidden


def _hide(workspace: Workspace, paths: ImagePaths, known: PictureState, boxes: tuple[Box, ...]) -> NDArray[np.bool_]:
    """Hide the boxes on the masked picture; the pixels (H, W) that they take.

    Raises:
        UnreadableImageError: the masked picture is damaged, or is not what was made from that original.
    """
    settings = workspace.settings
    data = with_access(settings, f"reading {paths.masked}", paths.masked.read_bytes)
    provenance = read_provenance(data)
    if provenance is None or provenance.source_sha256 != known.sha256:
        raise UnreadableImageError(f"{paths.masked} was not made from this picture; mask it again")
    frame = decode_jpeg(data, source=paths.relative)
    added = with_boxes(Detections.empty(), boxes)
    redaction = redact(frame.pixels, added, Appearance.from_settings(settings), settings.mask_dilation_pixels)
    masked = encode_jpeg(
        redaction.pixels, frame, quality="keep", exif=_exif_of(data), mask=redaction.mask, source=paths.relative
    )
    with_access(settings, f"writing {paths.masked}", lambda: write_atomically(paths.masked, masked))
    return redaction.mask


def _add_to_masks(workspace: Workspace, paths: ImagePaths, added: NDArray[np.bool_]) -> None:
    """Mark the pixels in the mask files that the settings want and that are there."""
    copies = [target for _, target in paths.archive_copies(workspace.settings) if target.suffix == ".webp"]
    for place in (*paths.masks(workspace.settings), *copies):
        if not place.exists():
            continue
        mask = decode_mask(place.read_bytes())
        if mask.shape != added.shape:
            raise UnreadableImageError(f"the mask {place} is of {mask.shape}, the picture of {added.shape}")
        write_atomically(place, encode_mask(mask | added))


def _exif_of(data: bytes) -> bytes:
    """The EXIF segment of a picture that we wrote, mark and all; there is one, since it holds the provenance."""
    for item in segments_of(data):
        if isinstance(item, Segment) and item.marker == APP1 and item.payload.startswith(EXIF_MARK):
            return bytes(item.payload)
    raise UnreadableImageError("has no EXIF")
