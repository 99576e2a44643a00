"""Writing files: part files are hidden while they grow and get their name by a rename once they are done.

Without checkpoints a part file is done when the rolling policy says so (size, age, or time without rows), looked at
between two steps, and at the end of the job. A job that fails leaves nothing that a reader would see, and removes its
hidden files.

With checkpoints a cut closes every part file, and the checkpoint names them; they are renamed when it is durable. What
a run leaves behind when it dies is renamed by the next one if the checkpoint it resumes names it, else deleted.

A partition is *committed* when its time has come (``sink.partition-commit.trigger`` and ``.delay``): its open file is
done and a success file is written into it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from streamsql.catalog.connectors import FormatChoice
from streamsql.changelog import ChangelogBatch, ChangelogMode
from streamsql.errors import ConnectorError, UnsupportedError
from streamsql.schema import Schema

from ..formats import create_encoder
from ..formats.json_write import double_texts, time_texts, timestamp_texts
from ..formats.parquet import check_types
from .base import Prepared, Sink, SinkContext
from .filesystem_partitions import PartitionTime
from .filesystem_parts import (
    Part,
    cannot_write,
    folders,
    open_part,
    publish,
    remove_left_overs,
    run_name,
    sync,
    writer_prefix,
)
from .filesystem_paths import Location, partition_directory

log = logging.getLogger("streamsql.filesystem")

_MIN_WATERMARK = -(2**63)
_MAX_WATERMARK = 2**63 - 1


@dataclass
class _Partition:
    """A partition directory with rows since it was last committed."""

    values: Sequence[str | None]
    created_ms: int
    open: Part | None = None
    done: list[Part] = field(default_factory=list[Part])


@dataclass
class _Uncommitted:
    """What cuts have named and no commit has shown: each with the number of the checkpoint that named it first."""

    files: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    success: dict[str, int] = field(default_factory=dict[str, int])
    shown: set[str] = field(default_factory=set[str])
    """Those of ``files`` that a commit which failed later has renamed."""

    def committed(self, checkpoint: int) -> None:
        """Forget what ``checkpoint`` has shown."""
        self.files = {h: (f, n) for h, (f, n) in self.files.items() if n > checkpoint}
        self.success = {d: n for d, n in self.success.items() if n > checkpoint}
        self.shown &= self.files.keys()


class FilesystemSink(Sink):
    """Writes the rows of each partition into part files; see the module's text."""

    def __init__(
        self, context: SinkContext, timer: bool = True, file_system: pafs.FileSystem | None = None
    ) -> None:
        """``timer``: look at the age of files between steps too. ``file_system``: instead of that of the path."""
        options = context.options.options
        assert context.options.value_format is not None
        self._format: FormatChoice = context.options.value_format
        location = Location.of(options["path"])
        self._location = location if file_system is None else Location(file_system, location.path)
        self._now_ms = context.now_ms
        self._checkpointed = context.checkpointed
        self._prefix = writer_prefix(context.writer)
        self._writer = context.writer
        self._uncommitted = _Uncommitted()
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
        self._run = run_name()
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
        partition = self._partitions.setdefault(directory, _Partition(values, now))
        part = partition.open
        if part is None:
            name = f"{self._prefix}{self._run}-{self._count}"
            self._count += 1
            part = partition.open = open_part(
                self._location, directory, name, self._schema, self._format, now
            )
        try:
            part.writer.write(batch)
            part.written_ms = now
            full = part.writer.size >= self._size_max
        except OSError as e:
            raise cannot_write(self._location.join(part.hidden), e) from None
        if full:
            self._finish(partition)

    def _finish(self, partition: _Partition) -> None:
        """Close the open file, if there is one; its rename waits."""
        part = partition.open
        if part is None:
            return
        try:
            part.close()
        except OSError as e:
            raise cannot_write(self._location.join(part.hidden), e) from None
        partition.open = None
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

    def _roll(self, now: int, *, files: bool = False, partitions: bool = False) -> None:
        """Finish what the rolling policy or the partition's time says; without checkpoints, show it.

        ``files``: finish all of them; ``partitions``: the time of all has come.
        """
        for directory, partition in list(self._partitions.items()):
            due = self._success is not None and (partitions or self._due(partition, now))
            part = partition.open
            if part is not None and (files or self._too_old(part, now) or (due and not self._checkpointed)):
                self._finish(partition)
            if self._checkpointed:
                continue
            for done in partition.done:
                self._show(done.hidden, done.final)
            partition.done.clear()
            if due:
                self._write_success(self._location, directory)
            if due or (self._success is None and partition.open is None):
                del self._partitions[directory]

    def _too_old(self, part: Part, now: int) -> bool:
        return now - part.created_ms >= self._age_max or now - part.written_ms >= self._idle_max

    def _due(self, partition: _Partition, now: int) -> bool:
        if self._time is None:
            return now >= partition.created_ms + self._delay_ms
        return self._watermark >= self._time.of(partition.values) + self._delay_ms

    def _show(self, hidden: str, final: str) -> None:
        before, after = self._location.join(hidden), self._location.join(final)
        if not publish(self._location.fs, before, after):
            raise ConnectorError(
                f"file {before} is gone, and {after} is not there: the rows of it are lost",
                hint="something else deletes files in the directory of the table; leave its hidden files alone",
            )

    def _write_success(self, location: Location, directory: str) -> None:
        path = location.join(directory, self._success or "")
        try:
            with location.fs.open_output_stream(path):
                pass
        except OSError as e:
            raise cannot_write(path, e) from None

    # -- checkpoints -------------------------------------------------------------------------------------------------
    @property
    def wants_commit(self) -> bool:
        """Whether a checkpoint would show something, though no row has come since the last."""
        if not self._checkpointed or self._success is None:
            return False
        with self._lock:
            now = self._now_ms()
            return any(self._due(p, now) for p in self._partitions.values())

    def prepare(self, checkpoint: int) -> Prepared:
        """Close all part files and name them, with the partitions whose time has come.

        A checkpoint that came to nothing leaves its names to the next. Where files are shown without waiting for
        checkpoints (mode AT_LEAST_ONCE) all are shown now: the checkpoint covers their rows.
        """
        self._raise_error()
        with self._lock:
            now, ended = self._now_ms(), self._watermark >= _MAX_WATERMARK
            self._roll(now, files=True, partitions=ended)
            if self._checkpointed:
                self._name_all(checkpoint, now, ended=ended)
            left = self._partitions.values() if self._success is not None else ()
            waiting = self._uncommitted
            values: dict[str, Any] = {
                "fileSystem": self._location.fs.type_name,
                "path": self._location.path,
                "files": [[hidden, final] for hidden, (final, _) in waiting.files.items()],
                "successDirectories": list(waiting.success),
                "openPartitions": [[list(p.values), p.created_ms] for p in left],
                "watermark": self._watermark,
            }
        return Prepared(values)

    def _name_all(self, checkpoint: int, now: int, *, ended: bool) -> None:
        waiting = self._uncommitted
        closed = [part for p in self._partitions.values() for part in p.done]
        sync(self._location, [part.hidden for part in closed])
        sync(self._location, folders(part.hidden for part in closed))
        waiting.files |= {part.hidden: (part.final, checkpoint) for part in closed}
        for directory, partition in list(self._partitions.items()):
            partition.done.clear()
            due = self._success is not None and (ended or self._due(partition, now))
            if due:
                waiting.success[directory] = checkpoint
            if due or self._success is None:
                del self._partitions[directory]

    def commit(self, checkpoint: int, prepared: Prepared) -> None:
        """Rename the files of the checkpoint, then write the success files. May be called again after an error."""
        values = prepared.values
        shown = self._uncommitted.shown
        for hidden, final in values["files"]:
            if hidden not in shown:
                self._show(hidden, final)
                shown.add(hidden)
        for directory in values["successDirectories"]:
            self._write_success(self._location, directory)
        sync(self._location, folders(f for _, f in values["files"]) | set(values["successDirectories"]))
        with self._lock:
            self._uncommitted.committed(checkpoint)

    def recover(self, checkpoint: int, prepared: Prepared | None) -> None:
        """Show what the checkpoint names, delete this writer's other hidden files, take the open partitions over."""
        roots = {self._location.path}
        if prepared is not None and prepared.values:
            values = prepared.values
            if values["fileSystem"] != self._location.fs.type_name:
                raise ConnectorError(
                    f"checkpoint {checkpoint} names files in a file system of type '{values['fileSystem']}', and the "
                    f"table is in one of type '{self._location.fs.type_name}' now",
                    hint="resume with the path that the job had, and change it afterwards",
                )
            self._show_again(checkpoint, Location(self._location.fs, values["path"]), values)
            roots.add(values["path"])
            self._watermark = values["watermark"]
            if self._success is not None:
                for texts, created_ms in values["openPartitions"]:
                    directory = partition_directory(self._keys, texts, self._default)
                    self._partitions[directory] = _Partition(tuple(texts), created_ms)
        if self._writer:
            for root in sorted(roots):
                remove_left_overs(self._location.fs, root, self._prefix)

    def in_savepoint(self, prepared: Prepared) -> Prepared:
        """Open partitions and the watermark."""
        return Prepared({**prepared.values, "files": [], "successDirectories": []})

    def _show_again(self, checkpoint: int, location: Location, values: Mapping[str, Any]) -> None:
        """As :meth:`commit`, for another run's files: those shown then may have been taken away by their readers."""
        gone = [
            final
            for hidden, final in values["files"]
            if not publish(location.fs, location.join(hidden), location.join(final))
        ]
        if gone:
            log.warning(
                "%d files of checkpoint %d are not in %s any more, %s among them: taken for read and removed",
                len(gone),
                checkpoint,
                location.path,
                gone[0],
            )
        touched = folders({f for _, f in values["files"]} - set(gone))
        for directory in values["successDirectories"]:
            if directory in touched or location.exists(directory):
                self._write_success(location, directory)
                touched.add(directory)
        sync(location, touched)

    # -- the end -----------------------------------------------------------------------------------------------------
    def close(self, *, finished: bool) -> None:
        """With checkpoints what no checkpoint has named is deleted: a resumed job writes it again."""
        self._closed.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        with self._lock:
            if finished and self._error is None and not self._checkpointed:
                self._roll(self._now_ms(), files=True, partitions=True)
            else:
                self._discard()
            self._partitions.clear()
        if finished:
            self._raise_error()

    def _discard(self) -> None:
        for partition in self._partitions.values():
            parts = [*partition.done, *([partition.open] if partition.open is not None else [])]
            for part in parts:
                part.abandon()
                with contextlib.suppress(OSError):  # hidden anyway
                    self._location.fs.delete_file(self._location.join(part.hidden))


def _key_texts(column: pa.Array) -> pa.StringArray:
    """The texts of partition values, which the reader's rules turn into the same values again."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return timestamp_texts(column, iso=False)
    if pa.types.is_time(kind):
        return time_texts(column)
    return double_texts(column) if pa.types.is_floating(kind) else column.cast(pa.string())
