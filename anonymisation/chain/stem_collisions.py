"""Stem collisions: pictures with the same stem, whose derived files (.json, .webp, preview) would have one name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from anonymisation.core.settings import Settings
from anonymisation.workspace.folder_state import MASKED, PictureState
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.paths import stem_of

# Stored instead of a failed picture's settings digest: the failure lasts as long as the other picture exists.
STEM_COLLISION: Final = "shadowed"


def colliding_names(names: Iterable[str], known: Mapping[str, PictureState], settings: Settings) -> dict[str, str]:
    """Pictures whose derived files would overwrite those of another picture, as {name: name of the other}.

    The derived files belong to the picture that is masked already, otherwise to the first in `names`.
    """
    files = (
        settings.local_json,
        settings.remote_json,
        settings.local_mask,
        settings.remote_mask,
        settings.has_previews,
    )
    if not any(files):
        return {}
    owners = {stem_of(name): name for name, picture in known.items() if picture.status == MASKED}
    return {name: owner for name in names if (owner := owners.setdefault(stem_of(name), name)) != name}


def is_known_collision(file: PictureFile, known: PictureState) -> bool:
    """Whether this file was reported as a collision before; check with `colliding_names` whether it still is one."""
    return known.digest == STEM_COLLISION and known.source == file.stamp
