"""The sample captures: decent enough that the built-in model finds what stands on the road, and the same every time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonymisation.imaging.exif.read import read_exif
from anonymisation.metadata.record import RecordContext, build_record
from scripts.sample_captures import SAMPLES, write_samples
from scripts.samples.cutouts import load_cutouts
from scripts.samples.road import Placed, Scene, draw
from scripts.samples.vendor_exif import PLANTED_COMMENT, PLANTED_DRIVER, PLANTED_PLATE


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """All samples, written once."""
    base = tmp_path_factory.mktemp("samples")
    return base, write_samples(base)


def test_three_folders_of_pictures_of_their_size(samples: tuple[Path, list[Path]]) -> None:
    base, written = samples
    assert len({path.parent for path in written}) == len(SAMPLES) == 3
    sizes = [(scene.width, scene.height) for sample in SAMPLES for scene in sample.scenes]
    assert [Image.open(path).size for path in written] == sizes
    assert all(path.is_relative_to(base / "TilSladding") for path in written)


def test_the_same_picture_every_time() -> None:
    scene = Scene(320, 160, 5, (Placed("motorcycle", 0.5, 4.0), Placed("astronaut", 4.5, 6.0)))
    cutouts = load_cutouts()
    once, again = draw(scene, cutouts), draw(scene, cutouts)
    assert hashlib.sha256(once.tobytes()).digest() == hashlib.sha256(again.tobytes()).digest()
    empty = draw(Scene(320, 160, 5, ()), cutouts)
    assert (np.abs(once.astype(int) - empty).max(axis=2) > 30).mean() > 0.03


def test_records_have_ids_of_their_own_and_positions(samples: tuple[Path, list[Path]]) -> None:
    base, written = samples
    context = RecordContext(base, "TilSladding", "Vegbilder\\{relative_input_dir}", "P0_K0")
    records = [build_record(path, read_exif(path.read_bytes()), context, objects=None) for path in written]
    assert len({record["bildeid"] for record in records}) == len(records)
    assert all(record["exif_kvalitet"] == "2" for record in records)
    assert {record["exif_vegnr"] for record in records} == {"6", "13", "286"}


def test_secrets_are_planted_so_that_their_removal_can_be_seen(samples: tuple[Path, list[Path]]) -> None:
    for path in samples[1]:
        properties = read_exif(path.read_bytes()).image_properties or b""
        for secret in (PLANTED_DRIVER, PLANTED_PLATE, PLANTED_COMMENT):
            assert secret.encode() in properties


def test_the_built_in_model_finds_people_and_vehicles_in_them(samples: tuple[Path, list[Path]]) -> None:
    from anonymisation.core.settings import load_settings
    from anonymisation.masking.models.factory import load_detector

    detector = load_detector(load_settings().settings)
    names = {"astronaut": 1, "photographer": 1, "motorcycle": 4}
    scenes = [scene for sample in SAMPLES for scene in sample.scenes]
    for path, scene in zip(samples[1], scenes, strict=True):
        if scene.width > 1500:  # the small ones suffice, and are quick
            continue
        found = set(detector.detect(np.asarray(Image.open(path))).classes.tolist())
        assert {names[thing.name] for thing in scene.things} <= found, path.name
