"""Pictures whose names differ only in their ending: their derived files (.json, .webp) would overwrite each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from anonymisation.core.settings import Settings
from anonymisation.workspace.folder_state import MASKED, PictureState
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.paths import stem_of

# Stands where a failed picture's settings digest would: the failure lasts as long as the other picture is there.
STEM_COLLISION: Final = "shadowed"


def colliding_names(names: Iterable[str], known: Mapping[str, PictureState], settings: Settings) -> dict[str, str]:
    """Pictures whose derived files would overwrite those of another picture: {name: the other's name}.

    The derived files belong to a picture that was masked before, else to the first of the names.
    """
    if not any((settings.local_json, settings.remote_json, settings.local_mask, settings.remote_mask)):
        return {}
    owners = {stem_of(name): name for name, picture in known.items() if picture.status == MASKED}
    return {name: owner for name in names if (owner := owners.setdefault(stem_of(name), name)) != name}


def is_known_collision(file: PictureFile, known: PictureState) -> bool:
    """Whether this very file was reported as colliding before; it still is one only if `colliding_names` says so."""
    return known.digest == STEM_COLLISION and known.source == file.stamp
