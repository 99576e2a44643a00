"""CREATE TABLE and ALTER TABLE: from syntax nodes to statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlglot import exp

from streamsql.errors import ValidationError

from .dialect import nodes
from .statement_nodes import Reader, comment_of, properties, text
from .statement_types import (
    AddParts,
    AlterTable,
    ColumnSpec,
    CreateTable,
    DropColumns,
    DropPrimaryKey,
    DropWatermark,
    Ident,
    KeySpec,
    LikeClause,
    ModifyParts,
    RenameColumn,
    RenameTo,
    ResetOptions,
    SetOptions,
    TableAction,
    TableParts,
    WatermarkDecl,
)
from .typing import data_type

_BUCKETS = "DISTRIBUTED (buckets)"


def read_create_table(reader: Reader, create: exp.Create) -> CreateTable:
    """CREATE TABLE, CREATE OR REPLACE TABLE and REPLACE TABLE."""
    clauses = properties(create)
    if nodes.Distribution in clauses:
        raise reader.unsupported(_BUCKETS, clauses[nodes.Distribution], "PARTITIONED BY works with files")
    if nodes.UsingConnection in clauses:
        raise reader.unsupported("USING CONNECTION", hint="give the options in WITH (…)")
    target = create.this
    items = target.expressions if isinstance(target, exp.Schema) else []
    query = create.args.get("expression")
    like = clauses.get(nodes.TableLike)
    if query is not None and like is not None:
        raise ValidationError("CREATE TABLE takes LIKE or AS, not both", position=reader.place(like))
    partitions = clauses.get(exp.PartitionedByProperty)
    options = clauses.get(nodes.WithOptions)
    replace_words = "REPLACE" if isinstance(create, nodes.ReplaceTable) else ""
    statement = CreateTable(
        reader.name(target.this if isinstance(target, exp.Schema) else target),
        read_parts(reader, items, bare_names=query is not None),
        reader.options(options.expressions if options else None),
        reader.idents(partitions.this.expressions, "partition column") if partitions else (),
        comment_of(create),
        _read_like(reader, like) if like else None,
        query,
        temporary=exp.TemporaryProperty in clauses,
        if_not_exists=bool(create.args.get("exists")),
        replace="CREATE OR REPLACE" if create.args.get("replace") else replace_words,
        sql=reader.sql,
    )
    if query is not None:
        _check_as_query(reader, statement)
    elif statement.replace:
        raise reader.unsupported("CREATE OR REPLACE TABLE without AS", hint="DROP TABLE IF EXISTS it first")
    return statement


def _check_as_query(reader: Reader, statement: CreateTable) -> None:
    word = "CREATE TABLE … AS"
    if statement.temporary:
        raise reader.unsupported(f"a TEMPORARY table in {word}", hint="leave TEMPORARY out")
    if statement.partition_keys:
        raise reader.unsupported(
            f"PARTITIONED BY in {word}", hint="CREATE the table first, then INSERT INTO it"
        )


def _read_like(reader: Reader, node: exp.Expr) -> LikeClause:
    return LikeClause(reader.name(node.this), tuple((o.this, o.args["kind"]) for o in node.expressions))


def read_parts(reader: Reader, items: Iterable[exp.Expr], *, bare_names: bool = False) -> TableParts:
    """Columns, the key and the watermark between the parentheses. Two of one kind raise ValidationError."""
    columns: list[ColumnSpec] = []
    key: KeySpec | None = None
    watermark: WatermarkDecl | None = None
    for item in items:
        if isinstance(item, nodes.Distribution):
            raise reader.unsupported(_BUCKETS, item)
        if isinstance(item, nodes.WatermarkConstraint):
            if watermark is not None:
                raise ValidationError("a table has one WATERMARK", position=reader.place(item))
            watermark = WatermarkDecl(reader.ident(item.this, "watermark column"), text(item.expression))
        elif isinstance(item, exp.PrimaryKey | exp.Constraint):
            key = _one_key(key, _read_key(reader, item))
        elif isinstance(item, exp.ColumnDef):
            column, own_key = _read_column(reader, item)
            columns.append(column)
            key = _one_key(key, own_key)
        elif bare_names:
            columns.append(ColumnSpec(reader.ident(item)))
        else:
            raise ValidationError(
                f"column '{item.name}' has no type",
                hint="write a data type after it; only CREATE TABLE … AS takes bare names",
                position=reader.place(item),
            )
    return TableParts(tuple(columns), key, watermark)


def _read_key(reader: Reader, item: exp.Expr) -> KeySpec:
    if isinstance(item, exp.Constraint):
        key = _read_key(reader, item.expressions[0])
        return replace(key, name=item.name)
    return KeySpec(reader.idents(item.expressions), position=reader.place(item))


def _one_key(old: KeySpec | None, new: KeySpec | None) -> KeySpec | None:
    if old is not None and new is not None:
        raise ValidationError(
            "a table has one PRIMARY KEY",
            hint="list all its columns in PRIMARY KEY (…)",
            position=new.position,
        )
    return new or old


def _read_column(reader: Reader, item: exp.ColumnDef) -> tuple[ColumnSpec, KeySpec | None]:
    name = reader.ident(item.this)
    kind = item.args.get("kind")
    spec = ColumnSpec(name, data_type(kind) if kind is not None else None, place=_read_place(reader, item))
    key: KeySpec | None = None
    for constraint in item.args.get("constraints") or ():
        rule = constraint.kind
        match rule:
            case exp.NotNullColumnConstraint():
                if not rule.args.get("allow_null") and spec.type is not None:
                    spec = replace(spec, type=spec.type.not_null())
            case exp.CommentColumnConstraint():
                spec = replace(spec, comment=rule.this.name)
            case exp.ComputedColumnConstraint():
                spec = replace(spec, expression=text(rule.this))
            case nodes.MetadataColumnConstraint():
                source = rule.args.get("from_")
                metadata_key = source.name if source is not None else name.name
                spec = replace(spec, metadata_key=metadata_key, virtual=bool(rule.args.get("virtual")))
            case exp.PrimaryKeyColumnConstraint():
                named = constraint.args.get("this")
                key = KeySpec((name,), named.name if named is not None else None, reader.place(item))
            case _:
                raise reader.unsupported(text(constraint), item)
    return spec, key


def _read_place(reader: Reader, item: exp.Expr) -> str | Ident | None:
    position = item.args.get("position")
    if position is None:
        return None
    return "FIRST" if position.args["position"] == "FIRST" else reader.ident(position.this)


# -- ALTER TABLE -----------------------------------------------------------------------------------


def read_alter_table(reader: Reader, alter: exp.Alter) -> AlterTable:
    """ALTER TABLE with its one action."""
    (action,) = alter.args["actions"]
    return AlterTable(
        reader.name(alter.this), _read_action(reader, action), bool(alter.args.get("exists")), sql=reader.sql
    )


def _read_action(reader: Reader, action: exp.Expr) -> TableAction:
    match action:
        case nodes.AlterAdd():
            return AddParts(read_parts(reader, action.expressions))
        case nodes.AlterModify():
            return ModifyParts(read_parts(reader, action.expressions))
        case nodes.AlterDrop():
            return _read_drop(reader, action)
        case exp.AlterRename():
            return RenameTo(reader.name(action.this))
        case exp.RenameColumn():
            return RenameColumn(reader.ident(action.this), reader.ident(action.args["to"]))
        case nodes.SetOptions():
            return SetOptions(reader.options(action.expressions, last_wins=True))
        case nodes.ResetOptions():
            return ResetOptions(tuple(key.name for key in action.expressions))
        case nodes.AddPartitions() | nodes.DropPartitions():
            word = "ADD" if isinstance(action, nodes.AddPartitions) else "DROP"
            raise reader.unsupported(
                f"ALTER TABLE … {word} PARTITION", hint="partitions of files are the folders themselves"
            )
        case _:
            raise reader.unsupported(f"ALTER TABLE … {text(action)}")


def _read_drop(reader: Reader, action: exp.Expr) -> TableAction:
    kind: str = action.args["kind"]
    match kind:
        case "COLUMN":
            return DropColumns(reader.idents(action.expressions))
        case "PRIMARY KEY":
            return DropPrimaryKey()
        case "CONSTRAINT":
            return DropPrimaryKey(reader.ident(action.expressions[0], "constraint"))
        case "WATERMARK":
            return DropWatermark()
        case _:
            raise reader.unsupported(_BUCKETS)
