"""Arrays, maps and rows. Positions count from 1; a NULL collection gives NULL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from streamsql.datatypes import ARRAY, BOOLEAN, INT, MAP, ROW, STRING, DataType, Root, common_type
from streamsql.errors import ValidationError

from ..sql_parts import fresh_name, identifier, let
from .base import FunctionDef, Invocation, TypeMismatch, any_nullable, literal_value, scalar
from .coercion import as_type, common_of, short, to_common

if TYPE_CHECKING:
    from ..expressions import Call, Expr

CATEGORY = "collection"


# -- constructors and access -----------------------------------------------------------------------------------


def _array_type(args: Sequence[Expr]) -> DataType:
    return ARRAY(common_of(args).with_nullable(any_nullable(args)))


def _map_args(args: Sequence[Expr]) -> Sequence[Expr]:
    if len(args) % 2:
        raise TypeMismatch("MAP takes keys and values in turn")
    keys, values = to_common(args[::2]), to_common(args[1::2])
    return tuple(x for pair in zip(keys, values, strict=True) for x in pair)


def _map_type(args: Sequence[Expr]) -> DataType:
    keys, values = args[::2], args[1::2]
    value = common_of(values).with_nullable(any_nullable(values))
    return MAP(common_of(keys).with_nullable(any_nullable(keys)), value)


def _map(inv: Invocation) -> str:
    return f"map([{', '.join(inv.args[::2])}], [{', '.join(inv.args[1::2])}])"


def _row_type(args: Sequence[Expr]) -> DataType:
    return ROW([(f"EXPR${i}", a.type) for i, a in enumerate(args)])


def _row(inv: Invocation) -> str:
    fields = (f"{identifier(n)} := {a}" for n, a in zip(inv.type.names, inv.args, strict=True))
    return f"struct_pack({', '.join(fields)})"


def _bracket_text(name: str, brackets: str) -> Callable[[Call], str]:
    def render(call: Call) -> str:
        return f"{name}{brackets[0]}{', '.join(a.text() for a in call.args)}{brackets[1]}"

    return render


def _item_args(args: Sequence[Expr]) -> Sequence[Expr]:
    owner, index = args
    if owner.type.root is Root.MAP:
        key = owner.type.children[0]
        if common_type(key, index.type) is None:
            raise TypeMismatch(f"the key of a {short(owner.type)} is no {short(index.type)}")
        return owner, as_type(index, key)
    if owner.type.root is not Root.ARRAY:
        raise TypeMismatch(f"[…] reads an ARRAY or a MAP, not {short(owner.type)}")
    if not index.type.is_integer:
        raise TypeMismatch(f"the index of an ARRAY is an integer, not {short(index.type)}")
    value = literal_value(index)
    if isinstance(value, int) and value < 1:
        raise ValidationError(f"the index of an ARRAY starts at 1, found {value}")
    return args


def _item_type(args: Sequence[Expr]) -> DataType:
    return args[0].type.children[-1]


def _item(inv: Invocation) -> str:
    owner, index = inv.args
    if inv.types[0].root is Root.MAP or isinstance(inv.constant(1), int):
        return f"{owner}[{index}]"
    return let(index, lambda i: f"CASE WHEN {i} > 0 THEN {owner}[{i}] END", volatile=inv.volatile)


def _cardinality(inv: Invocation) -> str:
    return f"len({inv.args[0]})" if inv.types[0].root is Root.ARRAY else f"cardinality({inv.args[0]})"


def _element(inv: Invocation) -> str:
    error = "error('ELEMENT: the array has more than one element')"
    return let(
        inv.args[0], lambda a: f"CASE WHEN len({a}) > 1 THEN CAST({error} AS {inv.type.duckdb}) ELSE {a}[1] END",
        volatile=inv.volatile,
    )  # fmt: skip


# -- arrays ----------------------------------------------------------------------------------------------------


def _with_element(args: Sequence[Expr]) -> Sequence[Expr]:
    """Array and element of one element type."""
    array, element = args
    found = common_type(array.type.children[0], element.type)
    if found is None:
        raise TypeMismatch(f"an {short(array.type)} holds no {short(element.type)}")
    return as_type(array, ARRAY(found)), as_type(element, found)


def _needle(args: Sequence[Expr]) -> Sequence[Expr]:
    """The element converted to the array's element type, as Flink does."""
    array, element = args
    if common_type(array.type.children[0], element.type) is None:
        raise TypeMismatch(f"an {short(array.type)} holds no {short(element.type)}")
    return array, as_type(element, array.type.children[0])


def _known(inv: Invocation, sql: str, among: Sequence[int] | None = None) -> str:
    """NULL unless the given arguments (all by default) are known; DuckDB takes a NULL list for an empty one."""
    indexes = range(len(inv.args)) if among is None else among
    tests = " AND ".join(f"{inv.args[i]} IS NOT NULL" for i in indexes)
    return f"CASE WHEN {tests} THEN {sql} END"


def _position(array: str, element: str) -> str:
    return f"coalesce(list_position({array}, {element}), 0)"


def _distinct(array: str) -> str:
    """In order of first occurrence; DuckDB's list_distinct has its own order and drops NULL."""

    def by(a: str) -> str:
        x = fresh_name(a)
        return f"list_filter({a}, lambda {x}, {x}i: list_position({a}, {x}) = {x}i)"

    return let(array, by)


def _keep(inv: Invocation, condition: str) -> str:
    a, b = inv.args
    x = fresh_name(a, b)
    kept = f"list_filter({a}, lambda {x}: {_position(b, x)} {condition})"
    return _known(inv, _distinct(kept))


def _slice(inv: Invocation) -> str:
    array, start, *rest = inv.args
    end = rest[0] if rest else f"len({array})"
    first = f"CASE WHEN {start} = 0 THEN 1 ELSE {start} END"
    return _known(inv, f"list_slice({array}, {first}, CASE WHEN {end} = 0 THEN 1 ELSE {end} END)")


def _sort(inv: Invocation) -> str:
    array, *flags = inv.args
    ascending, nulls = [*flags, "true"][0], flags[1] if len(flags) > 1 else None

    def sorted_(up: bool, first: bool) -> str:
        return f"list_sort({array}, '{'ASC' if up else 'DESC'}', 'NULLS {'FIRST' if first else 'LAST'}')"

    def by_nulls(up: bool) -> str:
        if nulls is None:
            return sorted_(up, up)
        return f"CASE WHEN {nulls} THEN {sorted_(up, True)} ELSE {sorted_(up, False)} END"

    return _known(inv, f"CASE WHEN {ascending} THEN {by_nulls(True)} ELSE {by_nulls(False)} END")


def _join(inv: Invocation) -> str:
    array, delimiter, *rest = inv.args
    if rest:
        x = fresh_name(array, rest[0])
        array = f"list_transform({array}, lambda {x}: coalesce({x}, {rest[0]}))"
    return _known(inv, f"array_to_string({array}, {delimiter})")


def _element_type(args: Sequence[Expr]) -> DataType:
    return args[0].type.children[0]


def _strings(args: Sequence[Expr]) -> Sequence[Expr]:
    if not args[0].type.children[0].is_string:
        raise TypeMismatch(f"ARRAY_JOIN takes an ARRAY<STRING>, found {short(args[0].type)}")
    return args


def _remove(inv: Invocation) -> str:
    array, element = inv.args
    x = fresh_name(array, element)
    return f"list_filter({array}, lambda {x}: {x} IS DISTINCT FROM {element})"


# -- maps --------------------------------------------------------------------------------------------------------


def _entries_type(args: Sequence[Expr]) -> DataType:
    key, value = args[0].type.children
    return ARRAY(ROW([("key", key), ("value", value)]).not_null())


def _from_arrays_type(args: Sequence[Expr]) -> DataType:
    return MAP(args[0].type.children[0], args[1].type.children[0])


def _map_union(inv: Invocation) -> str:
    return inv.args[0] if not inv.args[1:] else _known(inv, f"map_concat({', '.join(inv.args)})")


def _same(args: Sequence[Expr]) -> DataType:
    return args[0].type


def _array(
    name: str, signature: str, result: object, sql: object, description: str, **options: object
) -> FunctionDef:
    options.setdefault("result_text", "ARRAY")
    return scalar(name, CATEGORY, signature, result, sql, description, **options)  # type: ignore[arg-type]


FUNCTIONS: tuple[FunctionDef, ...] = (
    scalar("ARRAY", CATEGORY, "(ANY...)", _array_type, lambda inv: f"[{', '.join(inv.args)}]",
           "An array of the values.", nullable="never", coerce=to_common,
           render=_bracket_text("ARRAY", "[]"), syntax=("ARRAY[value1[, value2]*]",), result_text="ARRAY"),
    scalar("MAP", CATEGORY, "(ANY, ANY...)", _map_type, _map, "A map of keys and values.",
           nullable="never", coerce=_map_args, render=_bracket_text("MAP", "[]"),
           syntax=("MAP[key1, value1[, key2, value2]*]",), result_text="MAP"),
    scalar("ROW", CATEGORY, "(ANY...)", _row_type, _row, "A row of the values, with fields EXPR$0, EXPR$1, …",
           nullable="never", exact=True, syntax=("ROW(value1[, value2]*)", "(value1, value2[, value3]*)"),
           result_text="ROW"),
    scalar("ITEM", CATEGORY, "(ANY, ANY)", _item_type, _item,
           "The element at a position, from 1, or the value of a key; NULL if there is none.", nullable="always",
           coerce=_item_args, render=lambda c: f"{c.args[0].text()}[{c.args[1].text()}]",
           syntax=("array[integer]", "map[key]"), result_text="type of the element"),
    scalar("CARDINALITY", CATEGORY, "(COLLECTION)", INT(), _cardinality, "The number of elements or entries."),
    _array("ELEMENT", "(ARRAY)", _element_type, _element,
           "The sole element; NULL of an empty array, an error of a longer one.", nullable="always",
           result_text="type of the element"),
    _array("ARRAY_APPEND", "(ARRAY, ANY)", _same, lambda inv: _known(inv, f"list_append({', '.join(inv.args)})", [0]),
           "With the element added at the end.", coerce=_with_element),
    _array("ARRAY_PREPEND", "(ARRAY, ANY)", _same,
           lambda inv: _known(inv, f"list_prepend({inv.args[1]}, {inv.args[0]})", [0]),
           "With the element added at the beginning.", coerce=_with_element),
    _array("ARRAY_CONCAT", "(ARRAY...)", common_of, lambda inv: _known(inv, " || ".join(inv.args)),
           "All arrays joined.", coerce=to_common),
    _array("ARRAY_CONTAINS", "(ARRAY, ANY)", BOOLEAN(),
           lambda inv: _known(inv, f"{_position(*inv.args)} > 0", [0]), "TRUE if the element is in the array.",
           coerce=_needle, result_text="BOOLEAN"),
    _array("ARRAY_DISTINCT", "(ARRAY)", _same, lambda inv: _distinct(inv.args[0]),
           "Without repetitions, in order of first occurrence."),
    _array("ARRAY_EXCEPT", "(ARRAY, ARRAY)", common_of, lambda inv: _keep(inv, "= 0"),
           "The elements of the first that are not in the second, each once.", coerce=to_common),
    _array("ARRAY_INTERSECT", "(ARRAY, ARRAY)", common_of, lambda inv: _keep(inv, "> 0"),
           "The elements of the first that are in the second, each once.", coerce=to_common),
    _array("ARRAY_UNION", "(ARRAY, ARRAY)", common_of,
           lambda inv: _known(inv, _distinct(f"({inv.args[0]} || {inv.args[1]})")),
           "The elements of both, each once.", coerce=to_common),
    _array("ARRAY_JOIN", "(ARRAY, STRING[, STRING])", STRING(), _join,
           "The texts joined with a delimiter; NULLs are left out or replaced by the third argument.",
           coerce=_strings, result_text="STRING"),
    _array("ARRAY_MAX", "(ARRAY)", _element_type, "list_max({0})", "The greatest element.", nullable="always",
           result_text="type of the element"),
    _array("ARRAY_MIN", "(ARRAY)", _element_type, "list_min({0})", "The least element.", nullable="always",
           result_text="type of the element"),
    _array("ARRAY_POSITION", "(ARRAY, ANY)", INT(), lambda inv: _known(inv, _position(*inv.args)),
           "The position of the first such element, 0 if there is none.", coerce=_needle, result_text="INT"),
    _array("ARRAY_REMOVE", "(ARRAY, ANY)", _same, _remove, "Without the elements equal to the second argument.",
           coerce=_needle),
    _array("ARRAY_REVERSE", "(ARRAY)", _same, "list_reverse({0})", "In reverse order."),
    _array("ARRAY_SLICE", "(ARRAY, INT[, INT])", _same, _slice,
           "The elements from one position to another, inclusive; negative positions count from the end."),
    _array("ARRAY_SORT", "(ARRAY[, BOOLEAN, BOOLEAN])", _same, _sort,
           "Sorted, ascending unless the second argument is FALSE; NULLs first when ascending, or as the third says."),
    scalar("SPLIT", CATEGORY, "(STRING, STRING)", ARRAY(STRING()), "string_split({0}, {1})",
           "The parts between delimiters; with an empty delimiter every character."),
    scalar("MAP_KEYS", CATEGORY, "(MAP)", lambda args: ARRAY(args[0].type.children[0]), "map_keys({0})",
           "The keys.", result_text="ARRAY"),
    scalar("MAP_VALUES", CATEGORY, "(MAP)", lambda args: ARRAY(args[0].type.children[1]), "map_values({0})",
           "The values.", result_text="ARRAY"),
    scalar("MAP_ENTRIES", CATEGORY, "(MAP)", _entries_type, "map_entries({0})",
           "The entries, rows of key and value.", result_text="ARRAY<ROW<key, value>>"),
    scalar("MAP_FROM_ARRAYS", CATEGORY, "(ARRAY, ARRAY)", _from_arrays_type, "map({0}, {1})",
           "A map of an array of keys and one of values.", result_text="MAP"),
    scalar("MAP_UNION", CATEGORY, "(MAP...)", common_of,
           _map_union,
           "All entries; of equal keys the last wins.", coerce=to_common, result_text="MAP"),
)  # fmt: skip
