"""The ``lookup.*`` options, the hint LOOKUP, and URLs of databases."""

from __future__ import annotations

import pytest

from streamsql.catalog.lookup import (
    FULL_CACHE,
    PARTIAL_CACHE,
    LookupOptions,
    LookupRetry,
    Reload,
    lookup_options,
    lookup_retry,
)
from streamsql.catalog.options import ConfigOption, Options
from streamsql.catalog.postgres_url import PostgresUrl, parse_postgres_url
from streamsql.errors import ConfigError, StreamSqlError
from streamsql.runtime.connectors.whole_table import next_time_of_day

_CACHE = ConfigOption("lookup.cache", "enum", "NONE", choices=("NONE", "PARTIAL", "FULL"))
HOUR = 3_600_000


def _options(**given: str) -> LookupOptions | None:
    named = {"lookup." + k.replace("__", "-").replace("_", "."): v for k, v in given.items()}
    return lookup_options(Options([_CACHE, *PARTIAL_CACHE, *FULL_CACHE], named, "table t"))


def test_defaults() -> None:
    assert _options() == LookupOptions("NONE")
    assert _options(cache="PARTIAL") == LookupOptions("PARTIAL")
    assert _options(cache="full") == LookupOptions("FULL")
    assert lookup_options(Options([], {}, "table t")) is None


def test_a_partial_cache() -> None:
    found = _options(
        cache="PARTIAL",
        partial__cache_max__rows="7",
        partial__cache_expire__after__write="1 min",
        partial__cache_expire__after__access="2 s",
        partial__cache_cache__missing__key="false",
    )
    assert found == LookupOptions("PARTIAL", 7, 60_000, 2_000, missing_keys=False)


@pytest.mark.parametrize(
    ("text", "of_day", "offset"),
    [
        ("04:30", 4.5, None),
        ("23:59:59Z", 24 - 1 / 3600, 0),
        ("00:00+02:00", 0, 2),
        ("12:00-11:30", 12, -11.5),
    ],
)
def test_a_time_of_day(text: str, of_day: float, offset: float | None) -> None:
    found = _options(
        cache="FULL", full__cache_reload__strategy="TIMED", full__cache_timed__reload_iso__time=text
    )
    assert found is not None
    offset_ms = None if offset is None else int(offset * HOUR)
    assert found.reload == Reload(time_of_day_ms=round(of_day * HOUR), offset_ms=offset_ms)


@pytest.mark.parametrize("text", ["24:00", "4:30", "04:30+2", "04:60", "noon", ""])
def test_no_time_of_day(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a time such as"):
        _options(cache="FULL", full__cache_reload__strategy="TIMED", full__cache_timed__reload_iso__time=text)


def test_the_next_time_of_day_follows_summer_time() -> None:
    reload = Reload(time_of_day_ms=4 * HOUR)
    before = 1_711_756_800_000  # 2024-03-30T00:00Z, a day before clocks go forward in Berlin
    first = next_time_of_day(reload, before, "Europe/Berlin", first=True)
    assert first == before + 3 * HOUR
    second = next_time_of_day(reload, first, "Europe/Berlin", first=False)
    assert second == first + 23 * HOUR


def test_the_hint() -> None:
    retry = {
        "retry-predicate": "lookup_miss",
        "retry-strategy": "fixed_delay",
        "fixed-delay": "1 s",
        "max-attempts": "2",
    }
    assert lookup_retry({"table": "t"}) is None
    assert lookup_retry({"table": "t", "async": "false"}) is None
    assert lookup_retry({"table": "t"} | retry) == LookupRetry(1000, 2)
    for missing in retry:
        with pytest.raises(StreamSqlError, match=missing):
            lookup_retry({"table": "t"} | {k: v for k, v in retry.items() if k != missing})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("jdbc:postgresql://h:5432/d", PostgresUrl("h:5432", "d")),
        ("jdbc:postgresql:d", PostgresUrl("localhost", "d")),
        ("jdbc:postgresql://a,b:1/my%20db", PostgresUrl("a,b:1", "my db")),
        ("jdbc:postgresql://[::1]:5432/d?ssl=true&currentSchema=a b",
         PostgresUrl("[::1]:5432", "d", (("sslmode", "verify-full"), ("options", "-csearch_path=a\\ b")))),
        ("jdbc:postgresql://h/d?targetServerType=secondary&connectTimeout=3",
         PostgresUrl("h", "d", (("target_session_attrs", "standby"), ("connect_timeout", "3")))),
    ],
)  # fmt: skip
def test_urls(text: str, found: PostgresUrl) -> None:
    assert parse_postgres_url(text, "table t") == found


@pytest.mark.parametrize(
    "text",
    ["jdbc:oracle:thin:@h", "postgresql://h/d", "jdbc:postgresql://h", "jdbc:postgresql://u:p@h/d", ""],
)
def test_wrong_urls(text: str) -> None:
    with pytest.raises(StreamSqlError):
        parse_postgres_url(text, "table t")
