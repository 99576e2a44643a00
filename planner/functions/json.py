"""JSON functions. A JSON value is a STRING; paths are constants, strict unless they begin with ``lax``.

Options of a call: ``on_empty`` and ``on_error`` hold ``NULL``, ``ERROR``, ``DEFAULT``, ``EMPTY ARRAY``,
``EMPTY OBJECT``, ``TRUE``, ``FALSE`` or ``UNKNOWN``; the values of DEFAULT are arguments 2 and 3 of JSON_VALUE.

Source: Flink 2.x, SqlJsonUtils. Differs: DuckDB's reader also takes NaN and a trailing comma, and JSON_QUERY keeps the
order of keys where Flink sorts them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from streamsql.datatypes import BOOLEAN, STRING, DataType, Root
from streamsql.errors import UnsupportedError

from .. import cast_texts as texts
from ..sql_parts import cast, fresh_name, identifier, let, quote
from .base import FunctionDef, Invocation, TypeMismatch, scalar
from .json_paths import JsonPath, parse_path

if TYPE_CHECKING:
    from ..expressions import Call, Expr

CATEGORY = "json"
BUILDERS = ("JSON_OBJECT", "JSON_ARRAY", "JSON")


# -- values to JSON --------------------------------------------------------------------------------------------


def to_json(sql: str, type_: DataType, *, raw: bool = False) -> str:
    """JSON text of a value, NULL for NULL. ``raw``: the text is JSON already."""
    match type_.root:
        case Root.NULL:
            return cast(sql, "VARCHAR")
        case Root.CHAR | Root.VARCHAR:
            return sql if raw else cast(f"to_json({sql})", "VARCHAR")
        case Root.BOOLEAN | Root.TINYINT | Root.SMALLINT | Root.INT | Root.BIGINT | Root.DECIMAL:
            return cast(sql, "VARCHAR")
        case Root.FLOAT | Root.DOUBLE:
            return let(sql, texts.java_double)
        case Root.TIMESTAMP:
            return f"('\"' || replace({texts.format_timestamp(sql, type_.precision)}, ' ', 'T') || '\"')"
        case Root.TIMESTAMP_LTZ:
            utc = texts.format_timestamp(f"timezone('UTC', {sql})", type_.precision)
            return f"('\"' || replace({utc}, ' ', 'T') || 'Z\"')"
        case Root.DATE | Root.TIME:
            return f"('\"' || {cast(sql, 'VARCHAR')} || '\"')"
        case Root.BINARY | Root.VARBINARY:
            return f"('\"' || to_base64({sql}) || '\"')"
        case Root.ARRAY | Root.MAP | Root.MULTISET | Root.ROW:
            return _nested_json(sql, type_)
        case _:
            raise UnsupportedError(f"a value of type {type_.sql(nullability=False)} has no JSON form")


def _nested_json(sql: str, type_: DataType) -> str:
    def element(x: str, t: DataType) -> str:
        return f"coalesce({to_json(x, t)}, 'null')"

    if type_.root is Root.ROW:

        def row(x: str) -> str:
            fields = [
                f"{quote(json.dumps(n, ensure_ascii=False) + ':')} || {element(f'{x}.{identifier(n)}', t)}"
                for n, t in zip(type_.names, type_.children, strict=True)
            ]
            inner = " || ',' || ".join(fields)
            return f"CASE WHEN {x} IS NOT NULL THEN '{{' || {inner} || '}}' END"

        return let(sql, row)
    x = fresh_name(sql)
    if type_.root is Root.ARRAY:
        items = f"list_transform({sql}, lambda {x}: {element(x, type_.children[0])})"
        return f"('[' || array_to_string({items}, ',') || ']')"
    if not type_.children[0].is_string:
        raise UnsupportedError("a map whose keys are no strings has no JSON form")
    value = DataType(Root.INT) if type_.root is Root.MULTISET else type_.children[1]
    entry = f"to_json({x}.key) || ':' || {element(f'{x}.value', value)}"
    return f"('{{' || array_to_string(list_transform(map_entries({sql}), lambda {x}: {entry}), ',') || '}}')"


def _is_json(expr: Expr) -> bool:
    from ..expressions import Call

    return isinstance(expr, Call) and expr.function.name in BUILDERS


def _values(inv: Invocation, first: int, step: int) -> list[str]:
    return [
        to_json(sql, e.type, raw=_is_json(e))
        for sql, e in zip(inv.args[first::step], inv.call.args[first::step], strict=True)
    ]


def _object_args(args: Sequence[Expr]) -> Sequence[Expr]:
    from .base import literal_value

    if any(not isinstance(literal_value(k), str) for k in args[::2]):
        raise TypeMismatch("keys are string literals")
    return args


def _object(inv: Invocation) -> str:
    """Keys in order, as Flink sorts them; of equal keys the last wins."""
    from .base import literal_value

    absent = inv.call.option("on_null") == "ABSENT"
    fields: dict[str, str] = {}
    for key, value in zip(inv.call.args[::2], _values(inv, 1, 2), strict=True):
        name = str(literal_value(key))
        text = quote(json.dumps(name, ensure_ascii=False) + ":")
        fields[name] = f"{text} || {value}" if absent else f"{text} || coalesce({value}, 'null')"
    if not fields:
        return "'{}'"
    ordered = ", ".join(fields[k] for k in sorted(fields))
    return f"('{{' || coalesce(array_to_string([{ordered}], ','), '') || '}}')"


def _array(inv: Invocation) -> str:
    values = _values(inv, 0, 1)
    if not values:
        return "'[]'"
    if inv.call.option("on_null") == "NULL":
        values = [f"coalesce({v}, 'null')" for v in values]
    return f"('[' || coalesce(array_to_string([{', '.join(values)}], ','), '') || ']')"


# -- reading -----------------------------------------------------------------------------------------------------


def _path(inv: Invocation) -> JsonPath:
    return parse_path(inv.text(1, "path"))


def _read(inv: Invocation, function: str, path: JsonPath) -> str:
    """``function(json, path)``, NULL where the text is no JSON.

    TRY reads the text once, but would also hide errors of an operand that can fail; then validity is tested first.
    """
    from ..expressions import FieldAccess, InputRef, Literal

    call = f"{function}({{0}}, {quote(path.duckdb)})"
    if isinstance(inv.call.args[0], InputRef | Literal | FieldAccess):
        return f"TRY({call.format(inv.args[0])})"
    return let(
        inv.args[0], lambda x: f"CASE WHEN json_valid({x}) THEN {call.format(x)} END", volatile=inv.volatile
    )


def _raise(message: str, type_sql: str) -> str:
    return f"CAST(error({quote(message)}) AS {type_sql})"


def _value(inv: Invocation) -> str:
    """The scalar at the path: as text, or converted to the RETURNING type."""
    path = _path(inv)
    target = inv.type.duckdb
    missing = _behaviour(inv, "on_empty" if path.lax else "on_error", 2 if path.lax else 3)
    failed = _behaviour(inv, "on_error", 3)
    if path.many:
        found = cast("NULL", "VARCHAR")
    else:
        found = let(
            _read(inv, "json_value", path),
            lambda v: f"CASE WHEN starts_with({v}, '\"') THEN json_extract_string({v}, '$') ELSE {v} END",
        )
    if inv.type.is_string:
        value = found if missing is None else f"coalesce({found}, {missing})"
    elif missing is None and failed is None:
        value = let(found, lambda t: _convert(t, inv.type))
    else:
        empty, wrong = missing or cast("NULL", target), failed or cast("NULL", target)
        value = let(
            found,
            lambda t: (
                f"CASE WHEN {t} IS NULL THEN {empty} ELSE coalesce({_convert(t, inv.type)}, {wrong}) END"
            ),
        )
    guarded = missing is not None or failed is not None
    return f"CASE WHEN {inv.args[0]} IS NOT NULL THEN {value} END" if guarded else value


def _behaviour(inv: Invocation, option: str, default: int) -> str | None:
    """SQL of what ON EMPTY or ON ERROR yields; None for NULL."""
    match inv.call.option(option):
        case "DEFAULT":
            return inv.args[default]
        case "ERROR":
            what = "finds nothing" if option == "on_empty" else "fails"
            return _raise(f"JSON_VALUE {what}: path {inv.constant(1)}", inv.type.duckdb)
        case _:
            return None


def _convert(text: str, type_: DataType) -> str:
    if type_.root is Root.BOOLEAN:
        return f"CASE WHEN lower(trim({text})) IN ('true', 't', 'yes', '1') THEN true " \
               f"WHEN lower(trim({text})) IN ('false', 'f', 'no', '0') THEN false END"  # fmt: skip
    if type_.is_integer:
        whole = f"regexp_full_match({text}, '[+-]?\\d+(\\.\\d*)?')"
        exact = f"TRY_CAST(split_part({text}, '.', 1) AS {type_.duckdb})"
        return f"CASE WHEN {whole} THEN {exact} ELSE TRY_CAST(trunc(TRY_CAST({text} AS DOUBLE)) AS {type_.duckdb}) END"
    return f"TRY_CAST({text} AS {type_.duckdb})"


def _exists(inv: Invocation) -> str:
    path = _path(inv)
    kind = _read(inv, "json_type", path)
    found = f"len({kind}) > 0" if path.many else f"{kind} <> 'NULL'"
    missing = "false"
    if not path.lax:
        match inv.call.option("on_error"):
            case "TRUE":
                missing = "true"
            case "UNKNOWN":
                missing = "CAST(NULL AS BOOLEAN)"
            case "ERROR":
                missing = _raise(f"JSON_EXISTS fails: path {inv.constant(1)}", "BOOLEAN")
            case _:
                pass
    test = f"CASE WHEN {found} THEN true ELSE {missing} END"
    return f"CASE WHEN {inv.args[0]} IS NOT NULL THEN {test} END"


def _query(inv: Invocation) -> str:
    """An object or array as text, or ARRAY<STRING> of its elements."""
    path = _path(inv)
    found = _read(inv, "json_extract", path)
    text = cast(f"to_json({found})" if path.many else found, "VARCHAR")

    def by(v: str) -> str:
        wrapper = inv.call.option("wrapper")
        wrapped = f"'[' || {v} || ']'"
        if wrapper == "UNCONDITIONAL":
            whole = wrapped
        elif wrapper == "CONDITIONAL":
            whole = f"CASE WHEN starts_with({v}, '[') THEN {v} ELSE {wrapped} END"
        else:
            whole = f"CASE WHEN left({v}, 1) IN ('{{', '[') THEN {v} END"
        found = f"CASE WHEN {v} IS NULL OR {v} = 'null' THEN NULL ELSE {whole} END"
        return cast(found, "VARCHAR")

    value = let(text, by)
    empty = _query_behaviour(inv, "on_empty" if path.lax else "on_error")
    if inv.type.root is Root.ARRAY:
        items = "CASE WHEN starts_with({0}, '[') THEN json_extract_string({0}, '$[*]') END"
        value = let(value, lambda v: items.format(v))
    if empty is None:
        return value
    return f"CASE WHEN {inv.args[0]} IS NOT NULL THEN coalesce({value}, {empty}) END"


def _query_behaviour(inv: Invocation, option: str) -> str | None:
    array = inv.type.root is Root.ARRAY
    match inv.call.option(option):
        case "EMPTY ARRAY":
            return "CAST([] AS VARCHAR[])" if array else "'[]'"
        case "EMPTY OBJECT":
            if array:
                raise UnsupportedError("EMPTY OBJECT cannot be returned as an ARRAY<STRING>")
            return "'{}'"
        case "ERROR":
            what = "finds nothing" if option == "on_empty" else "fails"
            return _raise(f"JSON_QUERY {what}: path {inv.constant(1)}", inv.type.duckdb)
        case _:
            return None


def _is(kind: str) -> FunctionDef:
    tests = {
        "VALUE": "json_valid({0})",
        "SCALAR": "CASE WHEN json_valid({0}) THEN json_type({0}) NOT IN ('OBJECT', 'ARRAY') ELSE false END",
        "ARRAY": "CASE WHEN json_valid({0}) THEN json_type({0}) = 'ARRAY' ELSE false END",
        "OBJECT": "CASE WHEN json_valid({0}) THEN json_type({0}) = 'OBJECT' ELSE false END",
    }
    name = f"IS JSON {kind}"

    def compile_(inv: Invocation) -> str:
        test = let(inv.args[0], lambda x: tests[kind].format(x), volatile=inv.volatile)
        return f"CASE WHEN {inv.args[0]} IS NOT NULL THEN {test} END"

    return scalar(name, CATEGORY, "(STRING)", BOOLEAN(), compile_, f"TRUE if the text is a JSON {kind.lower()}.",
                  form="postfix", syntax=(f"string IS [NOT] JSON {kind}",))  # fmt: skip


def _json_string(inv: Invocation) -> str:
    return to_json(inv.args[0], inv.types[0], raw=_is_json(inv.call.args[0]))


def _json(inv: Invocation) -> str:
    return cast(f"json({inv.args[0]})", "VARCHAR")


def _quote(inv: Invocation) -> str:
    return f"replace(CAST(to_json({inv.args[0]}) AS VARCHAR), '/', '\\/')"


def _unquote(inv: Invocation) -> str:
    def by(x: str) -> str:
        quoted = f"starts_with({x}, '\"') AND json_valid({x})"
        return f"CASE WHEN {quoted} THEN json_extract_string({x}, '$') ELSE {x} END"

    return let(inv.args[0], by, volatile=inv.volatile)


# -- text for EXPLAIN ----------------------------------------------------------------------------------------------


def _object_text(call: Call) -> str:
    args = [a.text() for a in call.args]
    pairs = [f"KEY {k} VALUE {v}" for k, v in zip(args[::2], args[1::2], strict=True)]
    return _with_nulls(call, pairs, "NULL")


def _array_text(call: Call) -> str:
    return _with_nulls(call, [a.text() for a in call.args], "ABSENT")


def _with_nulls(call: Call, items: Sequence[str], default: str) -> str:
    handling = f" {call.option('on_null') or default} ON NULL" if items else ""
    return f"{call.function.name}({', '.join(items)}{handling})"


def _query_text(call: Call) -> str:
    parts = [f"{call.args[0].text()}, {call.args[1].text()}"]
    if not call.type.is_string and call.function.name != "JSON_EXISTS":
        parts.append(f"RETURNING {call.type.sql(nullability=False)}")
    if call.option("wrapper"):
        parts.append(f"WITH {call.option('wrapper')} ARRAY WRAPPER")
    for option, index in (("on_empty", 2), ("on_error", 3)):
        behaviour = call.option(option)
        if behaviour:
            default = f" {call.args[index].text()}" if behaviour == "DEFAULT" else ""
            parts.append(f"{behaviour}{default} {option.upper().replace('_', ' ')}")
    return f"{call.function.name}({' '.join(parts)})"


def _returning(default: Callable[[], DataType]) -> Callable[[Sequence[Expr]], DataType]:
    return lambda args: default()


FUNCTIONS: tuple[FunctionDef, ...] = (
    *(_is(k) for k in ("VALUE", "SCALAR", "ARRAY", "OBJECT")),
    scalar("JSON_EXISTS", CATEGORY, "(STRING, STRING)", BOOLEAN(), _exists, "TRUE if the path finds a value.",
           render=_query_text,
           syntax=("JSON_EXISTS(json, path [{TRUE | FALSE | UNKNOWN | ERROR} ON ERROR])",), nullable="always"),
    scalar("JSON_VALUE", CATEGORY, "(STRING, STRING, ANY, ANY)", _returning(STRING), _value,
           "The scalar at a path, as STRING or as the type after RETURNING.", nullable="always", render=_query_text,
           result_text="STRING, or the type after RETURNING",
           syntax=("JSON_VALUE(json, path [RETURNING type] [{NULL | ERROR | DEFAULT value} ON EMPTY] "
                   "[{NULL | ERROR | DEFAULT value} ON ERROR])",)),
    scalar("JSON_QUERY", CATEGORY, "(STRING, STRING)", _returning(STRING), _query,
           "The object or array at a path.", nullable="always", render=_query_text,
           result_text="STRING, or ARRAY<STRING> after RETURNING",
           syntax=("JSON_QUERY(json, path [RETURNING type] [{WITHOUT | WITH [CONDITIONAL | UNCONDITIONAL]} [ARRAY] "
                   "WRAPPER] [{NULL | EMPTY ARRAY | EMPTY OBJECT | ERROR} ON EMPTY] [… ON ERROR])",)),
    scalar("JSON_OBJECT", CATEGORY, "([ANY...])", STRING(), _object,
           "A JSON object. NULLs are written (the default) or left out.", nullable="never", coerce=_object_args,
           render=_object_text, syntax=("JSON_OBJECT([[KEY] key VALUE value]* [{NULL | ABSENT} ON NULL])",)),
    scalar("JSON_ARRAY", CATEGORY, "([ANY...])", STRING(), _array,
           "A JSON array. NULLs are left out (the default) or written.", nullable="never",
           render=_array_text, syntax=("JSON_ARRAY([value]* [{NULL | ABSENT} ON NULL])",)),
    scalar("JSON_STRING", CATEGORY, "(ANY)", STRING(), _json_string, "The value as JSON text; NULL stays NULL."),
    scalar("JSON", CATEGORY, "(STRING)", STRING(), _json,
           "Marks a text as JSON, so that JSON_OBJECT and JSON_ARRAY take it in as it is; an error if it is not."),
    scalar("JSON_QUOTE", CATEGORY, "(STRING)", STRING(), _quote, "The text as a JSON string, in double quotes."),
    scalar("JSON_UNQUOTE", CATEGORY, "(STRING)", STRING(), _unquote,
           "The text of a JSON string; other texts are left as they are."),
)  # fmt: skip
