"""What the original's 2022 version made of the pictures in shared/captures2022, corrected where it is wrong."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from anonymisation.imaging.exif.read import ExifTags, read_exif
from anonymisation.imaging.jpeg.codec import jpeg_size
from anonymisation.metadata.record import Record, RecordContext, build_record

OWNER: Final = "Statens vegvesen"
COUNTY: Final = "34"
XML_KEYS: Final = ("exif_imageproperties", "exif_reflinkinfo")
FILE_TIME: Final = 1_655_000_000


@dataclass(frozen=True)
class Golden:
    """The pictures, copied so that they have the file time of the reference, and the results."""

    captures: Path
    results: Path

    @classmethod
    def copy(cls, shared: Path, target: Path) -> Golden:
        """The golden data with the pictures copied to `target`."""
        shutil.copytree(shared / "captures2022", target, copy_function=shutil.copyfile)
        for path in target.rglob("*.jpg"):
            os.utime(path, (FILE_TIME, FILE_TIME))
        return cls(target, shared / "reference" / "form2022")

    def read(self, name: str) -> Any:
        """The content of a file of results."""
        return json.loads((self.results / name).read_text("utf-8"))

    @property
    def pictures(self) -> list[str]:
        """The paths of the pictures that are no previews."""
        found = (path.relative_to(self.captures).as_posix() for path in self.captures.rglob("*.jpg"))
        return sorted(path for path in found if "preview" not in Path(path).name)

    def expected(self) -> dict[str, dict[str, Any]]:
        """The right record of each picture, without the XML; only the corrected keys where the original fails."""
        records, fixes = self.read("expected_metadata_2022.json"), self.read("expected_fixes_2022.json")
        found = {path: records.get(path, {}) | fixes.get(path, {}).get("right", {}) for path in self.pictures}
        return {
            path: {key: value for key, value in record.items() if key not in XML_KEYS} for path, record in found.items()
        }

    def expected_rows(self) -> dict[str, dict[str, Any]]:
        """The right row of each picture whose row the original makes, without the JSON."""
        rows, fixes = self.read("expected_rows_2022.json"), self.read("expected_fixes_2022.json")
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
        given: dict[str, Any] = {
            "form": 2022, "owner": OWNER, "county": COUNTY, "image_type": "360" if sphere else "Planar",
            "previews": sphere, "exif_top_dir": "TilSladding", "exif_mappenavn": "Vegbilder/{relative_input_dir}",
        }  # fmt: skip
        context = RecordContext(input_root=self.captures, version="X", **(given | options))
        path = self.captures / picture
        exif, size = _read(path)
        return build_record(path, exif, context, objects={"car": 2}, size=size)


@cache
def _read(path: Path) -> tuple[ExifTags, tuple[int, int]]:
    data = path.read_bytes()
    return read_exif(data, source=None), jpeg_size(data)
