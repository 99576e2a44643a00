"""Batch mode: read every source to its end, then answer the whole query with one DuckDB query.

The same plan, functions and types as the streaming run; this is its oracle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streamsql.changelog import ChangelogBatch, ChangelogMode
from streamsql.errors import ValidationError
from streamsql.planner import logical as l
from streamsql.planner import physical as p
from streamsql.planner.batch import to_batch
from streamsql.schema import Schema

from .build import BuildOptions
from .build_match import match_rows
from .connectors import create_source
from .connectors.base import SourceContext
from .engine import Engine, conform, internal_names, internal_schema
from .expressions import FragmentCompiler


def run_batch(root: l.LogicalNode, options: BuildOptions, now_ms: Callable[[], int]) -> pa.Table:
    """The rows of ``root`` under its column names. Raises ValidationError for a source that never ends."""
    compiler = FragmentCompiler(options.time_zone)

    def windows(node: l.WindowTable, source: str, extra: list[str]) -> str:
        made = p.WindowTableFunction(
            schema=node.schema, inputs=(p.Union(schema=node.input.schema),), window=node.window
        )
        return compiler.window_table(made, source, extra)

    query = to_batch(root, compiler.context, windows)
    engine = Engine(threads=options.threads, time_zone=options.time_zone)
    try:
        options.register_functions(engine)
        engine.set_now(now_ms())
        tables = {f"scan{i}": _read(scan, options, now_ms, engine) for i, scan in enumerate(query.scans)}
        tables |= {f"history{i}": _changes(scan, options, now_ms) for i, scan in enumerate(query.histories)}
        for matched in query.matches:
            rows = engine.query(matched.sql, tables)
            tables[matched.name] = _numbered(match_rows(matched.node, rows, engine, compiler, now_ms()))
        found = engine.query(query.sql, tables)
    finally:
        engine.close()
    rows = conform(found, internal_schema(root.schema))
    return pa.Table.from_batches([rows]).rename_columns(root.schema.names)


def _read(scan: l.Scan, options: BuildOptions, now_ms: Callable[[], int], engine: Engine) -> pa.Table:
    """All rows of a table, with ``o``, their order of arrival."""
    changes = ChangelogBatch.concat(_drain(scan, options, now_ms))
    schema = internal_schema(scan.schema)
    if changes is None:
        rows = pa.Table.from_batches([], schema)
    else:
        rows = pa.Table.from_batches([changes.rows.rename_columns(schema.names)]).cast(schema)
        if scan.options.source_mode is not ChangelogMode.INSERT_ONLY:
            rows = _applied(rows, changes.weight_array(), scan, engine)
    return _numbered(rows)


def _changes(scan: l.Scan, options: BuildOptions, now_ms: Callable[[], int]) -> pa.Table:
    """All changes of a table, with their weights ``w`` and ``o``, their order of arrival."""
    changes = ChangelogBatch.concat(_drain(scan, options, now_ms))
    schema = internal_schema(scan.schema)
    if changes is None:
        rows, weights = pa.Table.from_batches([], schema), np.zeros(0, np.int64)
    else:
        rows = pa.Table.from_batches([changes.rows.rename_columns(schema.names)]).cast(schema)
        weights = changes.weight_array()
    return _numbered(rows.append_column("w", pa.array(weights)))


def _numbered(rows: pa.Table) -> pa.Table:
    return rows.append_column("o", pa.array(np.arange(rows.num_rows)))


def _drain(scan: l.Scan, options: BuildOptions, now_ms: Callable[[], int]) -> list[ChangelogBatch]:
    width = len(scan.schema) - len(scan.metadata)
    ready = threading.Event()
    context = SourceContext(
        table=scan.table, options=scan.options, physical=Schema(scan.schema.fields[:width]), metadata=scan.metadata,
        metadata_schema=Schema(scan.schema.fields[width:]), positions={}, wake=ready.set, now_ms=now_ms,
        time_zone=options.time_zone, batch_rows_max=options.batch_rows_max, bounded=True, job_name="batch",
    )  # fmt: skip
    source = create_source(context)
    batches: list[ChangelogBatch] = []
    finished: set[str] = set()
    try:
        source.start()
        if not source.bounded:
            raise ValidationError(
                f"table {scan.table.path} never ends, so it cannot be read in batch mode",
                hint="bound it, as with 'scan.bounded.mode'='latest-offset' or 'number-of-rows', or use streaming mode",
            )
        while True:
            ready.clear()
            found = source.poll(options.batch_rows_max)
            if found is not None:
                if found.batch is not None:
                    batches.append(found.batch)
                finished |= found.finished
                continue
            if finished and set(source.splits()) <= finished:
                return batches
            ready.wait(0.1)
    finally:
        source.close()


def _applied(rows: pa.Table, weights: npt.NDArray[np.int64], scan: l.Scan, engine: Engine) -> pa.Table:
    """The table that a changelog amounts to."""
    names = internal_names(len(scan.schema))
    columns = ", ".join(names)
    table = rows.append_column("w", pa.array(weights)).append_column("n", pa.array(np.arange(len(weights))))
    if scan.options.source_mode is ChangelogMode.UPSERT:
        key = ", ".join(f"c{scan.schema.index(k)}" for k in scan.table.primary_key)
        last = f"SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY n DESC) AS r FROM changes"
        sql = f"SELECT {columns} FROM ({last}) WHERE r = 1 AND w > 0 ORDER BY n"
    else:
        summed = f"SELECT {columns}, sum(w)::BIGINT AS w, min(n) AS n FROM changes GROUP BY {columns}"
        sql = f"SELECT {columns} FROM (SELECT *, unnest(range(w)) FROM ({summed}) WHERE w > 0) ORDER BY n"
    return engine.query(sql, {"changes": table}).cast(internal_schema(scan.schema))
