"""Every function by name: the built-in ones, what a user added, and the names of Flink's that are not supported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from streamsql.datatypes import DataType
from streamsql.errors import UnsupportedError, ValidationError, did_you_mean

from ..sql_parts import identifier
from . import (
    aggregates,
    arithmetic,
    collection,
    comparison,
    conditional,
    conversion,
    hash,
    json,
    logical,
    printf,
    regexp,
    string,
    temporal,
)  # fmt: skip
from .base import AggregateDef, FunctionDef
from .signatures import Signature

if TYPE_CHECKING:
    from ..expressions import Expr

MODULES = (
    comparison, logical, arithmetic, string, printf, regexp, temporal, conditional, conversion, collection, json, hash,
)  # fmt: skip
SCALARS: tuple[FunctionDef, ...] = tuple(f for m in MODULES for f in m.FUNCTIONS)
AGGREGATES = aggregates.AGGREGATES

_BITMAPS = (
    "BITMAP_AND BITMAP_ANDNOT BITMAP_OR BITMAP_XOR BITMAP_BUILD BITMAP_CARDINALITY BITMAP_FROM_BYTES BITMAP_TO_ARRAY "
    "BITMAP_TO_BYTES BITMAP_TO_STRING BITMAP_AND_AGG BITMAP_AND_CARDINALITY_AGG BITMAP_OR_AGG "
    "BITMAP_OR_CARDINALITY_AGG BITMAP_XOR_AGG BITMAP_XOR_CARDINALITY_AGG BITMAP_BUILD_AGG BITMAP_BUILD_CARDINALITY_AGG"
)

UNSUPPORTED: dict[str, str] = {
    # Flink's functions that are refused by name, with the remedy if there is one
    "IS_VALID_UTF8": "",
    "MAKE_VALID_UTF8": "",
    "INET_ATON": "",
    "INET_NTOA": "",
    "PARSE_JSON": "keep the text and read it with JSON_VALUE",
    "TRY_PARSE_JSON": "keep the text and read it with JSON_VALUE",
    "JSON_LENGTH": "",
    "JSON_TYPE": "",
    "OBJECT_OF": "use ROW",
    "OBJECT_UPDATE": "use ROW",
    "CURRENT_DATABASE": "",
    "SOURCE_WATERMARK": "declare WATERMARK FOR ts AS ts - INTERVAL '5' SECOND",
    **dict.fromkeys(_BITMAPS.split(), ""),
}

_ARGUMENTS = {"TUMBLE": "time, size", "HOP": "time, slide, size", "SESSION": "time, gap"}
_PARTS = {
    "START": ("TIMESTAMP(3)", "the start of the window"),
    "END": ("TIMESTAMP(3)", "the end of the window; no row of it is that late"),
    "ROWTIME": ("TIMESTAMP(3)", "the last millisecond of the window, an event time to group by again"),
    "PROCTIME": ("TIMESTAMP_LTZ(3)", "a processing time to group by again"),
}

GROUP_FUNCTIONS: dict[str, tuple[str, str, str, str]] = {
    # what stands only beside a GROUP BY: the clause it belongs to, then usage, result and meaning
    "GROUPING": (
        "GROUP BY",
        "GROUPING(key)",
        "BIGINT",
        "1 where the grouping set leaves the key out, else 0",
    ),
    "GROUPING_ID": (
        "GROUP BY",
        "GROUPING_ID(key, ...)",
        "BIGINT",
        "GROUPING of each key as a bit, that of the last key the lowest",
    ),
    "GROUP_ID": (
        "GROUP BY",
        "GROUP_ID()",
        "BIGINT",
        "how often the same grouping set stands before this one",
    ),
    **{
        f"{window}_{part}": (f"GROUP BY {window}(…)", f"{window}_{part}({arguments})", result, meaning)
        for window, arguments in _ARGUMENTS.items()
        for part, (result, meaning) in _PARTS.items()
    },
}


MATCH_FUNCTIONS: dict[str, tuple[str, str, str]] = {
    # what stands only in MATCH_RECOGNIZE: usage, result and meaning
    "FIRST": (
        "FIRST(variable.column[, n])",
        "type of the value",
        "the value of the first row of a pattern variable, or of the one n rows after it; NULL where there is none",
    ),
    "LAST": (
        "LAST(variable.column[, n])",
        "type of the value",
        "the value of the last row of a pattern variable, or of the one n rows before it; NULL where there is none",
    ),
    "MATCH_ROWTIME": (
        "MATCH_ROWTIME([rowtime])",
        "type of the column of ORDER BY",
        "the time of the last row of the match, an event time of the result",
    ),
    "MATCH_PROCTIME": (
        "MATCH_PROCTIME()",
        "TIMESTAMP_LTZ(3) NOT NULL",
        "the clock when the match is emitted, a processing time of the result",
    ),
}

DIFFERENCES: tuple[str, ...] = (
    # where results differ from Flink's, for the page of functions
    "Integers wrap around on overflow as in Flink, but the smallest integer divided by -1 is an error.",
    "CEIL(t TO unit) leaves a value on the boundary where it is; Flink moves some of them on by one unit.",
    "Regular expressions run in linear time (RE2): lookaround, back-references, possessive quantifiers, atomic groups "
    "and intersections of character classes are refused by name. A pattern from a column is taken as RE2's.",
    "Date patterns and JSON paths must be constants. Week and zone letters are not printed.",
    "JSON text may hold NaN and a trailing comma. JSON_QUERY keeps the order of keys where Flink sorts them.",
    "NaN equals NaN and is the greatest number.",
    "RAND and RAND_INTEGER take no seed. Time functions read the clock once per step, not once per row.",
    "Timestamps are held in microseconds; a precision above 6 is refused.",
    "STR_TO_MAP takes plain delimiters (escaped or not), and ENCODE and DECODE the character set UTF-8.",
)


class FunctionRegistry:
    """Functions by upper-case name. User functions shadow built-in ones of the same name.

    ``FunctionRegistry()`` holds the built-in functions; ``with_function`` adds one in a copy.
    """

    def __init__(self, user: Iterable[FunctionDef | AggregateDef] = ()) -> None:
        self._user = tuple(user)
        self._scalars: dict[str, FunctionDef] = {}
        self._aggregates: dict[str, AggregateDef] = {}
        for f in (*SCALARS, *AGGREGATES, *self._user):
            for name in (f.name, *f.aliases):
                if isinstance(f, FunctionDef):
                    self._scalars[name.upper()] = f
                    self._aggregates.pop(name.upper(), None)
                else:
                    self._aggregates[name.upper()] = f

    @property
    def user_functions(self) -> tuple[FunctionDef | AggregateDef, ...]:
        return self._user

    def with_function(self, function: FunctionDef | AggregateDef) -> FunctionRegistry:
        """A registry that also has ``function``; one of the same name is replaced."""
        kept = [f for f in self._user if f.name.upper() != function.name.upper()]
        return FunctionRegistry((*kept, function))

    def without_function(self, name: str) -> FunctionRegistry:
        """A registry without the user function of that name."""
        return FunctionRegistry(f for f in self._user if f.name.upper() != name.upper())

    def scalar(self, name: str) -> FunctionDef | None:
        return self._scalars.get(name.upper())

    def aggregate(self, name: str) -> AggregateDef | None:
        return self._aggregates.get(name.upper())

    def operator(self, name: str) -> FunctionDef:
        """A built-in function that must exist, whatever users named theirs."""
        return _BUILT_IN[name]

    def is_aggregate_node(self, node: exp.Expr) -> bool:
        """Whether a syntax node calls an aggregate or window function."""
        if isinstance(node, exp.JSONObjectAgg | exp.JSONArrayAgg):
            return True
        return isinstance(node, exp.Anonymous) and self.aggregate(node.name) is not None

    def names(self) -> list[str]:
        """Names that can be called, for completion, SHOW FUNCTIONS and did-you-mean."""
        callable_ = {n for n in self._scalars if n.replace("_", "").isalnum()}
        return sorted(callable_ | set(self._aggregates) | set(GROUP_FUNCTIONS) | set(MATCH_FUNCTIONS))

    def unknown(self, name: str) -> ValidationError:
        """The error for a name that is no function here: unsupported by name, or unknown with a suggestion."""
        key = name.upper()
        if key in GROUP_FUNCTIONS:
            clause = GROUP_FUNCTIONS[key][0]
            return ValidationError(f"{key} stands in SELECT, HAVING or ORDER BY of a query with {clause}")
        if key in MATCH_FUNCTIONS:
            clause = "MEASURES" if key.startswith("MATCH") else "MEASURES or DEFINE"
            return ValidationError(f"{key} stands in {clause} of MATCH_RECOGNIZE")
        if key in UNSUPPORTED:
            hint = UNSUPPORTED[key] or None
            return UnsupportedError(f"function {key} is Flink's but not supported yet", hint=hint)
        return ValidationError(f"unknown function {name}", hint=did_you_mean(name, self.names()))


_BUILT_IN: dict[str, FunctionDef] = {f.name: f for f in SCALARS}


def user_scalar(
    name: str, parameters: Sequence[DataType], result: DataType, duckdb_name: str, *, deterministic: bool = True,
    description: str = "", origin: str = "",
) -> FunctionDef:  # fmt: skip
    """A user's scalar function with declared types: calls compile to a function registered in DuckDB.

    Arguments are cast implicitly to the parameters; a type that does not convert is a TypeMismatch.
    """
    from ..casts import can_cast_implicitly
    from .base import TypeMismatch
    from .coercion import as_type, short

    def coerce(args: Sequence[Expr]) -> Sequence[Expr]:
        for arg, wanted in zip(args, parameters, strict=True):
            if not can_cast_implicitly(arg.type, wanted):
                raise TypeMismatch(f"{short(arg.type)} is no {short(wanted)}")
        return tuple(as_type(a, t) for a, t in zip(args, parameters, strict=True))

    shown = f"({', '.join(short(p) for p in parameters)})"
    signature = Signature(("ANY",) * len(parameters), len(parameters), False, shown)
    return FunctionDef(
        name, "user-defined", (signature,), short(result), description,
        infer=lambda args: result, coerce=coerce, deterministic=deterministic, user_defined=True, origin=origin,
        compile=lambda inv: f"{identifier(duckdb_name)}({', '.join(inv.args)})",
    )  # fmt: skip


def equals(left: Expr, right: Expr) -> Expr:
    """``left = right``, converted to a comparable type. Raises TypeMismatch."""
    from ..expressions import Call
    from .coercion import comparable

    function = _BUILT_IN["="]
    args = comparable(left, right)
    return Call(function, args, function.infer(args))


def conjunction(conditions: Sequence[Expr]) -> Expr:
    """All conditions joined by AND; TRUE for none."""
    from ..expressions import TRUE, Call, conjuncts

    flat = tuple(c for condition in conditions for c in conjuncts(condition))
    if not flat:
        return TRUE
    if len(flat) == 1:
        return flat[0]
    return Call(_BUILT_IN["AND"], flat, _BUILT_IN["AND"].infer(flat))
