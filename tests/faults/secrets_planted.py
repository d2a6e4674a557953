"""Secrets planted wherever a picture or a deployment can hold one, and the search for them in whatever was written."""

from __future__ import annotations

import base64
import contextlib
import io
import zlib
from collections.abc import Iterable, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from PIL import Image

from tests.captures import files_below, pixels_of
from tests.imaging.builders import TiffBuilder, segment, with_exif, with_segments

DATABASE: Final = "dbPassord-7731"
MAIL: Final = "smtpPassord-4432"
DRIVER: Final = "Kari-Sjaafoer-9914"
PLATE: Final = "EK66901-kjennemerke"
COMMENT: Final = "kommentar-om-bilen-5520"
ELSEWHERE: Final = "skjult-andre-steder-3308"
ALL: Final = (DATABASE, MAIL, DRIVER, PLATE, COMMENT, ELSEWHERE)


def picture(number: int, name: str, driver: str = f"<Driver>{DRIVER}</Driver>") -> bytes:
    """A capture with the driver, the plate and comments in every place that knows them, and a preview."""
    tiff = TiffBuilder("<")
    xml = (
        f'<?xml version="1.0" encoding="utf-8"?><ImageProperties Date="2021-05-01T10:00:{number % 60:02d}.25">'
        f"<ImageName>D:\\{name}</ImageName>{driver}<CarID>{PLATE}</CarID><Comment>{COMMENT}</Comment>"
        f"<GeoTag><dLongitude>10.5</dLongitude><dLatitude>59.5</dLatitude><dAltitude>100</dAltitude></GeoTag>"
        f"<VegComValues><VCCountyNo>50</VCCountyNo><VCRoad>EV6</VCRoad><VCHP>S1D1</VCHP><VCMeter>{number}</VCMeter>"
        f"<VCLane>1</VCLane></VegComValues></ImageProperties>"
    )
    main = {
        0x010E: tiff.ascii(ELSEWHERE),  # ImageDescription
        0x0112: tiff.short(1),
        0x013B: tiff.ascii(DRIVER),  # Artist
        0x8298: tiff.ascii(ELSEWHERE),  # Copyright
        0x9C9C: tiff.raw(COMMENT.encode("utf-16-le")),  # XPComment
        40055: tiff.raw(xml.encode(), kind=7),
        40091: tiff.raw("Ev6 tur".encode("utf-16-le") + b"\0\0"),
    }
    inner = {
        0x927C: tiff.raw(PLATE.encode(), kind=7),  # MakerNote
        0x9286: tiff.raw(b"ASCII\0\0\0" + COMMENT.encode(), kind=7),  # UserComment
        0xA430: tiff.ascii(DRIVER),  # CameraOwnerName
    }
    xmp = f'<x:xmpmeta><rdf:Description dc:creator="{DRIVER}" photoshop:Source="{PLATE}"/></x:xmpmeta>'
    data = with_exif(_jpeg(number), tiff.build(main, inner, thumbnail=preview(number)))
    more = (
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode()),
        segment(0xED, b"Photoshop 3.0\0" + ELSEWHERE.encode()),
        segment(0xFE, COMMENT.encode()),
    )
    return with_segments(data, *more) + ELSEWHERE.encode()


def preview(number: int) -> bytes:
    """The thumbnail inside `picture(number)`: unmasked."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(number)).resize((48, 32)).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def _jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def forms(secret: str) -> list[bytes]:
    """How bytes may hold a secret: as text in three encodings, as hexadecimal digits, and in base64 at any offset."""
    raw = secret.encode()
    wide = [secret.encode(encoding) for encoding in ("utf-16-le", "utf-16-be")]
    coded = [base64.b64encode(bytes(offset) + raw)[4 : -4 - 4 * (offset > 0)] for offset in range(3)]
    return [raw, *wide, raw.hex().encode(), *coded]


def found_in(data: bytes, secrets: Iterable[str] = ALL) -> list[str]:
    """The secrets that the bytes hold, whatever the case of the letters; compressed parts are looked into."""
    low = b"\n".join([data, *_unpacked(data)]).lower()
    return [secret for secret in secrets if any(form.lower() in low for form in forms(secret))]


def _unpacked(data: bytes) -> list[bytes]:
    """What zlib makes of every place that looks like the start of its stream (RFC 1950: CMF 0x78)."""
    parts = []
    start = data.find(b"\x78")
    while start >= 0:
        if int.from_bytes(data[start : start + 2], "big") % 31 == 0:
            with contextlib.suppress(zlib.error):  # it only looked like one
                parts.append(zlib.decompressobj().decompress(data[start:], 1 << 20))
        start = data.find(b"\x78", start + 1)
    return parts


def mail_parts(mail: EmailMessage) -> list[bytes]:
    """A mail as it was sent, and each of its parts decoded."""
    decoded = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    return [mail.as_bytes(), *(part for part in decoded if isinstance(part, bytes))]


def leaks(written: Mapping[str, bytes], secrets: Iterable[str] = ALL) -> list[str]:
    """The places that hold a secret, with the secret."""
    return [f"{place}: {secret}" for place, data in written.items() for secret in found_in(data, secrets)]


def read_all(*folders: Path, but: Iterable[Path] = ()) -> dict[str, bytes]:
    """Every file below the folders, hidden ones too, except those in `but`; names count as content."""
    left_out = set(but)
    files = (path for folder in folders for path in files_below(folder))
    return {str(path): path.name.encode() + b"\n" + path.read_bytes() for path in files if path not in left_out}
