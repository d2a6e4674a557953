"""The previews of one masked picture: their bytes, and where the settings want them."""

from __future__ import annotations

from pathlib import Path

from anonymisation.imaging.preview import preview_of
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.workspace import Workspace


def preview_files(workspace: Workspace, paths: ImagePaths, masked: bytes) -> list[tuple[Path, bytes]]:
    """Each path where the settings want the preview, with its bytes, without the archive copy; empty without previews.

    A preview is made from the bytes of the masked picture, so every road to it gives the same file.

    Raises:
        UnreadableImageError: the masked picture cannot be decoded.
    """
    settings = workspace.settings
    places = paths.previews(settings)
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
