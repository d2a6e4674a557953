"""The state of a capture folder with very many pictures, made from one that was really masked."""

from __future__ import annotations

import json
import random
from pathlib import Path

import msgspec

from anonymisation.masking.labels import CLASSES
from anonymisation.workspace.folder_state import read_detections, read_pictures, state_folder

WITH_FILES = 60  # at each end, which is a page of the gallery


def write_large_folder(state_root: Path, output: Path, folder: str, like: tuple[str, str], count: int) -> None:
    """Write the journals of `count` masked pictures; those on the first and last page have a masked picture, too."""
    known = read_pictures(state_root, like[0])[like[1]]
    seen = read_detections(state_root, like[0])[like[1]]
    dice = random.Random(7)
    place = state_folder(state_root, folder)
    place.mkdir(parents=True)
    (place / "folder.json").write_text(json.dumps({"folder": folder}))
    names = [f"p{number:06d}.jpg" for number in range(count)]
    with (place / "pictures.jsonl").open("w") as pictures, (place / "detections.jsonl").open("w") as detections:
        for name in names:
            pictures.write(json.dumps({**msgspec.to_builtins(known), "name": name}) + "\n")
            objects = [_object(dice) for _ in range(dice.randrange(8))]
            detections.write(json.dumps({**seen, "name": name, "detections": objects}) + "\n")
    (output / folder).mkdir(parents=True)
    for name in (*names[:WITH_FILES], *names[-WITH_FILES:]):
        (output / folder / name).hardlink_to(output / like[0] / like[1])


def _object(dice: random.Random) -> dict[str, object]:
    top, left = dice.random() * 0.8, dice.random() * 0.8
    box = [top, left, top + 0.05, left + 0.05]
    score = round(dice.uniform(0.3, 1), 4)
    return {"label": dice.choice(CLASSES).label, "score": score, "box": [round(side, 5) for side in box]}
