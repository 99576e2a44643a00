"""Match: time, late rows, what is held and what is freed; the answers are checked in tests/oracle."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.errors import DataError
from tests.harness import Table, harness
from tests.pretty import rows

PAIRS = """
    SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES A.v AS a, B.v AS b, B.ts AS at
        AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) DEFINE A AS A.v > 0, B AS B.v > A.v)
"""
OPEN = """
    SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES A.v AS a, B.v AS b, COUNT(X.*) AS n
        {skip} PATTERN (A X*? B) WITHIN INTERVAL '10' SECOND DEFINE A AS A.v = 1, X AS X.v < 5, B AS B.v = 5)
"""
LONGEST = """
    SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES FIRST(v) AS a, COUNT(*) AS n, {measure}
        AFTER MATCH SKIP PAST LAST ROW PATTERN (A B?) DEFINE A AS A.v = 1, B AS B.v = 2)
"""


def test_rows_are_matched_once_the_watermark_has_passed_them_in_the_order_of_time(restored: bool) -> None:
    with harness(PAIRS, restored=restored) as h:
        h.push("+I a 7 4000\n+I a 3 1000\n+I b 1 1000\n+I a 5 2000")
        assert h.take() == []
        h.watermark(1999)
        assert h.take() == []
        h.watermark(2000)
        assert h.take() == ["+I a 3 5 2000"]
        h.push("+I b 2 3000", watermark=3000)
        assert h.take() == ["+I b 1 2 3000"]
        h.finish()
        assert h.take() == []
        assert h.state_rows() == {}


def test_late_rows_and_rows_without_a_time_are_counted() -> None:
    with harness(PAIRS) as h:
        h.push("+I a 3 1000\n+I a 4 null", watermark=1500)
        h.push("+I a 5 1500\n+I a 6 1501")
        h.finish()
        assert h.take() == ["+I a 3 6 1501"]
        assert h.metrics("Match").num_late_records_dropped == 1
        assert h.metrics("Match").num_null_time_dropped == 1


def test_a_row_on_which_no_match_begins_is_not_held() -> None:
    with harness(PAIRS) as h:
        h.push("+I a 0 1000\n+I b -1 1000\n+I a -2 2000", watermark=5000)
        assert h.state_rows() == {}


def test_state_is_freed_when_a_match_ends(restored: bool) -> None:
    with harness(PAIRS, restored=restored) as h:
        for i in range(100):
            h.push(f"+I k{i} 1 {1000 + i}", watermark=1000 + i)
        assert h.state_rows() == {"Match.matches": 100, "Match.partitions": 100}
        h.push("\n".join(f"+I k{i} 2 2000" for i in range(100)), watermark=2000)
        assert len(h.take()) == 100
        assert h.state_rows() == {}


def test_within_frees_partial_matches_by_the_watermark(restored: bool) -> None:
    with harness(OPEN.format(skip=""), restored=restored) as h:
        h.push("+I a 1 1000\n+I b 1 2000\n+I a 2 3000", watermark=10_999)
        assert h.state_rows() == {"Match.matches": 3, "Match.partitions": 2}
        h.watermark(11_000)  # the next row comes later than 11 s after the first one
        assert h.state_rows()["Match.partitions"] == 1
        h.push("+I b 5 12000", watermark=12_000)
        assert h.take() == ["+I b 1 5 0"]
        assert h.state_rows() == {}


def test_a_longer_match_is_waited_for_no_longer_than_within(restored: bool) -> None:
    """B* may take more rows until 11 s; then the match that is complete is the match."""
    query = """
        SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES COUNT(*) AS n, C.ts AS at
            AFTER MATCH SKIP PAST LAST ROW PATTERN (A B* C) WITHIN INTERVAL '10' SECOND
            DEFINE A AS A.v = 1, B AS B.v > 1, C AS C.v > 1)
    """
    with harness(query, restored=restored) as h:
        h.push("+I a 1 1000\n+I a 2 2000\n+I a 3 3000", watermark=10_999)
        assert h.take() == []
        h.watermark(11_000)
        assert h.take() == ["+I a 3 3000"]


def test_a_decided_match_waits_for_the_starts_before_it(restored: bool) -> None:
    """The first row might still begin a match that takes the others with it; at 11 s it cannot."""
    query = """
        SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.k AS k, B.v AS b
            AFTER MATCH SKIP PAST LAST ROW PATTERN (A X*? B) WITHIN INTERVAL '10' SECOND
            DEFINE A AS A.v = 1, B AS B.k = A.k AND B.v = 2)
    """
    with harness(query, restored=restored) as h:
        h.push("+I a 1 1000\n+I b 1 2000\n+I b 2 3000", watermark=5000)
        assert h.take() == []
        h.watermark(11_000)
        assert h.take() == ["+I b 2"]
        assert h.state_rows() == {}


def test_the_watermark_stays_behind_matches_that_may_come(restored: bool) -> None:
    """A alone is a match unless B follows; its time is event time of the output, so nothing passes it."""
    with harness(LONGEST.format(measure="MATCH_ROWTIME() AS mt"), restored=restored) as h:
        h.push("+I a 1 1000", watermark=9000)
        assert h.take() == []
        assert h.operator("Match").output_watermark(9000) == 999
        h.push("+I a 3 9500", watermark=9500)
        assert h.take() == ["+I a 1 1 1000"]
        assert h.operator("Match").output_watermark(9500) == 9500


def test_the_watermark_passes_where_no_measure_is_event_time() -> None:
    with harness(LONGEST.format(measure="LAST(ts) AS mt")) as h:
        h.push("+I a 1 1000", watermark=9000)
        assert h.operator("Match").output_watermark(9000) == 9000


CLICKS = Table({"k": pa.string(), "v": pa.int64()}, proctime="pt")
BY_CLOCK = """
    SELECT a, b FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY pt MEASURES A.v AS a, B.v AS b
        AFTER MATCH SKIP PAST LAST ROW PATTERN (A B?) WITHIN INTERVAL '2' SECOND DEFINE A AS A.v = 1, B AS B.v > 1)
"""


def test_processing_time(restored: bool) -> None:
    with harness(BY_CLOCK, {"t": CLICKS}, restored=restored) as h:
        h.push("+I x 1\n+I x 2\n+I y 1")
        assert h.take() == ["+I 1 2"]
        h.advance_time(2000)
        assert h.take() == []
        h.advance_time(1)  # rows of the same millisecond would still have been within
        assert h.take() == ["+I 1 null"]
        h.push("+I z 1")
        h.advance_time(2000)
        h.push("+I z 9")
        assert h.take() == ["+I 1 9"]
        assert h.state_rows() == {}


def test_matches_of_one_step_come_in_the_order_of_time() -> None:
    with harness(PAIRS) as h:
        h.push("+I b 1 1500\n+I a 1 1000\n+I a 2 3000\n+I b 2 2000", watermark=4000)
        assert h.take() == rows("""
            +I b 1 2 2000
            +I a 1 2 3000
        """)


def test_a_variable_without_a_row_cannot_be_skipped_to() -> None:
    query = """
        SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.v AS a
            AFTER MATCH SKIP TO LAST B PATTERN (A B? C) DEFINE B AS B.v = 2, C AS C.v > 2)
    """
    with harness(query) as h:
        h.push("+I a 1 1000\n+I a 3 2000")
        with pytest.raises(DataError, match="AFTER MATCH SKIP TO LAST B: a match has no row of B"):
            h.watermark(2000)


def test_too_many_ways_to_match_are_refused() -> None:
    query = """
        SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.v AS a
            PATTERN ((A | B)* C) DEFINE C AS C.v < 0 AND SUM(A.v) < SUM(B.v))
    """
    with harness(query) as h:
        h.push("\n".join(f"+I a {2**i} {1000 + i}" for i in range(16)))
        with pytest.raises(DataError, match="more than 10000 ways to match"):
            h.watermark(2000)


def test_rows_that_nothing_holds_are_freed_in_bulk() -> None:
    """A start of another partition stays open and holds one row; thousands of rows come and go meanwhile."""
    query = """
        SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES FIRST(v) AS v
            AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) DEFINE A AS A.v = 1, B AS B.v = 2)
    """
    with harness(query) as h:
        h.push("+I open 1 1", watermark=1)
        for i in range(1, 21):
            text = "\n".join(f"+I a {j % 2 + 1} {1000 * i + j + 1}" for j in range(200))
            h.push(text, watermark=1000 * i + 300)
            assert len(h.take()) == 100
            assert h.state_rows()["Match.matches"] < 1300
        h.push("+I open 2 99000", watermark=99_000)
        assert h.take() == ["+I open 1"]
        assert h.state_rows() == {}


def test_steps_after_a_cut_remember_nothing_of_it() -> None:
    """Rows that the cut has written are told to the next one as gone once; steps in between add nothing."""
    with harness(PAIRS) as h:
        matches = h.operator("Match").ctx.states["matches"]
        matches.track_changes()
        h.push("+I a 1 1000", watermark=1000)
        assert matches.changes()["slots-rows"]["slot"].to_pylist() == [0]
        for i in range(20):
            h.push(f"+I a {2 if i == 0 else 0} {2000 + i}", watermark=2000 + i)
        assert [part.tolist() for part in matches._freed] == [[0]]
        assert matches._written == []
        assert matches.changes()["slots-rows"].select(["slot", "live"]).to_pylist() == [
            {"slot": 0, "live": False}
        ]
        assert matches.changes()["slots-rows"].num_rows == 0


NUMBERS = """
    SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.k AS a, B.k AS b, LAST(B.k, 1) AS c
        AFTER MATCH SKIP PAST LAST ROW PATTERN (A B{2})
        DEFINE A AS A.v = 1, B AS CAST(B.k AS INT) > 5 AND CAST(B.k AS INT) > SUM(CAST(B.k AS INT)) - 10)
"""


def test_a_condition_fails_only_on_rows_it_is_asked_for(restored: bool) -> None:
    """'x' and 'y' are no numbers, but no row of B either; 'z' is tried as one."""
    with harness(NUMBERS, restored=restored) as h:
        h.push("+I x 1 1000\n+I 7 2 2000\n+I 8 2 3000\n+I y 3 4000", watermark=4000)
        assert h.take() == ["+I x 8 7"]
        h.push("+I 5 1 5000\n+I z 2 6000")
        with pytest.raises(DataError, match="cannot cast 'z' to INT"):
            h.watermark(6000)


def test_a_row_on_which_a_later_condition_fails(restored: bool) -> None:
    """'x' is no number, which only the condition of C asks for; 'y' is asked by none, and NULL is NULL."""
    query = """
        SELECT * FROM (SELECT *, v / 10 AS p FROM t) MATCH_RECOGNIZE (PARTITION BY p ORDER BY ts MEASURES C.v AS c
            AFTER MATCH SKIP PAST LAST ROW PATTERN (A B C)
            DEFINE A AS MOD(A.v, 10) = 1, B AS MOD(B.v, 10) = 2, C AS MOD(C.v, 10) = 3 OR CAST(A.k AS INT) = 5)
    """
    with harness(query, restored=restored) as h:
        h.push("+I x 1 1000\n+I y 11 1000\n+I null 21 1000\n+I 5 31 1000", watermark=1000)
        h.push("+I a 2 2000\n+I a 12 2000\n+I a 22 2000\n+I a 32 2000", watermark=2000)
        h.push("+I a 13 3000\n+I a 24 3000\n+I a 34 3000", watermark=3000)
        assert h.take() == ["+I 1 13", "+I 3 34"]
        h.push("+I a 4 4000")
        with pytest.raises(DataError, match="cannot cast 'x' to INT"):
            h.watermark(4000)
