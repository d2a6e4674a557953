"""IDs of pictures: time and file name, the same for records of every age."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from anonymisation.core.picture_ids import picture_id, picture_key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Fy06_Ev134_hp05_f1_m03173.jpg", "Fy06_Ev134_hp05_m03173"),
        ("Fy06_Fv286_hp01_F2_m4478.jpg", "Fy06_Fv286_hp01_F2_m4478"),
        ("a_f12_b_f3.v2.JPEG", "a_b.v2"),
        ("a_foto.jpg", "a_foto"),
        ("noextension", "noextension"),
    ],
)
def test_picture_key(name: str, key: str) -> None:
    assert picture_key(name) == key


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [
        (datetime(2018, 6, 21, 11, 1, 0, 239411), "2018-06-21T11.01.00.239411_Fy06_hp05_m03173"),
        (datetime(812, 6, 1, tzinfo=UTC), "0812-06-01T00.00.00.000000_Fy06_hp05_m03173"),
    ],
)
def test_picture_id(moment: datetime, wanted: str) -> None:
    assert picture_id(moment, "Fy06_hp05_f1_m03173.jpg") == wanted
