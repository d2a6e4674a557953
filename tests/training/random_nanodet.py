"""NanoDet-Plus-m-1.5x with random weights: its form, without the published file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from training.nanodet import BINS, CLASSES, Convolution

_STAGES = {"stage2": (4, 24, 176), "stage3": (8, 176, 352), "stage4": (4, 352, 704)}  # blocks, channels in and out
_CHANNELS = 128
_GHOSTS = ("top_down_blocks.0", "top_down_blocks.1", "bottom_up_blocks.0", "bottom_up_blocks.1")
_SEPARABLE = ("fpn/extra_lvl_in_conv.0", "fpn/extra_lvl_out_conv.0", "fpn/downsamples.0", "fpn/downsamples.1")

Shape = tuple[int, int, int, int, bool]  # side of the kernel, channels in and out, stride, depthwise


def random_convolutions(seed: int = 1) -> dict[str, Convolution]:
    """The convolutions by name, with small weights, so that no value grows from layer to layer."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, (side, inside, out, stride, depthwise) in _shapes():
        kernel = rng.integers(-127, 128, (side, side, inside, 1 if depthwise else out), np.int8)
        scale = np.full(out, 1.2 / 73 / np.sqrt(side * side * (1 if depthwise else inside)), np.float32)
        bias = np.zeros(out, np.float32)
        if name.startswith("head/gfl_cls"):
            bias[:CLASSES] = -4  # as before training: most places show no object
        found[name] = Convolution(kernel, scale, bias, stride, depthwise)
    return found


def _shapes() -> Iterator[tuple[str, Shape]]:
    yield "backbone/conv1/conv1.0", (3, 3, 24, 2, False)
    for stage, (blocks, before, after) in _STAGES.items():
        half = after // 2
        for block in range(blocks):
            name, first = f"backbone/{stage}/{stage}.{block}", block == 0
            if first:
                yield f"{name}/branch1/branch1.0", (3, before, before, 2, True)
                yield f"{name}/branch1/branch1.2", (1, before, half, 1, False)
            yield f"{name}/branch2/branch2.0", (1, before if first else half, half, 1, False)
            yield f"{name}/branch2/branch2.3", (3, half, half, 2 if first else 1, True)
            yield f"{name}/branch2/branch2.5", (1, half, half, 1, False)
    for row, (_, _, after) in enumerate(_STAGES.values()):
        yield f"fpn/reduce_layers.{row}/conv", (1, after, _CHANNELS, 1, False)
    for ghost in _GHOSTS:
        yield from _ghosts(f"fpn/{ghost}/blocks/blocks.0")
    for name in _SEPARABLE:
        yield from _separable(name, stride=2)
    for row in range(4):
        for index in (0, 1):
            yield from _separable(f"head/cls_convs.{row}.{index}", stride=1)
        yield f"head/gfl_cls.{row}", (1, _CHANNELS, CLASSES + 4 * BINS, 1, False)


def _ghosts(name: str) -> Iterator[tuple[str, Shape]]:
    half, double = _CHANNELS // 2, 2 * _CHANNELS
    for module, inside in (("ghost1", double), ("ghost2", _CHANNELS)):
        yield f"{name}/{module}/primary_conv/primary_conv.0", (1, inside, half, 1, False)
        yield f"{name}/{module}/cheap_operation/cheap_operation.0", (3, half, half, 1, True)
    yield f"{name}/shortcut/shortcut.0", (5, double, double, 1, True)
    yield f"{name}/shortcut/shortcut.2", (1, double, _CHANNELS, 1, False)


def _separable(name: str, stride: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}/depthwise", (5, _CHANNELS, _CHANNELS, stride, True)
    yield f"{name}/pointwise", (1, _CHANNELS, _CHANNELS, 1, False)
