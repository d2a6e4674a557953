"""Pictures with their records and rows of the 2022 form: drawn ones, and those of the original's 2022 version.

The latter are in shared/captures2022, and their results are corrected where the original is wrong.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from anonymisation.imaging.exif.read import ExifTags, read_exif
from anonymisation.imaging.jpeg.codec import jpeg_size
from anonymisation.metadata.record import Record, RecordContext, build_record
from tests.drawn import DRAWN
from tests.drawn.draw_2022 import wide_row, write_2022

XML_KEYS: Final = ("exif_imageproperties", "exif_reflinkinfo")
FILE_TIME: Final = 1_655_000_000


@dataclass(frozen=True)
class Golden:
    """The pictures, with the file time of the reference, and the results; `drawn`: they are those of tests/drawn."""

    captures: Path
    results: Path
    drawn: bool

    @classmethod
    def copy(cls, shared: Path, target: Path) -> Golden:
        """The golden data with the pictures copied to `target`."""
        shutil.copytree(shared / "captures2022", target, copy_function=shutil.copyfile)
        return cls._dated(target, shared, drawn=False)

    @classmethod
    def draw(cls, target: Path) -> Golden:
        """The golden data with the pictures drawn below `target`."""
        write_2022(target)
        return cls._dated(target, DRAWN, drawn=True)

    @classmethod
    def _dated(cls, captures: Path, references: Path, *, drawn: bool) -> Golden:
        for path in captures.rglob("*.jpg"):
            os.utime(path, (FILE_TIME, FILE_TIME))
        return cls(captures, references / "reference" / "form2022", drawn)

    def read(self, name: str) -> Any:
        """The content of a file of results."""
        return json.loads((self.results / name).read_text("utf-8"))

    @property
    def pictures(self) -> list[str]:
        """The paths of the pictures that are no previews."""
        found = (path.relative_to(self.captures).as_posix() for path in self.captures.rglob("*.jpg"))
        return sorted(path for path in found if "preview" not in Path(path).name)

    def _fixes(self) -> dict[str, dict[str, Any]]:
        """What is right where the original is wrong; the drawn results are right by themselves."""
        if self.drawn:
            return {}
        fixes: dict[str, dict[str, Any]] = self.read("expected_fixes_2022.json")
        return fixes

    def expected(self) -> dict[str, dict[str, Any]]:
        """The right record of each picture, without the XML; only the corrected keys where the original fails."""
        records, fixes = self.read("expected_metadata_2022.json"), self._fixes()
        found = {path: records.get(path, {}) | fixes.get(path, {}).get("right", {}) for path in self.pictures}
        return {
            path: {key: value for key, value in record.items() if key not in XML_KEYS} for path, record in found.items()
        }

    def expected_rows(self) -> dict[str, dict[str, Any]]:
        """The right row of each picture whose row the original makes, without the JSON."""
        if self.drawn:
            return {path: wide_row(record) for path, record in self.expected().items()}
        rows, fixes = self.read("expected_rows_2022.json"), self._fixes()
        return {
            path: {
                name: value
                for name, value in (row | fixes.get(path, {}).get("right_row", {})).items()
                if name != "JsonData"
            }
            for path, row in rows.items()
        }

    def record(self, picture: str, **options: Any) -> Record:
        """Our record of a picture, with the settings of the reference changed by `options`."""
        sphere = "/2022/360/" in picture
        config = yaml.safe_load((self.results / "config_planar_2022.yml").read_text("utf-8"))
        given: dict[str, Any] = {
            "form": 2022, "owner": config["data_eier"], "county": str(config["fylkesnummer"]),
            "image_type": "360" if sphere else "Planar", "previews": sphere, "exif_top_dir": "TilSladding",
            "exif_mappenavn": "Vegbilder/{relative_input_dir}",
        }  # fmt: skip
        context = RecordContext(input_root=self.captures, version="X", **(given | options))
        path = self.captures / picture
        exif, size = _read(path)
        return build_record(path, exif, context, objects={"car": 2}, size=size)


@cache
def _read(path: Path) -> tuple[ExifTags, tuple[int, int]]:
    data = path.read_bytes()
    return read_exif(data, source=None), jpeg_size(data)
