"""The promises of a night, asked of the folders after whatever happened to it."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from anonymisation.files.digests import sha256_of_file
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.metadata.record import RECORD_KEYS, record_from_json
from anonymisation.workspace.folder_state import read_pictures
from tests.captures import Site, car_window, files_below
from tests.faults.harness import FOLDERS, Nights, Place, copy_of, deliver
from tests.faults.shim import Fault, Operation

_FOUND: Final = re.compile(r"^ *images found +(\d+)$((?:\n.+)*)", re.MULTILINE)
_PARTS: Final = re.compile(r"^ *(?:skipped as done|masked|failed|known to fail|not reached) +(\d+)$", re.MULTILINE)
# The scripted car is grain of black and white, whose standard deviation is 127; what hides it is smooth.
_SMOOTH: Final = 40
_NO_COPY: Final = re.compile("cannot be .*to the error folder")


def promises_hold(place: Place, text: str = "") -> None:
    """Nothing is lost, files are whole, nothing unmasked is in the output, and the numbers of the summary add up."""
    require_nothing_lost(place)
    require_whole_and_masked(place)
    require_released_rightly(place)
    require_numbers_add_up(text)


def require_nothing_lost(place: Place) -> None:
    """Every original is in the input or in the archive, under whatever name."""
    site = place.site
    there = {sha256_of_file(path) for base in (site.input, site.archive) for path in files_below(base)}
    lost = sorted(place.originals[digest] for digest in place.originals.keys() - there)
    assert lost == [], f"lost: {lost}"


def require_whole_and_masked(place: Place) -> None:
    """Each file under a final name is whole; no file in the output, hidden ones included, shows an original."""
    for path in files_below(place.site.output):
        assert sha256_of_file(path) not in place.originals, f"an original is in the output: {path}"
        if path.name[0] != ".":
            require_masked(path)
    for path in files_below(place.site.archive):
        if path.name[0] != "." and sha256_of_file(path) not in place.originals:
            require_whole(path)
            assert path.suffix != ".jpg", f"the archive holds a picture that is no original: {path}"


def require_masked(path: Path) -> None:
    """A file of the output is whole; a picture hides the car."""
    data = require_whole(path)
    if path.suffix == ".jpg":
        top, left, bottom, right = car_window()
        spread = float(np.std(decode_jpeg(data).pixels[top:bottom, left:right]))
        assert spread < _SMOOTH, f"{path} shows the car: its pixels vary by {spread:.0f}, expected below {_SMOOTH}"


def require_whole(path: Path) -> bytes:
    """A picture, mask or record that decodes; nothing else has a final name in the output and the archive."""
    data = path.read_bytes()
    match path.suffix:
        case ".jpg":
            decode_jpeg(data)
        case ".webp":
            decode_mask(data)
        case ".json":
            assert tuple(record_from_json(data)) == RECORD_KEYS, path
        case _:
            raise AssertionError(f"{path} is there, and nothing should have written it")
    return data


def require_released_rightly(place: Place) -> None:
    """An original that is gone from the input has an archive copy, a masked picture made from it, and a record."""
    site = place.site
    for digest, relative in place.originals.items():
        if (site.input / relative).exists() or _is_set_aside(site, relative, digest):
            continue
        assert sha256_of_file(site.archive / relative) == digest, relative
        masked = site.output / relative
        provenance = read_provenance(require_whole(masked))
        assert provenance is not None, relative
        assert provenance.source_sha256 == digest, relative
        require_whole(masked.with_suffix(".json"))


def _is_set_aside(site: Site, relative: str, digest: str) -> bool:
    """Whether the release of this original was cut short while it had another name in the input folder."""
    folder = (site.input / relative).parent
    return folder.is_dir() and digest in {sha256_of_file(path) for path in folder.iterdir() if path.is_file()}


def require_numbers_add_up(text: str) -> None:
    """Of each summary in the text: found = done before + masked + failed + known to fail + not reached."""
    for found, rest in _FOUND.findall(text):
        assert int(found) == sum(map(int, _PARTS.findall(rest))), text


def final_state(place: Place) -> dict[str, Any]:
    """What an undisturbed night leaves, without times: files of all shares, rows, what is known of each picture."""
    site = place.site
    shares = {"in": site.input, "out": site.output, "arch": site.archive, "errors": site.errors}
    return {
        **{name: _tree(folder) for name, folder in shares.items()},
        "rows": rows(site.database),
        "known": {
            f"{folder}/{name}": (known.status, known.sha256, known.archived, known.released, bool(known.loaded))
            for folder in FOLDERS
            for name, known in sorted(read_pictures(site.state, folder).items())
        },
    }


def _tree(folder: Path) -> dict[str, str]:
    """Path → checksum. The note on a failed picture holds the path of the site, so that its name counts alone.

    Hidden files are left out: markers of a share. `leftovers` finds those that should not be there.
    """
    return {
        path.relative_to(folder).as_posix(): "" if path.suffix == ".txt" else sha256_of_file(path)
        for path in sorted(files_below(folder))
        if path.name[0] != "."
    }


def differences(expected: dict[str, Any], place: Place, text: str, but: tuple[str, ...] = ()) -> list[str]:
    """The parts of the final state that are not as expected; `text` is what the nights printed.

    A copy for the error folder is made once: where a night reports that it could not be, its picture, which is known to
    fail, is in the input alone.
    """
    found = final_state(place)
    lenient = {*but, *(["errors"] if _NO_COPY.search(text) else [])}
    return [part for part in expected if part not in lenient and found[part] != expected[part]]


def leftovers(place: Place) -> list[Path]:
    """Temporary files of writes that were cut short, but for those of a share's marker, directly in the share's folder:
    another run may be writing them."""
    site = place.site
    bases = {site.output, site.archive}
    return [path for path in files_below(site.root) if path.suffix == ".part" and path.parent not in bases]


def rows(database: Path) -> list[tuple[Any, ...]]:
    """The rows by key, with all columns but the one that counts insertions."""
    if not database.exists():
        return []
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    try:
        found = connection.execute("SELECT * FROM PICTURES ORDER BY ID").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        connection.close()
    return [tuple(row[name] for name in row.keys() if name != "fid") for row in found]  # noqa: SIM118 - a row has no `in`


@dataclass(frozen=True)
class Undisturbed:
    """A delivery, and what a night without any fault makes of it, by which operations."""

    delivery: Place
    operations: list[Operation]
    state: dict[str, Any]


def undisturbed_night(nights: Nights, root: Path, pictures: tuple[int, ...] = (2, 1), **settings: Any) -> Undisturbed:
    """Deliver, and run a night over a copy."""
    delivery = deliver(root / "delivery", pictures, **settings)
    place = copy_of(delivery, root / "done")
    ended = nights.run(place, Fault())
    assert ended.code == 1, ended.text  # the torn picture
    promises_hold(place, ended.text)
    return Undisturbed(delivery, ended.hit, final_state(place))
