"""ALTER TABLE: one change of a definition, checked as a whole. Running jobs keep what they started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamsql.catalog.checks import COLUMN, NOWHERE, Places, require_column
from streamsql.catalog.table import Column, ObjectPath, TableDefinition, WatermarkSpec
from streamsql.planner.statement_names import columns_in
from streamsql.planner.statements import (
    AddParts,
    AlterTable,
    ColumnSpec,
    DropColumns,
    DropPrimaryKey,
    DropWatermark,
    Ident,
    ModifyParts,
    Name,
    RenameColumn,
    RenameTo,
    ResetOptions,
    SetOptions,
    TableParts,
)

from .ddl_context import OK, DdlContext, StatementResult
from .ddl_tables import column_of, complete, places_of
from .errors import CatalogError, Position, ValidationError


def alter_table(statement: AlterTable, context: DdlContext) -> StatementResult:
    """Changes the table or refuses; nothing is changed in between."""
    path = context.catalog.resolve(statement.name.parts)
    if statement.if_exists and context.catalog.get(path) is None:
        return OK
    table = context.catalog.require(path, statement.name.position)
    if not isinstance(table, TableDefinition):
        raise CatalogError(f"'{path}' is a view", hint="use ALTER VIEW", position=statement.name.position)
    if table.data is not None:
        raise CatalogError(
            f"table '{path}' holds data handed in from Python; it cannot be altered",
            hint="hand the data in again under another shape",
            position=statement.name.position,
        )
    if isinstance(statement.action, RenameTo):
        rename_object(context, path, statement.action.name)
        return OK
    changed, places = _apply(table, statement)
    context.catalog.alter(complete(changed, context, places))
    return OK


def rename_object(context: DdlContext, path: ObjectPath, name: Name) -> None:
    """RENAME TO of a table or view, within its database."""
    *database, last = name.parts
    if database and context.catalog.resolve(name.parts) != replace(path, name=last):
        raise ValidationError(
            f"RENAME TO {name}: the database cannot change",
            hint=f"the new name belongs to {path.catalog}.{path.database}",
            position=name.position,
        )
    context.catalog.rename(path, last)


def _apply(table: TableDefinition, statement: AlterTable) -> tuple[TableDefinition, Places]:
    match statement.action:
        case AddParts(parts):
            return _add(table, parts), places_of(parts)
        case ModifyParts(parts):
            return _modify(table, parts), places_of(parts)
        case DropColumns(columns):
            return _drop_columns(table, columns), NOWHERE
        case DropPrimaryKey(name):
            return _drop_key(table, name, statement.name.position), NOWHERE
        case DropWatermark():
            if table.watermark is None:
                raise _nothing(table, "watermark", statement.name.position)
            return replace(table, watermark=None), NOWHERE
        case RenameColumn(old, new):
            return _rename_column(table, old, new), NOWHERE
        case SetOptions(options):
            return replace(table, options={**table.options, **options}), NOWHERE
        case ResetOptions(keys):
            return _reset(table, keys), NOWHERE
        case _:
            raise AssertionError(statement.action)


def _nothing(
    table: TableDefinition, what: str, position: Position | None, hint: str | None = None
) -> ValidationError:
    return ValidationError(f"table {table.path} has no {what}", hint=hint, position=position)


# -- ADD and MODIFY --------------------------------------------------------------------------------


def _add(table: TableDefinition, parts: TableParts) -> TableDefinition:
    columns = list(table.columns)
    for spec in parts.columns:
        if any(c.name == spec.name.name for c in columns):
            raise ValidationError(
                f"column '{spec.name}' exists already",
                hint="use MODIFY to change it",
                position=spec.name.position,
            )
        _put(columns, column_of(spec), spec, len(columns))
    if parts.primary_key is not None and table.primary_key:
        raise ValidationError(
            f"table {table.path} has a primary key already: {', '.join(table.primary_key)}",
            hint="use MODIFY PRIMARY KEY",
            position=parts.primary_key.position,
        )
    if parts.watermark is not None and table.watermark is not None:
        raise ValidationError(
            f"table {table.path} has a watermark already, on '{table.watermark.column}'",
            hint="use MODIFY WATERMARK",
            position=parts.watermark.column.position,
        )
    return _with_parts(table, columns, parts)


def _modify(table: TableDefinition, parts: TableParts) -> TableDefinition:
    columns = list(table.columns)
    for spec in parts.columns:
        old = _column(columns, spec.name)
        index = columns.index(old)
        del columns[index]
        new = column_of(spec)
        _put(columns, replace(new, comment=new.comment or old.comment), spec, index)
    if parts.primary_key is not None and not table.primary_key:
        raise _nothing(table, "primary key", parts.primary_key.position, "use ADD PRIMARY KEY")
    if parts.watermark is not None and table.watermark is None:
        raise _nothing(table, "watermark", parts.watermark.column.position, "use ADD WATERMARK")
    return _with_parts(table, columns, parts)


def _put(columns: list[Column], column: Column, spec: ColumnSpec, index: int) -> None:
    if isinstance(spec.place, Ident):
        index = columns.index(_column(columns, spec.place)) + 1
    elif spec.place == "FIRST":
        index = 0
    columns.insert(index, column)


def _with_parts(table: TableDefinition, columns: Sequence[Column], parts: TableParts) -> TableDefinition:
    table = replace(table, columns=tuple(columns))
    if parts.primary_key is not None:
        key = tuple(c.name for c in parts.primary_key.columns)
        table = replace(table, primary_key=key, primary_key_name=parts.primary_key.name)
    if parts.watermark is not None:
        table = replace(
            table, watermark=WatermarkSpec(parts.watermark.column.name, parts.watermark.expression)
        )
    return table


def _column(columns: Sequence[Column], ident: Ident) -> Column:
    places = {(COLUMN, ident.name): ident.position} if ident.position is not None else NOWHERE
    return require_column(columns, ident.name, COLUMN, places)


# -- DROP, RENAME, RESET ---------------------------------------------------------------------------


def _drop_columns(table: TableDefinition, idents: Sequence[Ident]) -> TableDefinition:
    names = {i.name for i in idents}
    for i, ident in enumerate(idents):
        _column(table.columns, ident)
        if ident.name in {other.name for other in idents[:i]}:
            raise ValidationError(f"column '{ident}' is dropped twice", position=ident.position)
        user = _first_use(table, ident.name, gone=names)
        if user is not None:
            raise ValidationError(
                f"column '{ident}' is used by {user}",
                hint="drop or change that first",
                position=ident.position,
            )
    left = tuple(c for c in table.columns if c.name not in names)
    if not left:
        raise ValidationError("a table needs at least one column", position=idents[-1].position)
    return replace(table, columns=left)


def _rename_column(table: TableDefinition, old: Ident, new: Ident) -> TableDefinition:
    _column(table.columns, old)
    if table.column(new.name) is not None:
        raise ValidationError(f"column '{new}' exists already", position=new.position)
    user = _first_use(table, old.name, gone=set(), in_key=False)
    if user is not None:
        raise ValidationError(
            f"column '{old}' is used by {user}",
            hint="drop that, rename, and add it again",
            position=old.position,
        )
    columns = tuple(replace(c, name=new.name) if c.name == old.name else c for c in table.columns)
    key = tuple(new.name if k == old.name else k for k in table.primary_key)
    return replace(table, columns=columns, primary_key=key)


def _first_use(table: TableDefinition, name: str, gone: set[str], *, in_key: bool = True) -> str | None:
    """What in the table still needs the column, in words; columns in ``gone`` do not count."""
    if in_key and name in table.primary_key:
        return "the primary key"
    if name in table.partition_keys:
        return "PARTITIONED BY"
    mark = table.watermark
    if mark is not None and (mark.column == name or name in columns_in(mark.expression)):
        return "the watermark"
    for column in table.columns:
        if (
            column.expression is not None
            and column.name not in gone
            and name in columns_in(column.expression)
        ):
            return f"the computed column '{column.name}'"
    return None


def _drop_key(table: TableDefinition, name: Ident | None, position: Position | None) -> TableDefinition:
    if not table.primary_key:
        raise _nothing(table, "primary key", position)
    if name is not None:
        own = table.primary_key_name or f"PK_{'_'.join(table.primary_key)}"  # Flink's name for an unnamed key
        if name.name != own:
            raise ValidationError(
                f"table {table.path} has no constraint '{name}'",
                hint=f"its primary key is called '{own}'",
                position=name.position,
            )
    return replace(table, primary_key=(), primary_key_name=None)


def _reset(table: TableDefinition, keys: Sequence[str]) -> TableDefinition:
    if not keys:
        raise ValidationError("ALTER TABLE … RESET needs at least one key", hint="RESET ('key')")
    if "connector" in keys:
        raise ValidationError(
            "ALTER TABLE … RESET cannot take 'connector' away", hint="set another one with ALTER TABLE … SET"
        )
    return replace(table, options={k: v for k, v in table.options.items() if k not in keys})
