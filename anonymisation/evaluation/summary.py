"""The figures as JSON: stable keys, so that results of different models and days can be compared."""

from __future__ import annotations

from typing import Any, Final

from anonymisation import __version__
from anonymisation.core.record_settings import RECORD_PICTURE_KEYS
from anonymisation.core.settings import PICTURE_KEYS, Settings
from anonymisation.evaluation.classes import ALL_SIZES, ROWS, SIZES
from anonymisation.evaluation.curve import Curve, Point
from anonymisation.evaluation.measure import Evaluation, MeasuredPicture
from anonymisation.evaluation.precision import Precision
from anonymisation.evaluation.tally import Row, Tally

FORMAT: Final = 1
_DIGITS: Final = 5
# The settings in PICTURE_KEYS that do not change the detections.
_APPEARANCE: Final = frozenset(
    (
        "draw_mask", "application_version", "exif_mappenavn", "exif_top_dir", "remote_json", "local_json",
        "remote_mask", "local_mask", "jpeg_quality", "mask_color", "blur", "gray_blur", "normalized_gray_blur",
        *RECORD_PICTURE_KEYS,
    )
)  # fmt: skip


def settings_used(settings: Settings) -> dict[str, Any]:
    """The settings that decide what is hidden."""
    values = settings.model_dump(mode="json")
    return {key: values[key] for key in PICTURE_KEYS if key not in _APPEARANCE}


def as_json(evaluation: Evaluation, settings: Settings) -> dict[str, Any]:
    """All figures; shares are 0 to 1 with 5 digits, null if the total is zero.

    Keys: `format` (1), `version`, `model`, `settings`, `images`, `annotations`, `kind` (coco, rasters, empty),
    `unlabelled`, `pictures` {measured, failed, with_anything_hidden}, `seconds_per_picture` (of the detector, median),
    `recall` {person, vehicle, bicycle … : {all, large, medium, small: {pixels, hidden, share}}}, `instances` (the same
    with {instances, hidden, share}; hidden: at least 75 %), `clean` {pixels, hidden, share}, `coco` (accumulated:
    pycocotools' twelve numbers and `per_class`; else null), `per_picture` [{picture, person, vehicle, sought, clean,
    anything_hidden, coco}], `curve` (null unless asked for: {`lowest_score`, `in_force`, `points`}, the points as
    {threshold, person, vehicle, clean}), `failures` [{picture, reason}], `notes`.
    """
    source, figures = evaluation.source, evaluation.figures
    measured = len(evaluation.pictures)
    return {
        "format": FORMAT,
        "version": __version__,
        "model": evaluation.model,
        "settings": settings_used(settings),
        "images": str(source.images),
        "annotations": None if source.annotations is None else str(source.annotations),
        "kind": source.kind,
        "unlabelled": list(source.unlabelled),
        "pictures": {
            "measured": measured,
            "failed": len(evaluation.failures),
            "with_anything_hidden": sum(picture.anything_hidden for picture in evaluation.pictures),
        },
        "seconds_per_picture": _rounded(evaluation.seconds),
        "recall": _rows(figures.pixels, "pixels"),
        "instances": _rows(figures.instances, "instances"),
        "clean": _tally(figures.clean, "pixels"),
        "coco": _precision(evaluation.precision),
        "per_picture": [_picture(picture) for picture in evaluation.pictures],
        "curve": _curve(evaluation.curve),
        "failures": [{"picture": failure.picture, "reason": failure.reason} for failure in evaluation.failures],
        "notes": list(source.notes),
    }


def _picture(picture: MeasuredPicture) -> dict[str, Any]:
    return {
        "picture": picture.name,
        "person": _tally(picture.person, "pixels"),
        "vehicle": _tally(picture.vehicle, "pixels"),
        "sought": _tally(picture.sought, "pixels"),
        "clean": _tally(picture.clean, "pixels"),
        "anything_hidden": picture.anything_hidden,
        "coco": _precision(picture.precision),
    }


def _rows(tallies: dict[Row, Tally], unit: str) -> dict[str, dict[str, Any]]:
    result = {}
    for label in ROWS:
        own = {size: tallies[label, size] for size in (ALL_SIZES, *SIZES) if (label, size) in tallies}
        if own:
            result[label] = {size: _tally(tally, unit) for size, tally in own.items()}
    return result


def _tally(tally: Tally, unit: str) -> dict[str, Any]:
    return {unit: tally.total, "hidden": tally.hidden, "share": _rounded(tally.share)}


def _precision(precision: Precision | None) -> dict[str, Any] | None:
    if precision is None:
        return None
    values: dict[str, Any] = {key: _rounded(value) for key, value in precision.values.items()}
    return {**values, "per_class": {label: _rounded(value) for label, value in precision.per_class.items()}}


def _curve(curve: Curve | None) -> dict[str, Any] | None:
    if curve is None:
        return None
    points = [_point(point) for point in curve.points]
    return {"lowest_score": _rounded(curve.lowest_score), "in_force": _point(curve.in_force), "points": points}


def _point(point: Point) -> dict[str, Any]:
    tallies = {name: _tally(getattr(point, name), "pixels") for name in ("person", "vehicle", "clean")}
    return {"threshold": point.threshold, **tallies}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
