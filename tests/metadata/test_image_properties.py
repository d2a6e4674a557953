"""What the vendor's main tag says, and what it leaves out."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from anonymisation.metadata.image_properties import ImageName, read_image_properties, split_image_name
from anonymisation.metadata.redaction import read_redacted

Properties = Callable[..., bytes]


def read(xml: bytes) -> dict[str, str | None]:
    return read_image_properties(read_redacted(xml, source="a.jpg"), source="a.jpg")


def test_nothing_inside_gives_nothing(properties: Properties) -> None:
    fields = read(properties())
    assert fields.pop("exif_kvalitet") == "1"
    assert set(fields.values()) == {None}


@pytest.mark.parametrize(
    ("text", "value"),
    [("NaN", None), ("nan", None), (" NaN ", None), ("", None), ("0", "0"), (" 26.10 ", "26.10"), ("1E-05", "1E-05")],
)
@pytest.mark.parametrize("name", ["Speed", "Heading"])
def test_no_number_is_null(properties: Properties, name: str, text: str, value: str | None) -> None:
    assert read(properties(f"<{name}>{text}</{name}>"))[f"exif_{name.lower()}"] == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("359.99", "359.99"),
        ("360", "0.0"),
        ("359.9999999", "0.0"),
        ("12.34567891234", "12.34567891234"),
        ("-90.5", "269.5"),
        ("-0.0", "-0.0"),
        ("361", None),
        ("north", None),
    ],
)
def test_a_heading_is_brought_into_range_or_left_out_with_a_warning(
    properties: Properties, caplog: pytest.LogCaptureFixture, text: str, value: str | None
) -> None:
    assert read(properties(f"<Heading>{text}</Heading>"))["exif_heading"] == value
    assert ("a.jpg: the Heading in tag 40055" in caplog.text) == (value is None)


@pytest.mark.parametrize(
    ("inside", "position"),
    [
        ("<dLatitude>59.70</dLatitude><dLongitude>9.0</dLongitude><dAltitude>5</dAltitude>", "9.0 59.70 5"),
        ("<dLatitude>-59</dLatitude><dLongitude>+9.</dLongitude>", "+9. -59 NaN"),
        ("<dLatitude>59</dLatitude><dLongitude>9</dLongitude><dAltitude>NaN</dAltitude>", "9 59 NaN"),
        ("<dLatitude>59</dLatitude><dLongitude>9</dLongitude><dAltitude>high</dAltitude>", "9 59 NaN"),
        ("", None),
        ("<dLatitude>59</dLatitude>", None),
        ("<dLatitude>NaN</dLatitude><dLongitude>9</dLongitude>", None),
        ("<dLatitude>90.1</dLatitude><dLongitude>9</dLongitude>", None),
        ("<dLatitude>59</dLatitude><dLongitude>1_0</dLongitude>", None),
        ("<dLatitude>59</dLatitude><dLongitude>1e999</dLongitude>", None),
        ("<dLatitude>59,7</dLatitude><dLongitude>9,1</dLongitude>", None),
    ],
)
def test_only_geotag_decides_position_and_quality(properties: Properties, inside: str, position: str | None) -> None:
    fields = read(properties(f"<Latitude>59°45'N</Latitude><GeoTag>{inside}</GeoTag>"))
    wanted = (None, "1") if position is None else (f"srid=4326;POINT Z( {position} )", "2")
    assert (fields["exif_gpsposisjon"], fields["exif_kvalitet"]) == wanted


def test_values_of_the_same_name_elsewhere_do_not_count(properties: Properties) -> None:
    fields = read(properties("<Other><Speed>1</Speed><VCMeter>2</VCMeter></Other><VCMeter>3</VCMeter><Speed>4</Speed>"))
    assert (fields["exif_speed"], fields["exif_meter"]) == ("4", None)


def test_namespaces_do_not_matter() -> None:
    lane = "<p:VegComValues><p:VCLane>1</p:VCLane></p:VegComValues>"
    xml = f'<p:ImageProperties xmlns:p="urn:x">{lane}</p:ImageProperties>'.encode()
    assert read(xml)["exif_feltkode"] == "1"


def test_an_unknown_root_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read(b"<Something><Speed>1</Speed></Something>")["exif_speed"] == "1"
    assert "a.jpg" in caplog.text
    assert "Something" in caplog.text


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (r"D:\x\06_Ev134\Hp05\F1\a.jpg", ImageName("D:/x/06_Ev134/Hp05/F1", "a.jpg", "06_Ev134/Hp05")),
        ("S1/D1/F1/a.jpg", ImageName("S1/D1/F1", "a.jpg", "S1/D1")),
        (r"D1\F1\a.jpg", ImageName("D1/F1", "a.jpg", None)),
        ("a.jpg", ImageName(None, "a.jpg", None)),
        ("D:\\x\\", ImageName("D:/x", None, None)),
        (None, ImageName(None, None, None)),
    ],
)
def test_image_name(name: str | None, wanted: ImageName) -> None:
    assert split_image_name(name) == wanted
