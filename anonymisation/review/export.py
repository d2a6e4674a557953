"""Reviewed pictures as annotations in COCO form: what people corrected, as data to measure and to train with.

Only pictures that a person has judged are exported, each in the version that the person saw:

- *ok*, or judged for a certificate without a fault: all detections, since the person found nothing missed or wrong
- boxes drawn: the detections and the boxes; a box has no class of its own and gets the category `marked`
- hidden by mistake, or missed without a box that says where: the picture is listed under `info.left_out`, since nobody
  said which detection is wrong, or what is to be added

Coordinates are pixels of the picture as its file stores it, whatever its EXIF orientation. Pictures are given by
reference: `file_name` is the path of the original below the input folder, `sha256` that of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from anonymisation import __version__
from anonymisation.masking.labels import CLASSES
from anonymisation.review.certificate.store import read_judgements, read_samples
from anonymisation.review.model import NOTHING, Review
from anonymisation.review.rows import Row, read_rows
from anonymisation.review.store import read_reviews
from anonymisation.workspace.folder_state import state_folder

MARKED: Final = 100  # the category of boxes that people drew; beyond COCO's own ids, which end at 90
_IDS: Final[Mapping[str, int]] = {kind.label: kind.coco_id for kind in CLASSES}
Version = tuple[str, str, str]  # folder, name, version


def coco_annotations(state_root: Path, folders: Iterable[str], *, at: str) -> dict[str, Any]:
    """All judged pictures of the folders, as COCO's instances file has them. `at`: the time, ISO 8601.

    Raises:
        ShareUnavailableError: the state of a folder, or a certificate, cannot be read.
    """
    sound, mistaken, missed = _judged_for_certificates(state_root)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    left_out: list[str] = []
    for folder in sorted(set(folders)):
        reviews = read_reviews(state_root, folder)
        for row in sorted(read_rows(state_folder(state_root, folder)), key=lambda row: row.name):
            review, version = reviews.get(row.name, NOTHING), (folder, row.name, row.version)
            judged = review.is_judged(row.version) or version in sound or version in mistaken or version in missed
            if row.failed or not judged:
                continue
            if version in mistaken or (version in missed and not review.active):
                left_out.append(f"{folder}/{row.name}")
                continue
            image = _image(len(images) + 1, folder, row)
            images.append(image)
            for found in _annotations(image, row, review):
                annotations.append({"id": len(annotations) + 1, **found})
    return {
        "info": {
            "description": "Reviewed detections and marked regions",
            "date_created": at,
            "version": __version__,
            "left_out": left_out,
        },
        "images": images,
        "annotations": annotations,
        "categories": [{"id": kind.coco_id, "name": kind.label} for kind in CLASSES]
        + [{"id": MARKED, "name": "marked"}],
    }


def _judged_for_certificates(state_root: Path) -> tuple[set[Version], set[Version], set[Version]]:
    """The pictures that reviewers of a sample found sound, those with something hidden by mistake, and with missed."""
    sound, mistaken, missed = set[Version](), set[Version](), set[Version]()
    for sample in read_samples(state_root):
        lines = read_judgements(state_root, sample.id)
        for one in sample.pictures:
            version = (one.folder, one.name, one.version)
            if lines.mistake(one.number):
                mistaken.add(version)
            elif lines.missed(one.number):
                missed.add(version)
            elif lines.of(one.number):
                sound.add(version)
    return sound, mistaken, missed


def _image(number: int, folder: str, row: Row) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": f"{folder}/{row.name}",
        "width": row.width,
        "height": row.height,
        "sha256": row.sha256,
        "model": row.model,
    }


def _annotations(image: Mapping[str, Any], row: Row, review: Review) -> Iterable[dict[str, Any]]:
    for seen in row.objects:
        for box in seen.boxes:  # two where the seam of a panorama cuts the object
            yield {**_box(image, box), "category_id": _IDS[seen.label], "score": seen.score, "source": "detection"}
    for added in review.active:
        yield {**_box(image, added.box.as_tuple()), "category_id": MARKED, "source": "reviewer", "by": added.by}


def _box(image: Mapping[str, Any], box: tuple[float, float, float, float]) -> dict[str, Any]:
    """COCO's keys of a box that is given as shares: x, y, width and height in pixels."""
    top, left, bottom, right = box
    width, height = (right - left) * image["width"], (bottom - top) * image["height"]
    sides = (left * image["width"], top * image["height"], width, height)
    return {
        "image_id": image["id"],
        "bbox": [round(side, 2) for side in sides],
        "area": round(width * height, 2),
        "iscrowd": 0,
    }
