"""Annotations in the format of COCO's `instances.json`, read strictly, because wrong outlines give wrong figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import msgspec

from anonymisation.core.errors import AnnotationsError, ImageError
from anonymisation.evaluation.classes import CLEAN, LABELS, UNKNOWN, VEHICLE, ClassNames
from anonymisation.evaluation.outlines import CodedMask, Outline, outline_rle
from anonymisation.evaluation.truth import AnnotatedPicture, Failure, Region, Rle, Source, Truth


class Picture(msgspec.Struct, frozen=True):
    """An entry of `images`; width and height in pixels."""

    id: int
    file_name: str
    width: int
    height: int


class Category(msgspec.Struct, frozen=True):
    """An entry of `categories`."""

    id: int
    name: str


class Annotation(msgspec.Struct, frozen=True):
    """An entry of `annotations`; entries with `iscrowd` or `ignore` do not count against the model."""

    id: int
    image_id: int
    category_id: int
    segmentation: list[list[float]] | CodedMask
    area: float | None = None
    iscrowd: int | bool = 0
    ignore: int | bool = 0

    @property
    def outline(self) -> Outline:
        """Polygons, or run lengths."""
        return self.segmentation


class CocoFile(msgspec.Struct, frozen=True):
    """The parts of `instances.json` that this module reads."""

    images: list[Picture]
    annotations: list[Annotation]
    categories: list[Category]


def open_coco(
    images: Path, annotations: Path, names: ClassNames | None = None, unlabelled: Collection[str] = ()
) -> Source:
    """The pictures in the folder `images` that the file `annotations` describes.

    Classes that its `categories` do not declare are unlabelled, and so are those in `unlabelled`. `names` maps
    categories to our classes. Other categories count as clean, unless they have the name of one of our classes.

    Raises:
        AnnotationsError: the file cannot be read, contradicts itself, or describes no picture in the folder.
    """
    content = _read(annotations)
    labels = _labels(content.categories, names or {}, annotations)
    _check_references(content, annotations)
    declared = set(labels.values()) & set(LABELS)
    own: dict[int, list[Annotation]] = defaultdict(list)
    for annotation in content.annotations:
        own[annotation.image_id].append(annotation)
    labelled = frozenset(declared - set(unlabelled))
    pictures, failures = [], []
    for picture in sorted(content.images, key=lambda picture: picture.file_name):
        path = images / _inside(picture.file_name, annotations)
        if not path.is_file():
            failures.append(Failure(picture.file_name, f"is listed in {annotations.name} and is not in {images}"))
            continue
        truth = partial(_truth, picture, tuple(own[picture.id]), labels, labelled)
        pictures.append(AnnotatedPicture(picture.file_name, path, truth, partial(_size, picture)))
    if not pictures:
        raise AnnotationsError(
            f"{annotations}: none of its {len(content.images)} pictures is in {images}; is this their folder?"
        )
    return Source("coco", images, annotations, labelled, tuple(pictures), tuple(failures))


def _read(path: Path) -> CocoFile:
    try:
        return msgspec.json.decode(path.read_bytes(), type=CocoFile)
    except OSError as error:
        raise AnnotationsError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:  # also for JSON of another form
        raise AnnotationsError(f"{path}: expected COCO annotations (instances.json): {error}") from error


def _labels(categories: list[Category], names: ClassNames, path: Path) -> dict[int, str]:
    """Category number → one of the labels, unknown or clean."""
    result = {}
    for category in categories:
        default = category.name.lower() if category.name.lower() in LABELS else CLEAN
        label = names.get(category.name, default)
        if label == VEHICLE:
            raise AnnotationsError(f"{category.name}: COCO instances need one of {', '.join(LABELS)}, not {VEHICLE}")
        result[category.id] = label
    if absent := [str(name) for name in names if name not in {category.name for category in categories}]:
        raise AnnotationsError(f"{path}: has no category {', '.join(absent)}")
    if not set(result.values()) & set(LABELS):
        got = ", ".join(category.name for category in categories) or "none"
        raise AnnotationsError(f"{path}: expected categories such as {', '.join(LABELS)}, got {got}; see --classes")
    return result


def _check_references(content: CocoFile, path: Path) -> None:
    for what, values in (
        ("images: id", [picture.id for picture in content.images]),
        ("images: file_name", [picture.file_name for picture in content.images]),
        ("categories: id", [category.id for category in content.categories]),
    ):
        if twice := len(values) - len(set(values)):
            raise AnnotationsError(f"{path}: {what}: {twice} of {len(values)} are there more than once")
    pictures = {picture.id for picture in content.images}
    categories = {category.id for category in content.categories}
    for annotation in content.annotations:
        if annotation.image_id not in pictures:
            raise AnnotationsError(f"{path}: annotation {annotation.id} is of unknown picture {annotation.image_id}")
        if annotation.category_id not in categories:
            raise AnnotationsError(
                f"{path}: annotation {annotation.id} is of unknown category {annotation.category_id}"
            )


def _inside(name: str, path: Path) -> PurePosixPath:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise AnnotationsError(f"{path}: file_name {name!r}: expected a path below the folder of pictures")
    return relative


def _size(picture: Picture) -> tuple[int, int]:
    return picture.height, picture.width


def _truth(
    picture: Picture,
    annotations: tuple[Annotation, ...],
    labels: Mapping[int, str],
    labelled: frozenset[str],
    height: int,
    width: int,
) -> Truth:
    if (height, width) != (picture.height, picture.width):
        raise ImageError(f"expected annotations of {height} × {width}, got {picture.height} × {picture.width}")
    regions: list[Region] = []
    ignored: list[tuple[str | None, Rle]] = []
    for annotation in annotations:
        label = labels[annotation.category_id]
        if label == CLEAN:
            continue
        try:
            pixels = outline_rle(annotation.outline, height, width)
        except ValueError as error:
            raise ImageError(f"annotation {annotation.id}: {error}") from error
        if label not in labelled or annotation.iscrowd or annotation.ignore:
            ignored.append((None if label == UNKNOWN else label, pixels))
        else:
            # Some tools write 0 as the area of every outline.
            area = annotation.area if annotation.area is not None and annotation.area > 0 else pixels.area()
            regions.append(Region(label, pixels, area))
    return Truth(height, width, tuple(regions), tuple(ignored))
