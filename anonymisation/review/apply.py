"""Hide the boxes that a reviewer drew, directly on the masked picture: without the original and without the model.

This only hides more, never less. Hidden pixels stay hidden, even where a newer model would find less. The next masking
from the original hides the same boxes (see `review.store.ReviewedBoxes`). Blocks of the file that no box touches keep
their coefficients.
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
from anonymisation.imaging.xmp import read_xmp
from anonymisation.masking.detections import Detections
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.review.copies import forget_copies
from anonymisation.review.model import AddedBox, Review
from anonymisation.review.store import ReviewedBoxes, known_folders, mark_hidden, with_boxes
from anonymisation.workspace.folder_state import FileStamp, FolderState, PictureState, open_state
from anonymisation.workspace.paths import ImagePaths, Sidecar, preview_path
from anonymisation.workspace.previews import preview_digest, preview_files
from anonymisation.workspace.workspace import Workspace


def remask_folder(workspace: Workspace, folder: str) -> list[str]:
    """Hide every waiting box of `folder`, and return the names of the pictures that were masked again.

    If a picture cannot be masked again, its boxes stay waiting and the reason is logged. A reviewer whose call is
    refused by the lock of this call has stored the box before. So this function looks for new boxes before it returns.

    Raises:
        FolderLockedError: another run works on the folder or a part of it. The mask step of that run hides the boxes
            of its own pictures before it ends, and `finish_outstanding` hides all others.
    """
    try:
        with open_state(workspace.shares.state, folder) as state:
            hidden = newly = hide_waiting(workspace, folder, state)
    except FolderLockedError as error:
        raise FolderLockedError(f"the marked regions are kept, and are hidden when this work ends: {error}") from None
    while newly and any(ReviewedBoxes(workspace.shares.state, folder).waiting()):
        try:
            with open_state(workspace.shares.state, folder) as state:
                newly = hide_waiting(workspace, folder, state)
        except FolderLockedError:
            break
        hidden = [*hidden, *newly]
    return hidden


def finish_outstanding(workspace: Workspace, folders: Iterable[str] | None = None) -> list[str]:
    """Hide all waiting boxes, such as those drawn during a run, and return the folders in which any box was hidden.

    A run calls this before it looks for folders, and again after its steps, for its `folders` only: a shard hides the
    boxes on its own pictures, and not those on the pictures of other shards. If a folder fails, the error is logged
    and the next folder follows.
    """
    done = []
    for folder in known_folders(workspace.shares.state) if folders is None else dict.fromkeys(folders):
        try:
            if any(ReviewedBoxes(workspace.shares.state, folder).waiting()) and remask_folder(workspace, folder):
                done.append(folder)
        except (AnonymisationError, OSError) as error:
            logging.getLogger(__name__).warning("%s: not all marked regions are hidden yet: %s", folder, error)
    return done


def hide_waiting(workspace: Workspace, folder: str, state: FolderState) -> list[str]:
    """Like `remask_folder`, for pictures whose state is already open."""
    log = logging.getLogger(__name__)
    hidden = []
    for name, review in list(ReviewedBoxes(workspace.shares.state, folder).waiting()):
        known = state.pictures.get(name)
        if known is None:
            continue  # the picture is not published yet; its first masking hides the boxes
        paths = workspace.picture(folder, name)
        try:
            count = _hide_boxes(workspace, paths, known, review, state)
        except (AnonymisationError, OSError) as error:
            reason = one_line(str(error))
            log.error("%s: not all marked regions are hidden yet: %s", one_line(paths.relative), reason)
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
    """Hide the waiting boxes on the masked picture and in its mask files, and return their number.

    The number is 0 where there is no masked picture to change. If the last masking failed, an older masked picture may
    still be published; the boxes are hidden on it, too.

    Raises:
        AnonymisationError, OSError: not all boxes could be hidden.
    """
    masked = with_access(workspace.settings, f"looking at {paths.masked}", lambda: _stamp_of(paths.masked))
    if masked is None and known.output is None:
        return 0
    # Another file than the last one written may be older than the boxes that count as hidden.
    boxes = review.waiting if masked == known.output else review.active
    mask, preview = _hide(workspace, paths, known, boxes)
    if known.output is not None:
        state.put(replace(known, output=FileStamp.of(paths.masked), mask_digest="", preview_digest=preview))
    _add_to_masks(workspace, paths, mask)
    return len(boxes)


def _make_previews_again(workspace: Workspace, paths: ImagePaths, masked: bytes) -> str:
    """Replace every preview that is there, so that it shows what is hidden now. Returns their `preview_digest`.

    Raises:
        UnreadableImageError: the masked picture cannot be decoded.
        ShareUnavailableError: a share is not available.
    """
    files = preview_files(workspace, paths, masked)
    if files and paths.archived is not None and workspace.settings.archive_preview:
        files.append((preview_path(paths.archived), files[0][1]))
    digest = preview_digest(files)
    for place, data in files:
        if with_access(workspace.settings, f"looking at {place}", partial(_stamp_of, place)) is not None:
            _write(workspace, place, data)
    return digest


def _stamp_of(path: Path) -> FileStamp | None:
    try:
        return FileStamp.of(path)
    except FileNotFoundError:
        return None


def _hide(
    workspace: Workspace, paths: ImagePaths, known: PictureState, boxes: tuple[AddedBox, ...]
) -> tuple[NDArray[np.bool_], str]:
    """Hide the boxes on the masked picture and its previews; return the pixels (H, W) that they cover, and the
    `preview_digest`.

    Raises:
        UnreadableImageError: the masked picture is damaged, or was made from another original.
    """
    settings = workspace.settings
    data = with_access(settings, f"reading {paths.masked}", lambda: read_plain(paths.masked))
    provenance = read_provenance(data)
    # A failed picture has no checksum in the state. Any picture published under its name hides the boxes.
    if provenance is None or known.sha256 not in {provenance.source_sha256, ""}:
        raise UnreadableImageError(f"{paths.masked} was not made from this picture; mask it again")
    limit = max(settings.max_picture_pixels, known.width * known.height)  # the setting may be lower now
    frame = decode_jpeg(data, source=paths.relative, max_pixels=limit)
    added = with_boxes(Detections.empty(), boxes)
    redaction = redact(
        frame.pixels,
        added,
        Appearance.from_settings(settings),
        settings.mask_dilation_pixels,
        coded_unit=frame.coded_unit,
    )
    panorama = read_xmp(data, source=paths.relative).panorama
    masked = encode_jpeg(
        redaction.pixels,
        frame,
        quality="keep",
        exif=_exif_of(data),
        xmp=None if panorama is None else panorama.to_xmp(),
        mask=redaction.mask,
        source=paths.relative,
    )
    _write(workspace, paths.masked, masked.data)
    return redaction.mask, _make_previews_again(workspace, paths, masked.data)


def _add_to_masks(workspace: Workspace, paths: ImagePaths, added: NDArray[np.bool_]) -> None:
    """Mark the pixels in every existing mask file that the settings ask for.

    Raises:
        UnreadableImageError: a mask file is damaged, or has another size.
        ShareUnavailableError: a share is not available.
    """
    size = added.shape[1], added.shape[0]
    kind = Sidecar.mask_for(size)
    copies = [target for _, target in paths.archive_copies(workspace.settings, size) if target.name.endswith(kind)]
    for place in (*paths.masks(workspace.settings, size), *copies):
        try:
            data = with_access(workspace.settings, f"reading {place}", partial(read_plain, place))
        except FileNotFoundError:
            continue
        mask = decode_mask(data, max_pixels=added.size)
        if mask.shape != added.shape:
            raise UnreadableImageError(f"the mask {place} has shape {mask.shape}, the picture {added.shape}")
        _write(workspace, place, encode_mask(mask | added))


def _write(workspace: Workspace, place: Path, data: bytes) -> None:
    write = partial(write_atomically, place, data, make=workspace.make_folder)
    with_access(workspace.settings, f"writing {place}", write)


def _exif_of(data: bytes) -> bytes:
    """The EXIF segment of a masked picture, with its mark "Exif". There is always one: it holds the provenance."""
    for item in segments_of(data):
        if isinstance(item, Segment) and item.marker == APP1 and item.payload.startswith(EXIF_MARK):
            return bytes(item.payload)
    raise UnreadableImageError("the masked picture has no EXIF")
