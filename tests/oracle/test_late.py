"""Late rows against a model in plain Python: a row counts in the windows that have not fired when it arrives."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pytest

from streamsql.testing.compare import difference, rows_of

from .run import session
from .tables import MILLIS, Input, at, table

Event = tuple[str, int, float]
Groups = dict[tuple[int, int, str], list[int]]

DELAY_S = 2
COLUMNS = {"k": pa.string(), "v": pa.int32(), "ts": MILLIS}


@dataclass(frozen=True)
class Window:
    """``slide`` is the distance of ends (HOP's slide, CUMULATE's step); seconds."""

    sql: str
    size: int
    slide: int
    cumulates: bool = False

    def of(self, second: float) -> list[tuple[int, int]]:
        """The windows (start, end) that a time is in."""
        if self.cumulates:
            start = int(second // self.size) * self.size
            ends = range(start + self.slide, start + self.size + 1, self.slide)
            return [(start, end) for end in ends if second < end]
        first = int(second // self.slide) * self.slide + self.slide
        return [(end - self.size, end) for end in range(first, first + self.size, self.slide)]


WINDOWS = {
    "tumble": Window("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)", 10, 10),
    "hop": Window("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)", 15, 5),
    "cumulate": Window(
        "CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)", 15, 5, True
    ),
}
CALLS: dict[str, tuple[str, Callable[[list[int]], tuple[object, ...]]]] = {
    "merged": ("COUNT(*) AS c, SUM(v) AS s, MAX(v) AS m", lambda vs: (len(vs), sum(vs), max(vs))),
    "kept": ("COUNT(*) AS c, SUM(DISTINCT v) AS s, LISTAGG(CAST(v AS STRING)) AS m",
             lambda vs: (len(vs), sum(set(vs)), ",".join(map(str, vs)))),
}  # fmt: skip


def events(seed: int) -> list[Event]:
    """Rows up to 20 s behind the latest."""
    rng = random.Random(seed)
    latest, rows = 20.0, []
    for _ in range(25):
        latest += rng.choice((0, 0.5, 1, 4))
        rows.append((rng.choice("ab"), rng.randrange(5), latest - rng.choice((0, 0, 0, 1, 3, 8, 20))))
    return rows


def model(rows: list[Event], window: Window, step: int) -> tuple[Groups, int]:
    """The values of each (start, end, key), and how many rows were late."""
    found: Groups = defaultdict(list)
    watermark, late = float("-inf"), 0
    for start in range(0, len(rows), step):
        taken = rows[start : start + step]
        for key, value, second in taken:
            # a window has fired when the watermark is at or after its last millisecond
            open_windows = [(s, e) for s, e in window.of(second) if e - 0.001 > watermark]
            late += not open_windows
            for s, e in open_windows:
                found[s, e, key].append(value)
        watermark = max(watermark, max(second for _, _, second in taken) - DELAY_S)
    return found, late


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("calls", CALLS)
@pytest.mark.parametrize("name", WINDOWS)
def test_windows_drop_what_comes_too_late(name: str, calls: str, step: int) -> None:
    window, (select, fold) = WINDOWS[name], CALLS[calls]
    lates = 0
    for seed in range(2):
        rows = events(seed)
        by = "window_start, window_end, k"
        sql = f"SELECT {by}, {select} FROM TABLE({window.sql}) GROUP BY {by}"
        with session([Input("t", table(COLUMNS, *rows), "ts", DELAY_S)], step=step) as env:
            result = env.execute_sql(sql)
            found = rows_of(result.to_arrow())
            assert result.job is not None
            dropped = result.job.metrics().late_records_dropped
        groups, late = model(rows, window, step)
        expected = [(at(s), at(e), k, *fold(vs)) for (s, e, k), vs in groups.items()]
        text = difference(found, expected)
        assert text is None, f"seed {seed}: {text}"
        assert dropped == late
        lates += late
    assert lates, "the seeds make no late row"


def test_rows_that_are_read_one_by_one_are_never_late() -> None:
    """A window function without an aggregate only adds columns."""
    rows = events(0)
    with session([Input("t", table(COLUMNS, *rows), "ts", DELAY_S)], step=1) as env:
        found = rows_of(env.execute_sql(f"SELECT v, window_end FROM TABLE({WINDOWS['hop'].sql})").to_arrow())
    expected = [(v, at(end)) for _, v, second in rows for _, end in WINDOWS["hop"].of(second)]
    assert difference(found, expected) is None
