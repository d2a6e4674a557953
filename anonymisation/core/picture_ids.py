"""The ID of a picture (`bildeid`): its time of exposure and its file name.

The records are made with it, and older records that have no `bildeid` get theirs from it. Source: the original program.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

_TO_THE_SECOND: Final = len("2021-06-02T09.42.46")
_LANE_IN_NAME: Final = re.compile(r"_f[0-9]+")


def picture_id(moment: datetime, file_name: str) -> str:
    """The ID of a picture with this wall clock time and file name, as in
    `2018-06-21T11.01.00.239411_Fy06_Ev134_hp05_m03173`.
    """
    return f"{time_in_id(moment)}_{picture_key(file_name)}"


def picture_id_2022(moment: datetime, file_name: str, image_type: str, lane: str | None) -> str:
    """The ID of a picture in the 2022 form: to the second, with image type and lane (`None` where there is none), as in
    `2021-06-02T09.42.46_EV00006_S1D1_m00054K_Planar_5K`.
    """
    return f"{time_in_id(moment)[:_TO_THE_SECOND]}_{picture_key(file_name)}_{image_type}_{lane}"


def time_in_id(moment: datetime) -> str:
    """`%Y-%m-%dT%H.%M.%S.%f` without zone, the year always with four digits (which strftime does not promise)."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", ".")


def picture_key(file_name: str) -> str:
    """The file name without extension and lane (`_f<n>`). In IDs, it distinguishes pictures of one moment."""
    return _LANE_IN_NAME.sub("", PurePosixPath(file_name).stem)
