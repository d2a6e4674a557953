"""The functions and structures of libjpeg that this package uses, through ctypes; see `libjpeg` for how.

Only the fields named here are used. `proof` tries their offsets before any picture depends on them.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_ulong, c_void_p
from importlib.metadata import PackageNotFoundError, files
from typing import Any, Final

ACCESS: Final = ctypes.CFUNCTYPE(ctypes.POINTER(c_void_p), c_void_p, c_void_p, c_uint, c_uint, c_int)
"""The type of `access_virt_barray`."""
FORMAT: Final = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
ON_ERROR: Final = ctypes.CFUNCTYPE(None, c_void_p)
ON_MESSAGE: Final = ctypes.CFUNCTYPE(None, c_void_p, c_int)


@functools.cache
def load_library() -> Library | None:
    """The libjpeg inside Pillow's own wheel; None where this build of Pillow contains none of version 6.2."""
    try:
        carried = files("pillow") or []
    except PackageNotFoundError:
        return None
    for file in carried:
        if file.name.startswith("libjpeg-") and ".so.62" in file.name:
            return Library(str(file.locate()))
    return None


class Library:
    """The functions of the libjpeg at `path`, with their types; `errors` counts the calls of the error handler."""

    def __init__(self, path: str) -> None:
        library: Any = ctypes.CDLL(path)
        process: Any = ctypes.CDLL(None)
        self.path = path
        self.errors = 0
        self.standard_errors = _typed(library.jpeg_std_error, c_void_p, c_void_p)
        self.create_reader = _typed(library.jpeg_CreateDecompress, None, c_void_p, c_int, c_size_t)
        self.create_writer = _typed(library.jpeg_CreateCompress, None, c_void_p, c_int, c_size_t)
        self.read_from = _typed(library.jpeg_mem_src, None, c_void_p, c_char_p, c_ulong)
        self.write_to = _typed(library.jpeg_mem_dest, None, c_void_p, c_void_p, c_void_p)
        self.read_header = _typed(library.jpeg_read_header, c_int, c_void_p, c_int)
        self.read_coefficients = _typed(library.jpeg_read_coefficients, ctypes.POINTER(c_void_p), c_void_p)
        self.copy_parameters = _typed(library.jpeg_copy_critical_parameters, None, c_void_p, c_void_p)
        self.write_coefficients = _typed(library.jpeg_write_coefficients, None, c_void_p, c_void_p)
        self.finish_writing = _typed(library.jpeg_finish_compress, None, c_void_p)
        self.destroy = _typed(library.jpeg_destroy, None, c_void_p)
        self.free = _typed(process.free, None, c_void_p)


def _typed(function: Any, result: Any, *arguments: Any) -> Any:
    function.restype, function.argtypes = result, arguments
    return function


class Errors(ctypes.Structure):
    """The beginning of `jpeg_error_mgr`, and room for the rest of it."""

    _fields_ = (
        ("error_exit", c_void_p),
        ("emit_message", c_void_p),
        ("output_message", c_void_p),
        ("format_message", c_void_p),
        ("rest", c_ubyte * 480),
    )


class Memory(ctypes.Structure):
    """The beginning of `jpeg_memory_mgr`: eight functions, then the function that is used here."""

    _fields_ = (("others", c_void_p * 8), ("access_virt_barray", c_void_p))


class Reader(ctypes.Structure):
    """`jpeg_decompress_struct` with 64-bit pointers."""

    _fields_ = (("err", c_void_p), ("mem", ctypes.POINTER(Memory)), ("rest", c_ubyte * (632 - 16)))


class Writer(ctypes.Structure):
    """`jpeg_compress_struct` with 64-bit pointers."""

    _fields_ = (
        ("err", c_void_p),
        ("rest", c_ubyte * (264 - 8)),
        ("optimize_coding", c_int),
        ("further", c_ubyte * (520 - 268)),
    )
