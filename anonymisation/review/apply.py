"""Hiding what a person marked on a masked picture, on that picture itself: no original, no model, no waiting.

Only more is hidden, never less: what stands hidden in the masked picture is not looked at again, so that a model which
finds less than the one before uncovers nothing. The next masking from the original hides the same boxes (see
`review.ReviewedBoxes`). Blocks of the file that no box touches are written as they were, coefficient by coefficient.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from anonymisation.core.errors import AnonymisationError, FolderLockedError, UnreadableImageError
from anonymisation.core.text import one_line
from anonymisation.files.access import with_access
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.provenance import EXIF_MARK, read_provenance
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg
from anonymisation.imaging.jpeg.segments import APP1, Segment, segments_of
from anonymisation.imaging.mask_file import decode_mask, encode_mask
from anonymisation.masking.detections import Detections
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.review.copies import forget_copies
from anonymisation.review.model import AddedBox, Review
from anonymisation.review.store import ReviewedBoxes, known_folders, mark_hidden, with_boxes
from anonymisation.workspace.folder_state import FileStamp, FolderState, PictureState, open_state
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.workspace import Workspace


def remask_folder(workspace: Workspace, folder: str) -> list[str]:
    """Hide every box of `folder` that waits for it; the names of the pictures that were masked again.

    A picture that cannot be masked again keeps its boxes waiting, with the reason in the log. Who is refused because
    this is at work has kept the box before: it is hidden here, after a look whether something waits by now.

    Raises:
        FolderLockedError: another run works on the folder, or on a part of it. Its mask step hides the boxes of its
            own pictures before it ends, `finish_outstanding` all others.
    """
    try:
        with open_state(workspace.shares.state, folder) as state:
            hidden = newly = hide_waiting(workspace, folder, state)
    except FolderLockedError as error:
        raise FolderLockedError(f"the marked regions are kept, and hidden when this work has ended: {error}") from None
    while newly and any(ReviewedBoxes(workspace.shares.state, folder).waiting()):
        try:
            with open_state(workspace.shares.state, folder) as state:
                newly = hide_waiting(workspace, folder, state)
        except FolderLockedError:
            break
        hidden = [*hidden, *newly]
    return hidden


def finish_outstanding(workspace: Workspace, folders: Iterable[str] | None = None) -> list[str]:
    """Hide all boxes that wait, such as those drawn while their folder was worked on; the folders where any was hidden.

    Called before a run looks for its folders, and again when its steps have ended, for its `folders` alone: the shards
    of a folder hide what was marked on their own pictures while they were at it, and no other shard's.
    A folder in which nothing can be hidden now is told in the log, and stops no other.
    """
    done = []
    for folder in known_folders(workspace.shares.state) if folders is None else dict.fromkeys(folders):
        try:
            if any(ReviewedBoxes(workspace.shares.state, folder).waiting()) and remask_folder(workspace, folder):
                done.append(folder)
        except (AnonymisationError, OSError) as error:
            logging.getLogger(__name__).warning("%s: not everything that is marked is hidden: %s", folder, error)
    return done


def hide_waiting(workspace: Workspace, folder: str, state: FolderState) -> list[str]:
    """As `remask_folder`, for pictures whose state is open already."""
    log = logging.getLogger(__name__)
    hidden = []
    for name, review in list(ReviewedBoxes(workspace.shares.state, folder).waiting()):
        known = state.pictures.get(name)
        if known is None:
            continue  # nothing of it is published; its first masking hides the boxes
        paths = workspace.picture(folder, name)
        try:
            count = _hide_boxes(workspace, paths, known, review, state)
        except (AnonymisationError, OSError) as error:
            told = one_line(paths.relative), one_line(str(error))
            log.error("%s: what a reviewer marked is not hidden everywhere yet: %s", *told)
            continue
        if not count:
            continue
        numbers = review.hidden.union(added.number for added in review.active)
        mark_hidden(workspace.shares.state, folder, name, numbers)
        forget_copies(workspace.shares.state, folder, name)
        log.info("%s: hid %d more boxes", one_line(paths.relative), count)
        hidden.append(name)
    return hidden


def _hide_boxes(
    workspace: Workspace, paths: ImagePaths, known: PictureState, review: Review, state: FolderState
) -> int:
    """Hide what waits on the masked picture and its mask files; how many boxes, 0 where no masked picture is wanted.

    A picture whose last masking failed has one from before, if any: it is published still, so that it hides them, too.

    Raises:
        AnonymisationError, OSError: not everything could be hidden.
    """
    masked = with_access(workspace.settings, f"looking at {paths.masked}", lambda: _stamp_of(paths.masked))
    if masked is None and known.output is None:
        return 0
    # A file that is not the one that was written last may come from before the other boxes were hidden.
    boxes = review.waiting if masked == known.output else review.active
    mask = _hide(workspace, paths, known, boxes)
    if known.output is not None:
        state.put(replace(known, output=FileStamp.of(paths.masked)))
    _add_to_masks(workspace, paths, mask)
    return len(boxes)


def _stamp_of(path: Path) -> FileStamp | None:
    try:
        return FileStamp.of(path)
    except FileNotFoundError:
        return None


def _hide(
    workspace: Workspace, paths: ImagePaths, known: PictureState, boxes: tuple[AddedBox, ...]
) -> NDArray[np.bool_]:
    """Hide the boxes on the masked picture; the pixels (H, W) that they take.

    Raises:
        UnreadableImageError: the masked picture is damaged, or is not what was made from that original.
    """
    settings = workspace.settings
    data = with_access(settings, f"reading {paths.masked}", lambda: read_plain(paths.masked))
    provenance = read_provenance(data)
    # Of a picture that failed no checksum is known; whatever was published under its name hides the boxes.
    if provenance is None or known.sha256 not in {provenance.source_sha256, ""}:
        raise UnreadableImageError(f"{paths.masked} was not made from this picture; mask it again")
    frame = decode_jpeg(data, source=paths.relative)
    added = with_boxes(Detections.empty(), boxes)
    redaction = redact(frame.pixels, added, Appearance.from_settings(settings), settings.mask_dilation_pixels)
    masked = encode_jpeg(
        redaction.pixels, frame, quality="keep", exif=_exif_of(data), mask=redaction.mask, source=paths.relative
    )
    _write(workspace, paths.masked, masked.data)
    return redaction.mask


def _add_to_masks(workspace: Workspace, paths: ImagePaths, added: NDArray[np.bool_]) -> None:
    """Mark the pixels in the mask files that the settings want and that are there.

    Raises:
        UnreadableImageError: a mask file is damaged, or of another size.
        ShareUnavailableError: its share is away.
    """
    copies = [target for _, target in paths.archive_copies(workspace.settings) if target.suffix == ".webp"]
    for place in (*paths.masks(workspace.settings), *copies):
        try:
            data = with_access(workspace.settings, f"reading {place}", partial(read_plain, place))
        except FileNotFoundError:
            continue
        mask = decode_mask(data)
        if mask.shape != added.shape:
            raise UnreadableImageError(f"the mask {place} is of {mask.shape}, the picture of {added.shape}")
        _write(workspace, place, encode_mask(mask | added))


def _write(workspace: Workspace, place: Path, data: bytes) -> None:
    with_access(workspace.settings, f"writing {place}", lambda: write_atomically(place, data))


def _exif_of(data: bytes) -> bytes:
    """The EXIF segment of a picture that we wrote, mark and all; there is one, since it holds the provenance."""
    for item in segments_of(data):
        if isinstance(item, Segment) and item.marker == APP1 and item.payload.startswith(EXIF_MARK):
            return bytes(item.payload)
    raise UnreadableImageError("has no EXIF")
