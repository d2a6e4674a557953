"""Records of pictures: what the vendor's EXIF tags, the standard ones and the path say about each."""

from __future__ import annotations
