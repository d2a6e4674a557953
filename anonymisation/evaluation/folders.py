"""Pictures with class rasters, and pictures that show nothing to hide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from anonymisation.core.errors import AnnotationsError, ImageError
from anonymisation.evaluation.classes import CAMVID, CLEAN, LABELS, UNKNOWN, ClassNames, labels_in
from anonymisation.evaluation.truth import AnnotatedPicture, Failure, Region, Rle, Source, Truth
from anonymisation.workspace.listing import Listing, Problem, join, listings


def open_rasters(
    images: Path, rasters: Path, names: ClassNames | None = None, unlabelled: Collection[str] = ()
) -> Source:
    """Pictures below `images`, each with a raster of class numbers (`.png`) at the same path below `rasters`.

    `names` maps the numbers to classes; None means CamVid's. Other numbers count as clean.

    Raises:
        AnnotationsError: no picture has a raster, or `names` names no class to hide.
    """
    numbers = _numbers(CAMVID if names is None else names)
    labelled = labels_in(numbers.values()) - set(unlabelled)
    pictures = []
    names_found, failures = _pictures(images)
    for name in names_found:
        raster = (rasters / name).with_suffix(".png")
        if raster.is_file():
            truth = partial(_raster_truth, raster, numbers, labelled)
            pictures.append(AnnotatedPicture(name, images / name, truth, partial(_raster_size, raster)))
        else:
            failures.append(Failure(name, f"has no class raster {raster}"))
    if not pictures:
        raise AnnotationsError(
            f"{rasters}: expected class rasters (.png) named as the pictures in {images}, found none"
            " (of COCO annotations, name the .json file itself)"
        )
    stems = {Path(picture.name).with_suffix("") for picture in pictures}
    lonely = (path.relative_to(rasters) for path in sorted(rasters.rglob("*.png")))
    reason = f"is a class raster without a picture in {images}"
    failures += [Failure(path.as_posix(), reason) for path in lonely if path.with_suffix("") not in stems]
    note = "Class rasters have no single instances: pixels only, without sizes."
    return Source("rasters", images, rasters, labelled, tuple(pictures), tuple(failures), (note,))


def open_empty(images: Path, unlabelled: Collection[str] = ()) -> Source:
    """All pictures below `images`. They are assumed to show nothing to hide, except perhaps the classes `unlabelled`.

    Raises:
        AnnotationsError: there is no picture.
    """
    names, failures = _pictures(images)
    if not names:
        raise AnnotationsError(f"{images}: expected pictures (.jpg), found none")
    pictures = tuple(AnnotatedPicture(name, images / name, Truth) for name in names)
    return Source("empty", images, None, frozenset(LABELS) - set(unlabelled), pictures, tuple(failures))


def _pictures(base: Path) -> tuple[list[str], list[Failure]]:
    """Every picture's path below `base`, and the places that cannot be read."""
    names, failures = [], []
    for folder, listing in listings(base):
        problems = [listing] if isinstance(listing, Problem) else listing.problems
        failures += [Failure(problem.path, problem.reason) for problem in problems if problem.hides_pictures]
        if isinstance(listing, Listing):
            names += [join(folder, picture.name) for picture in listing.pictures]
    return sorted(names), failures


def _numbers(names: ClassNames) -> Mapping[int, str]:
    numbers = {key: value for key, value in names.items() if isinstance(key, int)}
    if len(numbers) < len(names):
        other = ", ".join(str(key) for key in names if not isinstance(key, int))
        raise AnnotationsError(f"class rasters hold numbers; expected numbers of classes, got {other}")
    if not labels_in(numbers.values()):
        raise AnnotationsError("the classes include none to hide, such as person or vehicle")
    return numbers


def _raster_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as raster:
            return raster.height, raster.width
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImageError(f"class raster {path} cannot be read: {error}") from error


def _raster_truth(path: Path, numbers: Mapping[int, str], labelled: frozenset[str], height: int, width: int) -> Truth:
    try:
        with Image.open(path) as raster:
            values = np.asarray(raster)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"class raster {path} cannot be read: {error}") from error
    if values.shape != (height, width) or values.dtype.kind not in "iu":
        raise ImageError(f"class raster {path}: expected one number per pixel, {height} × {width}, got {values.shape} "
                         f"{values.dtype}")  # fmt: skip
    regions, ignored = [], []
    for label in dict.fromkeys(numbers.values()):
        own = np.isin(values, [number for number, name in numbers.items() if name == label])
        if label == CLEAN or not own.any():
            continue
        if label != UNKNOWN and labels_in([label]) & labelled:
            regions.append(Region(label, Rle.of(own)))
        else:
            ignored.append((None if label == UNKNOWN else label, Rle.of(own)))
    return Truth(height, width, tuple(regions), tuple(ignored))
