"""The shadow night: both sides look at a random sample of pictures that are masked already. Nothing is published."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anonymisation.core.errors import AnonymisationError, ImageError
from anonymisation.core.settings import Settings
from anonymisation.imaging.exif.read import read_exif
from anonymisation.imaging.jpeg.codec import decode_jpeg, to_upright
from anonymisation.masking.detector import Detector
from anonymisation.masking.geometry import union
from anonymisation.masking.panoramas.search import detect
from anonymisation.masking.panoramas.sphere import sphere_of
from anonymisation.review.certificate.population import Candidate, read_population
from anonymisation.review.certificate.sample import random_order
from anonymisation.review.certificate.store import now
from anonymisation.review.comparison.differences import Difference, differences
from anonymisation.review.comparison.store import keep_study
from anonymisation.review.comparison.study import ComparedPicture, Region, SideInfo, Study
from anonymisation.review.images import NotShownError, original_bytes
from anonymisation.review.rows import KnownRows, Row
from anonymisation.workspace.camera_regions import CameraRegions
from anonymisation.workspace.workspace import Workspace


class NothingToCompareError(AnonymisationError):
    """No masked picture has its original at hand."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One side: its name, its settings, in which of them it differs from those in force, and its loaded model."""

    name: str
    settings: Settings
    changed: Mapping[str, Any]
    detector: Detector

    def info(self) -> SideInfo:
        """The side as it is stored."""
        return SideInfo(self.name, self.detector.identity, dict(self.changed))


def compare(
    workspace: Workspace,
    folders: Iterable[str],
    sides: tuple[Contender, Contender],
    count: int,
    *,
    title: str,
    by: str,
    on_picture: Callable[[str], None] = lambda _: None,
) -> Study:
    """Let both sides look at `count` random masked pictures whose original is at hand, and store what differs.

    Raises:
        NothingToCompareError: there is no such picture.
        ModelUnavailableError: a model cannot be used.
        ShareUnavailableError: the state of a folder cannot be read, or the comparison cannot be written.
    """
    population, seed, at = read_population(workspace.shares.state, folders), secrets.token_hex(32), now()
    rows = KnownRows(workspace.shares.state)
    rules = tuple(CameraRegions.of(side.settings, workspace.shares.state) for side in sides)
    order = sorted(population.candidates, key=lambda one: random_order(seed, "compared", one.folder, one.name))
    pictures: list[ComparedPicture] = []
    regions: list[Region] = []
    failures: list[str] = []
    for candidate in order:
        if len(pictures) >= count:
            break
        try:
            compared, found = _look(workspace, candidate, rows.of(candidate.folder, candidate.name), sides, rules)
        except (ImageError, NotShownError) as error:
            failures.append(f"{candidate.folder}/{candidate.name}: {error}")
            continue
        regions += [Region(number, len(pictures), one) for number, one in enumerate(found, start=len(regions) + 1)]
        pictures.append(compared)
        on_picture(candidate.name)
    if not pictures:
        raise NothingToCompareError(
            f"no masked picture can be compared: {failures[0] if failures else 'there is none'}"
        )
    study = Study(
        id=f"{at[:10]}-{seed[:8]}",
        title=title,
        by=by,
        at=at,
        a=sides[0].info(),
        b=sides[1].info(),
        population=len(population.candidates),
        pictures=tuple(pictures),
        regions=tuple(regions),
        failures=tuple(failures),
    )
    keep_study(workspace.shares.state, study)
    return study


def _look(
    workspace: Workspace,
    candidate: Candidate,
    row: Row | None,
    sides: tuple[Contender, Contender],
    rules: Iterable[CameraRegions],
) -> tuple[ComparedPicture, list[Difference]]:
    if row is None:
        raise NotShownError("there is no such picture any more")
    data = original_bytes(workspace, candidate.folder, row)
    source = f"{candidate.folder}/{candidate.name}"
    frame = decode_jpeg(data, source=source, max_pixels=workspace.settings.max_picture_pixels)
    exif = read_exif(data, source=source)
    pixels = to_upright(frame.pixels, exif.orientation)
    gpano = None if exif.panorama is None else exif.panorama.values
    height, width = pixels.shape[:2]
    spheres = [sphere_of((height, width), gpano, side.settings) for side in sides]
    a, b = (one.for_picture(candidate.folder, exif.camera.model) for one in rules)
    found = [
        fixed.searched(detect(side.detector, pixels, sphere), height, width)
        for side, sphere, fixed in zip(sides, spheres, (a, b), strict=True)
    ]
    margins = (sides[0].settings.mask_dilation_pixels, sides[1].settings.mask_dilation_pixels)
    hidden = [
        int(np.count_nonzero(union(fixed.with_hidden(own), height, width, margin)))
        for own, margin, fixed in zip(found, margins, (a, b), strict=True)
    ]
    compared = ComparedPicture(candidate.folder, candidate.name, candidate.version, height, width, *hidden)
    return compared, differences(found[0], found[1], (height, width), margins, (a, b))
