"""Figures of export options on the held-out tenth of the training pictures, one line per variant.

    python -m training.calibrate --data DATA --weights FOLDER/final.npz '{"score_power": 0.8}' '{"mask_bias": 1}'

Each argument is a JSON object of ExportOptions that differ from the defaults. What the export fixes is chosen here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from itertools import chain
from pathlib import Path

from training.data import Sample, read_coco, read_unlabelled, split
from training.evaluate_recall import Hide, measure, package_hide, pictures
from training.export import ExportOptions, export
from training.network import build_network, load_weights


def held_out_names(samples: list[Sample]) -> set[str]:
    """File names of the tenth that is never trained on."""
    return {sample.path.name for sample in split(samples)[1]}


def figures(data: Path, hide: Hide) -> dict[str, float | None]:
    """Recall on `coco` and (persons only) `coco_person`, clean pixels hidden on `coco`, anything hidden on `roads`."""
    coco = held_out_names(read_coco(data / "coco"))
    people = held_out_names(read_coco(data / "coco_person"))
    roads = held_out_names(read_unlabelled(data / "roads"))
    labelled = measure(pictures(data / "coco", only=coco), hide)
    person = measure(chain(pictures(data / "coco", only=coco), pictures(data / "coco_person", only=people)), hide)[
        "person_recall"
    ]
    empty = measure(pictures(data / "roads", only=roads), hide)["clean_hidden"]
    return {
        "person_recall": person,
        "vehicle_recall": labelled["vehicle_recall"],
        "clean_hidden": labelled["clean_hidden"],
        "roads_hidden": empty,
    }


def main() -> None:
    """Print a line of JSON for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the training data")
    parser.add_argument("--weights", type=Path, required=True, help="weights (.npz) of the network with masks")
    parser.add_argument("variants", nargs="*", default=["{}"], help="JSON objects of export options")
    options = parser.parse_args()
    network = build_network()
    load_weights(network, options.weights)
    for variant in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            export(network, Path(folder) / "model", ExportOptions(**json.loads(variant)))
            print(variant, json.dumps(figures(options.data, package_hide(Path(folder) / "model", None))), flush=True)


if __name__ == "__main__":
    main()
