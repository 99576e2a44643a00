"""Packs: files that hold the tables of a cut, one Arrow IPC file after the other, each at a multiple of 64 bytes.

Whoever maps a pack into memory can use a table as it lies there. A pack says nothing about itself; manifests do.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import pyarrow as pa

from .location import Location, Writer
from .manifest import Part

ALIGNMENT = 64

# Up to here a table is encoded in memory and written at once. Beyond, its buffers are written one by one, each with a
# call into Python, so that the memory needed stays small.
_ENCODED_AT_ONCE = 16 << 20
# A remote store answers a request in tens of milliseconds, the time in which it also gives a megabyte.
_GAP = 1 << 20
_REQUEST = 64 << 20


class DamagedPackError(Exception):
    """A pack that lacks bytes or has others than were written; says so."""


class PackWriter:
    """Appends parts to one pack."""

    def __init__(self, name: str, out: Writer, *, compression: bool) -> None:
        self.name = name
        self.size = 0
        self._out = out
        self._crc = 0
        # Dictionaries of the batches of a table may differ, which an IPC file cannot express.
        self._options = pa.ipc.IpcWriteOptions(
            compression="lz4" if compression else None, unify_dictionaries=True
        )

    def add(self, table: pa.Table) -> Part:
        """Writes a table."""
        start = self._begin()
        if table.nbytes <= _ENCODED_AT_ONCE:
            sink = pa.BufferOutputStream()
            self._encode(table, sink)
            self.write(memoryview(sink.getvalue()))
        else:
            self._encode(table, self)
        return Part(self.name, start, self.size - start, table.num_rows, self._crc)

    def copy(self, part: Part, blob: pa.Buffer) -> Part:
        """Writes the bytes of a part of another pack."""
        start = self._begin()
        self.write(memoryview(blob))
        return Part(self.name, start, part.length, part.rows, part.crc32)

    def write(self, data: bytes | memoryview) -> int:
        """Bytes of the part in hand."""
        self._out.write(data)
        self._crc = zlib.crc32(data, self._crc)
        length = len(data)
        self.size += length
        return length

    # What an Arrow stream asks of a Python file, beside write().
    closed = False

    def flush(self) -> None:
        """Nothing is held back here."""

    def _encode(self, table: pa.Table, sink: object) -> None:
        with pa.ipc.new_file(sink, table.schema, options=self._options) as writer:
            writer.write_table(table)

    def _begin(self) -> int:
        padding = -self.size % ALIGNMENT
        if padding:
            self._out.write(bytes(padding))
            self.size += padding
        self._crc = 0
        return self.size


class PackReader:
    """Reads parts and checks them, each once while this reader lives.

    What came from a remote store is kept until :meth:`release`, as one looks at all of it before it is restored.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._checked: set[Part] = set()
        self._kept: dict[Part, pa.Buffer] = {}

    def release(self) -> None:
        """Forgets what was fetched."""
        self._kept.clear()

    def forget(self, pack: str) -> None:
        """A pack is gone; another may get its name."""
        self._checked = {part for part in self._checked if part.pack != pack}

    def check_sizes(self, packs: Mapping[str, int]) -> None:
        """Raises DamagedPackError where a pack is missing or has another size than its manifest says."""
        for pack, size in packs.items():
            found = self.location.size(pack)
            if found is None:
                raise DamagedPackError(f"the file {self.location.text(pack)} is missing")
            if found != size:
                raise DamagedPackError(f"{self.location.text(pack)} has {found:,} bytes instead of {size:,}")

    def blobs(self, parts: Iterable[Part]) -> dict[Part, pa.Buffer]:
        """The bytes of parts, checked. Raises DamagedPackError, OSError."""
        wanted_parts = set(parts)
        found = {part: blob for part, blob in self._kept.items() if part in wanted_parts}
        by_pack: dict[str, list[Part]] = {}
        for part in sorted(wanted_parts - found.keys(), key=lambda p: (p.pack, p.offset)):
            by_pack.setdefault(part.pack, []).append(part)
        for pack, wanted in by_pack.items():
            try:
                with self.location.open(pack) as file:
                    found |= _mapped(file, wanted) if self.location.local else _fetched(file, wanted)
            except FileNotFoundError:
                raise DamagedPackError(f"the file {self.location.text(pack)} is missing") from None
        for part, blob in found.items():
            self._check(part, blob)
        if not self.location.local:
            self._kept |= found
        return found

    def tables(self, parts: Iterable[Part]) -> dict[Part, pa.Table]:
        """The tables of parts, checked; locally they lie in the mapped file. Raises as :meth:`blobs`."""
        return {part: pa.ipc.open_file(blob).read_all() for part, blob in self.blobs(parts).items()}

    def _check(self, part: Part, blob: pa.Buffer) -> None:
        if part in self._checked:
            return
        if blob.size != part.length or zlib.crc32(memoryview(blob)) != part.crc32:
            raise DamagedPackError(
                f"{self.location.text(part.pack)} is damaged: the checksum of the {part.length:,} bytes from "
                f"{part.offset:,} does not match"
            )
        self._checked.add(part)


def _mapped(file: pa.NativeFile, parts: list[Part]) -> dict[Part, pa.Buffer]:
    whole = file.read_buffer()
    return {part: _slice(whole, part.offset, part.length) for part in parts}


def _slice(data: pa.Buffer, offset: int, length: int) -> pa.Buffer:
    """Up to the end of the data, which Arrow does not look at."""
    start = min(offset, data.size)
    return data.slice(start, min(length, data.size - start))


def _fetched(file: pa.NativeFile, parts: list[Part]) -> dict[Part, pa.Buffer]:
    """Parts that lie side by side come with one request."""
    found: dict[Part, pa.Buffer] = {}
    group: list[Part] = []
    for part in [*parts, None]:
        if group and (
            part is None
            or part.offset - (group[-1].offset + group[-1].length) > _GAP
            or part.offset + part.length - group[0].offset > _REQUEST
        ):
            start = group[0].offset
            file.seek(start)
            data = file.read_buffer(group[-1].offset + group[-1].length - start)
            found |= {p: _slice(data, p.offset - start, p.length) for p in group}
            group = []
        if part is not None:
            group.append(part)
    return found
