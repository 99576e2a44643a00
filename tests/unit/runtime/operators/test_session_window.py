"""SessionWindow: windows that grow, merge and end; against a model in plain Python."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import random
from collections import defaultdict

import pyarrow as pa
import pytest

from tests.harness import Table, harness
from tests.pretty import rows

GAP = 5000
SESSION = """
    SELECT window_start, window_end, k, COUNT(*) AS c, SUM(v) AS s
    FROM TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, k
"""


def test_rows_within_the_gap_are_one_session(restored: bool) -> None:
    """::

    gap 5 s   a1   a4                 a20
              [────────9)             [──────25)
    """
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 1000")
        h.push("+I a 2 4000")
        h.push("+I a 4 20000", watermark=8998)
        assert h.take() == []
        h.watermark(8999)
        assert h.take() == ["+I 1000 9000 a 2 3"]
        h.finish()
        assert h.take() == ["+I 20000 25000 a 1 4"]
        assert h.state_rows() == {}


def test_sessions_before_1970(restored: bool) -> None:
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 -22500", watermark=-26_500)
        h.push("+I b 2 -16500", watermark=-20_500)
        h.push("+I b 4 -9000", watermark=-13_000)
        h.watermark(-1_000)
        h.finish()
        assert h.take() == rows("""
            +I -22500 -17500 a 1 1
            +I -16500 -11500 b 1 2
            +I  -9000  -4000 b 1 4
        """)
        assert h.state_rows() == {}


def test_a_row_between_two_sessions_joins_them(restored: bool) -> None:
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 1000\n+I a 2 9000")
        h.push("+I a 4 5000", watermark=5999)
        assert h.take() == []
        h.watermark(13_999)
        assert h.take() == ["+I 1000 14000 a 3 7"]


def test_rows_exactly_a_gap_apart_share_a_session(restored: bool) -> None:
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 1000\n+I a 2 6000\n+I a 4 11001")
        h.finish()
        assert h.take() == rows("""
            +I 1000  11000 a 2 3
            +I 11001 16001 a 1 4
        """)


def test_keys_have_sessions_of_their_own(restored: bool) -> None:
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 1000\n+I null 2 2000\n+I b 4 3000\n+I null 8 5000")
        h.finish()
        assert h.take() == rows("""
            +I 1000 6000 a 1 1
            +I 3000 8000 b 1 4
            +I 2000 10000 null 2 10
        """)


def test_late_rows(restored: bool) -> None:
    """A row is late when the session it would be in has passed; one that reaches an open session is not."""
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 10000", watermark=12_000)
        h.push("+I a 2 7500\n+I a 4 6000\n+I a 8 4000\n+I b 16 7000")
        # 7.5 would end at 12.5 on its own; 6 ends at 11 but touches 7.5; 4 touches 6; b's row stands alone
        assert h.metrics("WindowAggregate").num_late_records_dropped == 1
        h.finish()
        assert h.take() == ["+I 4000 15000 a 4 15"]


def test_rows_without_time_are_in_no_session(restored: bool) -> None:
    with harness(SESSION, restored=restored) as h:
        h.push("+I a 1 null\n+I a 2 1000")
        assert h.metrics("WindowAggregate").num_null_time_dropped == 1
        h.finish()
        assert h.take() == ["+I 1000 6000 a 1 2"]


class Model:
    """Sessions as lists of (time, value) per key."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.watermark = -(2**63)
        self.late = 0

    def sessions(self, key: str, extra: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        found: list[list[tuple[int, int]]] = []
        for row in sorted(self.rows[key] + extra):
            if found and row[0] - found[-1][-1][0] <= GAP:
                found[-1].append(row)
            else:
                found.append([row])
        return found

    def push(self, batch: list[tuple[str, int, int]]) -> None:
        for key in {k for k, _, _ in batch}:
            new = [(t, v) for k, t, v in batch if k == key]
            for session in self.sessions(key, new):
                if session[-1][0] + GAP - 1 <= self.watermark:
                    self.late += len(session)
                    for row in session:
                        new.remove(row)
            self.rows[key] += new

    def advance(self, watermark: int) -> list[str]:
        self.watermark = max(self.watermark, watermark)
        out = []
        for key in list(self.rows):
            for session in self.sessions(key, []):
                end = session[-1][0] + GAP
                if end - 1 <= self.watermark:
                    total = sum(v for _, v in session)
                    out.append(f"+I {session[0][0]} {end} {key} {len(session)} {total}")
                    for row in session:
                        self.rows[key].remove(row)
        return sorted(out)


@pytest.mark.parametrize("seed", range(3))
def test_like_the_model(restored: bool, seed: int) -> None:
    rng = random.Random(seed)
    model = Model()
    clock = 0
    with harness(SESSION, restored=restored) as h:
        for _ in range(9):
            clock += rng.randrange(0, 6000)
            size = rng.randrange(0, 5)
            batch = [
                (rng.choice("abc"), max(0, clock - rng.randrange(0, 9000)), rng.randrange(9))
                for _ in range(size)
            ]
            model.push(batch)
            if batch:
                h.push("\n".join(f"+I {k} {v} {t}" for k, t, v in batch))
            h.watermark(clock - 3000)
            assert sorted(h.take()) == model.advance(clock - 3000)
        h.finish()
        assert sorted(h.take()) == model.advance(2**63 - 1)
        assert h.state_rows() == {}
        if not restored:
            assert h.metrics("WindowAggregate").num_late_records_dropped == model.late


CHANGING = Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}, "ts", "I,UB,UA,D")


def test_a_row_taken_back_leaves_two_sessions(restored: bool) -> None:
    """::

    gap 5 s   a1   a5   a9            a1      a9
              [────────────14)   →    [──6)   [──14)
    """
    with harness(SESSION, {"t": CHANGING}, restored=restored) as h:
        h.push("+I a 1 1000\n+I a 2 5000\n+I a 4 9000")
        h.push("-D a 2 5000", watermark=5999)
        assert h.take() == ["+I 1000 6000 a 1 1"]
        h.finish()
        assert h.take() == ["+I 9000 14000 a 1 4"]
        assert h.state_rows() == {}


def test_an_update_and_a_session_that_goes(restored: bool) -> None:
    with harness(SESSION, {"t": CHANGING}, restored=restored) as h:
        h.push("+I a 1 1000\n+I b 7 1000")
        h.push("-U a 1 1000\n+U a 5 1000\n-D b 7 1000")
        h.finish()
        assert h.take() == ["+I 1000 6000 a 1 5"]
        assert h.state_rows() == {}


def test_a_deletion_after_its_session_is_late(restored: bool) -> None:
    with harness(SESSION, {"t": CHANGING}, restored=restored) as h:
        h.push("+I a 1 1000", watermark=6000)
        assert h.take() == ["+I 1000 6000 a 1 1"]
        h.push("-D a 1 1000")
        assert h.metrics("WindowAggregate").num_late_records_dropped == 1
        h.finish()
        assert h.take() == []


def test_a_deletion_of_a_late_row_joins_nothing(restored: bool) -> None:
    with harness(SESSION, {"t": CHANGING}, restored=restored) as h:
        h.push("+I b 1 9000", watermark=9000)
        h.push("+I a 1 1000")
        h.push("+I a 2 5000")
        h.push("-D a 1 1000")
        h.finish()
        assert h.take() == rows("+I 5000 10000 a 1 2\n+I 9000 14000 b 1 1")
        assert h.state_rows() == {}
