"""The previews of one masked picture: their bytes, and where the settings want them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anonymisation.core.settings import Settings
from anonymisation.files.access import with_access
from anonymisation.files.digests import short_digest
from anonymisation.files.plain import is_there
from anonymisation.imaging.preview import preview_of
from anonymisation.workspace.paths import MAX_NAME_BYTES, ImagePaths, name_bytes, preview_path
from anonymisation.workspace.workspace import Workspace


def preview_files(workspace: Workspace, paths: ImagePaths, masked: bytes) -> list[tuple[Path, bytes]]:
    """Each path where the settings want the preview, with its bytes, without the archive copy; empty without previews.

    A preview is made from the bytes of the masked picture, so every road to it gives the same file. One of earlier
    settings that is in the output folder is made as well: what is hidden since then must not be published on it.

    Raises:
        UnreadableImageError: the masked picture cannot be decoded.
        ShareUnavailableError: the output folder is not available.
    """
    settings = workspace.settings
    places = paths.previews(settings)
    published = preview_path(paths.masked)
    if published not in places and _is_there(settings, published):
        places.append(published)
    if not places:
        return []
    data = preview_of(
        masked,
        settings.preview_dim,
        settings.preview_center,
        max_pixels=settings.max_picture_pixels,
        source=paths.relative,
    )
    return [(place, data) for place in places]


def preview_digest(files: Sequence[tuple[Path, bytes]]) -> str:
    """The digest of what `preview_files` made, as the state of the picture keeps it; empty without previews."""
    return short_digest(files[0][1]) if files else ""


def has_all_previews(workspace: Workspace, paths: ImagePaths) -> bool:
    """Whether a file, not a link, is in each place where the settings want the preview, without the archive copy.

    Raises:
        ShareUnavailableError: a folder is not available.
    """
    settings = workspace.settings
    return all(_is_there(settings, path) and not path.is_symlink() for path in paths.previews(settings))


def _is_there(settings: Settings, preview: Path) -> bool:
    if name_bytes(preview.name) > MAX_NAME_BYTES:
        return False
    return with_access(settings, f"looking at {preview}", lambda: is_there(preview))
