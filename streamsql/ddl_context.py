"""What statements that change or show names work on, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.table import TableDefinition, ViewDefinition
from streamsql.planner.statements import Insert, QueryTree

from .config import Configuration
from .datatypes import STRING
from .schema import Field, Schema


class BuiltinFunction(Protocol):
    """A record of the function table, as far as SHOW and DESCRIBE read it."""

    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def result(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def deterministic(self) -> bool: ...
    def usage(self) -> Sequence[str]:
        """How it is called, one text a form."""
        ...


@dataclass(frozen=True)
class DdlContext:
    """A session's names and options, and what only the binder knows.

    ``check_expressions`` binds a table's computed columns and watermark and fills in their types.
    ``query_schema`` gives the columns of a query, bound where the session is; the text is the statement it
    stands in. ``view_schema`` gives the columns of a view, under the names of its column list.
    """

    catalog: CatalogManager
    config: Configuration
    check_expressions: Callable[[TableDefinition], TableDefinition]
    query_schema: Callable[[QueryTree, str], Schema]
    view_schema: Callable[[ViewDefinition], Schema]
    builtin_functions: Callable[[], Iterable[BuiltinFunction]]


@dataclass(frozen=True)
class StatementResult:
    """Rows of an answer. ``insert``: CREATE TABLE … AS leaves this INSERT for the session to run."""

    schema: Schema
    rows: Sequence[tuple[Any, ...]]
    message: str = ""
    insert: Insert | None = field(default=None, compare=False)

    @property
    def has_content(self) -> bool:
        """Whether it is more than OK."""
        return not self.message


OK_SCHEMA = Schema.of([Field("result", STRING())])
OK = StatementResult(OK_SCHEMA, [("OK",)], "OK")


def one_column(name: str, values: Iterable[str]) -> StatementResult:
    """An answer of one text column."""
    return StatementResult(Schema.of([Field(name, STRING())]), [(v,) for v in values])
