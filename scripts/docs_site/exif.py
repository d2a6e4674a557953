"""The page of the EXIF tags that masked pictures carry, from the allow-list."""

from __future__ import annotations

import inspect

from anonymisation.imaging.exif import allow_list
from scripts.docs_site.markdown import page, table

_INTRODUCTION = """\
A masked picture has JFIF, its colour profile, and the EXIF tags below, each only if its value has the form that the
standard asks for. Everything else of the original's metadata is dropped. The vendor's tags (40055, 40056) are
published redacted, with them XPTitle if it has at most 128 characters. `ImageHistory` holds what the software needs
to recognise its own output: the checksum of the original, version, model and counts."""
_PLACES = {"main": "main", "exif": "Exif", "gps": "GPS", "interop": "Interoperability"}


def published_tags() -> str:
    """The page: every tag of the allow-list, and what is left out on purpose."""
    described = (inspect.getdoc(allow_list) or "").split("\n\n")[1:]
    rows = [(f"`{tag.name}`", f"0x{tag.number:04X}", _PLACES[tag.directory]) for tag in allow_list.PUBLISHED_TAGS]
    return page(
        "EXIF of masked pictures",
        _INTRODUCTION,
        *described,
        "## Tags",
        table(("tag", "number", "directory"), rows),
    )
