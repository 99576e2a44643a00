"""Groups are found again after a restore although DuckDB hashes their keys differently than before."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.runtime.engine import Engine
from streamsql.runtime.state.engine_hash import EngineHash
from streamsql.runtime.state.key_index import HASHING, KEYS, KeyIndex
from tests.harness import Harness, Table, harness

DAY = dt.date(2024, 2, 29)
TIME = dt.datetime(2024, 2, 29, 12, 30, 15, 123000)
KEYS_OF: list[tuple[pa.DataType, list[Any]]] = [
    (pa.bool_(), [True, False, None]),
    (pa.int8(), [1, -1, None]),
    (pa.int16(), [300, -1]),
    (pa.int32(), [70_000, None]),
    (pa.int64(), [2**40, -(2**40), 7]),
    (pa.float32(), [1.5, -0.0, float("nan")]),
    (pa.float64(), [1e300, -0.0, float("inf"), None]),
    (pa.decimal128(4, 1), [Decimal("1.5"), Decimal("-99.9")]),
    (pa.decimal128(12, 3), [Decimal("1.500"), None]),
    (pa.decimal128(38, 0), [Decimal(10**37), Decimal(-3)]),
    (pa.string(), ["", "short", "a text of more than twelve bytes", None]),
    (pa.binary(), [b"", b"\x00\xff", b"x" * 40]),
    (pa.date32(), [DAY, None]),
    (pa.time64("us"), [TIME.time()]),
    (pa.timestamp("us"), [TIME, None]),
    (pa.timestamp("us", "UTC"), [TIME.replace(tzinfo=dt.UTC)]),
    (pa.list_(pa.int64()), [[1, None], [], None]),
    (pa.struct([("a", pa.int32()), ("b", pa.string())]), [{"a": 1, "b": "x"}]),
]
SQL = "SELECT k, SUM(v) AS s, COUNT(DISTINCT v) AS d FROM t GROUP BY k"


def states(h: Harness) -> dict[str, Any]:
    return next(v for v in h._vertices() if "Aggregate" in v.name).context.states


def push(h: Harness, arrow_type: pa.DataType, keys: list[Any], v: int) -> None:
    columns = {"k": pa.array(keys, arrow_type), "v": pa.array([v] * len(keys), pa.int32())}
    h.step({"t": ChangelogBatch(pa.record_batch(columns))}, {})


@pytest.mark.parametrize(("arrow_type", "keys"), KEYS_OF, ids=[str(t) for t, _ in KEYS_OF])
def test_keys_of_every_type_are_hashed_as_the_query_does(arrow_type: pa.DataType, keys: list[Any]) -> None:
    engine = Engine(threads=1)
    try:
        with harness(SQL, {"t": Table({"k": arrow_type, "v": pa.int32()})}) as h:
            push(h, arrow_type, keys, 1)
            for index in (s for s in states(h).values() if isinstance(s, KeyIndex)):
                slots = index.live_slots()
                assert EngineHash(engine.query)(index.keys(slots)).tolist() == index.hashes(slots).tolist()
    finally:
        engine.close()


def test_groups_of_another_hash_function_are_found_again() -> None:
    types = {"t": Table({"k": pa.string(), "v": pa.int32()})}
    with harness(SQL, types) as h, harness(SQL, types) as other:
        push(h, pa.string(), ["a", None, "b"], 1)
        for name, state in states(h).items():
            tables = state.snapshot()
            if HASHING in tables:
                table = tables[KEYS]
                hashes = table["hash"].to_numpy() + np.uint64(12345)
                at = table.schema.get_field_index("hash")
                tables[KEYS] = table.set_column(at, "hash", pa.array(hashes))
                tables[HASHING] = pa.table({"probe": [1]})
            copy = states(other)[name]
            copy.track_changes()
            copy.restore(tables)
            if HASHING in tables:  # the next checkpoint has the new hashes
                assert copy.changes()[KEYS].num_rows == 3
                assert copy.changes()[KEYS].num_rows == 0
        push(other, pa.string(), ["b", None], 2)
        assert sorted(other.content("GroupAggregate")) == sorted(["+I a 1 1", "+I null 3 2", "+I b 3 2"])
