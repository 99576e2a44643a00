"""Reading files: a thread goes through them by name and reads ahead, a batch at a time.

Each file is a split; its position is the number of records taken from it, with ``end`` after the last. All files that
are known hold the watermark until they are read, so their order does not make rows late. With
``source.monitor-interval`` new files are looked for, and each is read once; else the table is bounded.

A job that is resumed reads the files that were known: those without ``end`` are in the source's memory with their sizes
and times, and one that was begun must still be what it was.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError, DataError
from streamsql.schema import Field, Schema

from ..formats import create_decoder
from ..formats.base import Decoder
from ..formats.csv import complete_lines
from ..formats.parquet import read_batches
from .base import BadRecord, Source, SourceBatch, SourceContext
from .filesystem_paths import FoundFile, Location, PartitionReader, constant, list_files
from .reader_thread import end_reader

_QUEUED_ROWS_MAX = 262_144
"""Rows read ahead of the job at most, beside the batch in the making."""
_CHUNK_BYTES = 8 * 1024 * 1024
"""Bytes of a text file read at once."""
_NO_FILES = "(no files)"
_END = "end"


@dataclass
class _Piece:
    """Rows of one file. ``records``: for each row the number of its record in the file; ``after``: where reading goes
    on; ``bad``: with the number of each."""

    split: str
    batch: ChangelogBatch | None
    records: npt.NDArray[np.int64]
    after: str
    bad: Sequence[tuple[int, BadRecord]] = ()
    finished: bool = False


class FilesystemSource(Source):
    """Reads the files of a table; see the module's text."""

    def __init__(self, context: SourceContext) -> None:
        options = context.options.options
        assert context.options.value_format is not None
        self._context = context
        self._format = context.options.value_format
        self._location = Location.of(options["path"])
        pattern = options["source.path.regex-pattern"]
        self._pattern = re.compile(pattern) if pattern is not None else None
        interval = options["source.monitor-interval"]
        self._interval_s: float | None = None if interval is None or context.bounded else interval / 1000
        self.bounded = self._interval_s is None
        self._mode: str = options["error-handling.mode"]
        keys = set(context.table.partition_keys)
        wanted = [f for f in context.physical if f.name not in keys]
        declared = [
            Field(c.name, c.type) for c in context.table.physical_columns if c.type and c.name not in keys
        ]
        by_position = self._format.descriptor.name in ("csv", "raw")
        self._file_schema = Schema.of(declared if by_position else wanted or declared[:1])
        self._partitions = PartitionReader(
            Schema.of([f for f in context.physical if f.name in keys]), options["partition.default-name"]
        )
        self._arrow = pa.schema([*context.physical.arrow, *context.metadata_schema.arrow])
        self._positions = dict(context.positions)
        self._known = frozenset(n for n, p in self._positions.items() if p.endswith(_END))
        self._tell_known = bool(self._known)
        self._open: dict[str, FoundFile] = {}
        self._last_ended: str | None = None
        self._memory: str | None = None
        self._splits: list[str] = []
        self._queue: deque[_Piece] = deque()
        self._queued_rows = 0
        self._error: BaseException | None = None
        self._paused: frozenset[str] = frozenset()
        self._lock = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="filesystem", daemon=True)

    def start(self) -> None:
        listed = list_files(self._location, self._pattern, must_exist=self.bounded)
        kept = self._context.memory.get("files")
        self._check(listed, json.loads(kept or "{}"))
        self._first = [f for f in listed if f.name not in self._known]
        if self.bounded and kept is not None:
            self._first = [f for f in self._first if f.name in json.loads(kept)]
        with self._lock:
            self._splits.extend(sorted(self._known))
        self._announce(self._first)
        self._thread.start()

    def _check(self, listed: Sequence[FoundFile], kept: Mapping[str, tuple[int, int]]) -> None:
        """Raises ConnectorError where a file that is still to be read has gone, or one that was begun has changed."""
        found = {f.name: f for f in listed}
        for name, (size, modified_ms) in kept.items():
            file, position = found.get(name), self._positions.get(name, "0")
            same = file is not None and (file.size, file.modified_ms) == (size, modified_ms)
            if name in self._known or same or (file is not None and position == "0"):
                continue
            path = self._location.join(name) if file is None else file.path
            read = f"{position} of its records were read" if position != "0" else "it was to be read"
            raise ConnectorError(
                f"file {path} {'is gone' if file is None else 'has changed'}: {read} before the job was resumed",
                hint="put the file back as it was, or start the job afresh",
            )

    # -- the reader's thread -----------------------------------------------------------------------------------------
    def _run(self) -> None:
        try:
            self._read_all()
        except BaseException as e:  # handed to the job by poll()
            with self._lock:
                self._error = e
        self._context.wake()

    def _read_all(self) -> None:
        decoder = None
        if self._format.descriptor.name != "parquet":
            decoder = create_decoder(self._format, self._file_schema, time_zone=self._context.time_zone)
        try:
            files = self._first
            while True:
                for file in files:
                    self._read_file(file, decoder)
                if self.bounded and not self._splits:
                    self._put(_Piece(_NO_FILES, None, np.zeros(0, np.int64), _END, finished=True))
                if self._interval_s is None or self._closed.wait(self._interval_s):
                    return
                known = set(self._splits)
                listed = list_files(self._location, self._pattern, must_exist=False)
                files = [f for f in listed if f.name not in known]
                self._announce(files)
        finally:
            if decoder is not None:
                decoder.close()

    def _announce(self, files: Sequence[FoundFile]) -> None:
        with self._lock:
            self._splits.extend(f.name for f in files)
            self._open |= {f.name: f for f in files}
            self._memory = None

    def _read_file(self, file: FoundFile, decoder: Decoder | None) -> None:
        position = self._positions.get(file.name, "0")
        skip, _, ended = position.partition(" ")
        count = int(skip)
        if not ended:
            fixed = self._partitions.values(file)
            pieces = self._parquet(file, count) if decoder is None else self._texts(file, count, decoder)
            for batch, records, bad, after in pieces:
                whole = ChangelogBatch(self._with_fixed(batch.rows, file, fixed), batch.weights)
                self._put(_Piece(file.name, whole, records, str(after), bad))
                count = after
                if self._closed.is_set():
                    return
        self._put(_Piece(file.name, None, np.zeros(0, np.int64), f"{count} {_END}", finished=True))

    def _parquet(
        self, file: FoundFile, skip: int
    ) -> Iterator[tuple[ChangelogBatch, npt.NDArray[np.int64], list[tuple[int, BadRecord]], int]]:
        try:
            with self._location.fs.open_input_file(file.path) as stream:
                rows_max = self._context.batch_rows_max
                for batch in read_batches(stream, file.path, self._file_schema, skip, rows_max):
                    numbers = np.arange(skip, skip + batch.num_rows)
                    yield ChangelogBatch(batch), numbers, [], skip + batch.num_rows
                    skip += batch.num_rows
        except (pa.ArrowInvalid, OSError) as e:
            raise ConnectorError(f"file {file.path} cannot be read: {e}") from None

    def _texts(
        self, file: FoundFile, skip: int, decoder: Decoder
    ) -> Iterator[tuple[ChangelogBatch, npt.NDArray[np.int64], list[tuple[int, BadRecord]], int]]:
        quote = None
        if self._format.descriptor.name == "csv" and not self._format.options["disable-quote-character"]:
            quote = str(self._format.options["quote-character"]).encode()
        at = 0
        try:
            with self._location.fs.open_input_stream(file.path) as stream:
                for lines in batches_of_lines(stream, quote, self._context.batch_rows_max):
                    if at + len(lines) > skip:
                        first = max(0, skip - at)
                        yield self._decode(file, decoder, lines.slice(first), at + first)
                    at += len(lines)
        except (pa.ArrowInvalid, OSError) as e:
            raise ConnectorError(f"file {file.path} cannot be read: {e}") from None

    def _decode(
        self, file: FoundFile, decoder: Decoder, lines: pa.BinaryArray, at: int
    ) -> tuple[ChangelogBatch, npt.NDArray[np.int64], list[tuple[int, BadRecord]], int]:
        found = decoder.decode(lines)
        bad = [
            (
                at + i,
                BadRecord(
                    f"file {file.path}, record {at + i + 1}", message, lines[i].as_py(), file.modified_ms
                ),
            )
            for i, message in found.errors.items()
        ]
        if bad and self._mode == "fail":
            raise DataError(
                f"{bad[0][1].origin}: {bad[0][1].message}",
                hint="set 'error-handling.mode' to 'ignore' or 'log' to go on without such records",
            )
        index = found.source_index if found.source_index is not None else np.arange(found.rows.num_rows)
        return found.changelog(), index + at, bad, at + len(lines)

    def _with_fixed(self, rows: pa.RecordBatch, file: FoundFile, fixed: Sequence[object]) -> pa.RecordBatch:
        """The columns in the order of the context: of the file, of its directories, of its metadata."""
        count = rows.num_rows
        from_path = dict(zip(self._partitions.schema.names, fixed, strict=True))
        arrays = []
        for field in self._context.physical:
            if field.name in from_path:
                arrays.append(constant(from_path[field.name], field.type, count))
            else:
                arrays.append(rows.column(rows.schema.get_field_index(field.name)))
        for (_, key), field in zip(self._context.metadata, self._context.metadata_schema, strict=True):
            arrays.append(constant(_metadata(file, key), field.type, count))
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _put(self, piece: _Piece) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._queued_rows < _QUEUED_ROWS_MAX or self._closed.is_set())
            self._queue.append(piece)
            self._queued_rows += piece.batch.num_rows if piece.batch is not None else 0
        self._context.wake()

    # -- the job's thread --------------------------------------------------------------------------------------------
    def poll(self, max_rows: int) -> SourceBatch | None:
        with self._lock:
            if self._last_ended is not None:  # all of it is with the job now
                self._open.pop(self._last_ended, None)
                self._last_ended = self._memory = None
            if self._tell_known:
                self._tell_known = False
                return SourceBatch(None, sorted(self._known), finished=self._known)
            if not self._queue:
                if self._error is not None:
                    raise self._error
                return None
            piece = self._queue[0]
            if piece.split in self._paused:
                return None
            if piece.batch is not None and piece.batch.num_rows > max_rows:
                piece = self._cut(piece, max_rows)
            else:
                self._queue.popleft()
            self._queued_rows -= piece.batch.num_rows if piece.batch is not None else 0
            if piece.finished:
                self._last_ended = piece.split
            self._lock.notify_all()
        return SourceBatch(
            piece.batch,
            [piece.split],
            positions={piece.split: piece.after} if piece.split != _NO_FILES else {},
            finished=frozenset({piece.split}) if piece.finished else frozenset[str](),
            bad_records=[bad for _, bad in piece.bad],
        )

    def _cut(self, piece: _Piece, max_rows: int) -> _Piece:
        """The first rows of a piece; the rest stays in the queue. A record's rows stay together."""
        assert piece.batch is not None
        end = max_rows
        while 0 < end < len(piece.records) and piece.records[end] == piece.records[end - 1]:
            end -= 1
        if end == 0:
            end = int(np.searchsorted(piece.records, piece.records[0], side="right"))
        if end == len(piece.records):
            self._queue.popleft()
            return piece
        first, rest = _slice(piece.batch, 0, end), _slice(piece.batch, end, len(piece.records) - end)
        next_record = int(piece.records[end])
        earlier = [b for b in piece.bad if b[0] < next_record]
        later = [b for b in piece.bad if b[0] >= next_record]
        self._queue[0] = _Piece(piece.split, rest, piece.records[end:], piece.after, later)
        return _Piece(piece.split, first, piece.records[:end], str(next_record), earlier)

    def splits(self) -> Sequence[str]:
        with self._lock:
            return list(self._splits)

    def pause(self, splits: frozenset[str]) -> None:
        with self._lock:
            self._paused = splits
        self._context.wake()

    def commit(self, positions: Mapping[str, str]) -> None:
        """Files keep no positions."""

    def memory(self) -> Mapping[str, str]:
        """Size and time of the files that are not read to their end; the others have positions that say so."""
        with self._lock:
            if self._memory is None:
                self._memory = json.dumps({n: [f.size, f.modified_ms] for n, f in self._open.items()})
            return {"files": self._memory}

    def close(self) -> None:
        end_reader(self._thread, self._closed, self._lock)


def _slice(batch: ChangelogBatch, start: int, count: int) -> ChangelogBatch:
    weights = None if batch.weights is None else batch.weights[start : start + count]
    return ChangelogBatch(batch.rows.slice(start, count), weights)


def _metadata(file: FoundFile, key: str) -> object:
    match key:
        case "file.path":
            return file.path
        case "file.name":
            return file.path.rsplit("/", 1)[-1]
        case "file.size":
            return file.size
        case "file.modification-time":
            return file.modified_ms * 1000
        case _:
            raise AssertionError(key)


def batches_of_lines(stream: pa.NativeFile, quote: bytes | None, rows_max: int) -> Iterator[pa.BinaryArray]:
    """The lines of a text file that are not empty, without their ends, some megabytes at a time.

    ``quote``: lines belong together while a quoted field is open.
    """
    rest = b""
    waiting: bytes | None = None
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        data = rest + chunk
        end = len(data) if not chunk else data.rfind(b"\n") + 1
        head, rest = data[:end], data[end:]
        lines = _lines(head)
        if quote is not None and (waiting is not None or quote in head):
            given = ([waiting] if waiting is not None else []) + lines.to_pylist()
            complete, waiting = complete_lines(given, quote)
            lines = pa.array(complete, pa.binary())
        if not chunk and waiting is not None:
            lines, waiting = pa.concat_arrays([lines, pa.array([waiting], pa.binary())]), None
        for start in range(0, len(lines), rows_max):
            yield lines.slice(start, rows_max)
        if not chunk:
            return


def _lines(data: bytes) -> pa.BinaryArray:
    if not data:
        return pa.array([], pa.binary())
    lines = pc.split_pattern(pa.array([data], pa.binary()), b"\n").flatten()
    if b"\r" in data:
        lines = pc.replace_substring_regex(lines, rb"\r$", b"")
    return lines.filter(pc.greater(pc.binary_length(lines), 0))
