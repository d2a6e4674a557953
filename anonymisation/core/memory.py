"""The C library's memory allocator."""

from __future__ import annotations

import ctypes
from typing import Final

# Parameters of mallopt(3) in glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGEST: Final = 32 << 20  # bytes: the greatest threshold that glibc accepts; more than the pixels of 10 megapixels
_KEPT: Final = 256 << 20  # bytes


def keep_freed_memory() -> None:
    """Let the process keep what freed arrays of up to 32 MiB leave, up to 256 MiB, for the next arrays.

    By default glibc returns large arrays to the system when they are freed. Every picture needs several of them, and
    the system zeroes each page again: a tenth of a picture's CPU time. One arena, so that the arrays of one thread can
    take the place of those of another; threads hardly ever wait for it, since arrays are few and large.

    Does nothing with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl has none, Windows no library without a name
        return
    for parameter, value in ((_M_MMAP_THRESHOLD, _LARGEST), (_M_TRIM_THRESHOLD, _KEPT), (_M_ARENA_MAX, 1)):
        mallopt(parameter, value)
