"""Typed configuration: one frozen model, loaded by a function that reports every problem at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AliasChoices, ConfigDict, Field, ValidationError, field_validator

from anonymisation.core import score_thresholds
from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.record_settings import RECORD_PICTURE_KEYS, RecordSettings, combination_problems, translated
from anonymisation.core.region_settings import CameraRegions, HiddenClasses
from anonymisation.core.settings_messages import field_problems
from anonymisation.core.yaml_files import read_mapping

DEFAULT_CONFIG_NAME: Final = "default_config.yml"
ALIASES: Final[Mapping[str, str]] = {"email_attach_log": "email_attach_log_file"}
# A relative path in a file is relative to the file's folder, since the two are kept together.
_NEXT_TO_THE_FILE: Final = ("db_tables_dir",)

ColourChannel = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[ColourChannel, ColourChannel, ColourChannel]

# The settings that change what a masked picture looks like; a picture known to fail is tried again when one changes.
PICTURE_KEYS: Final = (
    "draw_mask", "application_version", "exif_mappenavn", "exif_top_dir", "remote_json", "local_json", "remote_mask",
    "local_mask", "jpeg_quality", "model_type", "score_threshold", "score_thresholds", "tiles", "tile_pixels",
    "tile_overlap", "panorama_views", "hidden_classes", "camera_regions", "mask_dilation_pixels", "max_num_pixels",
    "max_picture_pixels", "mask_color", "blur", "gray_blur", "normalized_gray_blur", "gpu_mixed_precision", "gpu_xla",
    *RECORD_PICTURE_KEYS,
)  # fmt: skip

MAPPENAVN_FIELDS: Final = frozenset(
    (
        "aar", "maaned", "dag", "fylke", "vegkat", "vegstat", "vegnr", "hp", "meter", "feltkode", "strekningreferanse",
        "relative_input_dir",
    )
)  # fmt: skip


_DAY: Final = 86_400  # seconds
JPEG_SIDE: Final = 65_535
"""The greatest width and height of a JPEG (ITU-T T.81, B.2.2)."""
_LONGEST_NAME: Final = 255  # of a file, in bytes: NAME_MAX
_LONGEST_TEXT: Final = 4096  # PATH_MAX, and more than any other text needs
# A width such as %99999999d makes the C library write as many characters.
_TIME_FORMAT: Final = re.compile(r"([^%]|%-?[A-Za-z%])+")

# Octal digits that leave the owner every right; a further one in front may be set-group-ID and sticky bit.
_MODE: Final = re.compile(r"(0o|0)?[0-3]?7[0-7]{2}")


class Settings(RecordSettings):
    """All settings; `config/default_config.yml` documents the meaning, unit and default of each."""

    # Every number has a greatest value, and every text a greatest length: what is beyond is a slip or an attack, and
    # would cost hours or gigabytes instead of a message.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    draw_mask: bool
    delete_input: bool
    force_remask: bool
    lazy_paths: bool
    file_access_retry_seconds: Annotated[float, Field(ge=0.001, le=3600)]
    file_access_timeout_seconds: Annotated[float, Field(ge=0, le=7 * _DAY)]
    datetime_format: Annotated[str, Field(min_length=1, max_length=100)]
    log_file_name: Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    application_version: Annotated[str, Field(min_length=1, max_length=100)]
    exif_mappenavn: Annotated[str, Field(max_length=1000)]
    exif_top_dir: Annotated[str, Field(max_length=_LONGEST_NAME)]

    error_output_dir: str
    error_output_mode: str
    archive_retention_days: Annotated[int, Field(ge=0, le=36_500)]
    error_retention_days: Annotated[int, Field(ge=0, le=36_500)]
    state_dir: str
    capture_settle_seconds: Annotated[float, Field(ge=0, le=366 * _DAY)]
    capture_marker_file: Annotated[str, Field(max_length=_LONGEST_NAME)]
    max_pictures_per_work_unit: Annotated[int, Field(ge=0, le=10_000_000)]

    remote_json: bool
    local_json: bool
    archive_json: bool
    remote_mask: bool
    local_mask: bool
    archive_mask: bool
    jpeg_quality: Literal["keep"] | Annotated[int, Field(ge=1, le=100)]

    enable_async: bool
    max_num_async_workers: Annotated[int, Field(ge=1, le=256)]

    model_type: Annotated[str, Field(min_length=1)]
    model_dir: str
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    score_thresholds: dict[str, float | dict[str, float]]
    tiles: bool
    tile_pixels: Annotated[int, Field(ge=64, le=JPEG_SIDE)]
    tile_overlap: Annotated[float, Field(ge=0, le=0.9)]
    panorama_views: bool
    mask_dilation_pixels: Annotated[int, Field(ge=0, le=1000)]
    max_num_pixels: Annotated[int, Field(ge=1, le=JPEG_SIDE**2)]
    max_picture_pixels: Annotated[int, Field(ge=1, le=JPEG_SIDE**2)]
    hidden_classes: HiddenClasses
    camera_regions: Annotated[tuple[CameraRegions, ...], Field(max_length=1000)]
    gpu_memory_growth: bool
    gpu_mixed_precision: bool
    gpu_xla: bool
    gpu_prefetch: bool

    mask_color: Colour | None
    blur: Annotated[float, Field(ge=1, le=100)] | None
    gray_blur: bool
    normalized_gray_blur: bool

    uncaught_exception_email: bool
    processing_error_email: bool
    finished_email: bool
    email_attach_log_file: Annotated[
        bool, Field(validation_alias=AliasChoices("email_attach_log_file", "email_attach_log"))
    ]
    email_from_address: str
    email_to_addresses: Annotated[tuple[str, ...], Field(max_length=100)]
    email_smtp_host: Annotated[str, Field(max_length=253)]
    email_smtp_port: Annotated[int, Field(ge=1, le=65535)]

    write_exif_to_db: bool
    database: str
    oracle_client_lib_dir: str
    db_table: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=128)]
    db_tables_dir: str
    db_formatters_module: str
    db_max_n_accumulated_rows: Annotated[int, Field(ge=1, le=100_000)]
    db_max_n_errors: Annotated[int, Field(ge=0, le=10_000_000)]
    db_max_cache_size: Annotated[int, Field(ge=0, le=100_000_000)]

    @field_validator("*", mode="before")
    @classmethod
    def _openable(cls, value: object) -> object:
        """Refuse texts that no path or name can be. Pydantic's own limit would refuse bytes that are no UTF-8, too."""
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise ValueError(f"expected at most {_LONGEST_TEXT} characters")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("expected text without null characters")
        return value

    @field_validator("score_thresholds", mode="before")
    @classmethod
    def _least_scores(cls, value: object) -> object:
        return score_thresholds.checked(value)

    @field_validator("mask_color", "email_to_addresses", "camera_regions", "hidden_classes", mode="before")
    @classmethod
    def _sequence(cls, value: object) -> object:
        """Turn lists from YAML into the tuples of the model."""
        return tuple(value) if isinstance(value, list) else value

    @field_validator("error_output_mode", mode="before")
    @classmethod
    def _octal(cls, value: object) -> object:
        """Return four octal digits; without quotes, YAML reads 0700 as the number 448."""
        text = f"{value:o}" if type(value) is int else value
        if not isinstance(text, str) or not _MODE.fullmatch(text):
            raise ValueError("expected permissions")
        return f"{int(text, 8):04o}"

    @field_validator("capture_marker_file")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if value in {".", ".."} or "/" in value or "\\" in value:
            raise ValueError("expected a file name without folders")
        return value

    @field_validator("datetime_format")
    @classmethod
    def _plain_time(cls, value: str) -> str:
        if not _TIME_FORMAT.fullmatch(value):
            raise ValueError("expected directives of strftime without widths, such as %Y-%m-%d %H.%M.%S")
        return value

    @field_validator("log_file_name")
    @classmethod
    def _log_fields(cls, value: str) -> str:
        return _check_fields(value, frozenset(("datetime", "hostname")))

    @field_validator("exif_mappenavn")
    @classmethod
    def _mappenavn_fields(cls, value: str) -> str:
        return _check_fields(value, MAPPENAVN_FIELDS)

    @property
    def threads(self) -> int:
        """The number of threads that read, encode and copy pictures while the model runs; 0 without `enable_async`."""
        return self.max_num_async_workers if self.enable_async else 0

    @property
    def error_mode(self) -> int:
        """The permissions of the error folder and the folders below it, as a number."""
        return int(self.error_output_mode, 8)

    def picture_digest(self) -> str:
        """A short digest of the settings that change the output files of a picture."""
        values = self.model_dump(mode="json", include=set(PICTURE_KEYS))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


_NULLABLE: Final = frozenset(
    key for key, setting in Settings.model_fields.items() if type(None) in get_args(setting.annotation)
)

# (key, key it needs, why): refused where the first is on and the second is not.
_DEPENDENCIES: Final = (
    ("archive_json", "remote_json", "needs remote_json: True, since the archive gets a copy of that file"),
    ("archive_mask", "remote_mask", "needs remote_mask: True, since the archive gets a copy of that file"),
    ("archive_preview", "remote_preview", "needs remote_preview: True, since the archive gets a copy of that file"),
    (
        "delete_input",
        "draw_mask",
        "needs draw_mask: True, since an original is removed only after its masked picture is verified",
    ),
)
_MAIL_SWITCHES: Final = ("uncaught_exception_email", "processing_error_email", "finished_email")
_MAIL_ADDRESSES: Final = ("email_from_address", "email_to_addresses")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Checked settings, the source of each value, and the version tag that goes into every record."""

    settings: Settings
    sources: Mapping[str, str] = field(repr=False)
    version_tag: str


def config_dir() -> Path:
    """The folder of the shipped configuration: next to the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "config", package.parent / "config")
    for candidate in candidates:
        if (candidate / DEFAULT_CONFIG_NAME).is_file():
            return candidate
    raise ConfigurationError(
        [ConfigProblem(str(candidates[0]), DEFAULT_CONFIG_NAME, "is missing; the installation is incomplete")]
    )


@dataclass(frozen=True, slots=True)
class MergedValues:
    """The raw values of all layers, unchecked, and the source of each; `path` is the file that names the version.

    `problems` are keys of a file that have no equivalent.
    """

    values: Mapping[str, Any]
    sources: Mapping[str, str]
    path: Path
    problems: tuple[ConfigProblem, ...] = ()


def merge_values(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> MergedValues:
    """Lay the custom file at `path` and `overrides` (key → value, from flags or a form) over the shipped defaults.

    Raises:
        ConfigurationError: a file cannot be read or is not YAML.
    """
    default = config_dir() / DEFAULT_CONFIG_NAME
    values = read_mapping(default)
    sources = dict.fromkeys(values, "default")
    layers: list[tuple[str, Mapping[str, Any]]] = []
    problems: list[ConfigProblem] = []
    if path is not None:
        layers, problems = translated(_with_nulls(_with_whole_paths(read_mapping(path), path)), str(path))
    layers.append(("command line", _with_nulls(overrides or {})))
    for source, layer in layers:
        for key, value in layer.items():
            name = ALIASES.get(key, key)
            values[name] = value
            sources[name] = source
    return MergedValues(values, sources, path or default, tuple(problems))


def _with_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Take Python's None for YAML's null: the original's documentation and configuration files write so."""
    return {key: None if value == "None" and key in _NULLABLE else value for key, value in values.items()}


def _with_whole_paths(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    whole = dict(values)
    for key in _NEXT_TO_THE_FILE:
        value = values.get(key)
        if isinstance(value, str) and value and not value.startswith("~"):
            whole[key] = str(path.absolute().parent / value)
    return whole


def load_settings(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> LoadedSettings:
    """Merge all layers and check them.

    Raises:
        ConfigurationError: see `merge_values` and `check_values`.
    """
    return check_values(merge_values(path, overrides))


def check_values(layers: MergedValues) -> LoadedSettings:
    """Check merged values.

    Raises:
        ConfigurationError: with every unknown key, wrong type and impossible combination, each with its file and key.
    """
    problems = [*layers.problems, *_combination_problems(layers)]
    try:
        settings = Settings.model_validate(dict(layers.values))
    except ValidationError as error:
        raise ConfigurationError(
            [*field_problems(error, Settings.model_fields, layers.values, layers.sources), *problems]
        ) from None
    if problems:
        raise ConfigurationError(problems)
    return LoadedSettings(settings, layers.sources, _version_tag(settings, layers.path))


def _version_tag(settings: Settings, path: Path) -> str:
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime)
    except (OSError, ValueError, OverflowError) as error:  # removed since, or a time that no calendar has
        raise ConfigurationError([ConfigProblem(str(path), "", f"its time cannot be read: {error}")]) from error
    return f"P{settings.application_version}_K{changed:%Y%m%d}"


def _combination_problems(layers: MergedValues) -> list[ConfigProblem]:
    """Combinations of valid settings that are impossible; uses raw values, so it also runs if a type is wrong."""
    values, sources = layers.values, layers.sources
    problems = [
        ConfigProblem(sources[key], key, message)
        for key, needed, message in _DEPENDENCIES
        if values.get(key) is True and values.get(needed) is False
    ]
    if values.get("email_smtp_host") and any(values.get(key) is True for key in _MAIL_SWITCHES):
        message = "is needed to send mail through email_smtp_host"
        problems += [ConfigProblem(sources[key], key, message) for key in _MAIL_ADDRESSES if not values.get(key)]
    return problems + combination_problems(values, sources)


def _check_fields(template: str, known: frozenset[str]) -> str:
    """Allow plain fields only: a format such as `{hostname:>9999999999}` makes a text of that length."""
    try:
        fields = [(name, form, kind) for _, name, form, kind in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"cannot be filled in ({error})") from None
    if unknown := {name for name, _, _ in fields} - known:
        raise ValueError(f"unknown field {sorted(unknown)}, expected one of {sorted(known)}")
    if any(form or kind for _, form, kind in fields):
        raise ValueError(f"expected plain fields such as {{{fields[0][0]}}}, without a format")
    return template
