"""JSON functions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from .evaluate import Evaluator, evaluator, same

JSON: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ('JSON_VALUE(\'{"a": true}\', \'$.a\')', 'true', "STRING"),
    ('JSON_VALUE(\'{"a": true}\', \'$.a\' RETURNING BOOLEAN)', True, "BOOLEAN"),
    ('JSON_VALUE(\'{"a": true}\', \'lax $.b\' DEFAULT FALSE ON EMPTY)', 'false', "STRING"),
    ('JSON_VALUE(\'{"a": true}\', \'strict $.b\' DEFAULT FALSE ON ERROR)', 'false', "STRING"),
    ('JSON_VALUE(\'{"a.b": [0.998,0.996]}\',\'$.["a.b"][0]\' RETURNING DOUBLE)', 0.998, "DOUBLE"),
    ('JSON_VALUE(\'{"contains blank": "right"}\', \'strict $.[\'\'contains blank\'\']\' NULL ON EMPTY '
     'DEFAULT \'wrong\' ON ERROR)',
     'right', "STRING"),
    ('JSON_VALUE(\'{"a": "x\\"y"}\', \'$.a\')', 'x"y', "STRING"),
    ('JSON_VALUE(\'{"a": {}}\', \'$.a\')', None, "STRING"),
    ('JSON_VALUE(\'{"a": {}}\', \'lax $.a\' DEFAULT \'e\' ON EMPTY)', 'e', "STRING"),
    ("JSON_VALUE('nope', '$.a')", None, "STRING"),
    ("JSON_VALUE('nope', 'lax $.a' DEFAULT 'empty' ON EMPTY)", 'empty', "STRING"),
    ('JSON_VALUE(\'{"a": 13.37}\', \'$.a\' RETURNING INT)', 13, "INT"),
    ('JSON_VALUE(\'{"a": 9999999999}\', \'$.a\' RETURNING INT)', None, "INT"),
    ('JSON_VALUE(\'{"a": 9999999999}\', \'$.a\' RETURNING BIGINT)', 9999999999, "BIGINT"),
    ('JSON_VALUE(\'{"a": "t"}\', \'$.a\' RETURNING INTEGER DEFAULT 42 ON ERROR)', 42, "INT"),
    ('JSON_VALUE(\'{"a": 13.37}\', \'$.a\' RETURNING DECIMAL(10, 2))', Decimal('13.37'), "DECIMAL(10, 2)"),
    ("JSON_VALUE(CAST(NULL AS STRING), 'lax $.a' DEFAULT 'x' ON EMPTY)", None, "STRING"),
    ('JSON_EXISTS(\'{"a": true}\', \'$.a\')', True, "BOOLEAN"),
    ('JSON_EXISTS(\'{"a": true}\', \'$.b\')', False, "BOOLEAN"),
    ('JSON_EXISTS(\'{"a": [{ "b": 1 }]}\', \'$.a[0].b\')', True, "BOOLEAN"),
    ('JSON_EXISTS(\'{"a": true}\', \'strict $.b\' TRUE ON ERROR)', True, "BOOLEAN"),
    ('JSON_EXISTS(\'{"a": true}\', \'strict $.b\' UNKNOWN ON ERROR)', None, "BOOLEAN"),
    ('JSON_EXISTS(\'{"a": [1]}\', \'$.a[*]\')', True, "BOOLEAN"),
    ('JSON_EXISTS(\'{"a": [1]}\', \'$.c[*]\')', False, "BOOLEAN"),
    ('JSON_QUERY(\'{ "a": { "b": 1 } }\', \'$.a\')', '{"b":1}', "STRING"),
    ("JSON_QUERY('[1, 2]', '$')", '[1,2]', "STRING"),
    ("JSON_QUERY(CAST(NULL AS STRING), '$')", None, "STRING"),
    ('JSON_QUERY(\'{"a":[{"c":"c1"},{"c":"c2"}]}\', \'lax $.a[*].c\')', '["c1","c2"]', "STRING"),
    ("JSON_QUERY('{}', '$' WITH CONDITIONAL ARRAY WRAPPER)", '[{}]', "STRING"),
    ("JSON_QUERY('[1, 2]', '$' WITH CONDITIONAL ARRAY WRAPPER)", '[1,2]', "STRING"),
    ("JSON_QUERY('[1, 2]', '$' WITH UNCONDITIONAL ARRAY WRAPPER)", '[[1,2]]', "STRING"),
    ("JSON_QUERY('1', '$')", None, "STRING"),
    ("JSON_QUERY('1', '$' WITH CONDITIONAL ARRAY WRAPPER)", '[1]', "STRING"),
    ("JSON_QUERY('{}', 'lax $.invalid' EMPTY OBJECT ON EMPTY)", '{}', "STRING"),
    ("JSON_QUERY('{}', 'strict $.invalid' EMPTY ARRAY ON ERROR)", '[]', "STRING"),
    ('JSON_QUERY(\'{"a": ["x", 1, null, {"b": 2}]}\', \'$.a\' RETURNING ARRAY<STRING>)',
     ['x', '1', None, '{"b":2}'], "ARRAY<STRING>"),
    ("JSON_OBJECT()", '{}', "STRING NOT NULL"),
    ("JSON_OBJECT('K1' VALUE 'V1', 'K2' VALUE 'V2')", '{"K1":"V1","K2":"V2"}', "STRING NOT NULL"),
    ("JSON_OBJECT(KEY 'K1' VALUE CAST(NULL AS STRING) NULL ON NULL)", '{"K1":null}', "STRING NOT NULL"),
    ("JSON_OBJECT(KEY 'K1' VALUE CAST(NULL AS STRING) ABSENT ON NULL)", '{}', "STRING NOT NULL"),
    ("JSON_OBJECT(KEY 'K1' VALUE JSON_OBJECT(KEY 'K2' VALUE 'V'))", '{"K1":{"K2":"V"}}', "STRING NOT NULL"),
    ("JSON_OBJECT('d' VALUE 1.50, 't' VALUE TIMESTAMP '2020-01-01 00:00:00.123', 'r' VALUE ROW(1, 'a'),"
     " 'arr' VALUE ARRAY[1, NULL], 'm' VALUE MAP['k', 1.5e0])",
     '{"arr":[1,null],"d":1.50,"m":{"k":1.5},"r":{"EXPR$0":1,"EXPR$1":"a"},"t":"2020-01-01T00:00:00.123"}',
     "STRING NOT NULL"),
    ("JSON_ARRAY()", '[]', "STRING NOT NULL"),
    ("JSON_ARRAY(1, '2')", '[1,"2"]', "STRING NOT NULL"),
    ("JSON_ARRAY(CAST(NULL AS STRING) NULL ON NULL)", '[null]', "STRING NOT NULL"),
    ("JSON_ARRAY(CAST(NULL AS STRING) ABSENT ON NULL)", '[]', "STRING NOT NULL"),
    ("JSON_ARRAY(JSON_ARRAY(1))", '[[1]]', "STRING NOT NULL"),
    ("JSON_STRING(CAST(NULL AS INT))", None, "STRING"),
    ("JSON_STRING('Hello, World!')", '"Hello, World!"', "STRING NOT NULL"),
    ("JSON_STRING(ARRAY[1, 2])", '[1,2]', "STRING NOT NULL"),
    ("JSON_STRING(TRUE)", 'true', "STRING NOT NULL"),
    ('JSON_QUOTE(\'a/"b"\')', '"a\\/\\"b\\""', "STRING NOT NULL"),
    ('JSON_UNQUOTE(\'"a\\"b"\')', 'a"b', "STRING NOT NULL"),
    ("JSON_UNQUOTE('abc')", 'abc', "STRING NOT NULL"),
    ("'1' IS JSON", True, "BOOLEAN NOT NULL"),
    ("'abc' IS JSON", False, "BOOLEAN NOT NULL"),
    ("'abc' IS NOT JSON", True, "BOOLEAN NOT NULL"),
    ("CAST(NULL AS STRING) IS JSON", None, "BOOLEAN"),
    ("'{}' IS JSON OBJECT", True, "BOOLEAN NOT NULL"),
    ("'{}' IS JSON SCALAR", False, "BOOLEAN NOT NULL"),
    ("'[]' IS JSON ARRAY", True, "BOOLEAN NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), JSON)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
