"""Types and intervals as they are written."""

from __future__ import annotations

import pytest
from sqlglot import exp

from streamsql.datatypes import INTERVAL_SECOND, MAX_LENGTH
from streamsql.errors import StreamSqlError, UnsupportedError, ValidationError
from streamsql.planner.expressions import Literal
from streamsql.planner.functions.java_dates import parse_pattern
from streamsql.planner.functions.java_regex import to_re2
from streamsql.planner.functions.json_paths import JsonPath, parse_path
from streamsql.planner.parsing import parse_expression, parse_type
from streamsql.planner.typing import data_type, interval_literal, interval_ms


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("STRING", "STRING"), ("VARCHAR", "STRING"), ("VARCHAR(10)", "VARCHAR(10)"), ("CHAR", "CHAR(1)"),
        ("CHAR(3)", "CHAR(3)"), ("BYTES", "BYTES"), ("VARBINARY", "BYTES"), ("VARBINARY(3)", "VARBINARY(3)"),
        ("BINARY(2)", "BINARY(2)"), ("BOOLEAN", "BOOLEAN"), ("TINYINT", "TINYINT"), ("SMALLINT", "SMALLINT"),
        ("INT", "INT"), ("INTEGER", "INT"), ("BIGINT", "BIGINT"), ("FLOAT", "FLOAT"), ("DOUBLE", "DOUBLE"),
        ("DOUBLE PRECISION", "DOUBLE"), ("DECIMAL", "DECIMAL(10, 0)"), ("DECIMAL(5)", "DECIMAL(5, 0)"),
        ("DECIMAL(5, 2)", "DECIMAL(5, 2)"), ("NUMERIC(5, 2)", "DECIMAL(5, 2)"), ("DATE", "DATE"), ("TIME", "TIME(0)"),
        ("TIME(3)", "TIME(3)"), ("TIMESTAMP", "TIMESTAMP(6)"), ("TIMESTAMP(3)", "TIMESTAMP(3)"),
        ("TIMESTAMP(3) WITHOUT TIME ZONE", "TIMESTAMP(3)"), ("TIMESTAMP_LTZ(3)", "TIMESTAMP_LTZ(3)"),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(3)"), ("ARRAY<INT>", "ARRAY<INT>"),
        ("INT ARRAY", "ARRAY<INT>"),
        ("MAP<STRING, INT NOT NULL>", "MAP<STRING, INT NOT NULL>"), ("MULTISET<STRING>", "MULTISET<STRING>"),
        ("ROW<a INT, `b c` ROW<d STRING NOT NULL>>", "ROW<`a` INT, `b c` ROW<`d` STRING NOT NULL>>"),
        ("ROW(a INT)", "ROW<`a` INT>"), ("INTERVAL YEAR TO MONTH", "INTERVAL YEAR TO MONTH"),
        ("INTERVAL DAY(3) TO SECOND(2)", "INTERVAL DAY TO SECOND"), ("INTERVAL MONTH", "INTERVAL YEAR TO MONTH"),
        ("NULL", "NULL"), (f"VARCHAR({MAX_LENGTH})", "STRING"), ("INT NOT NULL", "INT NOT NULL"),
    ],
)  # fmt: skip
def test_types(written: str, type_: str) -> None:
    assert data_type(parse_type(written)).sql() == type_


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("VARIANT", "the type VARIANT is not supported"),
        ("RAW('a', 'b')", "the type RAW is not supported"),
        ("STRUCTURED<'a'>", "the type STRUCTURED is not supported"),
        ("BITMAP", "the type BITMAP is not supported"),
        ("TIMESTAMP(9)", "TIMESTAMP(9): a precision above 6 (microseconds) is not supported"),
        ("ARRAY<TIME(9)>", "TIME(9): a precision above 6 (microseconds) is not supported"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE is not supported (nor in Flink)"),
        ("DECIMAL(39, 0)", "DECIMAL(39, 0) is out of range"),
    ],
)
def test_refused_types(written: str, message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        data_type(parse_type(written), written)
    assert caught.value.message == message
    assert caught.value.position is not None


@pytest.mark.parametrize("written", ["VARCHAR(0)", "ROW<a INT, a STRING>"])
def test_impossible_types(written: str) -> None:
    with pytest.raises(ValidationError):
        data_type(parse_type(written))


@pytest.mark.parametrize(
    ("sql", "milliseconds"),
    [
        ("INTERVAL '5' SECOND", 5_000), ("INTERVAL '0.25' SECOND", 250), ("INTERVAL '10' MINUTES", 600_000),
        ("INTERVAL '1' HOUR", 3_600_000), ("INTERVAL '2' DAY", 172_800_000), ("INTERVAL '1' WEEK", 604_800_000),
        ("INTERVAL '-5' SECOND", -5_000), ("-(INTERVAL '5' SECOND)", -5_000), ("INTERVAL '100' MILLISECOND", 100),
        ("INTERVAL '1 02:03:04.5' DAY TO SECOND", 93_784_500), ("INTERVAL '1 02' DAY TO HOUR", 93_600_000),
        ("INTERVAL '02:03' HOUR TO MINUTE", 7_380_000), ("INTERVAL '3:04' MINUTE TO SECOND", 184_000),
        ("INTERVAL '1' MONTH", None), ("5", None), ("a", None),
    ],
)  # fmt: skip
def test_interval_ms(sql: str, milliseconds: int | None) -> None:
    assert interval_ms(parse_expression(sql)) == milliseconds


def test_interval_ms_of_a_bound_literal() -> None:
    assert interval_ms(Literal(7, INTERVAL_SECOND())) == 7


@pytest.mark.parametrize(
    ("sql", "months"),
    [
        ("INTERVAL '2-10' YEAR TO MONTH", 34),
        ("INTERVAL '1' YEAR", 12),
        ("INTERVAL '1' QUARTER", 3),
        ("INTERVAL '-1' MONTH", -1),
    ],
)
def test_months(sql: str, months: int) -> None:
    node = parse_expression(sql)
    assert isinstance(node, exp.Interval)
    assert interval_literal(node).value == months


@pytest.mark.parametrize(
    "sql",
    ["INTERVAL 'x' DAY", "INTERVAL '1.5' DAY", "INTERVAL '1:2' DAY TO SECOND", "INTERVAL '1' DAY TO HOUR",
     "INTERVAL '1 2' HOUR TO DAY", "INTERVAL '1' NANOSECOND"],
)  # fmt: skip
def test_texts_that_are_no_intervals(sql: str) -> None:
    node = parse_expression(sql)
    assert isinstance(node, exp.Interval)
    with pytest.raises(StreamSqlError):
        interval_literal(node)


# -- the small languages inside string literals ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("java", "re2"),
    [
        (r"\d+\.\d*", r"\d+\.\d*"), (r"(?i)abc", r"(?i)abc"), (r"(?<year>\d{4})", r"(?P<year>\d{4})"),
        (r"(?:a|b)+?", r"(?:a|b)+?"), (r"\p{Alpha}\p{L}\p{IsLatin}", r"[[:alpha:]]\p{L}\p{Latin}"),
        (r"[\p{Digit}_]", r"[[:digit:]_]"), (r"\h[\h]", r"[ \t][ \t]"), (r"a\Z", r"a\z"), (r"\u0041", r"\x{0041}"),
        (r"[a&b]", r"[a&b]"), (r"\+\+", r"\+\+"), (r"[+*?]+", r"[+*?]+"), (r"\Q.\E", r"\Q.\E"),
    ],
)  # fmt: skip
def test_java_patterns(java: str, re2: str) -> None:
    assert to_re2(java) == re2


@pytest.mark.parametrize(
    ("java", "named"),
    [
        ("a(?=b)", "lookahead"), ("a(?!b)", "negative lookahead"), ("(?<=a)b", "lookbehind"),
        ("(?<!a)b", "negative lookbehind"),
        ("(?>a)", "an atomic group"), ("a++", "a possessive quantifier"), ("a{2}+", "a possessive quantifier"),
        (r"(a)\1", "a back-reference"), (r"(?<n>a)\k<n>", "a back-reference"), ("[a-z&&[^b]]", "an intersection"),
        (r"\R", r"\\R"), (r"\p{javaLowerCase}", "javaLowerCase"),
    ],
)  # fmt: skip
def test_what_re2_lacks_is_refused_by_name(java: str, named: str) -> None:
    with pytest.raises(UnsupportedError, match=named):
        to_re2(java)


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("yyyy-MM-dd HH:mm:ss", ("%Y-%m-%d %H:%M:%S",)), ("yyyyMMdd", ("%Y%m%d",)), ("d.M.yy", ("%-d.%-m.%y",)),
        ("HH:mm:ss.SSS", ("%H:%M:%S.", 3)), ("'at' HH''mm", ("at %H'%M",)), ("100%", ("100%%",)), ("h a", ("%-I %p",)),
    ],
)  # fmt: skip
def test_date_patterns(pattern: str, parts: tuple[str | int, ...]) -> None:
    assert parse_pattern(pattern).parts == parts


@pytest.mark.parametrize("pattern", ["ww", "YYYY", "kk", "VV", "zzz", "G", "MMMMM"])
def test_letters_that_are_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedError, match=pattern[0]):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", JsonPath("$", False, False)), ("lax $.a.b", JsonPath('$."a"."b"', True, False)),
        ("STRICT $['a b'][2]", JsonPath('$."a b"[2]', False, False)),
        ("$.a[*].b", JsonPath('$."a"[*]."b"', False, True)),
        ("$.*", JsonPath("$.*", False, True)), ("$..url", JsonPath('$.."url"', False, True)),
        ('$.["a.b"]', JsonPath('$."a.b"', False, False)),
    ],
)  # fmt: skip
def test_json_paths(path: str, found: JsonPath) -> None:
    assert parse_path(path) == found


@pytest.mark.parametrize("path", ["$.a[?(@.b > 1)]", "$.a[1:2]", "$.a.length()", "$[-1]", "$['a\"b']"])
def test_json_steps_that_are_refused(path: str) -> None:
    with pytest.raises(UnsupportedError, match="JSON path"):
        parse_path(path)


def test_a_path_that_does_not_start_at_the_root() -> None:
    with pytest.raises(ValidationError, match="does not start with"):
        parse_path("lax a.b")
