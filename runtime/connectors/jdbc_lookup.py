"""Asking a table of a database for the rows of many keys with one query.

Keys travel as arrays in the parameters: ``WHERE k = ANY($1)``, or a join with ``unnest($1, $2)`` where a key has
several columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from .jdbc_connection import Database, column_of
from .jdbc_types import compared_sql, from_database, key_array, key_sql, read_sql
from .lookup import LookupContext, LookupTable

KEYS_MAX = 20_000
"""Keys a query asks for at most: a larger step asks several times, so that no query grows without limit."""


STOP_S = 2.0
"""How long a query may still take once the job is to end."""


class JdbcLookup(LookupTable):
    """See the module's text."""

    def __init__(self, context: LookupContext) -> None:
        scan = context.scan
        retries: int = scan.options.options["lookup.max-retries"]
        self._database = Database(scan.options, retries, "lookup.max-retries", context.waiting)
        self._types = [(f.name, f.type) for f in scan.physical]
        self._keys = [self._types[k] for k in context.keys]

    def start(self) -> None:
        self._database.watch(STOP_S)
        columns, place = self._database.columns(), self._database.place
        items = [
            f"{read_sql(column_of(columns, name, place), t, place)} AS c{i}"
            for i, (name, t) in enumerate(self._types)
        ]
        keys = [column_of(columns, name, place) for name, _ in self._keys]
        arrays = [
            key_sql(column, t, f"${i + 1}")
            for i, (column, (_, t)) in enumerate(zip(keys, self._keys, strict=True))
        ]
        self._sql = f"SELECT {', '.join(items)} FROM {self._database.table} AS t"
        compared = [compared_sql(column, t) for column, (_, t) in zip(keys, self._keys, strict=True)]
        if len(keys) == 1:
            self._sql += f" WHERE {compared[0]} = ANY({arrays[0]})"
        else:
            names = [f"k{i}" for i in range(len(keys))]
            same = " AND ".join(f"{c} = k.{n}" for c, n in zip(compared, names, strict=True))
            self._sql += f" JOIN unnest({', '.join(arrays)}) AS k({', '.join(names)}) ON {same}"

    def rows(self, keys: Sequence[pa.Array]) -> pa.RecordBatch:
        count = len(keys[0])
        parts = [self._ask([k.slice(start, KEYS_MAX) for k in keys]) for start in range(0, count, KEYS_MAX)]
        return from_database(pa.concat_tables(parts), self._types, self._database.place)

    def _ask(self, keys: Sequence[pa.Array]) -> pa.Table:
        arrays = [key_array(k, t) for k, (_, t) in zip(keys, self._keys, strict=True)]
        lists = [pa.ListArray.from_arrays(pa.array([0, len(a)], pa.int32()), _plain(a)) for a in arrays]
        parameters = pa.RecordBatch.from_arrays(lists, names=[f"k{i}" for i in range(len(lists))])

        def ask(connection: Any) -> pa.Table:
            with connection.cursor() as cursor:
                cursor.execute(self._sql, parameters=parameters)
                return cursor.fetch_arrow_table()

        return self._database.attempt(ask)

    def status(self) -> str | None:
        return self._database.status()

    def close(self) -> None:
        self._database.close()


def _plain(array: pa.Array) -> pa.Array:
    return pa.concat_arrays([array]) if array.offset else array
