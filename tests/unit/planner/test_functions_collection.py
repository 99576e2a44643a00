"""Arrays, maps, rows and hashes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from .evaluate import Evaluator, evaluator, same

COLLECTIONS: tuple[tuple[str, object, str], ...] = (
    # SQL, value, type
    ("ARRAY[1, 2.5]", [Decimal('1.0'), Decimal('2.5')], "ARRAY<DECIMAL(11, 1) NOT NULL> NOT NULL"),
    ("ARRAY['a', NULL]", ['a', None], "ARRAY<CHAR(1)> NOT NULL"),
    ("ARRAY[1, 2][1]", 1, "INT"),
    ("ARRAY[1, 2][3]", None, "INT"),
    ("MAP['a', 1, 'b', 2]['b']", 2, "INT"),
    ("MAP['a', 1]['z']", None, "INT"),
    ("ROW(1, 'a')", {'EXPR$0': 1, 'EXPR$1': 'a'}, "ROW<`EXPR$0` INT NOT NULL, `EXPR$1` CHAR(1) NOT NULL> NOT NULL"),
    ("(1, 2) = (1, 2)", True, "BOOLEAN NOT NULL"),
    ("CARDINALITY(ARRAY[1, 2])", 2, "INT NOT NULL"),
    ("CARDINALITY(MAP['a', 1])", 1, "INT NOT NULL"),
    ("ELEMENT(ARRAY[1])", 1, "INT"),
    ("ARRAY_APPEND(ARRAY[1, 2], 3)", [1, 2, 3], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_APPEND(CAST(NULL AS ARRAY<INT>), 3)", None, "ARRAY<INT>"),
    ("ARRAY_PREPEND(ARRAY[1, 2], 3)", [3, 1, 2], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_CONCAT(ARRAY[1], ARRAY[2], ARRAY[3])", [1, 2, 3], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_CONCAT(ARRAY[1], CAST(NULL AS ARRAY<INT>))", None, "ARRAY<INT>"),
    ("ARRAY_CONTAINS(ARRAY[1, 2], 2)", True, "BOOLEAN NOT NULL"),
    ("ARRAY_CONTAINS(ARRAY[1, NULL], NULL)", True, "BOOLEAN"),
    ("ARRAY_CONTAINS(ARRAY[1], 5)", False, "BOOLEAN NOT NULL"),
    ("ARRAY_DISTINCT(ARRAY[3, 1, 3, NULL, NULL])", [3, 1, None], "ARRAY<INT> NOT NULL"),
    ("ARRAY_EXCEPT(ARRAY[1, 2, 2, 3], ARRAY[3])", [1, 2], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_INTERSECT(ARRAY[1, 2, 2, 3], ARRAY[2, 3])", [2, 3], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", [1, 2, 3], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_JOIN(ARRAY['a', NULL, 'b'], ',')", 'a,b', "STRING NOT NULL"),
    ("ARRAY_JOIN(ARRAY['a', NULL, 'b'], ',', '*')", 'a,*,b', "STRING NOT NULL"),
    ("ARRAY_MAX(ARRAY[1, 3, 2])", 3, "INT"),
    ("ARRAY_MIN(ARRAY[1, 3, 2])", 1, "INT"),
    ("ARRAY_POSITION(ARRAY[1, 3, 2], 3)", 2, "INT NOT NULL"),
    ("ARRAY_POSITION(ARRAY[1, 3, 2], 9)", 0, "INT NOT NULL"),
    ("ARRAY_REMOVE(ARRAY[1, NULL, 1, 2], 1)", [None, 2], "ARRAY<INT> NOT NULL"),
    ("ARRAY_REMOVE(ARRAY[1, NULL, 2], NULL)", [1, 2], "ARRAY<INT>"),
    ("ARRAY_REVERSE(ARRAY[1, 2])", [2, 1], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_SLICE(ARRAY[1, 2, 3, 4], 2, 3)", [2, 3], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_SLICE(ARRAY[1, 2, 3, 4], -2)", [3, 4], "ARRAY<INT NOT NULL> NOT NULL"),
    ("ARRAY_SORT(ARRAY[3, NULL, 1])", [None, 1, 3], "ARRAY<INT> NOT NULL"),
    ("ARRAY_SORT(ARRAY[3, NULL, 1], FALSE)", [3, 1, None], "ARRAY<INT> NOT NULL"),
    ("ARRAY_SORT(ARRAY[3, NULL, 1], FALSE, TRUE)", [None, 3, 1], "ARRAY<INT> NOT NULL"),
    ("SPLIT('a,b,,c', ',')", ['a', 'b', '', 'c'], "ARRAY<STRING> NOT NULL"),
    ("SPLIT('abc', '')", ['a', 'b', 'c'], "ARRAY<STRING> NOT NULL"),
    ("MAP_KEYS(MAP['a', 1])", ['a'], "ARRAY<CHAR(1) NOT NULL> NOT NULL"),
    ("MAP_VALUES(MAP['a', 1])", [1], "ARRAY<INT NOT NULL> NOT NULL"),
    ("MAP_ENTRIES(MAP['a', 1])",
     [{'key': 'a', 'value': 1}], "ARRAY<ROW<`key` CHAR(1) NOT NULL, `value` INT NOT NULL> NOT NULL> NOT NULL"),
    ("MAP_FROM_ARRAYS(ARRAY['a', 'b'], ARRAY[1, 2])",
     [('a', 1), ('b', 2)], "MAP<CHAR(1) NOT NULL, INT NOT NULL> NOT NULL"),
    ("MAP_UNION(MAP['a', 1], MAP['a', 2, 'b', 3])",
     [('a', 2), ('b', 3)], "MAP<CHAR(1) NOT NULL, INT NOT NULL> NOT NULL"),
    ("MD5('abc')", '900150983cd24fb0d6963f7d28e17f72', "CHAR(32) NOT NULL"),
    ("SHA1('abc')", 'a9993e364706816aba3e25717850c26c9cd0d89d', "CHAR(40) NOT NULL"),
    ("SHA224('abc')", '23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7', "CHAR(56) NOT NULL"),
    ("SHA256('abc')", 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', "CHAR(64) NOT NULL"),
    ("SHA384('abc')",
     'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
     "CHAR(96) NOT NULL"),
    ("SHA512('abc')",
     'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d'
     '4423643ce80e2a9ac94fa54ca49f', "CHAR(128) NOT NULL"),
    ("SHA2('abc', 512)",
     'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d'
     '4423643ce80e2a9ac94fa54ca49f', "VARCHAR(128) NOT NULL"),
)  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> Iterator[Evaluator]:
    with evaluator() as made:
        yield made


@pytest.mark.parametrize(("sql", "value", "type_"), COLLECTIONS)
def test_value_and_type(duck: Evaluator, sql: str, value: object, type_: str) -> None:
    found = duck.value(sql)
    assert same(found.value, value), found
    assert found.type == type_
    assert found.exact, "DuckDB's value has another type than Flink's type says"
