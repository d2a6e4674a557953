"""Measure export options on the held-out tenth of the training pictures, one line per variant and source.

    python -m training.calibrate --data DATA --weights FOLDER/final.npz '{"mask_bias": 1.0}'

Each argument is a JSON object of the ExportOptions that differ from the defaults; those of SecondLook go under
`second_look`, as in `{"second_look": {"odds_bias": 3}}`, and those of OpinionOptions under `opinion`, where null turns
either off; `{"judge": false}` leaves the judge out. Export options are chosen here, never on the evaluation sets. The
detector, its views and the geometry are those of the package, without dilation.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras  # noqa: TID253 - trains

from anonymisation.core.settings import load_settings
from anonymisation.evaluation.coco import open_coco
from anonymisation.evaluation.folders import open_empty
from anonymisation.evaluation.measure import Evaluation, evaluate
from anonymisation.evaluation.truth import Source
from anonymisation.masking.detector import Detector
from anonymisation.masking.models.factory import load_detector
from training.assemble import load_trained
from training.data import Sample, read_coco, read_unlabelled, split
from training.export import SECOND_LOOK, ExportOptions, export
from training.judge import JUDGE, read_judge
from training.nanodet import read_convolutions
from training.opinion import OpinionOptions, SecondOpinion
from training.segmenter import Segmenter, read_operations
from training.sources import DEEPLAB, NANODET

SIZES = ("large", "medium", "small")


def held_out(source: Source, samples: Sequence[Sample]) -> Source:
    """The pictures of `source` that are never trained on."""
    names = {sample.path.name for sample in split(samples)[1]}
    return replace(source, pictures=tuple(picture for picture in source.pictures if picture.name in names))


def sources(data: Path) -> dict[str, Source]:
    """The held-out pictures of each source with labels."""
    coco, people, roads = data / "coco", data / "coco_person", data / "roads"
    return {
        "coco": held_out(open_coco(coco / "images", coco / "instances.json"), read_coco(coco)),
        "coco_person": held_out(open_coco(people / "images", people / "instances.json"), read_coco(people)),
        "roads": held_out(open_empty(roads), read_unlabelled(roads)),
    }


def shares(result: Evaluation) -> dict[str, float | None]:
    """Pixel recall of persons and vehicles, clean pixels hidden, and instances hidden by size; 0 to 1."""
    figures = result.figures
    values = {kind: figures.recall(kind) for kind in ("person", "vehicle")} | {"clean": figures.clean.share}
    for kind in ("person", "vehicle"):
        values |= {f"{kind} {size}": figures.hidden_instances(kind, size) for size in SIZES}
    return {name: round(value, 4) for name, value in values.items() if value is not None}


def detector_of(model: Path) -> Detector:
    """The package's detector with its default settings and the SavedModel in `model`."""
    return load_detector(load_settings(overrides={"model_type": str(model)}).settings)


def export_variant(variant: dict[str, Any], network: keras.Model, data: Path, folder: Path) -> None:
    """Export with the options of `variant`, in the form of the command line, and the published networks in `data`."""
    options = dict(variant)
    look, asked = options.pop("second_look", {}), options.pop("opinion", {})
    judged = options.pop("judge", True)
    opinion, segmenter = None, None
    if asked is not None:
        judge = read_judge(JUDGE) if judged else None
        opinion = SecondOpinion(read_convolutions(data / NANODET), OpinionOptions(**asked), judge)
    if look is not None:
        segmenter = Segmenter(read_operations(data / DEEPLAB))
    export(network, folder, ExportOptions(**options), segmenter, replace(SECOND_LOOK, **(look or {})), opinion)


def main() -> None:
    """Print a line of JSON for each variant and source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the training data")
    parser.add_argument("--weights", type=Path, required=True, help="weights (.npz), or the folder of a SavedModel")
    parser.add_argument("variants", nargs="*", default=["{}"], help="JSON objects of export options")
    options = parser.parse_args()
    network = load_trained(options.weights)
    for variant in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            export_variant(json.loads(variant), network, options.data, Path(folder) / "model")
            detector = detector_of(Path(folder) / "model")
        for name, source in sources(options.data).items():
            print(variant, name, json.dumps(shares(evaluate(detector, source, dilation=0))), flush=True)


if __name__ == "__main__":
    main()
