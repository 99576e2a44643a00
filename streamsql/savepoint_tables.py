"""Savepoints and checkpoints as tables, read offline.

``savepoint_metadata('path')`` lists what is in one. ``savepoint_state('path', 'operator')`` gives the rows that an
operator, or a view, held: the job is planned again from what the savepoint knows of it, so the columns have their
names. Where that fails, ``savepoint_state('path', 'operator', 'piece')`` gives a piece of state as it is stored.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import job_options, python_tables
from .catalog.table import ObjectPath, TableDefinition
from .datatypes import BIGINT, INT, STRING
from .errors import StateError, StreamSqlError, ValidationError, did_you_mean
from .job_resumption import make_again
from .planner import pipeline
from .planner import statements as stmt
from .planner.join_conditions import unique_names
from .planner.physical import PhysicalPlan
from .runtime.checkpoint.found import Found
from .runtime.checkpoint.savepoints import open_savepoint
from .runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot
from .runtime.connectors.in_process import schema_of
from .runtime.saved_job import SavedJob, holds_rows, raw_state, reopen
from .schema import Field, Schema

if TYPE_CHECKING:
    from .session import TableEnvironment

NewSession = Callable[[], "TableEnvironment"]
Read = Callable[[Sequence[str]], TableDefinition]

METADATA = Schema.of(
    [
        Field("checkpoint-id", BIGINT().not_null()),
        Field("operator-name", STRING()),
        Field("operator-uid", STRING()),
        Field("operator-uid-hash", STRING().not_null()),
        Field("operator-parallelism", INT().not_null()),
        Field("operator-max-parallelism", INT().not_null()),
        Field("operator-coordinator-state-size-in-bytes", BIGINT().not_null()),
        Field("operator-total-size-in-bytes", BIGINT().not_null()),
        Field("operator-kind", STRING().not_null()),
        Field("operator-description", STRING()),
        Field("state-names", STRING()),
        Field("state-rows", BIGINT().not_null()),
    ]
)
"""Flink's columns, then ours."""


def table_functions(new_session: NewSession) -> Mapping[str, Read]:
    """The functions by name, for the binder. ``new_session``: makes an empty one, to plan saved jobs in."""
    return {
        "SAVEPOINT_METADATA": lambda arguments: metadata(*_given("SAVEPOINT_METADATA", arguments, 1, 1)),
        "SAVEPOINT_STATE": lambda arguments: state(new_session, *_given("SAVEPOINT_STATE", arguments, 2, 3)),
    }


def _given(name: str, arguments: Sequence[str], least: int, most: int) -> Sequence[str]:
    if not least <= len(arguments) <= most:
        wanted = {1: "('path')", 3: "('path', 'operator') or ('path', 'operator', 'piece of state')"}[most]
        raise ValidationError(f"{name} takes {wanted}, found {len(arguments)} arguments")
    return arguments


def _table(name: str, rows: pa.Table, schema: Schema | None = None) -> TableDefinition:
    return python_tables.finite(
        ObjectPath("jobs", "savepoints", name), schema or schema_of(rows.schema), rows
    )


def _opened(path: str) -> Found:
    try:
        return open_savepoint(path)
    except OSError as error:
        raise StateError(
            f"'{path}' cannot be read: {error.strerror or error}",
            hint="give the path of a savepoint or checkpoint",
        ) from None


# -- what is in one ------------------------------------------------------------------------------------------------
def metadata(path: str) -> TableDefinition:
    """One row for each source, operator and sink."""
    rows = list(_entries(_opened(path)))
    columns = [[row[i] for row in rows] for i in range(len(METADATA))]
    arrays = [pa.array(c, f.type.arrow) for c, f in zip(columns, METADATA, strict=True)]
    return _table("savepoint_metadata", pa.Table.from_arrays(arrays, names=METADATA.names), METADATA)


def _entries(found: Found) -> Iterator[list[Any]]:
    content = found.manifest.content
    sizes: Counter[tuple[str, ...]] = Counter()
    counts: Counter[tuple[str, ...]] = Counter()
    for place, parts in found.manifest.chains().items():
        sizes[place[:3]] += sum(part.length for part in parts)
        counts[place[:3]] += sum(part.rows for part in parts) if holds_rows(place[4]) else 0
    for kind in ("source", "operator", "sink"):
        seen: Counter[str] = Counter()
        for entry in content[f"{kind}s"]:
            fingerprint = str(entry["fingerprint"])
            place = (kind, fingerprint, str(seen[fingerprint]))
            seen[fingerprint] += 1
            names = ", ".join(entry["states"]) if entry.get("states") else None
            yield [
                found.number, entry["name"], fingerprint, fingerprint, 1, 1, 0, sizes[place],
                kind, entry.get("description"), names, counts[place],
            ]  # fmt: skip


# -- what an operator held -----------------------------------------------------------------------------------------
def state(new_session: NewSession, path: str, operator: str, piece: str | None = None) -> TableDefinition:
    """The rows of one operator, by name or fingerprint, or of a view."""
    saved = _opened(path).snapshot()
    with contextlib.ExitStack() as stack:
        job: SavedJob | None = None
        trouble: StreamSqlError | None = None
        try:
            job = stack.enter_context(_reopened(new_session, saved))
        except StreamSqlError as error:
            trouble = error
        rows = _rows(saved, job, operator, piece, trouble)
        return _table("savepoint_state", _readable(rows))


def _rows(
    saved: JobSnapshot, job: SavedJob | None, name: str, piece: str | None, trouble: StreamSqlError | None
) -> pa.Table:
    operator = _find(saved, name)
    if operator is None:
        if job is not None and piece is None and name in job.views():
            rows = job.view(name)
            if rows is None:
                raise StateError(f"view '{name}' is an endless stream: no state holds its rows")
            return rows
        raise _unknown(saved, job, name)
    if piece is not None and piece not in operator.states:
        raise StateError(
            f"{operator.name} keeps no state '{piece}'", hint=f"it keeps {', '.join(operator.states)}"
        )
    rows = None if job is None else job.state(operator, piece)
    if rows is not None:
        return rows
    if piece is not None:
        return raw_state(operator, piece)
    if job is not None and job.asks(operator):
        wrong = f"what {operator.name} yields is not known without the system that it asks"
    else:
        why = "this version plans it in another way" if trouble is None else trouble.message
        wrong = f"the job of the savepoint cannot be planned again: {why}"
    raise StateError(
        wrong,
        hint=f"read the state as it is stored: savepoint_state('…', '{name}', '{next(iter(operator.states))}'), "
        f"or another of {', '.join(operator.states)}",
    )


def _find(saved: JobSnapshot, name: str) -> OperatorSnapshot | None:
    return next((o for o in saved.operators if o.states and name in (o.name, o.fingerprint)), None)


def _unknown(saved: JobSnapshot, job: SavedJob | None, name: str) -> StateError:
    known = [o.name for o in saved.operators if o.states]
    views = [] if job is None else list(job.views())
    shown = f"operators with state: {', '.join(known) or 'none'}"
    shown += f"; views: {', '.join(views)}" if views else ""
    return StateError(
        f"the savepoint holds no state of '{name}'", hint=did_you_mean(name, [*known, *views]) or shown
    )


def _readable(rows: pa.Table) -> pa.Table:
    """The table with names that differ, and texts where SQL has no such type; without columns it has nothing."""
    if not rows.num_columns:
        return pa.table({"key": pa.array([], pa.int64())})  # a group of all rows has no key
    columns: list[pa.ChunkedArray] = []
    for column in rows.columns:
        try:
            schema_of(pa.schema([pa.field("c", column.type)]))
        except StreamSqlError:
            column = pa.chunked_array(
                [pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())]
            )
        columns.append(column)
    return pa.Table.from_arrays(columns, names=unique_names(rows.schema.names))


# -- the job again -------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def _reopened(new_session: NewSession, saved: JobSnapshot) -> Generator[SavedJob]:
    """The operators of the saved job with their state. Raises StreamSqlError where it cannot be planned."""
    env = new_session()
    try:
        plan = _planned(env, saved.definition)
        job = reopen(plan, saved, env.build_options())
        try:
            yield job
        finally:
            job.close()
    finally:
        env.close()


def _planned(env: TableEnvironment, definition: Mapping[str, Any]) -> PhysicalPlan:
    if not definition.get("sql"):
        raise StateError("the savepoint does not say what its job was")
    env.config.set("execution.runtime-mode", "STREAMING")
    make_again(env, definition)
    statement = stmt.parse_statement(definition["sql"])
    members = statement.statements if isinstance(statement, stmt.StatementSet) else (statement,)
    context = env.bind_context()
    roots = [pipeline.bind_root(m, context) for m in members if isinstance(m, stmt.Insert)]
    return pipeline.plan(roots, job_options.physical_options(env.config))
