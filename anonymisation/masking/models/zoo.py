"""The models for download: names, addresses, sizes and checksums. All are Mask R-CNN, trained on COCO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BUILT_IN: Final = "Built-in"
BASE_URL: Final = "http://download.tensorflow.org/models/object_detection/"


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One model of TensorFlow's detection zoo.

    Attributes:
        name: the model's name in the setting `model_type`.
        path: path of the archive below the base address.
        archive_bytes: size of the archive; None where it is unknown.
        sha256: checksum of the archive; None where none is published (see `weights.pull`).
        about: one line for the user.

    Raises:
        ValueError: `path` is not a path of a .tar.gz below the base address, or `sha256` is not 64 hex digits.
    """

    name: str
    path: str
    archive_bytes: int | None
    sha256: str | None
    about: str

    def __post_init__(self) -> None:
        if not self.path.endswith(".tar.gz") or self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError(f"path: expected <folders>/<name>.tar.gz below the base address, got {self.path!r}")
        if self.sha256 is not None and (len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef")):
            raise ValueError(f"sha256: expected 64 lower-case hexadecimal digits, got {self.sha256!r}")

    @property
    def archive_name(self) -> str:
        """The archive's name without its extension; also the name of the model's folder."""
        return self.path.rsplit("/", 1)[-1].removesuffix(".tar.gz")


# Sizes, checksums and accuracies (COCO mask AP) of the TF1 models: Open Model Zoo, which serves the same archives.
_MODELS: Final = (
    ZooModel(
        "Slow",
        "mask_rcnn_inception_resnet_v2_atrous_coco_2018_01_28.tar.gz",
        727_390_102,
        "816afc8987c2152cbd0e24af3a6fb82086cea0645a38778884bd166c0d016bb5",
        "TF1, mask AP 35.4",
    ),
    ZooModel(
        "Medium",
        "mask_rcnn_resnet101_atrous_coco_2018_01_28.tar.gz",
        661_899_639,
        "67ac8d5f0974753e9a5b04d36376e20b3be55b5dcd6ce43bc25aed6c5583709d",
        "TF1, mask AP 31.3",
    ),
    ZooModel(
        "Fast",
        "mask_rcnn_inception_v2_coco_2018_01_28.tar.gz",
        177_817_887,
        "4f57861c2ff1c87e92495789ee266e41a7dc79a038521d93a153be403b0b601f",
        "TF1, mask AP 21.5",
    ),
    ZooModel(
        "Slow-TF2",
        "tf2/20200711/mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8.tar.gz",
        None,
        None,
        "TF2, mask AP 35.5, no published checksum",
    ),
)
ZOO: Final[Mapping[str, ZooModel]] = {model.name: model for model in _MODELS}
