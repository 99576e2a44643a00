"""Part files: hidden while they grow, shown by a rename, and found again by the run that comes after a crash."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from streamsql.catalog.connectors import FormatChoice
from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError
from streamsql.schema import Schema

from ..formats import create_encoder
from ..formats.parquet import ParquetFileWriter
from .filesystem_paths import Location

log = logging.getLogger("streamsql.filesystem")

_HIDDEN = ".inprogress"
_SYNC_THREADS = 8
"""Files are forced to the disk side by side: one after the other each waits for the disk."""


@dataclass
class Part:
    """A part file that is still written, or done and waiting for its rename. Names are below the table's path."""

    hidden: str
    final: str
    writer: ParquetFileWriter | TextFileWriter
    stream: pa.NativeFile
    created_ms: int
    written_ms: int

    def close(self) -> None:
        """Write what is buffered. Raises OSError."""
        self.writer.close()
        self.stream.close()

    def abandon(self) -> None:
        """Free it: nobody wants the file."""
        self.writer.abandon()
        with contextlib.suppress(OSError):
            if not self.stream.closed:
                self.stream.close()


def writer_prefix(writer: str) -> str:
    """How the part files of one sink of one job begin, in every run of it."""
    if writer and not re.fullmatch(r"[\w-]+", writer, re.ASCII):
        writer = hashlib.sha256(writer.encode()).hexdigest()[:12]
    return f"part-{writer}-" if writer else "part-"


def run_name() -> str:
    """What follows: no other run has it."""
    return uuid.uuid4().hex[:12]


def open_part(
    location: Location, directory: str, name: str, schema: Schema, choice: FormatChoice, now_ms: int
) -> Part:
    """A new part file ``name``, without ending, in a directory of the table. Raises ConnectorError."""
    kind = choice.descriptor.name
    name += {"raw": "", "debezium-json": ".json"}.get(kind, f".{kind}")
    folder = f"{directory}/" if directory else ""
    hidden = f"{folder}.{name}{_HIDDEN}"
    try:
        location.fs.create_dir(location.join(directory), recursive=True)
        stream = location.fs.open_output_stream(location.join(hidden), compression=None)
        writer: ParquetFileWriter | TextFileWriter
        if kind == "parquet":
            writer = ParquetFileWriter(stream, schema, choice.options)  # which begins the file
        else:
            writer = TextFileWriter(stream, schema, choice)
    except OSError as e:
        raise cannot_write(location.join(hidden), e) from None
    return Part(hidden, f"{folder}{name}", writer, stream, now_ms, now_ms)


def cannot_write(path: str, error: OSError) -> ConnectorError:
    """The error of a file that takes no rows."""
    return ConnectorError(f"file {path} cannot be written: {error}")


def publish(fs: pafs.FileSystem, hidden: str, final: str) -> bool:
    """Show a file; fine where an earlier attempt has. False where neither name is there.

    An object store copies and deletes: interrupted in between, the copy is made again.
    """
    try:
        try:
            fs.move(hidden, final)
        except OSError:
            before, after = fs.get_file_info([hidden, final])
            if before.type is not pafs.FileType.NotFound:
                raise
            return bool(after.type is pafs.FileType.File)
    except OSError as e:
        raise ConnectorError(f"file {hidden} cannot be renamed to {final}: {e}") from None
    return True


def remove_left_overs(fs: pafs.FileSystem, root: str, prefix: str) -> None:
    """Delete the hidden part files below ``root`` that runs of one writer left. Raises ConnectorError."""
    ours = re.compile(rf"\.{re.escape(prefix)}[0-9a-f]{{12}}-\d+(\.\w+)?{re.escape(_HIDDEN)}")
    selector = pafs.FileSelector(root, allow_not_found=True, recursive=True)
    try:
        found: Sequence[pafs.FileInfo] = fs.get_file_info(selector)
    except OSError as e:
        raise ConnectorError(f"path '{root}' cannot be listed: {e}") from None
    for info in found:
        if ours.fullmatch(info.base_name):
            try:
                fs.delete_file(info.path)
            except OSError as e:  # nobody reads it; the next start tries again
                log.warning("file %s of an earlier run cannot be deleted: %s", info.path, e)


def folders(names: Iterable[str]) -> set[str]:
    """The directories on the way to files.

    >>> sorted(folders(["a/b/f", "g"]))
    ['', 'a', 'a/b']
    """
    found = {""} if (names := list(names)) else set[str]()
    for name in names:
        parts = name.split("/")[:-1]
        found |= {"/".join(parts[: i + 1]) for i in range(len(parts))}
    return found


def sync(location: Location, names: Iterable[str]) -> None:
    """Force files or directories to the disk, where the disk is this machine's. Raises ConnectorError."""
    if not location.is_local:
        return
    paths = [location.join(n) for n in names]
    if len(paths) < 2:
        for path in paths:
            _sync(path)
        return
    with ThreadPoolExecutor(min(len(paths), _SYNC_THREADS)) as pool:
        list(pool.map(_sync, paths))


def _sync(path: str) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as e:
        raise cannot_write(path, e) from None


class TextFileWriter:
    """Writes messages of a text format as lines."""

    def __init__(self, stream: pa.NativeFile, schema: Schema, choice: FormatChoice) -> None:
        self._stream = stream
        self._encoder = create_encoder(choice, schema)
        raw = choice.descriptor.name == "raw"
        self._end = b"" if raw and choice.options["line-delimiter"] is not None else b"\n"

    def write(self, batch: ChangelogBatch) -> None:
        """Append the rows of a step."""
        messages, _ = self._encoder.encode(batch)
        if messages.null_count:
            messages = pc.fill_null(messages, b"")
        if len(messages):
            lists = pa.ListArray.from_arrays(pa.array([0, len(messages)], pa.int32()), messages)
            self._stream.write(pc.binary_join(lists, self._end)[0].as_buffer())
            self._stream.write(self._end)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return int(self._stream.tell())

    def close(self) -> None:
        """The stream stays open."""
        self._encoder.close()

    def abandon(self) -> None:
        """Free it: nobody wants the file."""
        self._encoder.close()
