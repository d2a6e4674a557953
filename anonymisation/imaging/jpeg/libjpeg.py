"""Reads the coefficients of a JPEG file through libjpeg, replaces some blocks, and writes a new file.

The library is the libjpeg-turbo inside Pillow's own wheels; no further package is needed. Its interface, version 6.2,
is stable since 1998. This module calls it through ctypes. The library refuses structures of another size than its own,
and this module uses only the fields that are named below.

An error handler of libjpeg must not return, and Python cannot jump out of it as C does. So each file has a thread of
its own. On an error, the handler frees libjpeg's memory, passes the message on, and lets the thread sleep until the
process ends. A file that decodes without a warning causes no such error, except with values that no encoder writes.
After MAX_ERRORS errors the library is not used any more.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from ctypes import c_ubyte, c_ulong, c_void_p
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImageWriteError
from anonymisation.imaging.jpeg import proof
from anonymisation.imaging.jpeg.library import (
    ACCESS,
    FORMAT,
    ON_ERROR,
    ON_MESSAGE,
    Errors,
    Library,
    Reader,
    Writer,
    load_library,
)

T = TypeVar("T")
Pieces = Sequence[NDArray[np.int16]]
"""The coefficients of a component from top to bottom, in pieces (rows, columns, 64), quantised, row by row."""
MAX_ERRORS: Final = 16
GREATEST: Final = 1023  # ten bits: the greatest coefficient that baseline files can code (ITU-T T.81, table F.2)
_VERSION: Final = 62  # JPEG_LIB_VERSION of the interface
_BLOCK_BYTES: Final = 128  # 64 coefficients of 16 bits
_CHECKED_AT_ONCE: Final = 1 << 16  # coefficients: they are read twice, and fit the cache
_MESSAGE_BYTES: Final = 200  # JMSG_LENGTH_MAX
_WARNING: Final = -1  # level of a warning; greater ones are traces
_PROVING: Final = threading.Lock()


class BlocksUnusableError(ImageWriteError):
    """The blocks of this file cannot be kept; the picture can still be encoded as a whole."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The number of rows and columns of 8 × 8 blocks of a component, without blocks that only fill up coded units."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks of one component: rows (n,), columns (n,), and coefficients (n, 64) int16, quantised, row by row."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    coefficients: NDArray[np.int16]

    def __post_init__(self) -> None:
        number = len(self.rows)
        if len(self.columns) != number or self.coefficients.shape != (number, 64):
            raise ValueError(
                f"expected {number} columns and blocks, got {self.columns.shape}, {self.coefficients.shape}"
            )
        if self.coefficients.dtype != np.int16 or not self.coefficients.flags.c_contiguous:
            raise ValueError("coefficients: expected contiguous int16")

    def fits(self, grid: Grid) -> bool:
        """Whether all of the blocks lie within `grid`."""
        return not len(self.rows) or bool(
            min(self.rows.min(), self.columns.min()) >= 0
            and self.rows.max() < grid.rows
            and self.columns.max() < grid.columns
        )


def replace_blocks(stream: bytes, grids: Sequence[Grid], parts: Iterable[Sequence[Blocks]], *, optimise: bool) -> bytes:
    """A baseline JPEG file with the coefficients of the file `stream`, except those of `blocks`; without metadata.

    Blocks that only fill up coded units at the right and lower edge are not copied; no viewer shows them.

    Args:
        stream: a JPEG file without metadata that decodes without a warning.
        grids: the grid of each component.
        parts: the blocks to replace in each component, part by part, so that not all of them are in memory.
        optimise: make Huffman tables for this picture; otherwise the standard tables are used, which is faster.

    Raises:
        BlocksUnusableError: libjpeg is not available or refuses the file, or a coefficient is too large to be written.
        ValueError: a block lies outside its grid.
    """
    return _in_a_thread(lambda session: session.replaced(stream, grids, parts, optimise))


def decoder_warnings(stream: bytes) -> list[str]:
    """The warnings of libjpeg while it reads the JPEG file `stream`; empty for an undamaged file.

    Raises:
        BlocksUnusableError: libjpeg is not available, or refuses the file.
    """
    return _in_a_thread(lambda session: session.decoder_warnings(stream))


def with_coefficients(stream: bytes, grids: Sequence[Grid], job: Callable[[Sequence[Pieces]], T]) -> T:
    """The result of `job`, called with the coefficients of each component of the JPEG file `stream`.

    `job` must not keep the arrays: libjpeg's memory is freed after it. Warnings of libjpeg are ignored. The grids may
    include the blocks that fill up coded units.

    Raises:
        BlocksUnusableError: libjpeg is not available, or refuses the file. Errors of `job` pass through.
    """
    return _in_a_thread(lambda session: session.with_coefficients(stream, grids, job))


def _in_a_thread(job: Callable[[_Session], T], library: Library | None = None) -> T:
    library = library or find_library()
    if library is None:
        raise BlocksUnusableError("Pillow's libjpeg is not available, or is not used any more")
    answers: SimpleQueue[T | BaseException] = SimpleQueue()

    def work() -> None:
        try:
            answers.put(job(_Session(library, answers)))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            answers.put(error)

    threading.Thread(target=work, name="libjpeg", daemon=True).start()
    answer = answers.get()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def find_library() -> Library | None:
    """Pillow's libjpeg; None where `problem` gives a reason not to use it, or after too many errors."""
    library = load_library()
    return library if library is not None and problem() is None and library.errors < MAX_ERRORS else None


def problem() -> str | None:
    """The reason not to use the library in this process, logged once as an error; None where the library works.

    The first call tries the library on a known picture (see `proof`), which takes a few milliseconds.
    """
    with _PROVING:
        return _proven()


@functools.cache
def _proven() -> str | None:
    found = _prove(load_library())
    if found is not None:
        consequence = "every picture is encoded as a whole, and pictures of rare subsampling fail"
        logging.getLogger(__name__).error("Pillow's libjpeg is not used: %s; %s", found, consequence)
    return found


def _prove(library: Library | None) -> str | None:
    if library is None:
        return "this build of Pillow contains no libjpeg of version 6.2"
    grids = [Grid(*grid) for grid in proof.GRIDS]
    row, column = (np.array([place]) for place in proof.PLACE)
    nothing = Blocks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 64), np.int16))
    blocks = [Blocks(row, column, np.zeros((1, 64), np.int16)), nothing, nothing]
    try:
        return proof.problem_of(
            lambda stream, own: _in_a_thread(lambda session: session.replaced(stream, grids, [blocks], own), library),
            lambda stream: _in_a_thread(lambda session: session.decoder_warnings(stream), library),
        )
    except (BlocksUnusableError, ValueError) as error:  # ValueError: the decoder refuses the written file
        return f"it fails on a known picture: {error}"


def _stretches(addresses: list[int]) -> Iterator[tuple[int, int, int]]:
    """Runs of addresses at equal distances: index of the first, number, distance in bytes. Mostly there is one run."""
    steps = np.diff(np.array(addresses, np.int64))
    first = 0
    while first < len(addresses):
        others = np.flatnonzero(steps[first:] != steps[first]) if first < len(steps) else np.zeros(1, np.int64)
        number = int(others[0]) + 1 if len(others) else len(addresses) - first
        yield first, number, int(steps[first]) if number > 1 else 0
        first += number


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Some rows of a component: coefficients (rows, columns, 64) in libjpeg's own memory, from row `first` on."""

    first: int
    coefficients: NDArray[np.int16]

    @classmethod
    def at(cls, addresses: list[int], columns: int, first: int, number: int, step: int) -> _Rows:
        """The rows at `number` of the addresses from index `first` on, which are `step` bytes apart."""
        memory: Any = (c_ubyte * (step * (number - 1) + _BLOCK_BYTES * columns)).from_address(addresses[first])
        strides = (step, _BLOCK_BYTES, 2)
        return cls(first, np.ndarray((number, columns, 64), np.int16, memory, strides=strides))

    def put(self, blocks: Blocks) -> None:
        """Replace the blocks that lie in these rows."""
        rows = blocks.rows - self.first
        mine = (rows >= 0) & (rows < len(self.coefficients))
        if mine.all():
            self.coefficients[rows, blocks.columns] = blocks.coefficients
        else:
            self.coefficients[rows[mine], blocks.columns[mine]] = blocks.coefficients[mine]

    def check_range(self) -> None:
        """Refuse values that have no code: the encoder would write other values instead."""
        at_once = max(1, _CHECKED_AT_ONCE // self.coefficients[0].size)
        for start in range(0, len(self.coefficients), at_once):
            values = self.coefficients[start : start + at_once]
            if values.max() > GREATEST or (values.min() < -GREATEST and not _is_black(values)):
                raise BlocksUnusableError("a coefficient is too large to be written")


def _is_black(values: NDArray[np.int16]) -> bool:
    """Whether only first coefficients lie below the range, at -1024: they may be one lower than the others."""
    return bool((values[..., 1:] >= -GREATEST).all() and (values[..., 0] >= -GREATEST - 1).all())


class _Session:
    """Reads and writes one file, in the thread that sleeps for ever after an error."""

    def __init__(self, library: Library, answers: SimpleQueue[Any]) -> None:
        self._library = library
        self._answers = answers
        self._warnings: list[str] = []
        self._open: list[int] = []
        self._kept: list[object] = []  # objects whose addresses libjpeg has
        self._errors = Errors()
        library.standard_errors(ctypes.addressof(self._errors))
        on_error, on_message = ON_ERROR(self._on_error), ON_MESSAGE(self._on_message)
        self._kept += [on_error, on_message]
        self._errors.error_exit = ctypes.cast(on_error, c_void_p)
        self._errors.emit_message = ctypes.cast(on_message, c_void_p)

    def replaced(
        self, stream: bytes, grids: Sequence[Grid], parts: Iterable[Sequence[Blocks]], optimise: bool
    ) -> bytes:
        """See `replace_blocks`."""
        try:
            reader = self._create(Reader(), self._library.create_reader)
            arrays = self._read(reader, stream)
            rows = self._rows(reader, arrays, grids)
            for part in parts:
                if not all(blocks.fits(grid) for blocks, grid in zip(part, grids, strict=True)):
                    raise ValueError(f"blocks outside of the picture's {grids}")
                for stretches, blocks in zip(rows, part, strict=True):
                    for stretch in stretches:
                        stretch.put(blocks)
            for stretch in chain.from_iterable(rows):
                stretch.check_range()
            written = self._write(reader, arrays, optimise)
        finally:
            self._destroy()
            self._kept.clear()
        if self._warnings:
            raise BlocksUnusableError(self._warnings[0])
        return written

    def decoder_warnings(self, stream: bytes) -> list[str]:
        """See the function of that name."""
        try:
            self._read(self._create(Reader(), self._library.create_reader), stream)
        finally:
            self._destroy()
            self._kept.clear()
        return self._warnings

    def with_coefficients(self, stream: bytes, grids: Sequence[Grid], job: Callable[[Sequence[Pieces]], T]) -> T:
        """See the function of that name."""
        try:
            reader = self._create(Reader(), self._library.create_reader)
            arrays = self._read(reader, stream)
            rows = self._rows(reader, arrays, grids)
            return job([[stretch.coefficients for stretch in stretches] for stretches in rows])
        finally:
            self._destroy()
            self._kept.clear()

    def _create(self, structure: Any, create: Any) -> Any:
        structure.err = ctypes.addressof(self._errors)
        self._kept.append(structure)
        create(ctypes.addressof(structure), _VERSION, ctypes.sizeof(structure))
        self._open.append(ctypes.addressof(structure))
        return structure

    def _read(self, reader: Any, stream: bytes) -> Any:
        address = ctypes.addressof(reader)
        self._kept.append(stream)
        self._library.read_from(address, stream, len(stream))
        self._library.read_header(address, 1)
        return self._library.read_coefficients(address)

    def _rows(self, reader: Any, arrays: Any, grids: Sequence[Grid]) -> list[list[_Rows]]:
        """The coefficients of each component in libjpeg's memory, to read and to change."""
        access = ACCESS(reader.mem.contents.access_virt_barray)
        address = ctypes.addressof(reader)
        found = []
        for array, grid in zip(arrays, grids, strict=False):
            addresses = [access(address, array, row, 1, 1)[0] for row in range(grid.rows)]
            found.append([_Rows.at(addresses, grid.columns, *stretch) for stretch in _stretches(addresses)])
        return found

    def _write(self, reader: Any, arrays: Any, optimise: bool) -> bytes:
        writer = self._create(Writer(), self._library.create_writer)
        address = ctypes.addressof(writer)
        memory, size = c_void_p(), c_ulong()
        self._kept += [memory, size]
        self._library.copy_parameters(ctypes.addressof(reader), address)
        self._library.write_to(address, ctypes.addressof(memory), ctypes.addressof(size))
        writer.optimize_coding = int(optimise)
        self._library.write_coefficients(address, ctypes.cast(arrays, c_void_p))
        self._library.finish_writing(address)
        try:
            return ctypes.string_at(memory, size.value)
        finally:
            self._library.free(memory)

    def _destroy(self) -> None:
        while self._open:
            self._library.destroy(self._open.pop())

    def _message(self, address: int) -> str:
        text = ctypes.create_string_buffer(_MESSAGE_BYTES)
        FORMAT(self._errors.format_message)(address, ctypes.addressof(text))
        return text.value.decode("ascii", "replace")

    def _on_message(self, address: int, level: int) -> None:
        if level <= _WARNING:
            self._warnings.append(self._message(address))

    def _on_error(self, address: int) -> None:
        try:
            error = BlocksUnusableError(self._message(address))
            self._library.errors += 1
            self._destroy()
        except BaseException as broken:  # noqa: BLE001 - whatever happens, this must be handed over and not return
            error = BlocksUnusableError(f"error in libjpeg's error handler: {broken}")
        self._answers.put(error)
        while True:
            threading.Event().wait()
