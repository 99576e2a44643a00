"""Where streamsql answers otherwise than Flink, each with its reason. docs/flink.md says the same to users."""

from __future__ import annotations

QUERIES: dict[str, str] = {
    "global aggregate of nothing": "the row of no rows comes when the input ends, as in batch mode; Flink sends none",
    "group json": "JSON_OBJECTAGG keeps the order of arrival; Flink's is that of a hash table",
}
"""The final table differs."""

REFUSED_IN_BATCH: dict[str, str] = {}
"""Refused by name in batch mode."""

_EQUAL = "rows that go and come again unchanged are not shown"
CHANGELOGS: dict[str, str] = {
    "group moments": _EQUAL,
    "left unnest": _EQUAL,
    "order by limit offset": "rows that only move within the range are not sent again",
    "with": _EQUAL,
}
"""Intermediate changes differ."""

_NO_KEY = "without the key among the columns, an update is a -D and a +I"
KINDS: dict[str, str] = {
    "cube": _NO_KEY,
    "except all": "each copy of a row is a +I",
    "filter over changes": _NO_KEY,
    "group having": "a row that passes for the first time is a +I",
    "grouping sets": _NO_KEY,
    "intersect all": "each copy of a row is a +I",
    "rollup": _NO_KEY,
    "top of changes": "the new first row of a partition is an update of it",
}
"""The same rows come and go, under other kinds."""

_CAN_BE_NULL = "it can be NULL"
_NEVER_NULL = "it cannot be NULL"
TYPES: dict[str, str] = {
    "ELEMENT(ARRAY[7])": _CAN_BE_NULL,
    "LPAD('hi', 1, '??')": _CAN_BE_NULL,
    "LPAD('hi', 4, '??')": _CAN_BE_NULL,
    "MAP_ENTRIES(MAP['a', 1])": "entries cannot be NULL",
    "REGEXP_REPLACE('banana', 'a(n)', 'x')": _CAN_BE_NULL,
    "RPAD('hi', 5, 'xy')": _CAN_BE_NULL,
    "TYPEOF('a')": _NEVER_NULL,
    "TYPEOF(1)": _NEVER_NULL,
    "TYPEOF(1.5)": _NEVER_NULL,
    "TYPEOF(CAST(1 AS BIGINT) + 1.5)": _NEVER_NULL,
    "group json": "a JSON text is a STRING; Flink's VARCHAR(2000) does not hold its own results",
    "over lag": "a default that is not NULL does not keep the value from being NULL",
    "window grouping sets": "columns of grouping sets can be NULL",
}
"""The result type differs."""

SCALARS: dict[str, str] = {
    "ARRAY[1, 2, 3][9]": "outside of an array is NULL; Flink's fetched result shows -1",
    "MAP['a', 1]['x']": "a key that is not there gives NULL; Flink's fetched result shows -1",
    "TIMESTAMPDIFF(MONTH, TIMESTAMP '2020-03-15 18:00:00', TIMESTAMP '2020-01-15 12:00:00')": (
        "two whole months lie between; Flink counts three backwards"
    ),
}
"""The value differs."""
