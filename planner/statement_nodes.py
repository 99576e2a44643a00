"""Small readers of syntax nodes that every kind of statement needs: places, names, options, texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlglot import exp

from streamsql.errors import Position, UnsupportedError, ValidationError

from .dialect import Flink
from .parsing import position_of
from .statement_types import Ident, Insert, Name


class Reader:
    """Reads nodes of one SQL text; knows the text, so that everything it returns has its place."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def place(self, node: exp.Expr | None) -> Position | None:
        """Where a node stands, from its first to its last part that knows its offsets."""
        return None if node is None else position_of(node, self.sql)

    def name(self, node: exp.Expr) -> Name:
        """The name of an object."""
        assert isinstance(node, exp.Table), node
        return Name(tuple(part.name for part in node.parts), self.place(node))

    def ident(self, node: exp.Expr, what: str = "column") -> Ident:
        """A simple name. Raises UnsupportedError for a nested one."""
        if isinstance(node, exp.Dot):
            raise UnsupportedError(
                f"a field inside a {what} is not supported here: {text(node)}", position=self.place(node)
            )
        return Ident(node.name, self.place(node))

    def idents(self, nodes: Iterable[exp.Expr], what: str = "column") -> tuple[Ident, ...]:
        return tuple(self.ident(n, what) for n in nodes)

    def options(self, nodes: Iterable[exp.Expr] | None, *, last_wins: bool = False) -> dict[str, str]:
        """``('key' = 'value', …)``. A key given twice raises, unless the last one counts."""
        result: dict[str, str] = {}
        for node in nodes or ():
            assert isinstance(node, exp.Property), node
            key = node.this.name
            if key in result and not last_wins:
                raise ValidationError(f"option '{key}' is given twice", position=self.place(node))
            result[key] = node.args["value"].name
        return result

    def unsupported(
        self, what: str, node: exp.Expr | None = None, hint: str | None = None
    ) -> UnsupportedError:
        """The error for ``what`` this version does not do; without a node the whole statement is meant."""
        return UnsupportedError(f"{what} is not supported", hint=hint, position=self.place(node))


def text(node: exp.Expr) -> str:
    """A node as Flink SQL."""
    return node.sql(dialect=Flink, comments=False)


def properties(create: exp.Expr) -> Mapping[type[exp.Expr], exp.Expr]:
    """The clauses of CREATE by class; the grammar lets each stand only once."""
    found = create.args.get("properties")
    return {type(p): p for p in found.expressions} if found else {}


def comment_of(create: exp.Expr) -> str | None:
    """The text of COMMENT."""
    clause = properties(create).get(exp.SchemaCommentProperty)
    return clause.this.name if clause is not None else None


def insert_text(insert: Insert) -> str:
    """An INSERT as text again, without comments and without what it stood in: a set, or CREATE TABLE … AS."""
    pairs = ", ".join(f"{_literal(key)} = {_literal(value)}" for key, value in insert.options.items())
    partition = ", ".join(
        _quoted(c.name) + ("" if value is None else f" = {text(value)}") for c, value in insert.partition
    )
    words = [
        "INSERT OVERWRITE" if insert.overwrite else "INSERT INTO",
        ".".join(map(_quoted, insert.target.parts)),
        f"/*+ OPTIONS({pairs}) */" if pairs else "",
        f"PARTITION ({partition})" if partition else "",
        f"({', '.join(_quoted(c.name) for c in insert.columns)})" if insert.columns else "",
        text(insert.query),
        f"ON CONFLICT {insert.on_conflict}" if insert.on_conflict else "",
    ]
    return " ".join(word for word in words if word)


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect=Flink)


def _literal(value: str) -> str:
    return exp.Literal.string(value).sql(dialect=Flink)
