"""Money is neither made nor lost: transfers between accounts sum to 0 in every answer that a query ever shows.

A transfer is one row; its debit and credit reach the query by two branches of a union. An answer that had seen one
leg of a transfer and not the other would show another sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamsql.changelog import Row
from tests.oracle.run import session
from tests.oracle.tables import MILLIS, RETRACT, Input, table

LEGS = [
    "CREATE VIEW legs AS SELECT src AS account, -amount AS amount, ts FROM transfers "
    "UNION ALL SELECT dst AS account, amount, ts FROM transfers",
    "CREATE VIEW balances AS SELECT account, SUM(amount) AS balance, COUNT(*) AS moves FROM legs GROUP BY account",
]
BALANCES = "SELECT account, balance, moves FROM balances"
TOTALS = {
    "sum": "SELECT SUM(amount) AS total, COUNT(*) AS moves FROM legs",
    "sum of balances": "SELECT SUM(balance) AS total, SUM(moves) AS moves FROM balances",
    "sum of sums": "SELECT SUM(s) AS total, SUM(m) AS moves FROM "
    "(SELECT MOD(account, 2) AS p, SUM(balance) AS s, SUM(moves) AS m FROM balances GROUP BY MOD(account, 2))",
    "sum by size": "SELECT SUM(s) AS total, SUM(m) AS moves FROM "
    "(SELECT moves, SUM(balance) AS s, SUM(moves) AS m FROM balances GROUP BY moves)",
    "both signs": "SELECT SUM(balance) AS total, SUM(moves) AS moves FROM (SELECT balance, moves FROM balances "
    "WHERE balance > 0 UNION ALL SELECT balance, moves FROM balances WHERE balance <= 0)",
}
WINDOWS = (
    "SELECT SUM(s) AS total, SUM(m) AS moves FROM (SELECT window_start, window_end, account, SUM(amount) AS s, "
    "COUNT(*) AS m FROM TABLE(TUMBLE(TABLE legs, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
    "GROUP BY window_start, window_end, account) GROUP BY window_start, window_end"
)

transfer = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 100), st.integers(0, 40))
steps = st.sampled_from([1, 2, 5, 100])


def transfers(rows: Sequence[tuple[int, int, int, int]], cancelled: int) -> Input:
    """The transfers, of which the first ``cancelled`` are taken back in the end."""
    columns = {"src": pa.int32(), "dst": pa.int32(), "amount": pa.int64(), "ts": MILLIS}
    weights = (1,) * len(rows) + (-1,) * cancelled
    return Input(
        "transfers", table(columns, *rows, *rows[:cancelled]), "ts", 60, weights=weights, mode=RETRACT
    )


def answers(sql: str, rows: Input, step: int, *, setup: Sequence[str] = ()) -> list[Row]:
    with session([rows], setup=[*LEGS, *setup], step=step) as env:
        return list(env.execute_sql(sql).collect())


UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
profile = settings(max_examples=8, deadline=None, suppress_health_check=UNHURRIED)


@profile
@given(st.lists(transfer, min_size=1, max_size=12), st.integers(0, 12), steps)
def test_the_total_is_0_in_every_answer(
    rows: list[tuple[int, int, int, int]], cancelled: int, step: int
) -> None:
    cancelled = min(cancelled, len(rows))
    source = transfers(rows, cancelled)
    for name, sql in TOTALS.items():
        shown = [r for r in answers(sql, source, step) if r.kind.short in ("+I", "+U")]
        assert shown, name
        for total, moves in shown:
            assert total in (0, None), name  # NULL is the sum of nothing
            assert (moves or 0) % 2 == 0, name
        assert (shown[-1][1] or 0) == 2 * (len(rows) - cancelled), name


@profile
@given(st.lists(transfer, min_size=1, max_size=12), steps)
def test_the_balances_sum_to_0_after_each_step(rows: list[tuple[int, int, int, int]], step: int) -> None:
    """The changes of one step are looked at together, as a reader of the job does."""
    with session([transfers(rows, 0)], setup=LEGS, step=step) as env:
        result = env.execute_sql(BALANCES)
        balances: Counter[int] = Counter()
        seen = 0
        while (changes := result.poll(0.5)) is not None:
            for account, balance, _ in (c for c in changes if c.kind.short in ("-U", "-D")):
                balances[account] -= balance
            for account, balance, _ in (c for c in changes if c.kind.short in ("+I", "+U")):
                balances[account] += balance
            assert sum(balances.values()) == 0
            seen += bool(changes)
    assert seen == -(-len(rows) // step)


@profile
@given(st.lists(transfer, min_size=1, max_size=12), steps)
def test_every_window_sums_to_0(rows: list[tuple[int, int, int, int]], step: int) -> None:
    shown = answers(WINDOWS, transfers(rows, 0), step)
    assert [total for total, _ in shown] == [0] * len(shown)
    assert sum(moves for _, moves in shown) == 2 * len(rows)


@profile
@given(st.lists(transfer, min_size=1, max_size=6))
def test_row_by_row(rows: list[tuple[int, int, int, int]]) -> None:
    """Without mini-batches a row is a step of its own, and still not half of a transfer."""
    off = ["SET 'table.exec.mini-batch.enabled' = 'false'"]
    shown = answers(TOTALS["sum of balances"], transfers(rows, 0), 100, setup=off)
    assert {r[0] for r in shown} == {0}
    assert [r[1] for r in shown if r.kind.short != "-U"] == [2 * (n + 1) for n in range(len(rows))]
