"""String functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .evaluate import Evaluator, evaluator, same

STRINGS: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ("'a' || 'bc'", 'abc', "CHAR(3) NOT NULL"),
    ("'a' || CAST(NULL AS STRING)", None, "STRING"),
    ("CHAR_LENGTH('héllo')", 5, "INT NOT NULL"),
    ("UPPER('abc')", 'ABC', "STRING NOT NULL"),
    ("LOWER('ABC')", 'abc', "STRING NOT NULL"),
    ("POSITION('l' IN 'hello')", 3, "INT NOT NULL"),
    ("POSITION('z' IN 'hello')", 0, "INT NOT NULL"),
    ("TRIM('  a ')", 'a', "STRING NOT NULL"),
    ("TRIM(LEADING 'x' FROM 'xxaxx')", 'axx', "STRING NOT NULL"),
    ("TRIM(TRAILING FROM 'a  ')", 'a', "STRING NOT NULL"),
    ("TRIM(BOTH 'x' FROM 'xxaxx')", 'a', "STRING NOT NULL"),
    ("LTRIM('  a ')", 'a ', "STRING NOT NULL"),
    ("RTRIM('xax', 'x')", 'xa', "STRING NOT NULL"),
    ("BTRIM('xax', 'x')", 'a', "STRING NOT NULL"),
    ("REPEAT('ab', 3)", 'ababab', "STRING NOT NULL"),
    ("REPEAT('ab', -1)", '', "STRING NOT NULL"),
    ("REPLACE('ababab', 'abab', 'z')", 'zab', "STRING NOT NULL"),
    ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6)", 'xxxxxxxxx', "STRING NOT NULL"),
    ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6 FOR 2)", 'xxxxxxxxxst', "STRING NOT NULL"),
    ("OVERLAY('abc' PLACING 'z' FROM 9)", 'abc', "STRING NOT NULL"),
    ("SUBSTRING('hello' FROM 2)", 'ello', "STRING"),
    ("SUBSTRING('hello' FROM 2 FOR 3)", 'ell', "STRING"),
    ("SUBSTRING('hello', 0, 2)", 'he', "STRING"),
    ("SUBSTRING('hello', -3, 2)", 'll', "STRING"),
    ("SUBSTRING('hello', -9)", '', "STRING"),
    ("SUBSTRING('hello', 9)", '', "STRING"),
    ("SUBSTRING('hello', 2, -1)", None, "STRING"),
    ("SUBSTR('hello', 2, 10)", 'ello', "STRING"),
    ("SUBSTRING('hello', CAST(NULL AS INT))", None, "STRING"),
    ("SUBSTRING('hello', CHAR_LENGTH('ab') - 4, CHAR_LENGTH('ab'))", 'lo', "STRING"),
    ("LEFT('hello', 2)", 'he', "STRING NOT NULL"),
    ("LEFT('hello', -2)", '', "STRING NOT NULL"),
    ("RIGHT('hello', 2)", 'lo', "STRING NOT NULL"),
    ("RIGHT('hello', CHAR_LENGTH('a') - 5)", '', "STRING NOT NULL"),
    ("LPAD('hi', 4, '??')", '??hi', "STRING"),
    ("LPAD('hi', 1, '??')", 'h', "STRING"),
    ("LPAD('hi', -1, '??')", None, "STRING"),
    ("LPAD('hi', 4, '')", None, "STRING"),
    ("RPAD('hi', 4, '??')", 'hi??', "STRING"),
    ("CONCAT('AA', 'BB', 'CC')", 'AABBCC', "STRING NOT NULL"),
    ("CONCAT('AA', CAST(NULL AS STRING))", None, "STRING"),
    ("CONCAT_WS('~', 'AA', CAST(NULL AS STRING), 'BB', '', 'CC')", 'AA~BB~~CC', "STRING NOT NULL"),
    ("INITCAP('hello wORLD-foo')", 'Hello World-Foo', "STRING NOT NULL"),
    ("INSTR('hello', 'l')", 3, "INT NOT NULL"),
    ("LOCATE('l', 'hello')", 3, "INT NOT NULL"),
    ("LOCATE('l', 'hello', 4)", 4, "INT NOT NULL"),
    ("LOCATE('l', 'hello', 5)", 0, "INT NOT NULL"),
    ("LOCATE('z', 'hello', 2)", 0, "INT NOT NULL"),
    ("REVERSE('abc')", 'cba', "STRING NOT NULL"),
    ("SPLIT_INDEX('a,b,c', ',', 1)", 'b', "STRING"),
    ("SPLIT_INDEX('a,b,c', ',', 5)", None, "STRING"),
    ("SPLIT_INDEX('a,b,c', ',', -1)", None, "STRING"),
    ("SPLIT_INDEX('a,b,c', 44, 1)", 'b', "STRING"),
    ("SPLIT_INDEX('', ',', 0)", None, "STRING"),
    ("STR_TO_MAP('k1=v1,k2=v2')", [('k1', 'v1'), ('k2', 'v2')], "MAP<STRING, STRING> NOT NULL"),
    ("STR_TO_MAP('k1:v1;k2: v2', ';', ':')", [('k1', 'v1'), ('k2', ' v2')], "MAP<STRING, STRING> NOT NULL"),
    ("STR_TO_MAP('k1$$v1|k2$$ v2', '\\|', '\\$\\$')", [('k1', 'v1'), ('k2', ' v2')], "MAP<STRING, STRING> NOT NULL"),
    ("STR_TO_MAP('')", [], "MAP<STRING, STRING> NOT NULL"),
    ("STR_TO_MAP('a,b=1,b=2')", [('a', None), ('b', '2')], "MAP<STRING, STRING> NOT NULL"),
    ("ASCII('abc')", 97, "INT NOT NULL"),
    ("ASCII('é')", -61, "INT NOT NULL"),
    ("ASCII('')", 0, "INT NOT NULL"),
    ("CHR(97)", 'a', "STRING NOT NULL"),
    ("CHR(353)", 'a', "STRING NOT NULL"),
    ("CHR(-5)", '', "STRING NOT NULL"),
    ("ENCODE('a', 'UTF-8')", b'a', "BYTES NOT NULL"),
    ("DECODE(X'6869', 'UTF-8')", 'hi', "STRING NOT NULL"),
    ("FROM_BASE64('aGVsbG8gd29ybGQ=')", 'hello world', "STRING NOT NULL"),
    ("TO_BASE64('hello world')", 'aGVsbG8gd29ybGQ=', "STRING NOT NULL"),
    ("STARTSWITH('abc', 'ab')", True, "BOOLEAN NOT NULL"),
    ("ENDSWITH('abc', 'bc')", True, "BOOLEAN NOT NULL"),
    ("STARTSWITH(X'6162', X'61')", True, "BOOLEAN NOT NULL"),
    ("TRANSLATE('www.apache.org', 'wapcheorg', ' APCHEcom')", '   .APACHE.com', "STRING NOT NULL"),
    ("ELT(2, 'a', 'b')", 'b', "CHAR(1)"),
    ("ELT(5, 'a', 'b')", None, "CHAR(1)"),
    ("URL_ENCODE('https://flink.apache.org/')", 'https%3A%2F%2Fflink.apache.org%2F', "STRING NOT NULL"),
    ("URL_ENCODE('a b*~')", 'a+b*%7E', "STRING NOT NULL"),
    ("URL_DECODE('https%3A%2F%2Fflink.apache.org%2F')", 'https://flink.apache.org/', "STRING"),
    ("URL_DECODE('a+b')", 'a b', "STRING"),
    ("PARSE_URL('http://facebook.com/path1/p.php?k1=v1&k2=v2#Ref1', 'HOST')", 'facebook.com', "STRING"),
    ("PARSE_URL('http://user@facebook.com:80/path1/p.php?k1=v1&k2=v2#Ref1', 'AUTHORITY')",
     'user@facebook.com:80', "STRING"),
    ("PARSE_URL('http://facebook.com/path1/p.php?k1=v1&k2=v2#Ref1', 'FILE')", '/path1/p.php?k1=v1&k2=v2', "STRING"),
    ("PARSE_URL('http://facebook.com/path1/p.php?k1=v1&k2=v2#Ref1', 'QUERY', 'k2')", 'v2', "STRING"),
    ("PARSE_URL('http://facebook.com/path1/p.php?k1=v1&k2=v2#Ref1', 'REF')", 'Ref1', "STRING"),
    ("PARSE_URL('http://facebook.com/path1', 'QUERY')", None, "STRING"),
    ("PARSE_URL('nope', 'HOST')", None, "STRING"),
    ("IS_ALPHA('abc')", True, "BOOLEAN NOT NULL"),
    ("IS_ALPHA('ab1')", False, "BOOLEAN NOT NULL"),
    ("IS_DIGIT('12')", True, "BOOLEAN NOT NULL"),
    ("IS_DECIMAL('1.5e3')", True, "BOOLEAN NOT NULL"),
    ("IS_DECIMAL('x')", False, "BOOLEAN NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), STRINGS)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
