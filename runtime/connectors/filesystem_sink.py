"""Writing files: part files are hidden while they grow and get their name by a rename once they are done.

A part file is done when the rolling policy says so (size, age, or time without rows), looked at between two steps,
and at the end of the job. A job that fails leaves nothing that a reader would see, and removes its hidden files.

A partition is *committed* when its time has come (``sink.partition-commit.trigger`` and ``.delay``): its open file is
done and a success file is written into it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from streamsql.catalog.connectors import FormatChoice
from streamsql.changelog import ChangelogBatch, ChangelogMode
from streamsql.errors import ConnectorError, UnsupportedError
from streamsql.schema import Schema

from ..formats import create_encoder
from ..formats.json_write import double_texts, time_texts, timestamp_texts
from ..formats.parquet import ParquetFileWriter, check_types
from .base import Sink, SinkContext
from .filesystem_partitions import PartitionTime
from .filesystem_paths import Location, partition_directory

_MIN_WATERMARK = -(2**63)


@dataclass
class _Part:
    """A part file that is still written, or done and waiting for its rename."""

    directory: str
    hidden: str
    final: str
    writer: ParquetFileWriter | TextFileWriter
    stream: pa.NativeFile
    created_ms: int
    written_ms: int


@dataclass
class _Partition:
    """A partition directory this job has written to. ``committed``: since its last row."""

    values: Sequence[str | None]
    created_ms: int
    open: _Part | None = None
    done: list[_Part] = field(default_factory=list[_Part])
    committed: bool = False


class FilesystemSink(Sink):
    """Writes the rows of each partition into part files; see the module's text."""

    def __init__(self, context: SinkContext, timer: bool = True) -> None:
        options = context.options.options
        assert context.options.value_format is not None
        self._format: FormatChoice = context.options.value_format
        self._location = Location.of(options["path"])
        self._now_ms = context.now_ms
        self._keys = list(context.table.partition_keys)
        names = context.schema.names
        self._key_columns = [names.index(k) for k in self._keys]
        self._data_columns = [i for i, n in enumerate(names) if n not in self._keys]
        self._schema = Schema.of([context.schema[i] for i in self._data_columns])
        self._changelog = self._format.descriptor.changelog_mode is not ChangelogMode.INSERT_ONLY
        if self._format.descriptor.name == "parquet":
            check_types(self._schema)
        else:
            create_encoder(self._format, self._schema).close()  # refuses its types now, not at the first row
        for i in self._key_columns:
            if context.schema[i].type.is_nested or context.schema[i].type.is_binary:
                raise UnsupportedError(
                    f"column '{names[i]}' cannot be a partition key: {context.schema[i].type}"
                )
        self._default = options["partition.default-name"]
        self._size_max: int = options["sink.rolling-policy.file-size"]
        self._age_max: int = options["sink.rolling-policy.rollover-interval"]
        self._idle_max: int = options["sink.rolling-policy.inactivity-interval"]
        self._check_s: float = options["sink.rolling-policy.check-interval"] / 1000
        self._success: str | None = None
        if options["sink.partition-commit.policy.kind"]:
            self._success = options["sink.partition-commit.success-file.name"]
        self._delay_ms: int = options["sink.partition-commit.delay"]
        self._time: PartitionTime | None = None
        if self._success and options["sink.partition-commit.trigger"] == "partition-time":
            self._time = PartitionTime(self._keys, options)
        self._watermark = _MIN_WATERMARK
        self._uid = uuid.uuid4().hex[:12]
        self._count = 0
        self._partitions: dict[str, _Partition] = {}
        self._within_step = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._error: BaseException | None = None
        self._thread = (
            threading.Thread(target=self._tick, name="filesystem-sink", daemon=True) if timer else None
        )

    def start(self) -> None:
        try:
            info = self._location.fs.get_file_info(self._location.path)
            if info.type is pafs.FileType.File:
                raise ConnectorError(
                    f"path '{self._location.path}' is a file; a table is written into a directory"
                )
            self._location.fs.create_dir(self._location.path, recursive=True)
        except OSError as e:
            raise ConnectorError(f"path '{self._location.path}' cannot be written: {e}") from None
        if self._thread is not None:
            self._thread.start()

    # -- a step ------------------------------------------------------------------------------------------------------
    def write(self, batch: ChangelogBatch) -> None:
        self._raise_error()
        with self._lock:
            self._within_step = True
            if not self._changelog and batch.weights is not None:
                assert (batch.weights >= 0).all(), "an append format takes no deletions"
                rows = pa.array(np.repeat(np.arange(batch.num_rows), batch.weights))
                batch = ChangelogBatch(batch.rows.take(rows))
            for values, part in self._by_partition(batch):
                self._write_part(values, ChangelogBatch(part.rows.select(self._data_columns), part.weights))

    def _by_partition(self, batch: ChangelogBatch) -> list[tuple[Sequence[str | None], ChangelogBatch]]:
        if not self._keys:
            return [((), batch)]
        texts = [_key_texts(batch.rows.column(i)) for i in self._key_columns]
        names = [str(i) for i in range(len(texts))]
        table = pa.table([*texts, pa.array(np.arange(batch.num_rows))], names=[*names, "row"])
        found = table.group_by(names, use_threads=False).aggregate([("row", "list")])
        keys = zip(*(found.column(n).to_pylist() for n in names), strict=True)
        lists = found.column("row_list")
        return [(key, batch.take(of.values.to_numpy())) for key, of in zip(keys, lists, strict=True)]

    def _write_part(self, values: Sequence[str | None], batch: ChangelogBatch) -> None:
        directory = partition_directory(self._keys, values, self._default)
        now = self._now_ms()
        partition = self._partitions.get(directory)
        if partition is None:
            partition = self._partitions[directory] = _Partition(values, now)
        if partition.committed:
            partition.committed, partition.created_ms = False, now
        if partition.open is None:
            partition.open = self._new_part(directory, now)
        partition.open.writer.write(batch)
        partition.open.written_ms = now
        if partition.open.writer.size >= self._size_max:
            self._finish(partition)

    def _new_part(self, directory: str, now: int) -> _Part:
        kind = self._format.descriptor.name
        ending = {"raw": "", "debezium-json": ".json"}.get(kind, f".{kind}")
        name = f"part-{self._uid}-{self._count}{ending}"
        self._count += 1
        folder = self._location.join(directory)
        hidden = f"{folder}/.{name}.inprogress"
        try:
            self._location.fs.create_dir(folder, recursive=True)
            stream = self._location.fs.open_output_stream(hidden, compression=None)
        except OSError as e:
            raise ConnectorError(f"file {hidden} cannot be written: {e}") from None
        if kind == "parquet":
            writer: ParquetFileWriter | TextFileWriter = ParquetFileWriter(
                stream, self._schema, self._format.options
            )
        else:
            writer = TextFileWriter(stream, self._schema, self._format)
        return _Part(directory, hidden, f"{folder}/{name}", writer, stream, now, now)

    def _finish(self, partition: _Partition) -> None:
        """Close the open file; its rename waits for the end of the step."""
        part, partition.open = partition.open, None
        assert part is not None
        try:
            part.writer.close()
            part.stream.close()
        except OSError as e:
            raise ConnectorError(f"file {part.hidden} cannot be written: {e}") from None
        partition.done.append(part)

    def flush(self) -> None:
        self._raise_error()
        with self._lock:
            self._within_step = False
            self._roll(self._now_ms())

    def on_watermark(self, watermark_ms: int) -> None:
        """The job's watermark at the end of a step, for the trigger ``partition-time``."""
        self._watermark = max(self._watermark, watermark_ms)

    # -- between steps -----------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        while not self._closed.wait(self._check_s):
            with self._lock:
                if self._within_step:
                    continue
                try:
                    self._roll(self._now_ms())
                except BaseException as e:  # raised in the job's thread by the next write or flush
                    self._error = e
                    return

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _roll(self, now: int, *, everything: bool = False) -> None:
        """Finish what the rolling policy or the partition's commit says, and rename what is finished."""
        for partition in self._partitions.values():
            due = self._success is not None and not partition.committed and self._due(partition, now)
            part = partition.open
            if part is not None and (everything or due or self._too_old(part, now)):
                self._finish(partition)
            for done in partition.done:
                self._publish(done)
            partition.done.clear()
            if due or (everything and self._success is not None and not partition.committed):
                self._commit(partition)

    def _too_old(self, part: _Part, now: int) -> bool:
        return now - part.created_ms >= self._age_max or now - part.written_ms >= self._idle_max

    def _due(self, partition: _Partition, now: int) -> bool:
        if self._time is None:
            return now >= partition.created_ms + self._delay_ms
        return self._watermark >= self._time.of(partition.values) + self._delay_ms

    def _publish(self, part: _Part) -> None:
        try:
            self._location.fs.move(part.hidden, part.final)
        except OSError as e:
            raise ConnectorError(f"file {part.hidden} cannot be renamed to {part.final}: {e}") from None

    def _commit(self, partition: _Partition) -> None:
        assert self._success is not None
        directory = partition_directory(self._keys, partition.values, self._default)
        with self._location.fs.open_output_stream(self._location.join(directory, self._success)):
            pass
        partition.committed = True

    def close(self, *, finished: bool) -> None:
        self._closed.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if finished and self._error is None:
                self._roll(self._now_ms(), everything=True)
            else:
                self._discard()
            self._partitions.clear()
        if finished:
            self._raise_error()

    def _discard(self) -> None:
        for partition in self._partitions.values():
            parts = [*partition.done, *([partition.open] if partition.open is not None else [])]
            for part in parts:
                if not part.stream.closed:
                    part.stream.close()
                try:
                    self._location.fs.delete_file(part.hidden)
                except OSError:
                    continue  # hidden anyway


def _key_texts(column: pa.Array) -> pa.StringArray:
    """The texts of partition values, which the reader's rules turn into the same values again."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return timestamp_texts(column, iso=False)
    if pa.types.is_time(kind):
        return time_texts(column)
    return double_texts(column) if pa.types.is_floating(kind) else column.cast(pa.string())


class TextFileWriter:
    """Writes messages of a text format as lines."""

    def __init__(self, stream: pa.NativeFile, schema: Schema, choice: FormatChoice) -> None:
        self._stream = stream
        self._encoder = create_encoder(choice, schema)
        raw = choice.descriptor.name == "raw"
        self._end = b"" if raw and choice.options["line-delimiter"] is not None else b"\n"

    def write(self, batch: ChangelogBatch) -> None:
        messages, _ = self._encoder.encode(batch)
        if messages.null_count:
            messages = pc.fill_null(messages, b"")
        if len(messages):
            lists = pa.ListArray.from_arrays(pa.array([0, len(messages)], pa.int32()), messages)
            self._stream.write(pc.binary_join(lists, self._end)[0].as_buffer())
            self._stream.write(self._end)

    @property
    def size(self) -> int:
        return int(self._stream.tell())

    def close(self) -> None:
        self._encoder.close()
