"""The settings of what is hidden: classes, and polygons that hold for every picture of a camera."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from anonymisation.core.score_thresholds import GROUPS


def _with_area(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Refuse what encloses nothing; the shoelace formula."""
    turned = (*points[1:], *points[:1])
    if abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(points, turned, strict=True))) < 2e-6:
        raise ValueError("expected a polygon with an area")
    return points


def _once(labels: tuple[str, ...]) -> tuple[str, ...]:
    """In the order of all classes, so that the order in the file changes no digest."""
    return tuple(label for label in _LABELS if label in labels)


_LABELS: Final = tuple(label for labels in GROUPS.values() for label in labels)
HiddenClasses = Annotated[
    tuple[Literal["person", "bicycle", "car", "motorcycle", "bus", "truck"], ...],
    Field(min_length=1, max_length=20),
    AfterValidator(_once),
]
_Share = Annotated[float, Field(ge=0, le=1)]
Corners = Annotated[tuple[tuple[_Share, _Share], ...], Field(min_length=3, max_length=100), AfterValidator(_with_area)]
_Polygons = Annotated[tuple[Corners, ...], Field(max_length=100)]


class CameraRegions(BaseModel):
    """Polygons that hold for the pictures of a camera: [x, y] as shares of width and height of the upright picture.

    `folders` is a shell pattern of capture folders, `camera` the EXIF Model; empty: of every camera.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    folders: Annotated[str, Field(min_length=1, max_length=4096)] = "*"
    camera: Annotated[str, Field(max_length=200)] = ""
    hide: _Polygons = ()
    ignore: _Polygons = ()
