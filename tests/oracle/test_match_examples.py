"""MATCH_RECOGNIZE by hand: the examples of Flink's documentation with their answers, and what surrounds a match."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from streamsql.testing.compare import difference, plain

from .run import STEPS, batch, final, restarted, stream
from .tables import MILLIS, Input, at, table

TICKER = {"symbol": pa.string(), "price": pa.int64(), "tax": pa.int64(), "rowtime": MILLIS}


def ticker(*prices: int, seconds: int = 1, symbol: str = "ACME") -> Input:
    """A price each so many seconds."""
    rows = [(symbol, price, 1, i * seconds) for i, price in enumerate(prices)]
    return Input("Ticker", table(TICKER, *rows), time="rowtime", delay_s=3)


def check(sql: str, source: Input, *expected: tuple[Any, ...]) -> None:
    """The query's answer in every way."""
    wanted = [tuple(plain(value) for value in row) for row in expected]
    runs = {f"steps of {n}": stream(sql, [source], step=n) for n in STEPS}
    runs["shuffled"] = final(sql, [source.shuffled(3)], step=2)
    runs["batch"] = batch(sql, [source])
    runs["restarted"] = restarted(sql, [source], step=2)
    for way, found in runs.items():
        text = difference(found, wanted)
        assert text is None, f"{way}: {text}"


def matched(body: str, what: str = "*") -> str:
    return f"SELECT {what} FROM Ticker MATCH_RECOGNIZE (PARTITION BY symbol ORDER BY rowtime {body}) MR"


def test_falling_and_rising_prices() -> None:
    sql = matched("""
        MEASURES START_ROW.rowtime AS start_tstamp, LAST(PRICE_DOWN.rowtime) AS bottom_tstamp,
            LAST(PRICE_UP.rowtime) AS end_tstamp
        ONE ROW PER MATCH
        AFTER MATCH SKIP TO LAST PRICE_UP
        PATTERN (START_ROW PRICE_DOWN+ PRICE_UP)
        DEFINE
            PRICE_DOWN AS (LAST(PRICE_DOWN.price, 1) IS NULL AND PRICE_DOWN.price < START_ROW.price) OR
                PRICE_DOWN.price < LAST(PRICE_DOWN.price, 1),
            PRICE_UP AS PRICE_UP.price > LAST(PRICE_DOWN.price, 1)""")
    check(sql, ticker(12, 17, 19, 21, 25, 18, 15, 14, 24, 25, 19), ("ACME", at(4), at(7), at(8)))


def test_longest_time_below_an_average() -> None:
    sql = matched("""
        MEASURES FIRST(A.rowtime) AS start_tstamp, LAST(A.rowtime) AS end_tstamp,
            AVG(CAST(A.price AS DOUBLE)) AS avgPrice
        ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A+ B) DEFINE A AS AVG(A.price) < 15""")
    source = ticker(12, 17, 13, 16, 25, 2, 4, 10, 15, 25, 25, 30)
    check(sql, source, ("ACME", at(0), at(3), 14.5), ("ACME", at(5), at(10), 13.5))


@pytest.mark.parametrize(("quantifier", "expected"), [("*", [16]), ("*?", [13, 16])])
def test_greedy_and_reluctant(quantifier: str, expected: Sequence[int]) -> None:
    sql = matched(f"""
        MEASURES C.price AS lastPrice ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A B{quantifier} C) DEFINE A AS A.price > 10, B AS B.price < 15, C AS C.price > 12""")
    check(sql, ticker(10, 11, 12, 13, 14, 16), *(("ACME", price) for price in expected))


def test_within() -> None:
    sql = matched("""
        MEASURES C.rowtime AS dropTime, A.price - C.price AS dropDiff
        ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A B* C) WITHIN INTERVAL '1' HOUR
        DEFINE B AS B.price > A.price - 10, C AS C.price < A.price - 10""")
    check(sql, ticker(20, 17, 18, 11, 14, 9, 15, 14, 24, 1, 19, seconds=1200), ("ACME", at(9 * 1200), 14))


AFTER_MATCH = {
    "PAST LAST ROW": [(26, 0, 3), (17, 4, 6)],
    "TO NEXT ROW": [(26, 0, 3), (24, 1, 4), (25, 2, 5), (22, 3, 6), (17, 4, 6)],
    "TO LAST A": [(26, 0, 3), (25, 2, 5), (17, 4, 6)],
}


@pytest.mark.parametrize("strategy", AFTER_MATCH)
def test_after_match(strategy: str) -> None:
    sql = matched(f"""
        MEASURES SUM(A.price) AS sumPrice, FIRST(rowtime) AS startTime, LAST(rowtime) AS endTime
        ONE ROW PER MATCH AFTER MATCH SKIP {strategy}
        PATTERN (A+ C) DEFINE A AS SUM(A.price) < 30""")
    expected = [("ACME", total, at(first), at(last)) for total, first, last in AFTER_MATCH[strategy]]
    check(sql, ticker(7, 9, 10, 5, 10, 7, 14), *expected)


def test_skip_to_first_of_a_later_variable() -> None:
    sql = matched("""
        MEASURES FIRST(rowtime) AS s, LAST(rowtime) AS e AFTER MATCH SKIP TO FIRST B
        PATTERN (A B+ C) DEFINE B AS B.price < 5, C AS C.price >= 5""")
    check(
        sql, ticker(9, 1, 2, 9, 1, 9), ("ACME", at(0), at(3)), ("ACME", at(1), at(3)), ("ACME", at(3), at(5))
    )


def test_without_after_match_the_next_row_begins() -> None:
    sql = matched("""
        MEASURES FIRST(A.price) AS startPrice, LAST(A.price) AS topPrice, B.price AS lastPrice
        ONE ROW PER MATCH PATTERN (A+ B)
        DEFINE A AS LAST(A.price, 1) IS NULL OR A.price > LAST(A.price, 1), B AS B.price < LAST(A.price)""")
    check(sql, ticker(10, 12, 13, 11), *(("ACME", first, 13, 11) for first in (10, 12, 13)))


def test_variables_of_all_rows() -> None:
    """SUM(price) counts the rows of A and B; so does LAST(price, 1)."""
    sql = matched("""
        MEASURES A.price AS a, COUNT(B.*) AS b, LAST(B.price) AS z AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A B+ C) DEFINE A AS A.price >= 10,
            B AS B.price > A.price AND SUM(price) < 100 AND SUM(B.price) < 80, C AS LAST(price, 1) < C.price""")
    check(sql, ticker(10, 15, 20, 31, 35), ("ACME", 10, 3, 31))


def test_an_optional_variable_takes_a_row_if_it_can() -> None:
    sql = matched("""
        MEASURES A.price AS a, B.price AS b, C.price AS c AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A B? C) DEFINE B AS B.price < 20, C AS LAST(price, 1) < C.price""")
    check(sql, ticker(10, 15, 20), ("ACME", 10, 15, 20))
    check(sql, ticker(10, 20), ("ACME", 10, None, 20))


def test_a_greedy_variable_gives_a_row_back() -> None:
    """14 is neither B nor C, so B ends before it; the row before is C, though it could be B."""
    sql = matched("""
        MEASURES FIRST(price) AS a, COUNT(B.*) AS b, C.price AS c AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A B* C) DEFINE A AS price = 1, B AS B.price < 10, C AS C.price BETWEEN 5 AND 12""")
    check(sql, ticker(1, 6, 7, 14), ("ACME", 1, 1, 7))


def test_groups_alternatives_and_counts() -> None:
    sql = matched("""
        MEASURES COUNT(*) AS n, COUNT(U.*) AS u, COUNT(D.*) AS d, LAST(price) AS z AFTER MATCH SKIP PAST LAST ROW
        PATTERN (S (U D){2} (X | Y)) DEFINE S AS price = 5, U AS price > LAST(price, 1), D AS price < LAST(price, 1),
            X AS price > 90, Y AS price < 0""")
    check(sql, ticker(5, 7, 6, 8, 3, 5, 6, 2, 9, 1, -4), ("ACME", 6, 2, 2, -4))


def test_a_start_that_stays_open_holds_later_matches_back() -> None:
    """The order of 1 is not paid: by SKIP PAST LAST ROW nobody knows whether that of 2 is inside its match."""
    body = """MEASURES A.price AS id {after} PATTERN (A B*? C) {within}
        DEFINE A AS A.tax = 1, C AS C.tax = 2 AND C.price = A.price"""
    rows = table(TICKER, ("s", 1, 1, 0), ("s", 2, 1, 1), ("s", 2, 2, 2), ("s", 9, 9, 50))
    source = Input("Ticker", rows, time="rowtime")
    for after in ("", "AFTER MATCH SKIP PAST LAST ROW"):
        check(matched(body.format(after=after, within="")), source, ("s", 2))
        check(matched(body.format(after=after, within="WITHIN INTERVAL '9' SECOND")), source, ("s", 2))


EVENTS = {"u": pa.string(), "x": pa.decimal128(9, 2), "f": pa.float64(), "b": pa.bool_(), "t": MILLIS}


def test_types_and_functions_of_values() -> None:
    rows = [
        ("a", Decimal("1.50"), float("nan"), True, 0), ("a", Decimal("2.25"), 1.0, None, 1),
        (None, None, None, False, 2), ("c", Decimal("4.00"), 0.5, True, 3),
    ]  # fmt: skip
    source = Input("e", table(EVENTS, *rows), time="t")
    sql = """SELECT * FROM e MATCH_RECOGNIZE (ORDER BY t
        MEASURES A.x + C.x AS sum_x, AVG(x) AS mean, LISTAGG(u) AS us, MAX(f) AS top, COUNT(u) AS n,
            ARRAY_AGG(B.x) AS xs, UPPER(C.u) || A.u AS text, CAST(LAST(B.x, 1) AS INT) AS i,
            COALESCE(B.u, 'none') AS last_u, B.t - INTERVAL '1' SECOND AS before
        PATTERN (A B+ C)
        DEFINE A AS b IS NOT FALSE AND f > 5, B AS (B.x BETWEEN A.x AND 3 OR B.x IS NULL) AND (MAX(f) > 2 OR f < A.f),
            C AS C.x - A.x >= 2.5 AND CHAR_LENGTH(C.u || A.u) = 2 AND C.f < LAST(f, 2)) AS m"""
    expected = (
        Decimal("5.50"), Decimal("2.583333"), "a,a,c", float("nan"), 3,
        [Decimal("2.25"), None], "Ca", 2, "none", at(1),
    )  # fmt: skip
    check(sql, source, expected)


def test_missing_rows_are_null() -> None:
    sql = matched("""MEASURES FIRST(A.price, 5) AS f, LAST(A.price, 5) AS l, SUM(B.price) AS s, COUNT(B.price) AS n,
        B.price IS NULL AS isnull, COALESCE(B.price + 1, -1) AS c PATTERN (A B? C)
        DEFINE B AS B.price > 100, C AS COALESCE(B.price, 7) = 7 AND FIRST(B.price) IS NULL""")
    check(sql, ticker(1, 2), ("ACME", None, None, None, 0, True, -1))


def test_a_match_is_a_table() -> None:
    """Renamed columns, a filter, an aggregate above and a WITH query below."""
    sql = """WITH cheap AS (SELECT symbol, price, rowtime AS ts FROM Ticker WHERE price < 100)
        SELECT sym, SUM(hi) AS total, COUNT(*) AS n FROM (
            SELECT * FROM cheap MATCH_RECOGNIZE (PARTITION BY symbol ORDER BY ts MEASURES B.price AS p
                PATTERN (A B) DEFINE B AS B.price > A.price) AS m (sym, hi) WHERE hi > 1
        ) GROUP BY sym"""
    check(sql, ticker(1, 500, 2, 3, 1, 2), ("ACME", 7, 3))


def test_windows_over_the_time_of_matches() -> None:
    """The match of rows 0 to 1 is decided by row 2, which lies in the next window: the window waits."""
    sql = """SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (
            SELECT * FROM Ticker MATCH_RECOGNIZE (ORDER BY rowtime MEASURES MATCH_ROWTIME() AS mt
                AFTER MATCH SKIP PAST LAST ROW PATTERN (A B?) DEFINE A AS price > 0, B AS B.price > A.price)
        ), DESCRIPTOR(mt), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"""
    rows = table(TICKER, ("s", 1, 1, 0), ("s", 2, 1, 9), ("s", 3, 1, 30), ("s", 1, 1, 31), ("s", 1, 1, 55))
    source = Input("Ticker", rows, time="rowtime")
    check(sql, source, (at(0), 1), (at(30), 2))


def test_a_query_may_match_twice() -> None:
    inner = (
        "SELECT * FROM Ticker MATCH_RECOGNIZE (ORDER BY rowtime MEASURES B.price AS p, MATCH_ROWTIME() AS mt "
    )
    inner += "PATTERN (A B) DEFINE B AS B.price > A.price)"
    sql = f"""SELECT * FROM ({inner}) MATCH_RECOGNIZE (ORDER BY mt MEASURES X.p AS x, Y.p AS y
        PATTERN (X Y) DEFINE Y AS Y.p > X.p)"""
    check(sql, ticker(1, 2, 3, 1, 2), (2, 3))


def test_equal_times_are_ordered_by_the_next_columns() -> None:
    rows = table(TICKER, ("s", 1, 2, 0), ("s", 9, 1, 0), ("s", 5, 1, 0), ("s", 7, 3, 0))
    sql = """SELECT * FROM Ticker MATCH_RECOGNIZE (ORDER BY rowtime ASC, tax DESC, price
        MEASURES ARRAY_AGG(price) AS prices PATTERN (A{4}))"""
    check(sql, Input("Ticker", rows, time="rowtime", delay_s=1), ([7, 1, 5, 9],))


def test_instants() -> None:
    columns = {"x": pa.int64(), "t": pa.timestamp("ms", "UTC")}
    first = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows = [(i, first + dt.timedelta(seconds=i)) for i in range(4)]
    arrays = [pa.array(c, t) for c, t in zip(zip(*rows, strict=True), columns.values(), strict=True)]
    source = Input("e", pa.table(dict(zip(columns, arrays, strict=True))), time="t")
    sql = """SELECT * FROM e MATCH_RECOGNIZE (ORDER BY t MEASURES MATCH_ROWTIME(t) AS mt, A.t AS a
        PATTERN (A B) WITHIN INTERVAL '1' SECOND DEFINE B AS B.t > A.t)"""
    check(sql, source, *((rows[i + 1][1], rows[i][1]) for i in range(3)))


def test_ways_to_the_same_place_differ_in_what_they_took() -> None:
    """After two rows each of A and B may have taken both: only one of the four ways lets C follow."""
    sql = matched("""MEASURES COUNT(A.*) AS a, COUNT(B.*) AS b, FIRST(B.price) AS f AFTER MATCH SKIP PAST LAST ROW
        PATTERN ((A | B)+ C) DEFINE A AS A.price < 9, B AS B.price < 9, C AS C.price = 9 AND SUM(B.price) = 4""")
    check(sql, ticker(1, 2, 3, 9), ("ACME", 1, 2, 1))
