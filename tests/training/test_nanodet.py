"""NanoDet rebuilt in TensorFlow against OpenVINO's reading of the same file."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2  # noqa: TID253 - scales a picture
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from tests.sources import sources
from tests.training.random_nanodet import random_convolutions
from training.nanodet import BINS, CLASSES, NanoDet, decode, read_convolutions
from training.sources import NANODET

MEAN = np.array([103.53, 116.28, 123.675], np.float32)
BEST = [3475, 3476, 3463, 3477]
"""The anchors with the highest scores, all for a person, in the picture of an astronaut."""
SCORES = [0.806415, 0.781492, 0.775268, 0.772253]
LEFT = [-6.9906, -5.544, -3.2177, 1.8698, 2.5348, -3.0428, -3.6939, -5.9468]
"""Logits of the distance to the left of the first of them."""
SCALE = np.array([0.017429, 0.017507, 0.017125], np.float32)


@pytest.fixture(scope="module", params=sources("random", "published"))
def network(request: pytest.FixtureRequest) -> NanoDet:
    """With random weights, and with the published ones where they are."""
    if request.param == "random":
        return NanoDet(random_convolutions())
    return NanoDet(read_convolutions(request.getfixturevalue("shared") / "training" / NANODET))


published = pytest.mark.parametrize("network", ["published"], indirect=True)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(data.astronaut(), (416, 416)), np.uint8)


@published
def test_it_gives_the_scores_and_distances_that_openvino_gives(network: NanoDet, pixels: NDArray[np.uint8]) -> None:
    """The numbers are those of OpenVINO 2026.4, from the file without its FakeQuantize nodes."""
    raw = network(pixels[None].astype(np.float32)).numpy()[0]
    scores = 1 / (1 + np.exp(-raw[:, :CLASSES]))
    assert raw.shape == (52**2 + 26**2 + 13**2 + 7**2, CLASSES + 4 * BINS)
    best = np.argsort(-scores.max(axis=1))[:4]
    assert best.tolist() == BEST
    np.testing.assert_allclose(scores[best].max(axis=1), SCORES, atol=1e-5)
    np.testing.assert_allclose(raw[best[0], CLASSES : CLASSES + BINS], LEFT, atol=1e-3)


@published
def test_openvino_agrees_on_every_number(
    shared: Path, tmp_path: Path, network: NanoDet, pixels: NDArray[np.uint8]
) -> None:
    """Runs where the package openvino is installed, which the project does not need."""
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(without_quantisers(shared / "training" / NANODET, tmp_path))
    scaled = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Divide")
    given = openvino.opset11.parameter([1, 416, 416, 3], np.float32)
    for target in list(scaled.output(0).get_target_inputs()):
        target.replace_source_output(given.output(0))
    compiled = openvino.Core().compile_model(openvino.Model(model.get_results(), [given], "nanodet"), "CPU")
    expected = compiled((pixels[None, ..., ::-1] - MEAN) * SCALE)[0]
    raw = network(pixels[None].astype(np.float32)).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-raw[..., :CLASSES])), expected[..., :CLASSES], atol=1e-5)
    np.testing.assert_allclose(raw[..., CLASSES:], expected[..., CLASSES:], atol=1e-3)


def without_quantisers(path: Path, folder: Path) -> Path:
    """A copy of the network in `folder`, in which every FakeQuantize node gives its input."""
    tree = ElementTree.parse(path)
    layers, edges = (tree.getroot().find(name) for name in ("layers", "edges"))
    assert layers is not None
    assert edges is not None
    quantisers = {layer.attrib["id"]: layer for layer in layers if layer.attrib["type"] == "FakeQuantize"}
    sources = {}
    for edge in [edge for edge in edges if edge.attrib["to-layer"] in quantisers]:
        if edge.attrib["to-port"] == "0":
            sources[edge.attrib["to-layer"]] = edge.attrib["from-layer"], edge.attrib["from-port"]
        edges.remove(edge)
    for edge in edges:
        while (source := sources.get(edge.attrib["from-layer"])) is not None:
            edge.attrib["from-layer"], edge.attrib["from-port"] = source
    for layer in quantisers.values():
        layers.remove(layer)
    tree.write(folder / "network.xml")
    shutil.copy(path.with_suffix(".bin"), folder / "network.bin")
    return folder / "network.xml"


@published
def test_the_astronaut_is_found_in_place(network: NanoDet, pixels: NDArray[np.uint8]) -> None:
    scores, boxes = decode(network(pixels[None].astype(np.float32)), 416, 416)
    person = scores.numpy()[0, :, 0]
    top, left, bottom, right = boxes.numpy()[0, person.argmax()]
    assert person.max() > 0.7
    assert -20 < top < 40
    assert -20 < left < 40
    assert 390 < bottom < 440
    assert 270 < right < 320


@pytest.mark.parametrize("size", [(32, 96), (96, 160)])
def test_sides_that_are_no_multiple_of_the_largest_stride_are_covered(network: NanoDet, size: tuple[int, int]) -> None:
    raw = network(np.zeros((1, *size, 3), np.float32))
    scores, boxes = decode(raw, *size)
    rows = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in (8, 16, 32, 64))
    assert scores.shape == (1, rows, CLASSES)
    assert boxes.shape == (1, rows, 4)


def test_the_file_of_another_network_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.xml: expected the published weights"):
        read_convolutions(tmp_path / "none.xml")
    (tmp_path / "alone.xml").write_text("<net/>")
    with pytest.raises(FileNotFoundError, match=r"alone\.bin: expected the published weights"):
        read_convolutions(tmp_path / "alone.xml")
    (tmp_path / "other.xml").write_text("<net><layers/><edges/></net>")
    (tmp_path / "other.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected NanoDet-Plus-m-1\.5x"):
        read_convolutions(tmp_path / "other.xml")
