"""Names as a folder can hold them: any bytes but NUL and the slash, which Python shows by `os.fsdecode`.

Bytes that are no UTF-8 come as U+DC80 to U+DCFF. Other lone surrogates are in no name, and cannot be made one.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

_NAME_BYTES: Final = 255  # the limit of common file systems
_NOT_IN_NAMES: Final = bytes.maketrans(b"\0/", b"\xff\xfe")

file_names: Final = st.text(
    st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40
) | st.binary(min_size=1, max_size=_NAME_BYTES).map(
    lambda name: name.translate(_NOT_IN_NAMES).decode("utf-8", "surrogateescape")
)
