"""Read the record of a picture from a program."""

from __future__ import annotations

from pathlib import Path

from anonymisation.api.files import AnyPath, read_file, require_picture
from anonymisation.core.errors import ImageError
from anonymisation.core.settings import load_settings
from anonymisation.files.digests import sha256_of
from anonymisation.imaging.exif.read import read_exif
from anonymisation.imaging.jpeg.codec import jpeg_size
from anonymisation.metadata.record import Record, RecordContext, build_record, record_from_json


def read_record(path: AnyPath) -> Record:
    """The record of a picture: read from its file (`.json`), or made from the metadata of a `.jpg`.

    A record that is made from a picture is that of `anonymise create-json`: the vendor's XML is redacted, and
    `detekterte_objekter` is None, since no model looked at the picture. The keys of a record's file are not checked.

    Example:
        >>> from anonymisation import read_record
        >>> read_record("masked/IMG_0001.json")["detekterte_objekter"]
        {'car': '2'}

    Raises:
        ImageError: the file cannot be read, or is neither.
    """
    place = Path(path).absolute()
    try:
        if place.suffix.lower() == ".json":
            return record_from_json(read_file(place))
        require_picture(place)
        return _record_of(place)
    except ImageError as error:
        error.add_note(f"file: {place}")
        raise


def _record_of(path: Path) -> Record:
    loaded = load_settings()
    data = read_file(path)
    jpeg_size(data, max_pixels=loaded.settings.max_picture_pixels)  # a file that does not begin as a JPEG has no record
    context = RecordContext.from_settings(loaded.settings, input_root=path.parent, version=loaded.version_tag)
    exif = read_exif(data, source=str(path))
    return build_record(path, exif, context, objects=None, sha256=sha256_of(data))
