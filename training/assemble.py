"""Export the built-in model from trained weights and the published networks, without training.

    python -m training.assemble --data DATA --weights WEIGHTS --out FOLDER

WEIGHTS is the `final.npz` of a training, or an exported model: its folder holds the detector's weights too. FOLDER gets
`saved_model/`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras  # noqa: TID253 - the network is in it

from training.export import ExportOptions, export
from training.frozen import load_exported
from training.judge import JUDGE, read_judge
from training.nanodet import read_convolutions
from training.network import build_network, load_weights
from training.opinion import SecondOpinion
from training.segmenter import Segmenter, read_operations
from training.sources import DEEPLAB, NANODET


def load_trained(path: Path) -> keras.Model:
    """The network with masks and the weights of an .npz, or of the exported model in a folder."""
    network = build_network()
    if path.is_dir():
        load_exported(network, path)
    elif missing := load_weights(network, path):
        raise ValueError(f"{path}: expected the weights of all layers, {', '.join(missing)} are missing")
    return network


def main() -> None:
    """Write the SavedModel and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the published networks")
    parser.add_argument("--weights", type=Path, required=True, help="weights (.npz), or the folder of a SavedModel")
    parser.add_argument("--out", type=Path, required=True, help="folder for the SavedModel")
    options = parser.parse_args()
    segmenter = Segmenter(read_operations(options.data / DEEPLAB))
    opinion = SecondOpinion(read_convolutions(options.data / NANODET), judge=read_judge(JUDGE))
    folder = options.out / "saved_model"
    size = export(load_trained(options.weights), folder, ExportOptions(), segmenter, opinion=opinion)
    print(f"{folder}: {size} bytes")


if __name__ == "__main__":
    main()
