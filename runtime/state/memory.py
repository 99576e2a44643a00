"""State larger than memory: beyond a limit, what grows lies in files that are mapped into memory.

::

    states ── nbytes ──▶ StateMemory ── over the limit? ──▶ new arrays, batches and runs lie in mapped files
    cuts ───────────────▶     │         always ───────────▶ a file a table
                              │
                              └── pages of files that are resident, too many? ──▶ given back to the kernel

The files have no names: they are gone with the last reference to their content, at the latest with the process,
however it ends. What is small (:data:`_LEAST`), what Python objects hold (partial matches, named values) and the
timers of a time to live stay in memory.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Protocol
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.errors import StateError

Raw = npt.NDArray[Any]

# Smaller arrays and batches are not worth a file.
_LEAST = 1 << 16
# The sizes of all states are added up again after so large a part of the limit has come to them.
_PART = 32
_STATM = Path("/proc/self/statm")


class Sized(Protocol):
    """What counts against the limit."""

    @property
    def nbytes(self) -> int: ...


class _File:
    """An open file that is closed when nothing refers to it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class _Map(mmap.mmap):
    """A mapped file without a name; ``file`` is kept where the map may grow."""

    file: _File | None = None


class StateMemory:
    """The memory of one job's states: ``limit`` bytes, and beyond it files in ``directories``, in turns.

    Used by the thread of the job. About an eighth of the limit more may be resident of the files, and what one
    operation touches.
    """

    def __init__(self, limit: int, directories: Sequence[str | Path] = ()) -> None:
        self.limit = limit
        self._directories = [Path(d) for d in directories] or [Path(tempfile.gettempdir())]
        self._states: WeakSet[Sized] = WeakSet()
        self._maps: WeakSet[_Map] = WeakSet()
        self._cuts: WeakSet[_Map] = WeakSet()  # what states gave away: part of no state's size
        self.files_made = 0
        self._added = limit  # since the sizes were last added up
        self._excess = 0
        self._resident: int | None = None  # pages of files that are not ours

    def watch(self, state: Sized) -> None:
        """Counts a state from now on."""
        self._states.add(state)

    @property
    def mapped_bytes(self) -> int:
        """Bytes of states that lie in files."""
        return sum(len(m) for m in self._maps)

    @property
    def at_once(self) -> int:
        """Bytes that may be in memory on their way to a file."""
        return max(self.limit // 8, 1 << 20)

    def excess(self, added: int = 0) -> int:
        """Bytes in memory beyond the limit, where ``added`` more are to come; not exact, as counting takes time."""
        self._added += added
        if self._added * _PART > self.limit:
            self._added = added
            self._excess = sum(s.nbytes for s in self._states) - self.mapped_bytes - self.limit
        return max(0, self._excess + self._added)

    def zeros(self, count: int, dtype: npt.DTypeLike) -> Raw:
        """An array, in a file if it is too much for memory."""
        kind = np.dtype(dtype)
        nbytes = count * kind.itemsize
        if nbytes < max(_LEAST, 1) or not self.excess(nbytes):
            return np.zeros(count, kind)
        return self._array(self._growing(self._file(), nbytes), count, kind)

    def grown(self, values: Raw, size: int) -> Raw:
        """``values`` with ``size`` places, new places zero; what is mapped grows in its file, without a copy."""
        base, nbytes = values.base, size * values.dtype.itemsize
        if isinstance(base, _Map) and base.file is not None and len(base) >= values.nbytes:
            return self._array(self._growing(base.file, nbytes), size, values.dtype)
        result = self.zeros(size, values.dtype)
        result[: len(values)] = values
        return result

    def kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch, or a mapped copy if it is too much for memory."""
        return self.mapped(batch) if not self.is_small(batch) and self.excess(batch.nbytes) else batch

    def is_small(self, batch: pa.RecordBatch) -> bool:
        """Whether a file would be more than the batch is worth."""
        return int(batch.nbytes) < _LEAST

    def mapped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A copy that lies in a file."""
        return self._stored(batch.schema, [batch], self._maps).get_batch(0)

    def cut(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        """A table that lies in a file and is nobody's state, as a checkpoint gets it."""
        return self._stored(schema, batches, self._cuts).read_all()

    def _stored(
        self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], maps: WeakSet[_Map]
    ) -> pa.ipc.RecordBatchFileReader:
        with self._new_file() as file:
            try:
                with pa.ipc.new_file(pa.PythonFile(file, "w"), schema) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
                file.flush()
            except OSError as error:
                raise self._no_room(error) from error
            buffer = pa.py_buffer(self._map(file.fileno(), os.fstat(file.fileno()).st_size, maps))
        return pa.ipc.open_file(buffer)

    def moved(self, values: Raw) -> Raw:
        """A copy of an array that lies in a file."""
        if values.nbytes < max(_LEAST, 1):
            return values
        result = self._array(self._growing(self._file(), values.nbytes), len(values), values.dtype)
        result[:] = values
        return result

    def ease(self) -> None:
        """Gives resident pages of files back when they are many; called after each operation on a state."""
        if self._resident is None or not (self._maps or self._cuts):
            return
        resident = _resident_file_bytes()
        if resident > self._resident + self.limit // 8:
            for held in [*self._maps, *self._cuts]:
                held.madvise(mmap.MADV_DONTNEED)  # of a shared map: nothing is lost
            resident = _resident_file_bytes()
            self._resident = resident  # what is still there is not ours: libraries, files of other jobs
        self._resident = min(self._resident, resident)

    def _new_file(self) -> IO[bytes]:
        directory = self._directories[self.files_made % len(self._directories)]
        self.files_made += 1
        if self._resident is None and _STATM.exists():
            self._resident = _resident_file_bytes()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=directory, prefix="streamsql-state-", buffering=0)
        except OSError as error:
            raise self._no_room(error) from error

    def _file(self) -> _File:
        with self._new_file() as file:
            return _File(os.dup(file.fileno()))

    def _growing(self, file: _File, nbytes: int) -> _Map:
        try:  # a page that finds no room when it is written would end the process
            _reserve(file.descriptor, nbytes)
        except OSError as error:
            raise self._no_room(error) from error
        made = self._map(file.descriptor, nbytes, self._maps)
        made.file = file
        return made

    def _map(self, descriptor: int, nbytes: int, maps: WeakSet[_Map]) -> _Map:
        made = _Map(descriptor, nbytes)
        maps.add(made)
        return made

    def _array(self, base: _Map, count: int, dtype: np.dtype[Any]) -> Raw:
        return np.ndarray((count,), dtype, base)

    def _no_room(self, error: OSError) -> StateError:
        places = ", ".join(str(d) for d in self._directories)
        return StateError(
            f"state beyond 'state.backend.memory.limit' cannot be written under {places}: {error.strerror or error}",
            hint="make room there, name another directory by 'io.tmp.dirs', or raise the limit",
        )


def _resident_file_bytes() -> int:
    with _STATM.open("rb", buffering=0) as file:
        return int(file.read(128).split()[2]) * mmap.PAGESIZE


def _reserve(descriptor: int, nbytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, nbytes)
    else:
        os.ftruncate(descriptor, nbytes)
