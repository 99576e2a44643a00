"""DuckDB as the vectorised executor of fragments: one in-memory database a job.

A :class:`Fragment` is one query bound once over the step's batches and run every step (about 1 ms fixed,
then millions of rows a second). Columns inside a job are named by position (``c0``, ``c1`` …); people's
names are put on at the edges.
"""

from __future__ import annotations

import datetime as dt
import gc
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.errors import DataError
from streamsql.schema import Schema

NOW = "getvariable('now')"
"""How a fragment reads the clock of its step."""

WATERMARK = "getvariable('watermark')"
"""How a fragment reads the watermark of its operator in epoch ms, NULL before the first."""

WEIGHT = "w"
"""Name of the weight column inside fragments."""

CHUNK_ROWS = 65_536
"""Batches are offered to DuckDB in slices of this many rows, so that two threads share a large step."""


def internal_names(count: int) -> list[str]:
    """``c0 … cN``."""
    return [f"c{i}" for i in range(count)]


def internal_schema(schema: Schema, *, weighted: bool = False) -> pa.Schema:
    """The Arrow schema of a plan edge inside a job, with the weight column last if asked for."""
    fields = [pa.field(f"c{i}", f.type.arrow) for i, f in enumerate(schema)]
    if weighted:
        fields.append(pa.field(WEIGHT, pa.int64()))
    return pa.schema(fields)


def with_weights(batch: ChangelogBatch) -> pa.RecordBatch:
    """The batch with its weights as a last column."""
    return batch.rows.append_column(pa.field(WEIGHT, pa.int64()), pa.array(batch.weight_array()))


def split_weights(rows: pa.RecordBatch, schema: pa.Schema) -> ChangelogBatch:
    """The inverse of :func:`with_weights`; ``schema`` is that of the rows without the weight column."""
    weights = rows.column(rows.num_columns - 1).to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return ChangelogBatch(pa.RecordBatch.from_arrays(rows.columns[:-1], schema=schema), weights)


class _Input:
    """What DuckDB scans: the current batches of one fragment input, offered through the Arrow C stream interface."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.batches: list[pa.RecordBatch] = []

    def offer(self, rows: pa.RecordBatch | None) -> None:
        if rows is None or rows.num_rows == 0:
            self.batches = []
        elif rows.num_rows <= CHUNK_ROWS:
            self.batches = [_unsliced(rows)]
        else:
            self.batches = [_unsliced(rows.slice(i, CHUNK_ROWS)) for i in range(0, rows.num_rows, CHUNK_ROWS)]

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches)
        return reader.__arrow_c_stream__(requested_schema)


def _unsliced(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without offsets in columns that hold a ROW: DuckDB refuses a slice of them."""
    if not any(c.offset and _holds_struct(c.type) for c in rows.columns):
        return rows
    columns = [pa.concat_arrays([c]) if c.offset and _holds_struct(c.type) else c for c in rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _holds_struct(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return True
    return any(_holds_struct(type_.field(i).type) for i in range(type_.num_fields))


class Fragment:
    """One query over named inputs; see :meth:`Engine.fragment`."""

    def __init__(
        self,
        relation: Any,
        inputs: Mapping[str, _Input],
        output: pa.Schema,
        what: str,
        before: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._relation: Any = relation
        self._inputs = inputs
        self.output = output
        self._what = what
        self._before = before

    def run(self, **batches: pa.RecordBatch | None) -> pa.RecordBatch:
        """The query's rows over these batches, in the output schema.

        Raises DataError naming the row that cannot be evaluated (found by bisection) and DuckDB's reason.
        """
        for apply in self._before:
            apply()
        for name, source in self._inputs.items():
            source.offer(batches.get(name))
        try:
            table = self._relation.to_arrow_table()
        except duckdb.Error as e:
            raise self._bad_row(batches, e) from None
        finally:
            for source in self._inputs.values():
                source.batches = []
        return conform(table, self.output)

    def _bad_row(self, batches: Mapping[str, pa.RecordBatch | None], error: duckdb.Error) -> DataError:
        present = {n: b for n, b in batches.items() if b is not None and b.num_rows}
        reason = tidy_message(str(error))
        if len(present) != 1:
            return DataError(f"{self._what}: {reason}", hint=_remedy(reason))
        name, rows = next(iter(present.items()))
        while rows.num_rows > 1:
            half = rows.num_rows // 2
            if (found := self._error_of(name, rows.slice(0, half))) is not None:
                rows, reason = rows.slice(0, half), found
            elif (found := self._error_of(name, rows.slice(half))) is not None:
                rows, reason = rows.slice(half), found
            else:
                return DataError(f"{self._what}: {reason}", hint=_remedy(reason))
        values = ", ".join(repr(v) for v in rows.to_pylist()[0].values())
        return DataError(
            f"{self._what}: {reason}; input row ({values[:500]})",
            hint=_remedy(reason) or "filter such rows out before",
        )

    def _error_of(self, name: str, rows: pa.RecordBatch) -> str | None:
        self._inputs[name].offer(rows)
        try:
            self._relation.to_arrow_table()
        except duckdb.Error as e:
            return tidy_message(str(e))
        finally:
            self._inputs[name].batches = []
        return None

    def close(self) -> None:
        self._relation = None
        self._inputs = {}


class Engine:
    """The DuckDB database of one job. Not thread-safe: it belongs to the job's driver thread."""

    def __init__(self, *, threads: int = 2, time_zone: str = "UTC") -> None:
        self._connection: Any = duckdb.connect(config={"threads": str(threads)})
        self._connection.execute(f"SET TimeZone='{time_zone}'")
        self._connection.execute("SET default_null_order='nulls_first_on_asc_last_on_desc'")
        self._fragments: list[Fragment] = []
        self._count = 0
        self._now: int | None = None
        self._applied_now: int | None = None
        self._watermark: int | None = None
        self._applied_watermark: int | None = -1

    @property
    def connection(self) -> Any:
        """The DuckDB connection, for registering user functions."""
        return self._connection

    def set_now(self, now_ms: int) -> None:
        """The clock reading of this step, read by CURRENT_TIMESTAMP and PROCTIME()."""
        self._now = now_ms

    def apply_now(self) -> None:
        """Tell DuckDB the clock reading; only fragments that read the clock pay for it."""
        if self._now is not None and self._now != self._applied_now:
            self._applied_now = self._now
            instant = dt.datetime.fromtimestamp(self._now / 1000, dt.UTC)
            text = instant.isoformat(timespec="milliseconds")
            self._connection.execute(f"SET VARIABLE now = TIMESTAMPTZ '{text}'")

    def set_watermark(self, watermark_ms: int | None) -> None:
        """The watermark of the operator that runs next, read by CURRENT_WATERMARK; None before the first one."""
        self._watermark = watermark_ms

    def apply_watermark(self) -> None:
        """Tell DuckDB the watermark; only fragments that read it pay for it."""
        if self._watermark != self._applied_watermark:
            self._applied_watermark = self._watermark
            value = "NULL" if self._watermark is None else str(self._watermark)
            self._connection.execute(f"SET VARIABLE watermark = {value}::BIGINT")

    def _read_before(self, sql: str) -> list[Callable[[], None]]:
        """What to tell DuckDB before it evaluates a query, or binds it, which reads variables too."""
        readings = {NOW: self.apply_now, WATERMARK: self.apply_watermark}
        return [apply for name, apply in readings.items() if name in sql]

    @contextmanager
    def without_shared_expressions(self) -> Generator[None]:
        """Queries run inside compute equal expressions apart.

        Else DuckDB computes what occurs twice beforehand, outside of the TRY around it, and fails.
        """
        self._connection.execute("SET disabled_optimizers = 'common_subexpressions'")
        try:
            yield
        finally:
            self._connection.execute("RESET disabled_optimizers")

    def fragment(self, sql: str, inputs: Mapping[str, pa.Schema], output: pa.Schema, what: str) -> Fragment:
        """Bind a query once. ``{name}`` in ``sql`` stands for the relation of that input.

        ``what`` says in an error what was being computed (``Calc(select=[…])``).
        """
        sources: dict[str, _Input] = {}
        for name, schema in inputs.items():
            self._count += 1
            registered = f"in{self._count}"
            sources[name] = _Input(schema)
            self._connection.register(registered, sources[name])
            sql = sql.replace("{" + name + "}", registered)
        before = self._read_before(sql)
        for apply in before:
            apply()
        try:
            relation = self._connection.sql(sql)
        except duckdb.Error as e:
            raise DataError(f"{what}: {tidy_message(str(e))}\n{sql}") from e
        fragment = Fragment(relation, sources, output, what, before)
        self._fragments.append(fragment)
        return fragment

    def query(self, sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Run a query once over whole tables (batch mode, live queries)."""
        for apply in self._read_before(sql):
            apply()
        for name, table in tables.items():
            whole = [_unsliced(batch) for batch in table.to_batches()]
            self._connection.register(name, pa.Table.from_batches(whole, table.schema))
        try:
            return self._connection.sql(sql).to_arrow_table()
        except duckdb.Error as e:
            reason = tidy_message(str(e))
            raise DataError(reason, hint=_remedy(reason)) from None
        finally:
            for name in tables:
                self._connection.unregister(name)

    def close(self) -> None:
        for fragment in self._fragments:
            fragment.close()
        self._fragments.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            gc.collect()  # relations hold cycles into the binding; freeing them here keeps exit silent


def conform(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    """One record batch with exactly the schema's types and names."""
    arrays = []
    for column, field in zip(table.columns, schema, strict=True):
        array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
        arrays.append(array if array.type.equals(field.type) else array.cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def tidy_message(text: str) -> str:
    """DuckDB's message without its error class and its excerpt of generated SQL."""
    first = re.split(r"\n\s*\n|\nLINE ", text.strip())[0].replace("\n", " ")
    for pattern in _CASTS:
        if found := pattern.search(first):
            type_ = found["type"]
            return f"cannot cast '{found['value']}' to {_TYPES.get(type_, type_)}"
    if re.search(r"division by zero", first, re.IGNORECASE):
        return "division by zero"  # the rest names settings of DuckDB, which SET does not know
    return re.sub(r"^(?:[A-Z][A-Za-z ]* )?Error: ", "", first)


_CASTS = (
    re.compile(
        r"Could not convert string ['\"](?:not an? [a-z]+: )?(?P<value>.*)['\"] to (?P<type>\w+(\([\d, ]+\))?)"
    ),
    re.compile(r"\"not a (?P<type>\w+): (?P<value>.*)\", expected"),
)
_TYPES = {"INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INT", "INT64": "BIGINT", "BOOL": "BOOLEAN"}


def _remedy(reason: str) -> str | None:
    """What to do about an evaluation that failed; None where nothing is known."""
    if "more than one row" in reason:
        return "make it one value, as in SELECT MAX(x), or LIMIT 1"
    if reason == "division by zero":
        return "divide by NULLIF(divisor, 0), or filter such rows out before"
    if re.search(r"cast|convert", reason, re.IGNORECASE):
        return "use TRY_CAST, or filter such rows out before"
    return None


def select(exprs: Sequence[str], source: str, where: str | None = None) -> str:
    """``SELECT e0 AS c0, e1 AS c1 … FROM source WHERE …``."""
    items = ", ".join(f"{e} AS c{i}" for i, e in enumerate(exprs)) or "1 AS c0"
    return f"SELECT {items} FROM {source}" + (f" WHERE {where}" if where else "")
