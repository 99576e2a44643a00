"""Hashes of keys by DuckDB's ``hash()``, which another version of DuckDB may compute in another way.

Where a query hashes the keys of a group, state must be probed with the same function. A :class:`KeyIndex` that is
given an :class:`EngineHash` writes :attr:`EngineHash.probe` with its snapshot; restored where the probe differs, it
hashes its keys anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from .buffers import U64
from .hashing import hash_columns

Query = Callable[[str, Mapping[str, pa.Table]], pa.Table]
"""Runs a query over tables by name."""

_probe: list[int] = []  # of this process, once it is known

# Values of every kind of hash: integers of each width, floats with both zeros, short and long strings, times.
_SAMPLES = """
SELECT hash(v::TINYINT, v::SMALLINT, v::INTEGER, v::BIGINT), hash(v::BIGINT), hash(v * 0.5::DOUBLE, v * 0.25::FLOAT),
  hash(repeat('ab', v::INTEGER)), hash(repeat('ab', v::INTEGER), v), hash(v::DECIMAL(38, 2)), hash(v::DECIMAL(9, 2)),
  hash(v > 2), hash(DATE '2020-01-01' + v::INTEGER), hash(make_timestamp(v * 1000003)), hash(NULL::BIGINT),
  hash(NULL::VARCHAR, v), hash([v, NULL]), hash({'a': v, 'b': 'x'}), hash(encode('x' || v)), hash(0.0), hash(-0.0)
FROM (SELECT unnest([0, 1, 3, 7, 12, 40]) AS v) ORDER BY v
"""


class EngineHash:
    """``hash(k0, k1, …)`` as the queries of aggregates compute it; ``query`` is that of an engine."""

    def __init__(self, query: Query) -> None:
        self._query = query

    @property
    def probe(self) -> int:
        """A number that another hash function would give differently."""
        if not _probe:
            hashes = [h for column in self._query(_SAMPLES, {}).columns for h in column.to_pylist()]
            _probe.append(int(hash_columns([pa.array([hashes], pa.list_(pa.uint64()))]).view(np.int64)[0]))
        return _probe[0]

    def __call__(self, columns: Sequence[pa.Array]) -> U64:
        names = [f"k{i}" for i in range(len(columns))]
        found = self._query(
            f"SELECT hash({', '.join(names)}) AS h FROM rehashed",
            {"rehashed": pa.table(list(columns), names=names)},
        )
        return np.array(found["h"].to_numpy(), np.uint64)
