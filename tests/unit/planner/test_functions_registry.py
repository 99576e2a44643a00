"""The function table as a whole: complete against Flink's list, well formed, NULL-safe, open for user functions."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp

from streamsql.datatypes import ARRAY, BIGINT, BYTES, DOUBLE, INT, MAP, NULL, STRING, DataType, Root
from streamsql.errors import UnsupportedError, ValidationError
from streamsql.planner.compile import compile_expr
from streamsql.planner.expression_binder import EmptyScope, ExpressionBinder
from streamsql.planner.expressions import Literal, is_deterministic
from streamsql.planner.functions import FunctionRegistry, user_scalar
from streamsql.planner.functions.base import AggregateDef, FunctionDef
from streamsql.planner.functions.registry import AGGREGATES, GROUP_FUNCTIONS, SCALARS, UNSUPPORTED
from streamsql.planner.parsing import parse_expression
from streamsql.schema import Schema

from .evaluate import REGISTRY, Evaluator, evaluator

# Flink 2.x, "System (Built-in) Functions": every function that is called by name
FLINK = """
MOD POWER ABS SQRT LN LOG10 LOG2 LOG EXP CEIL CEILING FLOOR SIGN ROUND TRUNCATE PI E RAND RAND_INTEGER UUID BIN HEX
UNHEX SIN SINH COS COSH TAN TANH COT ASIN ACOS ATAN ATAN2 DEGREES RADIANS CHAR_LENGTH CHARACTER_LENGTH UPPER LOWER
POSITION TRIM LTRIM RTRIM BTRIM REPEAT REPLACE OVERLAY SUBSTRING SUBSTR LEFT RIGHT LPAD RPAD CONCAT CONCAT_WS INITCAP
INSTR LOCATE REVERSE SPLIT_INDEX SPLIT STR_TO_MAP ASCII CHR ENCODE DECODE FROM_BASE64 TO_BASE64 STARTSWITH ENDSWITH
TRANSLATE ELT PRINTF URL_ENCODE URL_DECODE PARSE_URL INET_ATON INET_NTOA IS_ALPHA IS_DIGIT IS_DECIMAL IS_VALID_UTF8
MAKE_VALID_UTF8 REGEXP REGEXP_REPLACE REGEXP_EXTRACT REGEXP_EXTRACT_ALL REGEXP_COUNT REGEXP_INSTR REGEXP_SUBSTR
CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP NOW LOCALTIME LOCALTIMESTAMP CURRENT_ROW_TIMESTAMP PROCTIME EXTRACT YEAR
QUARTER MONTH WEEK DAYOFYEAR DAYOFMONTH DAYOFWEEK HOUR MINUTE SECOND DATE_FORMAT TO_DATE TO_TIMESTAMP TO_TIMESTAMP_LTZ
FROM_UNIXTIME UNIX_TIMESTAMP TIMESTAMPADD TIMESTAMPDIFF CONVERT_TZ CURRENT_WATERMARK SOURCE_WATERMARK OVERLAPS NULLIF
COALESCE IF IFNULL GREATEST LEAST TYPEOF CARDINALITY ELEMENT ARRAY_APPEND ARRAY_CONCAT ARRAY_CONTAINS ARRAY_DISTINCT
ARRAY_EXCEPT ARRAY_INTERSECT ARRAY_JOIN ARRAY_MAX ARRAY_MIN ARRAY_POSITION ARRAY_PREPEND ARRAY_REMOVE ARRAY_REVERSE
ARRAY_SLICE ARRAY_SORT ARRAY_UNION MAP_ENTRIES MAP_FROM_ARRAYS MAP_KEYS MAP_UNION MAP_VALUES JSON_VALUE JSON_QUERY
JSON_EXISTS JSON_OBJECT JSON_ARRAY JSON_STRING JSON JSON_QUOTE JSON_UNQUOTE PARSE_JSON TRY_PARSE_JSON OBJECT_OF
OBJECT_UPDATE MD5 SHA1 SHA224 SHA256 SHA384 SHA512 SHA2 BITMAP_AND BITMAP_ANDNOT BITMAP_OR BITMAP_XOR BITMAP_BUILD
BITMAP_CARDINALITY BITMAP_FROM_BYTES BITMAP_TO_ARRAY BITMAP_TO_BYTES BITMAP_TO_STRING BITMAP_AND_AGG
BITMAP_AND_CARDINALITY_AGG BITMAP_OR_AGG BITMAP_OR_CARDINALITY_AGG BITMAP_XOR_AGG BITMAP_XOR_CARDINALITY_AGG
BITMAP_BUILD_AGG BITMAP_BUILD_CARDINALITY_AGG COUNT SUM AVG MIN MAX FIRST_VALUE LAST_VALUE LISTAGG COLLECT ARRAY_AGG
STDDEV_POP STDDEV_SAMP STDDEV VAR_POP VAR_SAMP VARIANCE JSON_OBJECTAGG JSON_ARRAYAGG PERCENTILE APPROX_COUNT_DISTINCT
SINGLE_VALUE ROW_NUMBER RANK DENSE_RANK LAG LEAD CUME_DIST PERCENT_RANK NTILE GROUPING GROUPING_ID GROUP_ID
MATCH_ROWTIME MATCH_PROCTIME CURRENT_DATABASE TUMBLE_START TUMBLE_END TUMBLE_ROWTIME TUMBLE_PROCTIME HOP_START HOP_END
HOP_ROWTIME HOP_PROCTIME SESSION_START SESSION_END SESSION_ROWTIME SESSION_PROCTIME
"""


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


def test_every_function_of_flink_is_there_or_refused_by_name() -> None:
    known = set(REGISTRY.names())
    assert [n for n in FLINK.split() if n not in known and n not in UNSUPPORTED] == []
    assert [n for n in UNSUPPORTED if n in known] == []
    assert set(GROUP_FUNCTIONS) <= known


def test_names_are_told_apart() -> None:
    every: tuple[FunctionDef | AggregateDef, ...] = (*SCALARS, *AGGREGATES)
    names = [n.upper() for f in every for n in (f.name, *f.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("function", [*SCALARS, *AGGREGATES], ids=lambda f: f.name)
def test_every_record_is_documented(function: FunctionDef | AggregateDef) -> None:
    assert function.usage()
    assert function.result
    assert function.description or function.name.startswith("TRIM "), (
        "a form of a function may lack a description"
    )


# The type that a NULL argument gets, and functions whose other arguments must be constants
SAMPLES = {
    "STRING": STRING(), "TEXT": STRING(), "BYTES": BYTES(), "ARRAY": ARRAY(INT()), "MAP": MAP(STRING(), INT()),
    "COLLECTION": ARRAY(INT()), "DOUBLE": DOUBLE(), "ANY": INT(),
}  # fmt: skip
CONSTANT = {
    "CAST", "DATE_FORMAT", "ENCODE", "DECODE", "SHA2", "PARSE_URL", "JSON_VALUE", "JSON_QUERY", "JSON_EXISTS",
    "EXTRACT", "FLOOR TO", "CEIL TO", "TIMESTAMPADD", "TIMESTAMPDIFF", "JSON_OBJECT", "OVERLAPS", "ARRAY_JOIN", "ROUND",
    "TRUNCATE", "TO_TIMESTAMP_LTZ", "REGEXP_EXTRACT_ALL", "REGEXP_INSTR", "ITEM", "UNIX_TIMESTAMP",
    "SPLIT_INDEX", "MAP", "PRINTF", "CURRENT_WATERMARK",
}  # fmt: skip
CANDIDATES = [f for f in SCALARS if f.name not in CONSTANT and f.signatures[0].required]


@pytest.mark.parametrize("function", CANDIDATES, ids=lambda f: f.name)
def test_null_in_null_out(duck: Evaluator, function: FunctionDef) -> None:
    """A result declared nullable is NULL for NULL arguments; one declared NOT NULL is never NULL."""
    signature = function.signatures[0]
    types = [_sample(signature.kind(i), signature.null_type(i)) for i in range(signature.required)]
    args = tuple(Literal(None, t) for t in types)
    call = ExpressionBinder(EmptyScope(), REGISTRY, "x").call(function, args, exp.Null())
    sql = compile_expr(call, [], duck.context)
    found = duck.connection.sql(f"SELECT {sql} AS v").to_arrow_table()["v"][0].as_py()
    assert (found is None) == call.type.nullable


def _sample(kind: str, default: DataType) -> DataType:
    return SAMPLES.get(kind, default if default.root is not Root.NULL else INT())


def test_an_unsupported_name_and_an_unknown_one() -> None:
    assert isinstance(REGISTRY.unknown("inet_aton"), UnsupportedError)
    assert not isinstance(REGISTRY.unknown("prnt"), UnsupportedError)
    assert REGISTRY.unknown("uper").hint == "did you mean 'UPPER' or 'POWER'?"


def test_names_are_found_in_any_case() -> None:
    assert REGISTRY.scalar("substr") is REGISTRY.scalar("SUBSTRING")
    assert REGISTRY.aggregate("Stddev") is REGISTRY.aggregate("STDDEV_SAMP")
    assert REGISTRY.scalar("sum") is None


@pytest.mark.parametrize(
    ("sql", "is_aggregate"),
    [
        ("SUM(1)", True),
        ("row_number()", True),
        ("JSON_ARRAYAGG(1)", True),
        ("UPPER('a')", False),
        ("1 + 1", False),
    ],
)
def test_is_aggregate_node(sql: str, is_aggregate: bool) -> None:
    assert REGISTRY.is_aggregate_node(parse_expression(sql)) is is_aggregate


def test_what_depends_on_the_clock_or_on_chance_is_not_deterministic(duck: Evaluator) -> None:
    for sql in (
        "NOW()",
        "CURRENT_DATE",
        "RAND()",
        "UUID()",
        "PROCTIME()",
        "UNIX_TIMESTAMP()",
        "1 + RAND_INTEGER(3)",
    ):
        assert not is_deterministic(duck.bind(sql)), sql
    for sql in ("1 + 1", "UPPER('a')", "TO_TIMESTAMP('2020-01-01')"):
        assert is_deterministic(duck.bind(sql)), sql


def test_chance(duck: Evaluator) -> None:
    values = duck.connection.sql(
        f"SELECT {compile_expr(duck.bind('RAND()'), [])} AS r, {compile_expr(duck.bind('RAND_INTEGER(3)'), [])} AS i, "
        f"{compile_expr(duck.bind('UUID()'), [])} AS u FROM range(300)"
    ).to_arrow_table()
    assert len(set(values["r"].to_pylist())) > 290 and all(0 <= r < 1 for r in values["r"].to_pylist())
    assert set(values["i"].to_pylist()) == {0, 1, 2}
    assert len(set(values["u"].to_pylist())) == 300 and all(len(u) == 36 for u in values["u"].to_pylist())


@pytest.mark.parametrize(
    "sql", ["CAST(RAND() AS STRING)", "ROUND(RAND(), 2)", "CAST(RAND() * 1e9 AS INT)", "CHR(RAND_INTEGER(9))"]
)
def test_a_random_operand_is_drawn_once(duck: Evaluator, sql: str) -> None:
    """Compiled SQL mentions some operands several times; a random one must not differ between them."""
    compiled = compile_expr(duck.bind(sql), [])
    assert compiled.count("random()") == 1


# -- user functions ----------------------------------------------------------------------------------------------


def test_user_function(duck: Evaluator) -> None:
    duck.connection.create_function("py_twice", lambda v: v * 2, ["BIGINT"], "BIGINT")
    registry = REGISTRY.with_function(user_scalar("twice", [BIGINT()], BIGINT(), "py_twice"))
    assert duck.rows("TWICE(21)", registry) == [42]
    assert duck.rows("twice(CAST(NULL AS INT))", registry) == [None]
    assert duck.bind("twice(1)", registry).text() == "twice(1)"


def test_user_function_arguments_are_checked(duck: Evaluator) -> None:
    registry = REGISTRY.with_function(user_scalar("twice", [BIGINT()], BIGINT(), "py_twice"))
    with pytest.raises(ValidationError, match=r"twice: CHAR\(1\) is no BIGINT"):
        duck.bind("twice('a')", registry)
    with pytest.raises(ValidationError, match=r"twice expects \(BIGINT\); found \(INT, INT\)"):
        duck.bind("twice(1, 2)", registry)


def test_user_functions_shadow_and_leave() -> None:
    mine = user_scalar("upper", [STRING()], STRING(), "my_upper", deterministic=False)
    registry = FunctionRegistry().with_function(mine)
    assert registry.scalar("UPPER") is mine
    assert registry.user_functions == (mine,)
    assert (
        registry.with_function(user_scalar("Upper", [STRING()], STRING(), "other")).scalar("upper")
        is not mine
    )
    assert registry.without_function("UPPER").scalar("UPPER") is REGISTRY.scalar("UPPER")
    shadowing = FunctionRegistry().with_function(user_scalar("sum", [INT()], INT(), "my_sum"))
    assert shadowing.aggregate("SUM") is None


# -- errors while running ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("1 / 0", "Division by zero"),
        ("1 % 0", "Division by zero"),
        ("1.5 / 0", "division by zero"),
        ("CAST(1 AS DECIMAL(38, 10)) / 0", "Division by zero"),
        ("CAST('abc' AS INT)", "not an integer: abc"),
        ("CAST('abc' AS DATE)", "not a DATE: abc"),
        ("CAST('abc' AS DECIMAL(5, 2))", "not a number: abc"),
        ("ELEMENT(ARRAY[1, 2])", "ELEMENT: the array has more than one element"),
        ("JSON_VALUE('nope', '$.a' ERROR ON ERROR)", r"JSON_VALUE fails: path \$\.a"),
        ("JSON_VALUE('{}', 'lax $.a' ERROR ON EMPTY)", r"JSON_VALUE finds nothing: path lax \$\.a"),
        ("JSON_QUERY('1', '$' ERROR ON ERROR)", r"JSON_QUERY fails: path \$"),
        ("JSON_EXISTS('{}', 'strict $.a' ERROR ON ERROR)", r"JSON_EXISTS fails: path strict \$\.a"),
        ("JSON('nope')", "Malformed JSON"),
    ],
)  # fmt: skip
def test_runtime_errors(duck: Evaluator, sql: str, message: str) -> None:
    with pytest.raises(duckdb.Error, match=message):
        duck.value(sql)


def test_one_bad_row_is_told_by_its_value() -> None:
    table = pa.table({"s": pa.array(["1", "2", "x7"])})
    with evaluator("UTC", (Schema.of([("s", STRING())]), table)) as duck:
        with pytest.raises(duckdb.Error, match="not an integer: x7"):
            duck.rows("CAST(s AS INT)")
        assert duck.rows("TRY_CAST(s AS INT)") == [1, 2, None]


def test_an_untyped_null_stays_null(duck: Evaluator) -> None:
    assert duck.bind("NULL").type == NULL()
    assert duck.value("COALESCE(NULL, NULL)").value is None
