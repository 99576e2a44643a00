"""The three queries to try, and showing their answers where nobody can type."""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamsql.errors import JobError

from ..console import Console
from ..engine import Environment, Result
from ..materialized import MaterializedResult
from ..render import RowFormatter, count_rows, plain_table
from ..settings import Settings

ROWS_SHOWN = 10
ROWS_MAX = 100_000
POLL_S = 0.1
PATIENCE_S = 20.0
"""How much longer than asked for the first row may take, on a machine that is busy."""


@dataclass(frozen=True)
class Example:
    """A query to try, and what it is about."""

    about: str
    sql: str
    endless: bool


EXAMPLES = (
    Example("each price as it comes", "SELECT * FROM share_price", endless=True),
    Example(
        "the price in windows of ten seconds",
        "SELECT window_start, ROUND(MIN(coins), 2) AS low, ROUND(MAX(coins), 2) AS high\n"
        "FROM TABLE(TUMBLE(TABLE share_price, DESCRIPTOR(`time`), INTERVAL '10' SECOND))\n"
        "GROUP BY window_start, window_end",
        endless=True,
    ),
    Example(
        "ask the job in the background: the words that moved the price most",
        "SELECT * FROM jobs.live_hype ORDER BY ABS(coins) DESC LIMIT 5",
        endless=False,
    ),
)


def show_answers(env: Environment, console: Console, seconds: float) -> None:
    """Runs the examples, the endless ones for ``seconds`` in all, and prints what they answered.

    Raises JobError for a query that answers nothing.
    """
    each = seconds / sum(example.endless for example in EXAMPLES)
    for example in EXAMPLES:
        console.line(f"-- {example.about}\n{example.sql};")
        _show(env, console, example, each if example.endless else 0.0)
        console.line()


def _show(env: Environment, console: Console, example: Example, seconds: float) -> None:
    started = time.monotonic()
    result = env.execute_sql(example.sql)
    try:
        answer = _collect(result, started, seconds)
    finally:
        result.close()
    if not len(answer):
        raise JobError(f"no row came within {time.monotonic() - started:.0f} seconds: {example.sql}")
    formatter = RowFormatter(result.schema, Settings(env.config).zone)
    rows = answer.rows(max(0, len(answer) - ROWS_SHOWN))
    console.lines(plain_table(formatter.names, [formatter.texts(row) for row in rows], None))
    note = f"{count_rows(len(answer))} in {time.monotonic() - started:.2f} seconds"
    console.line(note if len(answer) == len(rows) else f"{note}, of which these are the last {len(rows)}")


def _collect(result: Result, started: float, seconds: float) -> MaterializedResult:
    """The table a result amounts to after ``seconds``, or at its end."""
    answer = MaterializedResult(result.upsert_key, ROWS_MAX)
    while True:
        passed = time.monotonic() - started
        if passed > (seconds if len(answer) else seconds + PATIENCE_S):
            return answer
        rows = result.poll(POLL_S)
        if rows is None:
            return answer
        answer.apply(rows)
