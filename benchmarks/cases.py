"""The cases of `benchmarks.chain`, each measured in a process of its own: `python -m benchmarks.cases JSON`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Final

import simplejpeg

from anonymisation.chain.archive import archive_folder
from anonymisation.chain.check import check_folder
from anonymisation.chain.mask import mask_folder
from anonymisation.files.atomic import write_atomically
from anonymisation.files.digests import sha256_of
from anonymisation.imaging.exif.read import Provenance, published_exif, read_exif
from anonymisation.imaging.jpeg.codec import decode_jpeg, encode_jpeg
from anonymisation.imaging.mask_file import encode_mask
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.metadata.redaction import redact_tag
from benchmarks.command import command
from benchmarks.material import FOLDER, ScriptedModel, detections, photographs, write_folder
from benchmarks.measuring import Figures, Stopwatch, forget_peak, peak_memory, site
from benchmarks.plain import likeness
from benchmarks.scaling import discovery, scaling

_ROUNDS: Final = 7


def once_through_turbo(data: list[bytes]) -> float:
    """CPU seconds for decoding and encoding each picture once with libjpeg-turbo; the least of a few rounds."""
    least = float("inf")
    for _ in range(3):
        watch = Stopwatch()
        for picture in data:
            simplejpeg.encode_jpeg(simplejpeg.decode_jpeg(picture), 85, colorsubsampling="420")
        least = min(least, watch.cpu / len(data))
    return least


def pictures(size: str, objects: int, number: int) -> Figures:
    """Mask, archive and check, with a model that costs nothing, in a process that has masked pictures before."""
    data = photographs(size, number)
    unit = once_through_turbo(data)
    forget_peak()
    with site() as workspace:
        write_folder(workspace.shares.input / "first", data, len(data))
        mask_folder(workspace, "first", lambda: ScriptedModel(objects))  # what a process does once is not counted
        write_folder(workspace.shares.input / FOLDER, data, number)
        watch = Stopwatch()
        report = mask_folder(workspace, FOLDER, lambda: ScriptedModel(objects))
        archived = archive_folder(workspace, FOLDER)
        wall, cpu = watch.wall / number, watch.cpu / number
        if (report.masked, archived.archived) != (number, number):
            raise RuntimeError(f"expected {number} pictures masked and archived: {report}, {archived}")
        watch = Stopwatch()
        if check_folder(workspace, FOLDER).gaps:
            raise RuntimeError("the check found gaps")
        check = watch.cpu / number
    return {
        "CPU ratio": cpu / unit, "CPU": 1e3 * cpu, "wall": 1e3 * wall, "check CPU": 1e3 * check, "unit": 1e3 * unit,
        "MB": peak_memory(),
    }  # fmt: skip


def stages(size: str, objects: int) -> Figures:
    """CPU of the parts of the mask step; the least of a few rounds each."""
    (data,) = photographs(size, 1)
    frame, found = decode_jpeg(data), detections(objects)
    exif = read_exif(data)
    with site() as workspace:
        settings = workspace.settings
        appearance = Appearance.from_settings(settings)
        redaction = redact(frame.pixels, found, appearance, settings.mask_dilation_pixels, coded_unit=frame.coded_unit)
        provenance = Provenance(sha256_of(data), "v", "m", {})

        def publish() -> bytes:
            properties = redact_tag(exif.image_properties, source="ImageProperties")
            return published_exif(data, image_properties=properties, reflink_info=None, provenance=provenance)

        published = publish()
        workspace.shares.output.mkdir()
        steps: Mapping[str, Callable[[], object]] = {
            "checksum": lambda: sha256_of(data),
            "decode": lambda: decode_jpeg(data),
            "redact": lambda: redact(
                frame.pixels, found, appearance, settings.mask_dilation_pixels, coded_unit=frame.coded_unit
            ),
            "EXIF": lambda: (read_exif(data), publish()),
            "encode": lambda: encode_jpeg(redaction.pixels, frame, quality="keep", exif=published, mask=redaction.mask),
            "whole": lambda: encode_jpeg(redaction.pixels, frame, quality="keep", exif=published),
            "mask file": lambda: encode_mask(redaction.mask),
            "write": lambda: write_atomically(workspace.shares.output / "a.jpg", data),
        }
        return {name: 1e3 * min(_cpu(step) for _ in range(_ROUNDS)) for name, step in steps.items()}


def _cpu(step: Callable[[], object]) -> float:
    watch = Stopwatch()
    step()
    return watch.cpu


def model(size: str, objects: int, number: int, seconds: float) -> Figures:
    """Wall time of the mask step with a model that takes so long for each picture."""
    with site() as workspace:
        write_folder(workspace.shares.input / FOLDER, photographs(size, number), number)
        watch = Stopwatch()
        mask_folder(workspace, FOLDER, lambda: ScriptedModel(objects, seconds))
        return {"wall / model": watch.wall / (number * seconds), "CPU": 1e3 * watch.cpu / number, "MB": peak_memory()}


def main() -> None:
    """Measure one case and print its figures as JSON."""
    logging.basicConfig(level=logging.ERROR)
    arguments = json.loads(sys.argv[1])
    run: dict[str, Callable[..., Figures]] = {
        "pictures": pictures, "likeness": likeness, "stages": stages, "model": model, "command": command,
        "scaling": scaling,
        "discovery": discovery,
    }  # fmt: skip
    figures = run[arguments.pop("case")](**arguments)
    print(json.dumps({"figures": {name: float(f"{value:.4g}") for name, value in figures.items()}}))


if __name__ == "__main__":
    main()
