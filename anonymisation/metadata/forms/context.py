"""The settings for records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.metadata.folder_name import FIELDS, FIELDS_2022

if TYPE_CHECKING:
    from anonymisation.core.settings import Settings


@dataclass(frozen=True, slots=True)
class RecordContext:
    """The settings for records: where the input begins, the template of `mappenavn`, the version tag, and the form.

    `owner`, `county` (with `force_county` also over what the picture says), `image_type`, `cut_image_type` (drop the
    folder `planar` from `mappenavn`) and `previews` (whether previews are made) matter to the 2022 form only.

    Raises:
        ConfigurationError: `exif_mappenavn` cannot be filled in.
    """

    input_root: Path
    exif_top_dir: str
    exif_mappenavn: str
    version: str
    form: Literal[2020, 2022] = 2020
    reader: Literal["default", "deprecated"] = "default"
    owner: str | None = None
    county: str | None = None
    force_county: bool = False
    image_type: str = "Planar"
    cut_image_type: bool = False
    previews: bool = False

    @classmethod
    def from_settings(cls, settings: Settings, *, input_root: Path, version: str) -> RecordContext:
        """The context that the settings ask for. Raises ConfigurationError as the class does."""
        return cls(
            input_root=input_root,
            exif_top_dir=settings.exif_top_dir,
            exif_mappenavn=settings.exif_mappenavn,
            version=version,
            form=settings.record_form,
            reader=settings.record_reader,
            owner=settings.data_eier,
            county=None if settings.fylkesnummer is None else str(settings.fylkesnummer),
            force_county=settings.force_fylke,
            image_type=settings.image_type,
            cut_image_type=settings.remove_imagetype_filepath,
            previews=settings.has_previews,
        )

    def __post_init__(self) -> None:
        fields = FIELDS_2022 if (self.form, self.reader) == (2022, "default") else FIELDS
        try:
            self.exif_mappenavn.format(**dict.fromkeys(fields, ""))
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            message = f"cannot be filled in ({error}); fields are {', '.join(fields)}, all text"
            raise ConfigurationError([ConfigProblem("settings", "exif_mappenavn", message)]) from error
