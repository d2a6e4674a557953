"""The classes of annotations, their groups and sizes, and their names in other data sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import yaml

from anonymisation.core.errors import AnnotationsError
from anonymisation.masking.labels import CLASSES

PERSON: Final = "person"
VEHICLE: Final = "vehicle"
GROUPS: Final = (PERSON, VEHICLE)
LABELS: Final = tuple(kind.label for kind in CLASSES)
ROWS: Final = (PERSON, VEHICLE, *(label for label in LABELS if label != PERSON))
"""The rows of the figures: person, all vehicles together, and each kind of vehicle."""

UNKNOWN: Final = "unknown"
"""Pixels without known truth: neither missed nor clean."""
CLEAN: Final = "clean"
"""Things that must stay visible."""

ALL_SIZES: Final = "all"
SIZES: Final = ("large", "medium", "small")

ClassNames = Mapping[str | int, str]
"""Names (COCO) or numbers (class rasters) of annotated classes → one of the labels, vehicle, unknown or clean."""

# The usual eleven classes of CamVid (SegNet's). Its "car" includes vans, lorries and buses, so it means any vehicle
# here. Pedestrian and bicyclist are persons.
CAMVID: Final[ClassNames] = {8: VEHICLE, 9: PERSON, 10: PERSON, 11: UNKNOWN}


def group_of(label: str) -> str:
    """The group (person or vehicle) of one of the six labels or of a group."""
    return PERSON if label == PERSON else VEHICLE


def labels_in(names: Iterable[str]) -> frozenset[str]:
    """The labels in `names`, with groups replaced by their labels."""
    names = set(names)
    vehicles = {label for label in LABELS if label != PERSON} if VEHICLE in names else set()
    return frozenset(vehicles | (names & set(LABELS)))


def read_class_names(path: Path) -> ClassNames:
    """Read the meaning of classes from a YAML or JSON file, such as `{8: car, 9: person, van: truck, dog: clean}`.

    Raises:
        AnnotationsError: the file cannot be read, or names an unknown class.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise AnnotationsError(f"{path}: cannot be read as YAML or JSON: {reason}") from error
    if not isinstance(content, dict) or not content:
        raise AnnotationsError(f"{path}: expected classes and their meaning, such as `8: car`, got {content!r}")
    known = (*LABELS, VEHICLE, UNKNOWN, CLEAN)
    for key, value in content.items():
        if not isinstance(key, str | int) or isinstance(key, bool):
            raise AnnotationsError(f"{path}: {key!r}: expected the name of a class or its number")
        if value not in known:
            raise AnnotationsError(f"{path}: {key}: expected one of {', '.join(known)}, got {value!r}")
    return {int(key) if str(key).isdecimal() else key: value for key, value in content.items()}
