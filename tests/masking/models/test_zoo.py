from __future__ import annotations

import pytest

from anonymisation.masking.labels import BY_ID, CLASSES, colour_of, label_of
from anonymisation.masking.models.zoo import BASE_URL, ZOO, ZooModel


def test_the_models_of_the_original_program_have_checksums() -> None:
    assert list(ZOO) == ["Slow", "Medium", "Fast", "Slow-TF2"]
    for name in ("Slow", "Medium", "Fast"):
        assert ZOO[name].sha256 is not None
        assert ZOO[name].archive_bytes is not None
        assert ZOO[name].path == f"{ZOO[name].archive_name}.tar.gz"
    assert ZOO["Slow-TF2"].archive_name == "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8"
    assert BASE_URL.endswith("/")


@pytest.mark.parametrize(
    ("path", "sha256"), [("/a.tar.gz", None), ("../a.tar.gz", None), ("a.zip", None), ("a.tar.gz", "AB" * 32)]
)
def test_impossible_entries_are_refused(path: str, sha256: str | None) -> None:
    with pytest.raises(ValueError, match="expected"):
        ZooModel("Mine", path, None, sha256, "")


def test_labels_and_colours_are_those_of_the_original_program() -> None:
    expected = {
        1: ("person", (255, 255, 255)), 2: ("bicycle", (0, 0, 255)), 3: ("car", (255, 0, 0)),
        4: ("motorcycle", (255, 255, 0)), 6: ("bus", (0, 255, 255)), 8: ("truck", (0, 255, 0)),
    }  # fmt: skip
    assert {kind: (label_of(kind), colour_of(kind)) for kind in BY_ID} == expected
    assert len(CLASSES) == 6
    with pytest.raises(KeyError):
        label_of(5)
