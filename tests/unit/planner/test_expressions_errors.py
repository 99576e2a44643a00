"""What a user reads when an expression is wrong: what was found, what was expected, where, one remedy."""

from __future__ import annotations

import pytest

from streamsql.datatypes import BIGINT, INT, ROW, STRING, TIMESTAMP
from streamsql.errors import StreamSqlError, UnsupportedError, ValidationError
from streamsql.planner.expression_binder import ExpressionBinder
from streamsql.planner.functions import FunctionRegistry
from streamsql.planner.parsing import parse_expression
from streamsql.planner.scope import Scope
from streamsql.schema import Schema

SCOPE = Scope.of(
    Schema.of(
        [
            ("price", BIGINT()),
            ("name", STRING()),
            ("ts", TIMESTAMP(3)),
            ("r", ROW([("city", STRING()), ("zip", INT())])),
        ]
    ),
    "orders",
)
WRONG = (
    # SQL, what the marker points at, message, hint
    ("prce + 1", "prce", "unknown column 'prce'", "did you mean 'price'?"),
    ("orders.nam", "orders.nam", "unknown column 'orders.nam'", "did you mean 'name'?"),
    ("xyz", "xyz", "unknown column 'xyz'", "names in sight: price, name, ts, r, orders"),
    ("upper", "upper", "unknown column 'upper'", "upper is a function: write upper(…)"),
    ("r.cty", "r.cty", "the row has no field 'cty'", "did you mean 'city'?"),
    ("orders.r.cty", "orders.r.cty", "the row has no field 'cty'", "did you mean 'city'?"),
    ("name.city", "name.city", "a STRING has no field 'city'", "only a ROW has fields"),
    ("ROW(1).a", "ROW(1).a", "the row has no field 'a'", "fields: EXPR$0"),
    ("UPER(name)", "UPER(name)", "unknown function UPER", "did you mean 'UPPER' or 'POWER'?"),
    ("INET_ATON('a')", "INET_ATON('a')", "function INET_ATON is Flink's but not supported yet", None),
    ("BITMAP_AND(1, 2)", "BITMAP_AND(1, 2)", "function BITMAP_AND is Flink's but not supported yet", None),
    ("SUBSTRING(name)", "SUBSTRING(name)", "SUBSTRING expects (STRING, INT[, INT]); found (STRING)", None),
    ("SUBSTRING(price, 1)", "SUBSTRING(price, 1)", "SUBSTRING expects (STRING, INT[, INT]); found (BIGINT, INT)", None),
    ("UPPER(name, 1)", "UPPER(name, 1)", "UPPER expects (STRING); found (STRING, INT)", None),
    ("UPPER(*)", "*", "UPPER(*) is not allowed; only COUNT takes *", None),
    ("UPPER(DISTINCT name)", "name", "DISTINCT is for aggregates; UPPER is none", None),
    ("UPPER(x => name)", "x => name", "named arguments of UPPER are not supported", "pass them in order"),
    ("price = name", "price = name", "cannot compare BIGINT with STRING", "use CAST to make the types fit"),
    ("price > ts", "price > ts", "cannot compare BIGINT with TIMESTAMP(3)", "use CAST to make the types fit"),
    ("price IN (1, 'a')", "price IN (1, 'a'", "cannot compare BIGINT with CHAR(1)", "use CAST to make the types fit"),
    ("price + name", "price + name", "BIGINT + STRING is not defined", "use CAST to make the types fit"),
    ("name || price", "name || price", "|| takes (TEXT, TEXT); found (STRING, BIGINT)", None),
    ("NOT price", "price", "NOT takes (BOOLEAN); found (BIGINT)", None),
    ("price AND TRUE", "price AND TRUE", "AND takes (BOOLEAN, BOOLEAN...); found (BIGINT, BOOLEAN)", None),
    ("ts - ts", "ts - ts", "points in time are subtracted with TIMESTAMPDIFF(unit, from, to)", None),
    ("1.5e0 % 2", "1.5e0 % 2", "MOD takes exact numbers, found DOUBLE and INT", None),
    ("CASE WHEN price THEN 1 END", "price", "WHEN needs a condition (BOOLEAN), found BIGINT", None),
    ("CASE WHEN TRUE THEN 1 ELSE name END", "CASE WHEN TRUE THEN 1 ELSE name END",
     "the branches of CASE have no common type: INT and STRING", "use CAST to make the types fit"),
    ("COALESCE(price, name)", "COALESCE(price, name)", "COALESCE: arguments have no common type: BIGINT and STRING",
     "use CAST to make the types fit"),
    ("CAST(ts AS INT)", "CAST(ts AS INT)", "cannot cast TIMESTAMP(3) to INT",
     "use EXTRACT(EPOCH FROM ts) or TIMESTAMPDIFF"),
    ("CAST(price AS TIMESTAMP)", "CAST(price AS TIMESTAMP)", "cannot cast BIGINT to TIMESTAMP(6)",
     "use TO_TIMESTAMP_LTZ(number, 3)"),
    ("CAST(price AS VARIANT)", "VARIANT", "the type VARIANT is not supported", "use STRING and the JSON functions"),
    ("CAST(price AS TIMESTAMP(9))", "TIMESTAMP(9)",
     "TIMESTAMP(9): a precision above 6 (microseconds) is not supported", "use TIMESTAMP(6)"),
    ("CAST(price AS DECIMAL(50, 2))", "DECIMAL(50, 2)", "DECIMAL(50, 2) is out of range",
     "precision is 1 to 38 and scale 0 to the precision"),
    ("price[1]", "price[1", "[…] reads an ARRAY or a MAP, not BIGINT", None),
    ("ARRAY[1, 2][0]", "ARRAY[1, 2][0", "the index of an ARRAY starts at 1, found 0", None),
    ("ARRAY[1, 2][name]", "ARRAY[1, 2][name", "the index of an ARRAY is an integer, not STRING", None),
    ("MAP['a', 1][price]", "MAP['a', 1][price", "the key of a MAP<CHAR(1) NOT NULL, INT NOT NULL> is no BIGINT", None),
    ("ARRAY_APPEND(ARRAY[1], 'a')", "ARRAY_APPEND(ARRAY[1], 'a')",
     "ARRAY_APPEND: an ARRAY<INT NOT NULL> holds no CHAR(1)",
     None),
    ("EXTRACT(FORTNIGHT FROM ts)", "FORTNIGHT", "FORTNIGHT is no unit of time here", None),
    ("EXTRACT(HOUR FROM CAST(ts AS DATE))", "EXTRACT(HOUR FROM CAST(ts AS DATE))", "HOUR cannot be extracted from DATE",
     None),
    ("DATE_FORMAT(ts, 'yyyy ww')", "DATE_FORMAT(ts, 'yyyy ww')", "'ww' in the date pattern 'yyyy ww' is not supported",
     "use letters of yyyy MM dd HH mm ss SSS a E D"),
    ("DATE_FORMAT(ts, name)", "DATE_FORMAT(ts, name)", "DATE_FORMAT needs a constant date pattern",
     "write it as a literal"),
    ("TO_TIMESTAMP_LTZ(price, 9)", "TO_TIMESTAMP_LTZ(price, 9)", "TO_TIMESTAMP_LTZ with precision 9 is not supported",
     "0 is seconds, 3 milliseconds, 6 microseconds"),
    ("DATE '2020-13-01'", "DATE '2020-13-01'", "'2020-13-01' is not a DATE, expected 'yyyy-MM-dd'", None),
    ("TIMESTAMP '2020-01-01'", "TIMESTAMP '2020-01-01'",
     "'2020-01-01' is not a TIMESTAMP, expected 'yyyy-MM-dd HH:mm:ss[.fff]'",
     None),
    ("INTERVAL '1:2' DAY TO SECOND", "INTERVAL '1:2'", "'1:2' is not an interval of DAY TO SECOND",
     "as in '1 12:30:15.5'"),
    ("REGEXP(name, '(?=b)')", "REGEXP(name, '(?=b)')",
     "lookahead in the regular expression '(?=b)' is not supported",
     "rewrite the pattern without it; several simple conditions may do"),
    ("JSON_VALUE(name, 'a.b')", "JSON_VALUE(name, 'a.b')", "the JSON path 'a.b' does not start with $",
     "write '$.field' or 'lax $.field'"),
    ("JSON_VALUE(name, '$.a' RETURNING DATE)", "DATE", "JSON_VALUE cannot return DATE", None),
    ("JSON_OBJECT(name VALUE 1)", "JSON_OBJECT", "JSON_OBJECT: keys are string literals", None),
    ("RAND(5)", "RAND(5)", "RAND and RAND_INTEGER with a seed are not supported",
     "leave the seed away, or hash a column instead"),
    ("SUM(price) > 5", "SUM(price)", "aggregate function SUM is not allowed here",
     "aggregate in SELECT, HAVING or ORDER BY"),
    ("SUM(COUNT(*))", "COUNT(*)", "an aggregate inside SUM is not allowed", "aggregate twice with a sub-query"),
    ("SUM(name)", "SUM(name)", "SUM expects (NUMERIC); found (STRING)", None),
    ("SUM(*)", "*", "SUM(*) is not allowed; only COUNT takes *", None),
    ("SUM(price) FILTER (WHERE name)", "name", "FILTER needs a condition (BOOLEAN), found STRING", None),
    ("ROW_NUMBER()", "ROW_NUMBER()", "ROW_NUMBER needs an OVER clause", None),
    ("SUM(price) OVER (ORDER BY ts)", None, "a window function (OVER) is not allowed here",
     "compute it in a sub-query"),
    ("price > (SELECT 1)", None, "a sub-query is not supported here", None),
    ("EXISTS (SELECT 1)", None, "a sub-query is not supported here", None),
    ("MULTISET[1]", None, "MULTISET[…] is not supported", "use ARRAY[…]"),
)  # fmt: skip


def error_of(sql: str) -> StreamSqlError:
    with pytest.raises(ValidationError) as caught:
        ExpressionBinder(SCOPE, FunctionRegistry(), sql).bind(parse_expression(sql))
    return caught.value


@pytest.mark.parametrize(("sql", "marked", "message", "hint"), WRONG)
def test_error(sql: str, marked: str | None, message: str | None, hint: str | None) -> None:
    error = error_of(sql)
    if message is not None:
        assert error.message == message
    if hint is not None:
        assert error.hint == hint
    assert error.position is not None, "every error says where"
    start = error.position.column - 1
    if marked is not None:
        assert sql[start : start + error.position.length].startswith(marked.split("(")[0])


def test_what_is_flinks_but_refused_is_an_unsupported_error() -> None:
    for sql in ("INET_ATON('a')", "CAST(price AS VARIANT)", "REGEXP(name, 'a++')", "RAND(1)", "MULTISET[1]"):
        assert isinstance(error_of(sql), UnsupportedError)
    for sql in ("NOPE(1)", "nope", "price = name"):
        assert not isinstance(error_of(sql), UnsupportedError)


def test_the_position_is_in_the_right_line() -> None:
    error = error_of("price +\n  UPPER(nme)")
    assert error.position is not None
    assert (error.position.line, error.position.column) == (2, 9)
    assert str(error).split("\n")[1:3] == ["line 2:   UPPER(nme)", "                ^^^"]
