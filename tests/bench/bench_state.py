"""Rows per second of the state structures: ``python tests/bench/bench_state.py [keys]``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex
from streamsql.runtime.state.run_store import RunStore
from streamsql.runtime.state.slice_store import SliceStore
from streamsql.runtime.state.slot_column import SlotColumn, raw

BATCH = 100_000


def rate(name: str, rows: int, action: Callable[[int], object], repeat: int = 10) -> None:
    """Prints the rows per second of ``action(i)``, the median of ``repeat`` calls."""
    times = []
    for i in range(repeat):
        start = time.perf_counter()
        action(i)
        times.append(time.perf_counter() - start)
    median, worst = sorted(times)[repeat // 2], max(times)
    print(f"{name:<44} {rows / median / 1e6:8.2f} M rows/s   worst call {worst * 1e3:8.2f} ms")


def bench_keys(name: str, keys: pa.Array, probes: list[pa.Array]) -> None:
    """Insertion of all keys in batches, then lookups of random ones."""
    index = KeyIndex([keys.type])
    batches = [keys.slice(at, BATCH) for at in range(0, len(keys), BATCH)]
    rate(f"hash_columns, {name}", BATCH, lambda i: hash_columns([probes[i]]))
    hashes = [hash_columns([b]) for b in batches]
    rate(
        f"KeyIndex insert, {name}",
        BATCH,
        lambda i: index.lookup_or_insert(hashes[i], [batches[i]]),
        len(batches),
    )
    hashes = [hash_columns([p]) for p in probes]
    rate(
        f"KeyIndex lookup_or_insert of {len(index):,}, {name}",
        BATCH,
        lambda i: index.lookup_or_insert(hashes[i], [probes[i]]),
    )
    rate(f"KeyIndex lookup, {name}", BATCH, lambda i: index.lookup(hashes[i], [probes[i]]))
    rate(f"KeyIndex snapshot, {name}", len(index), lambda i: index.snapshot(), 3)
    print(f"    {index.nbytes / len(index):.0f} bytes per key")


def bench_columns(size: int, random: np.random.Generator) -> None:
    slots = random.integers(0, size, BATCH)
    numbers, texts = SlotColumn(pa.int64()), SlotColumn(pa.string())
    decimals = SlotColumn(pa.decimal128(38, 2))
    values = np.arange(BATCH)
    strings = pa.array([f"value {i}" for i in range(BATCH)])
    cents = pa.array(values).cast(pa.decimal128(38, 2))
    raw_cents = raw(cents)
    numbers.put(np.arange(size), np.zeros(size, np.int64))
    rate("SlotColumn add, int64", BATCH, lambda i: numbers.add(slots, values))
    rate("SlotColumn get, int64", BATCH, lambda i: numbers.get(slots))
    rate("SlotColumn add, decimal", BATCH, lambda i: decimals.add(slots, raw_cents))
    rate("SlotColumn set, string", BATCH, lambda i: texts.set(random.integers(0, size, BATCH), strings), 40)
    rate("SlotColumn get, string", BATCH, lambda i: texts.get(slots))


def bench_slices(random: np.random.Generator) -> None:
    store = SliceStore(pa.schema([("v", pa.int64())]))
    rows = pa.record_batch({"v": np.arange(BATCH)})
    ends = random.integers(1, 10, BATCH) * 1000
    rate("SliceStore append, 9 slices, unsorted", BATCH, lambda i: store.append(ends, rows))
    rate("SliceStore append, 9 slices, sorted", BATCH, lambda i: store.append(np.sort(ends), rows))


def bench_runs(size: int, random: np.random.Generator) -> None:
    """A join's side: appended in batches, probed with 100 k and with 1 k keys; then half of it retracted."""
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("v", pa.float64())])
    store = RunStore(schema, [0])
    ids = random.permutation(size)
    batches = [ids[at : at + BATCH] for at in range(0, size, BATCH)]

    def rows(keys: np.ndarray[Any, Any]) -> pa.RecordBatch:
        names = pa.array([f"name {k}" for k in keys.tolist()])
        return pa.record_batch([pa.array(keys), names, pa.array(keys * 0.5)], schema=schema)

    made = [rows(b) for b in batches]
    hashed = [hash_columns([b.column(0)]) for b in made]
    rate("RunStore append", BATCH, lambda i: store.append(hashed[i], made[i]), len(made))
    some = pa.array(random.choice(size, BATCH, replace=False))
    few = some.slice(0, 1000)
    rate(
        f"RunStore probe 100 k in {store.row_count:,}",
        BATCH,
        lambda i: store.probe(hash_columns([some]), [some]),
    )
    rate("RunStore probe 1 k", 1000, lambda i: store.probe(hash_columns([few]), [few]))
    minus = np.full(BATCH, -1, np.int64)
    rate("RunStore retract", BATCH, lambda i: store.append(hashed[i], made[i], minus), len(made))
    rate(
        "RunStore probe 100 k, consolidated",
        BATCH,
        lambda i: store.probe(hash_columns([some]), [some], consolidate=True),
    )
    print(f"    {store.row_count:,} rows left in {store.run_count} runs")


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    random = np.random.default_rng(7)
    picks = [random.integers(0, size, BATCH) for _ in range(10)]
    ids = pa.array(random.permutation(size) * 7919)
    bench_keys("int64", ids, [ids.take(pa.array(p)) for p in picks])
    names = pa.array([f"key-{i}" for i in range(size)])
    bench_keys("string", names, [names.take(pa.array(p)) for p in picks])
    bench_columns(size, random)
    bench_slices(random)
    bench_runs(size, random)


if __name__ == "__main__":
    main()
