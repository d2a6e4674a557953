"""The ID of a picture (`bildeid`): its time of exposure and its file name.

The records are made with it, and older records that have no `bildeid` get theirs from it. Source: the original program.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

_LANE_IN_NAME: Final = re.compile(r"_f[0-9]+")


def picture_id(moment: datetime, file_name: str) -> str:
    """The ID of a picture with this wall clock time and file name, as in
    `2018-06-21T11.01.00.239411_Fy06_Ev134_hp05_m03173`.
    """
    return f"{time_in_id(moment)}_{picture_key(file_name)}"


def time_in_id(moment: datetime) -> str:
    """`%Y-%m-%dT%H.%M.%S.%f` without zone, the year always with four digits (which strftime does not promise)."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", ".")


def picture_key(file_name: str) -> str:
    """The file name without extension and lane (`_f<n>`). In IDs, it distinguishes pictures of one moment."""
    return _LANE_IN_NAME.sub("", PurePosixPath(file_name).stem)
