"""The ``upsert-kafka`` connector: a topic as a table, the last message of a key is its row, a NULL value
deletes it.

Reading yields upsert batches (+1 sets the row of a key, −1 deletes it). Writing sends, for each key that a
step touches, its last row or a tombstone; equal keys go to one partition, the one where Java's producers
put them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch

from .base import Sink, SinkContext, Source, SourceContext
from .kafka_client import owner_of
from .kafka_layout import layout_of
from .kafka_rows import UpsertRowBuilder
from .kafka_send import Messages, MessageSender
from .kafka_sink import ABORT_FLUSH_S, RowEncoder, sink_topic
from .kafka_source import KafkaSource


def create_source(context: SourceContext) -> Source:
    return KafkaSource(context, UpsertRowBuilder)


def create_sink(context: SinkContext) -> Sink:
    return UpsertKafkaSink(context)


class UpsertKafkaSink(Sink):
    """The sink of an ``upsert-kafka`` table.

    With ``sink.buffer-flush.*`` the last message of each key is held back until so many keys or so much
    time has passed; a timer sends what a quiet query leaves behind.
    """

    def __init__(self, context: SinkContext) -> None:
        options = context.options.options
        self._owner = owner_of(context)
        self._upsert = context.upsert
        layout = layout_of(context.table, context.options)
        assert layout.key is not None, "checked by the connector's validate"
        self._key_columns = [context.schema.index(name) for name in layout.key.columns]
        self._key = RowEncoder(layout.key, context)
        self._value = RowEncoder(layout.value, context)
        self._topic = sink_topic(context, context.options) or ""
        self._rows_max = int(options["sink.buffer-flush.max-rows"])
        self._interval_s = int(options["sink.buffer-flush.interval"]) / 1000
        self._held: dict[bytes | None, bytes | None] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._timer_error: BaseException | None = None
        self._wake = context.wake
        self._sender = MessageSender(context)

    def start(self) -> None:
        self._sender.check_topic(self._topic)

    def write(self, batch: ChangelogBatch) -> None:
        if batch.num_rows == 0:
            return
        keys, _ = self._key.encode(ChangelogBatch(batch.rows))
        chosen, deleted = last_changes(batch, keys, upsert=self._upsert)
        if not len(chosen):
            return
        picked = keys.take(pa.array(chosen)).to_pylist()
        values: list[bytes | None] = [None] * len(chosen)
        written = np.flatnonzero(~deleted)
        if len(written):
            rows = batch.rows.take(pa.array(chosen[written]))
            encoded, _ = self._value.encode(ChangelogBatch(rows))
            for i, value in zip(written.tolist(), encoded.to_pylist(), strict=True):
                values[i] = value
        if self._rows_max:
            self._hold(picked, values)
        else:
            self._sender.send(self._topic, Messages(values, picked))

    def _hold(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        with self._lock:
            for key, value in zip(keys, values, strict=True):
                self._held.pop(key, None)  # the last change of a key decides its place
                self._held[key] = value
            if len(self._held) >= self._rows_max:
                self._send_held()
            elif self._timer is None:
                self._timer = threading.Timer(self._interval_s, self._on_time)
                self._timer.daemon = True
                self._timer.start()

    def _send_held(self) -> None:
        held, self._held = self._held, {}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if held:
            self._sender.send(self._topic, Messages(list(held.values()), list(held)))

    def _on_time(self) -> None:
        """The timer's thread."""
        try:
            with self._lock:
                self._timer = None
                self._send_held()
        except Exception as e:
            self._timer_error = e
            self._wake()

    def flush(self) -> None:
        if self._timer_error is not None:
            raise self._timer_error
        self._sender.poll()

    def settle(self, timeout_s: float) -> bool:
        with self._lock:
            self._send_held()
        return self._sender.settle(timeout_s)

    def close(self, *, finished: bool) -> None:
        try:
            with self._lock:
                if finished:
                    self._send_held()
                elif self._timer is not None:
                    self._timer.cancel()
            self._sender.finish(None if finished else ABORT_FLUSH_S)
        finally:
            self._sender.close()
            self._key.close()
            self._value.close()

    def status(self) -> str | None:
        return self._sender.status()


def last_changes(
    batch: ChangelogBatch, keys: pa.BinaryArray, *, upsert: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """What a step leaves of each key: the index of its last row, and whether the key is gone; in order of
    last change.

    In upsert mode the last change of a key counts. In retract mode a key is gone when its deletions
    outweigh its insertions, and else its row is the last one inserted that was not taken back.

    >>> rows = pa.RecordBatch.from_pydict({"k": ["a", "b", "a"], "v": [1, 2, 3]})
    >>> batch = ChangelogBatch(rows, np.array([1, 1, -1]))
    >>> last_changes(batch, rows.column(0).cast(pa.binary()), upsert=True)
    (array([1, 2]), array([False,  True]))
    """
    weights = batch.weights
    codes = np.asarray(keys.dictionary_encode(null_encoding="encode").indices.to_numpy(), np.int64)
    order = np.arange(len(codes))
    if weights is not None:
        order = order[weights != 0]
    last = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    last[codes[order]] = order  # of several assignments numpy keeps the last
    chosen = np.sort(last[last >= 0])
    if weights is None:
        return chosen, np.zeros(len(chosen), bool)
    deleted = weights[chosen] < 0
    if not upsert:
        _look_behind_deletions(batch, codes, chosen, deleted)
    return chosen, deleted


def _look_behind_deletions(
    batch: ChangelogBatch,
    codes: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    deleted: npt.NDArray[np.bool_],
) -> None:
    """Retract mode: a key whose last change is a deletion may still have a row that was inserted before it.

    Changes ``chosen`` and ``deleted`` in place. Rare (a producer that inserts before it deletes), hence row
    by row.
    """
    assert batch.weights is not None
    positive = np.zeros(len(codes) and int(codes.max()) + 1, bool)
    positive[codes[batch.weights > 0]] = True
    for place in np.flatnonzero(deleted & positive[codes[chosen]]).tolist():
        members = np.flatnonzero(codes == codes[chosen[place]])
        rows = [repr(r) for r in batch.rows.take(pa.array(members)).to_pylist()]
        net: Counter[str] = Counter()
        for row, weight in zip(rows, batch.weights[members].tolist(), strict=True):
            net[row] += weight
        alive = [m for m, row in zip(members.tolist(), rows, strict=True) if net[row] > 0]
        if alive:
            chosen[place], deleted[place] = alive[-1], False
