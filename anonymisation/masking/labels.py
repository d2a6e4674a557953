"""The classes of object that are hidden: their COCO ids, labels and colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A class of object: its COCO id (1-based, as in the TensorFlow detection zoo), label and fill colour."""

    coco_id: int
    label: str
    colour: RGB


# The six classes and the colours of the original program; ids from the COCO label map of the TensorFlow detection zoo.
CLASSES: Final = (
    ObjectClass(1, "person", (255, 255, 255)),
    ObjectClass(2, "bicycle", (0, 0, 255)),
    ObjectClass(3, "car", (255, 0, 0)),
    ObjectClass(4, "motorcycle", (255, 255, 0)),
    ObjectClass(6, "bus", (0, 255, 255)),
    ObjectClass(8, "truck", (0, 255, 0)),
)
BY_ID: Final[Mapping[int, ObjectClass]] = {kind.coco_id: kind for kind in CLASSES}
KEPT_IDS: Final = tuple(BY_ID)


def label_of(coco_id: int) -> str:
    """The label of a kept class.

    Raises:
        KeyError: the class is not one of the six.
    """
    return BY_ID[coco_id].label


def colour_of(coco_id: int) -> RGB:
    """The fill colour (red, green, blue; 0 to 255) of a kept class.

    Raises:
        KeyError: the class is not one of the six.
    """
    return BY_ID[coco_id].colour
