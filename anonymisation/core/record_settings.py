"""The settings of the 2022 form of records and of previews, and configuration files of the original's 2022 version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, field_validator

from anonymisation.core.errors import ConfigProblem

PREVIEW_SWITCHES: Final = ("remote_preview", "local_preview", "archive_preview", "separate_preview_directory")
"""A preview is made of every masked picture when one of these is on."""

RECORD_PICTURE_KEYS: Final = (
    "record_form", "record_reader", "data_eier", "fylkesnummer", "force_fylke", "image_type",
    "remove_imagetype_filepath", "table_name", "table_primary_key", *PREVIEW_SWITCHES,
)  # fmt: skip
"""Those that change the files of a picture, or whether there are any."""

_IMPLIED: Final = " (implied)"  # behind the source of a value that other keys of a file imply

# What only that version's files set: a file with one of these is one of that version, unless it says otherwise.
_IMPLYING: Final = ("data_eier", "fylkesnummer", "force_fylke", "image_type", "remove_imagetype_filepath")
# That version's tables, and the layouts of ours that describe them.
_OLDER_TABLE: Final = "VEGBILDER_V1"  # our layout of it has another name, so rows would not go there
_LAYOUTS: Final[Mapping[str, str]] = {"VEGBILDER": "VEGBILDER_2022", _OLDER_TABLE: "VEGBILDER"}
_LAYOUT_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# What that version ships. Its windows are our tiles, which have settings of their own.
_WINDOWS: Final[Mapping[str, list[int]]] = {"cutout_step_factor": [1500, 1300], "cutout_dim_downscale": [3, 2]}

_MAX_NUMBER: Final = 9999
_LONGEST_SIDE: Final = 65_535  # of a JPEG

Share = Annotated[float, Field(ge=0, le=1)]
PreviewSide = Annotated[int, Field(ge=2, le=_LONGEST_SIDE)]


class RecordSettings(BaseModel):
    """The part of the settings that the 2022 version of the original brought."""

    record_form: Literal[2020, 2022]
    record_reader: Literal["default", "deprecated"]
    data_eier: Annotated[str, Field(min_length=1, max_length=64)] | None
    fylkesnummer: Annotated[int, Field(ge=0, le=_MAX_NUMBER)] | Annotated[str, Field(pattern=r"^[0-9]{1,4}$")] | None
    force_fylke: bool
    image_type: Annotated[str, Field(pattern=r"^[^\x00-\x1f/\\]+$", max_length=64)]
    remove_imagetype_filepath: bool
    flip_wkt: bool
    table_name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=128)] | None
    table_primary_key: Annotated[str, Field(min_length=1, max_length=64)] | None

    remote_preview: bool
    local_preview: bool
    archive_preview: bool
    separate_preview_directory: str | None
    preview_dim: tuple[PreviewSide, PreviewSide]
    preview_center: tuple[Share, Share]

    @field_validator("image_type", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        """Return text: without quotes, YAML reads 360 as a number. None is a slip: null in Python's words."""
        return str(value) if type(value) is int else None if value == "None" else value

    @field_validator("preview_dim", "preview_center", mode="before")
    @classmethod
    def _pair(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("separate_preview_directory")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None and not Path(value).expanduser().is_absolute():
            raise ValueError("expected null or the whole path of a folder, from / on")
        return value

    @property
    def has_previews(self) -> bool:
        """Whether a preview is made of every masked picture."""
        return any(getattr(self, key) for key in PREVIEW_SWITCHES)


def translated(
    values: Mapping[str, Any], source: str
) -> tuple[list[tuple[str, Mapping[str, Any]]], list[ConfigProblem]]:
    """The layers that a configuration file makes (source, values in our keys): what its keys imply, and what it says.

    A file of the original's 2022 version implies the 2022 form, unless it names the form itself. The problems are keys
    that have no equivalent, with what to do.
    """
    found = dict(values)
    if "record_form" not in found and any(key in found for key in _IMPLYING):
        found["record_form"] = 2022
    _leave_out_unused_places(found)
    problems = _without_cutouts(found, source)
    table = found.get("table_name")
    if found.get("record_form") == 2022 and isinstance(table, str):
        found["table_name"] = _LAYOUTS.get(table, table)
        if table != _OLDER_TABLE and _LAYOUT_NAME.fullmatch(table):
            found.setdefault("db_table", found["table_name"])
    implied = {key: found.pop(key) for key in found.keys() - values.keys()}
    return [(f"{source}{_IMPLIED}", implied), (source, found)], problems


def is_said(sources: Mapping[str, str], key: str) -> bool:
    """Whether a file or a flag gives the value: it is neither the default nor implied by other keys of a file."""
    return sources[key] != "default" and not sources[key].endswith(_IMPLIED)


def combination_problems(values: Mapping[str, Any], sources: Mapping[str, str]) -> list[ConfigProblem]:
    """Combinations of these settings that are impossible, from raw values."""
    problems = []
    if values.get("force_fylke") is True and values.get("fylkesnummer") is None:
        message = "needs fylkesnummer, the county that every record is to have"
        problems.append(ConfigProblem(sources["force_fylke"], "force_fylke", message))
    if values.get("draw_mask") is False:
        message = "needs draw_mask: True, since a preview is cut out of the masked picture"
        wanted = [key for key in PREVIEW_SWITCHES if values.get(key)]
        problems += [ConfigProblem(sources[key], key, message) for key in wanted]
    template = values.get("exif_mappenavn")
    form, reader = values.get("record_form"), values.get("record_reader")
    if (form, reader) == (2022, "default") and isinstance(template, str) and "{hp}" in template:
        message = "{hp} is no field of the 2022 form, which reads no main parcel; remove it from the template"
        problems.append(ConfigProblem(sources["exif_mappenavn"], "exif_mappenavn", message))
    return problems


def _leave_out_unused_places(found: dict[str, Any]) -> None:
    """That version needs size and place of previews only where it makes some."""
    if not any(found.get(key) for key in PREVIEW_SWITCHES):
        for key in ("preview_dim", "preview_center"):
            if found.get(key, ...) is None:
                del found[key]


def _without_cutouts(found: dict[str, Any], source: str) -> list[ConfigProblem]:
    """Take that version's keys for cut-outs out of `found`. With cut-outs, tiles are on."""
    problems = []
    cutouts = found.pop("use_cutouts", None)
    if cutouts is True:
        found.setdefault("tiles", True)
    elif cutouts is not None and cutouts is not False:
        problems.append(ConfigProblem(source, "use_cutouts", f"must be True or False, got {cutouts!r}"))
    for key, shipped in _WINDOWS.items():
        if key in found and found.pop(key) != shipped and cutouts is not False:
            message = (
                f"only {shipped} is taken: our windows are the squares of tile_pixels, which overlap by tile_overlap "
                "and leave no strip out; remove this key, and set those where you want other windows"
            )
            problems.append(ConfigProblem(source, key, message))
    return problems
