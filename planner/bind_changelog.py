"""TO_CHANGELOG and FROM_CHANGELOG in FROM: their arguments by position or by name.

Source: Flink's built-in process table functions (2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import STRING
from streamsql.errors import UnsupportedError, did_you_mean
from streamsql.schema import Field, Schema

from .bind_arguments import bind_rows, partition_columns
from .bind_nodes import untimed
from .dialect.nodes import Descriptor, TableArgument
from .logical import LogicalNode
from .logical_changelog import KINDS, Codes, FromChangelog, ToChangelog

if TYPE_CHECKING:
    from .binder import QueryBinder

ARGUMENTS = {
    "TO_CHANGELOG": ("INPUT", "OP", "OP_MAPPING", "PRODUCES_FULL_DELETES"),
    "FROM_CHANGELOG": ("INPUT", "OP", "OP_MAPPING", "ERROR_HANDLING"),
}


def bind_changelog(binder: QueryBinder, call: exp.Anonymous, name: str) -> LogicalNode:
    """The rows of ``call``. Raises ValidationError for arguments that do not fit."""
    arguments = _arguments(binder, call, name)
    source, partition = _input(binder, arguments["INPUT"], name)
    op = _op(binder, arguments.get("OP"))
    position = binder.position(call)
    if name == "TO_CHANGELOG":
        codes = _codes(binder, arguments.get("OP_MAPPING"), outgoing=True)
        rest = [f for i, f in enumerate(source.schema) if i not in partition]
        fields = [*(source.schema[i] for i in partition), Field(op, STRING().not_null()), *rest]
        if op in source.schema.names:
            raise binder.error(
                call,
                f"TO_CHANGELOG adds a column '{op}', and the table has one",
                "name it: op => DESCRIPTOR(…)",
            )
        full = _full_deletes(binder, arguments.get("PRODUCES_FULL_DELETES"))
        return ToChangelog(untimed(Schema(tuple(fields))), source, codes, partition, full, position=position)
    if op not in source.schema.names or not source.schema[source.schema.index(op)].type.is_string:
        raise binder.error(
            arguments.get("OP", call),
            f"FROM_CHANGELOG needs a STRING column '{op}'",
            did_you_mean(op, source.schema.names) or "name it: op => DESCRIPTOR(…)",
        )
    codes = _codes(binder, arguments.get("OP_MAPPING"), outgoing=False)
    made = FromChangelog(
        source.schema,
        source,
        codes,
        partition,
        source.schema.index(op),
        _skips(binder, arguments.get("ERROR_HANDLING")),
        position=position,
    )
    if made.op in partition:
        raise binder.error(call, f"PARTITION BY {op}: the column of the operation is not in the result")
    if not made.columns:
        raise binder.error(call, f"FROM_CHANGELOG: the table has no column besides '{op}'")
    if made.by_key and not partition:
        raise binder.error(
            call,
            "FROM_CHANGELOG with UPDATE_AFTER and without UPDATE_BEFORE needs the key of the rows",
            "write input => TABLE t PARTITION BY key",
        )
    return replace(made, schema=untimed(Schema(tuple(source.schema[i] for i in made.columns))))


def _arguments(binder: QueryBinder, call: exp.Anonymous, name: str) -> dict[str, exp.Expr]:
    names = ARGUMENTS[name]
    found: dict[str, exp.Expr] = {}
    for i, argument in enumerate(call.expressions):
        if isinstance(argument, exp.Kwarg):
            key = argument.this.name.upper()
            if key not in names:
                raise UnsupportedError(
                    f"the argument {key.lower()} of {name} is not supported",
                    hint=f"arguments: {', '.join(n.lower() for n in names)}",
                    position=binder.position(argument),
                )
            found[key] = argument.expression
        elif i < len(names):
            found[names[i]] = argument
        else:
            raise binder.error(argument, f"{name} takes at most {len(names)} arguments")
    if "INPUT" not in found:
        raise binder.error(call, f"{name} needs a table", f"write {name}(input => TABLE t)")
    return found


def _input(binder: QueryBinder, argument: exp.Expr, name: str) -> tuple[LogicalNode, tuple[int, ...]]:
    inner = argument.this if isinstance(argument, TableArgument) else argument
    if not isinstance(inner, exp.Table | exp.Subquery | exp.Query):
        raise binder.error(argument, f"{name} needs a table", f"write {name}(input => TABLE t)")
    node = bind_rows(binder, inner)
    return node, partition_columns(binder, argument, node)


def _op(binder: QueryBinder, argument: exp.Expr | None) -> str:
    if argument is None:
        return "op"
    if not isinstance(argument, Descriptor) or len(argument.expressions) != 1:
        raise binder.error(argument, "the column of the operation must be given as DESCRIPTOR(column)")
    return str(argument.expressions[0].name)


def _full_deletes(binder: QueryBinder, argument: exp.Expr | None) -> bool:
    if argument is None:
        return True
    if not isinstance(argument, exp.Boolean):
        raise binder.error(argument, "produces_full_deletes is TRUE or FALSE")
    return bool(argument.this)


def _skips(binder: QueryBinder, argument: exp.Expr | None) -> bool:
    if argument is None:
        return False
    if not isinstance(argument, exp.Literal) or argument.name not in ("FAIL", "SKIP"):
        raise binder.error(argument, "error_handling is 'FAIL' or 'SKIP'")
    return bool(argument.name == "SKIP")


def _codes(binder: QueryBinder, argument: exp.Expr | None, *, outgoing: bool) -> Codes:
    """The codes of a mapping; several names on its left share what stands on its right."""
    if argument is None:
        return tuple((kind, kind) for kind in KINDS)
    pairs = _texts(argument)
    if pairs is None:
        raise binder.error(argument, "op_mapping must be a MAP of constant texts", "MAP['INSERT', 'I', …]")
    found: list[tuple[str, str]] = []
    for left, right in pairs:
        for part in (p.strip() for p in left.split(",")):
            code, kind = (right, part) if outgoing else (part, right)
            if kind not in KINDS:
                raise binder.error(argument, f"op_mapping: '{kind}' is none of {', '.join(KINDS)}")
            if part in {(k if outgoing else c) for c, k in found}:
                raise binder.error(argument, f"op_mapping names '{part}' twice")
            found.append((code, kind))
    return tuple(found)


def _texts(argument: exp.Expr) -> list[tuple[str, str]] | None:
    if not isinstance(argument, exp.Map):
        return None
    sides: list[Sequence[exp.Expr]] = [argument.args[s].expressions for s in ("keys", "values")]
    if not all(isinstance(e, exp.Literal) and e.is_string for side in sides for e in side):
        return None
    return [(k.name, v.name) for k, v in zip(*sides, strict=True)]
