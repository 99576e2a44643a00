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
    ("UPPER('abc')", 'ABC', "CHAR(3) NOT NULL"),
    ("LOWER('ABC')", 'abc', "CHAR(3) NOT NULL"),
    ("POSITION('l' IN 'hello')", 3, "INT NOT NULL"),
    ("POSITION('z' IN 'hello')", 0, "INT NOT NULL"),
    ("TRIM('  a ')", 'a', "VARCHAR(4) NOT NULL"),
    ("TRIM(LEADING 'x' FROM 'xxaxx')", 'axx', "VARCHAR(5) NOT NULL"),
    ("TRIM(TRAILING FROM 'a  ')", 'a', "VARCHAR(3) NOT NULL"),
    ("TRIM(BOTH 'x' FROM 'xxaxx')", 'a', "VARCHAR(5) NOT NULL"),
    ("LTRIM('  a ')", 'a ', "VARCHAR(4) NOT NULL"),
    ("RTRIM('xax', 'x')", 'xa', "VARCHAR(3) NOT NULL"),
    ("BTRIM('xax', 'x')", 'a', "STRING NOT NULL"),
    ("REPEAT('ab', 3)", 'ababab', "STRING NOT NULL"),
    ("REPEAT('ab', -1)", '', "STRING NOT NULL"),
    ("REPLACE('ababab', 'abab', 'z')", 'zab', "STRING NOT NULL"),
    ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6)", 'xxxxxxxxx', "VARCHAR(13) NOT NULL"),
    ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6 FOR 2)", 'xxxxxxxxxst', "VARCHAR(13) NOT NULL"),
    ("OVERLAY('abc' PLACING 'z' FROM 9)", 'abc', "VARCHAR(4) NOT NULL"),
    ("SUBSTRING('hello' FROM 2)", 'ello', "VARCHAR(5)"),
    ("SUBSTRING('hello' FROM 2 FOR 3)", 'ell', "VARCHAR(5)"),
    ("SUBSTRING('hello', 0, 2)", 'he', "VARCHAR(5)"),
    ("SUBSTRING('hello', -3, 2)", 'll', "VARCHAR(5)"),
    ("SUBSTRING('hello', -9)", '', "VARCHAR(5)"),
    ("SUBSTRING('hello', 9)", '', "VARCHAR(5)"),
    ("SUBSTRING('hello', 2, -1)", None, "VARCHAR(5)"),
    ("SUBSTR('hello', 2, 10)", 'ello', "VARCHAR(5)"),
    ("SUBSTRING('hello', CAST(NULL AS INT))", None, "VARCHAR(5)"),
    ("SUBSTRING('hello', CHAR_LENGTH('ab') - 4, CHAR_LENGTH('ab'))", 'lo', "VARCHAR(5)"),
    ("LEFT('hello', 2)", 'he', "VARCHAR(5)"),
    ("LEFT('hello', -2)", '', "VARCHAR(5)"),
    ("RIGHT('hello', 2)", 'lo', "VARCHAR(5)"),
    ("RIGHT('hello', CHAR_LENGTH('a') - 5)", '', "VARCHAR(5)"),
    ("LPAD('hi', 4, '??')", '??hi', "STRING"),
    ("LPAD('hi', 1, '??')", 'h', "STRING"),
    ("LPAD('hi', -1, '??')", None, "STRING"),
    ("LPAD('hi', 4, '')", None, "STRING"),
    ("RPAD('hi', 4, '??')", 'hi??', "STRING"),
    ("CONCAT('AA', 'BB', 'CC')", 'AABBCC', "STRING NOT NULL"),
    ("CONCAT('AA', CAST(NULL AS STRING))", None, "STRING"),
    ("CONCAT_WS('~', 'AA', CAST(NULL AS STRING), 'BB', '', 'CC')", 'AA~BB~~CC', "STRING"),
    ("INITCAP('hello wORLD-foo')", 'Hello World-Foo', "CHAR(15) NOT NULL"),
    ("INSTR('hello', 'l')", 3, "INT NOT NULL"),
    ("LOCATE('l', 'hello')", 3, "INT NOT NULL"),
    ("LOCATE('l', 'hello', 4)", 4, "INT NOT NULL"),
    ("LOCATE('l', 'hello', 5)", 0, "INT NOT NULL"),
    ("LOCATE('z', 'hello', 2)", 0, "INT NOT NULL"),
    ("REVERSE('abc')", 'cba', "STRING"),
    ("SPLIT_INDEX('a,b,c', ',', 1)", 'b', "STRING"),
    ("SPLIT_INDEX('a,b,c', ',', 5)", None, "STRING"),
    ("SPLIT_INDEX('a,b,c', ',', -1)", None, "STRING"),
    ("SPLIT_INDEX('a,b,c', 44, 1)", 'b', "STRING"),
    ("SPLIT_INDEX('', ',', 0)", None, "STRING"),
    ("STR_TO_MAP('k1=v1,k2=v2')", [('k1', 'v1'), ('k2', 'v2')], "MAP<STRING, STRING>"),
    ("STR_TO_MAP('k1:v1;k2: v2', ';', ':')", [('k1', 'v1'), ('k2', ' v2')], "MAP<STRING, STRING>"),
    ("STR_TO_MAP('k1$$v1|k2$$ v2', '\\|', '\\$\\$')", [('k1', 'v1'), ('k2', ' v2')], "MAP<STRING, STRING>"),
    ("STR_TO_MAP('')", [], "MAP<STRING, STRING>"),
    ("STR_TO_MAP('a,b=1,b=2')", [('a', None), ('b', '2')], "MAP<STRING, STRING>"),
    ("ASCII('abc')", 97, "INT NOT NULL"),
    ("ASCII('é')", -61, "INT NOT NULL"),
    ("ASCII('')", 0, "INT NOT NULL"),
    ("CHR(97)", 'a', "STRING"),
    ("CHR(353)", 'a', "STRING"),
    ("CHR(-5)", '', "STRING"),
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
    ("URL_ENCODE('https://flink.apache.org/')", 'https%3A%2F%2Fflink.apache.org%2F', "STRING"),
    ("URL_ENCODE('a b*~')", 'a+b*%7E', "STRING"),
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
    ("PRINTF('%d %s', 3, 'x')", '3 x', "STRING"),
    ("PRINTF('%5d|%-5d|%05d|%+d', 3, 4, 5, 6)", '    3|4    |00005|+6', "STRING"),
    ("PRINTF('%s', CAST(NULL AS STRING))", 'null', "STRING"),
    ("PRINTF('%5d', CAST(NULL AS INT))", ' null', "STRING"),
    ("PRINTF('100%% %n', 1)", '100% \n', "STRING"),
    ("PRINTF('%.2f', CAST(1.005 AS DOUBLE))", '1.01', "STRING"),
    ("PRINTF('%8.3f|%f', 2.5, CAST(0.1 AS FLOAT))", '   2.500|0.100000', "STRING"),
    ("PRINTF('%x %X %o', 255, 255, 8)", 'ff FF 10', "STRING"),
    ("PRINTF('%d', 'x')", None, "STRING"),
    ("PRINTF('%s %s', 'a')", None, "STRING"),
    ("PRINTF('%-6s|%.2s', 'abc', 'xyz')", 'abc   |xy', "STRING"),
    ("PRINTF('%s %s', TRUE, 1.50)", 'true 1.50', "STRING"),
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
