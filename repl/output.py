"""Results printed line by line: finite tables, Flink's ``tableau``, JSON lines and CSV."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamsql.changelog import Row

from .console import Console
from .encode import CsvRows, JsonRows
from .engine import Job, Result
from .interrupts import Interrupts
from .materialized import MaterializedResult
from .rate import Rate
from .render import (
    RowFormatter,
    TableLayout,
    count_rows,
    plain_table,
    type_widths,
    upright,
    watermark_text,
    width,
)
from .settings import Settings
from .troubles import Troubles

POLL_S = 0.1  # how soon Ctrl-C is seen while no rows come
PROGRESS_AFTER_S, PROGRESS_EVERY_S = 1.0, 0.25
RAW_COLUMN = "result"  # SHOW CREATE and EXPLAIN answer one text in a column of this name


@dataclass(frozen=True)
class Shown:
    """How showing a result ended: how many rows it had, and the signal that ended it."""

    rows: int
    signal: int | None = None


class Printer:
    """Prints results to a console. ``signals`` are those that end a query (Ctrl-C, and SIGTERM for
    scripts)."""

    def __init__(
        self,
        console: Console,
        settings: Settings,
        interrupts: Callable[[], Interrupts] = Interrupts,
        encoding: str | None = None,
    ) -> None:
        """``encoding`` (``json``, ``csv``) is how listings are written instead of as tables."""
        self._console = console
        self._encoding = encoding
        self._settings = settings
        self._interrupts = interrupts

    # -- finite ----------------------------------------------------------------------------------------------
    def listing(self, result: Result, started: float) -> Shown:
        """The answer of SHOW, DESCRIBE, EXPLAIN and the like: all of it, nothing cut.

        One row that is wider than the terminal is shown upright.
        """
        if self._encoding is not None:
            return self.encoded(result, self._encoding)
        rows = list(result.collect())
        if result.schema.names == [RAW_COLUMN] and len(rows) == 1:
            self._console.line(str(rows[0][0]).rstrip("\n"))
            return Shown(1)
        formatter = RowFormatter(result.schema, self._settings.zone, null_text="")
        self._table(formatter, rows, None, started, upright_if_wide=True)
        return Shown(len(rows))

    def table(self, result: Result, started: float) -> Shown:
        """The final rows of a finite query, once it has ended."""
        final = MaterializedResult(result.upsert_key, self._settings.rows_max)
        with self._interrupts() as interrupts:
            for rows in batches(result, interrupts, self._progress(result, started)):
                final.apply(rows)
        self._console.clear_status()
        if interrupts.received:
            self._console.line(self._terminated(len(final), started))
            return Shown(len(final), interrupts.received)
        formatter = RowFormatter(result.schema, self._settings.zone)
        if final.dropped:
            self._console.warning(
                f"only the last {self._settings.rows_max:,} rows are shown "
                "(sql-client.execution.max-table-result.rows)"
            )
        self._table(formatter, final.rows(), self._settings.column_width_max, started)
        return Shown(len(final))

    def _table(
        self,
        formatter: RowFormatter,
        rows: list[Row],
        width_max: int | None,
        started: float,
        *,
        upright_if_wide: bool = False,
    ) -> None:
        if not rows:
            self._console.line("Empty set" + self.cost(started))
            return
        texts = [formatter.texts(r) for r in rows]
        lines = plain_table(formatter.names, texts, width_max)
        most = self._console.columns
        if upright_if_wide and len(rows) == 1 and most is not None and width(lines[0]) > most:
            lines = upright(formatter.names, texts[0])
        self._console.lines(lines)
        self._console.line(f"{count_rows(len(rows))} in set{self.cost(started)}")

    # -- as they come ----------------------------------------------------------------------------------------
    def tableau(self, result: Result, started: float) -> Shown:
        """The changes with their op, each as it comes, in columns whose widths follow from the types."""
        formatter = RowFormatter(result.schema, self._settings.zone)
        widths = type_widths(result.schema, self._settings.column_width_max)
        layout = TableLayout(formatter.names, widths, with_op=True)
        count = 0
        with self._interrupts() as interrupts:
            for rows in batches(result, interrupts, self._watch(result)):
                if rows and not count:
                    self._console.lines(layout.header)
                count += len(rows)
                self._console.lines([layout.line(formatter.texts(r), r.kind.short) for r in rows])
        if count and not interrupts.received:
            self._console.line(layout.rule)
        if interrupts.received:
            self._console.line(self._terminated(count, started))
        elif count:
            self._console.line(f"Received a total of {count_rows(count)}{self.cost(started)}")
        else:
            self._console.line("Empty set" + self.cost(started))
        return Shown(count, interrupts.received)

    def encoded(self, result: Result, output: str) -> Shown:
        """JSON objects or CSV lines: the final rows of a finite query, the changes of a continuous one."""
        finite = not result.is_query or result.bounded
        with_op = not finite and not result.insert_only
        writer = (JsonRows if output == "json" else CsvRows)(result.schema, with_op=with_op)
        if isinstance(writer, CsvRows):
            self._console.line(writer.header)
        if not result.is_query:
            rows = list(result.collect())
            self._console.lines([writer.line(r, r.kind) for r in rows])
            return Shown(len(rows))
        collected = MaterializedResult(result.upsert_key, sys.maxsize)
        materialise = finite and not result.insert_only
        count = 0
        with self._interrupts() as interrupts:
            for rows in batches(result, interrupts, self._watch(result)):
                if materialise:
                    collected.apply(rows)
                else:
                    count += len(rows)
                    self._console.lines([writer.line(r, r.kind) for r in rows])
        if materialise and not interrupts.received:
            count = len(collected)
            self._console.lines([writer.line(r, r.kind) for r in collected.rows()])
        return Shown(count, interrupts.received)

    # -- words -----------------------------------------------------------------------------------------------
    def cost(self, started: float) -> str:
        """The time since ``started`` (monotonic seconds), if the session wants it."""
        return f" ({time.monotonic() - started:.2f} seconds)" if self._settings.print_time_cost else ""

    def _terminated(self, rows: int, started: float) -> str:
        return f"Query terminated, received a total of {count_rows(rows)}{self.cost(started)}"

    def _watch(self, result: Result) -> Callable[[], None]:
        """Tells while a query runs what keeps it waiting."""
        troubles = Troubles(self._console)
        return lambda: troubles.look([] if result.job is None else [result.job])

    def _progress(self, result: Result, started: float) -> Callable[[], None]:
        """Shows on a terminal that a long finite query is alive."""
        rate = Rate()
        due = started + PROGRESS_AFTER_S

        watch = self._watch(result)

        def show() -> None:
            nonlocal due
            watch()
            if result.job is not None and time.monotonic() >= due:
                due = time.monotonic() + PROGRESS_EVERY_S
                line = job_line(result.job, rate, self._settings)
                self._console.status(f"{line} (Ctrl-C ends the query)")

        return show


def batches(
    result: Result, interrupts: Interrupts, idle: Callable[[], None] = lambda: None
) -> Iterator[list[Row]]:
    """The rows of a query until it ends or a signal comes; closes the query."""
    try:
        while not interrupts.received:
            rows = result.poll(POLL_S)
            if rows is None:
                return
            if rows:
                yield rows
            idle()
    finally:
        result.close()


def job_line(job: Job, rate: Rate, settings: Settings) -> str:
    """What a job does, in one line."""
    metrics = job.metrics()
    parts = [
        f"{job.name}: {job.status.lower()}",
        f"{metrics.records_in:,} in",
        f"{metrics.records_out:,} out",
        f"{rate.of(metrics.records_in):,.0f} rows/s",
    ]
    if metrics.watermark_ms is not None:
        parts.append(f"watermark {watermark_text(metrics.watermark_ms, settings.zone)}")
    if metrics.lag is not None:
        parts.append(f"lag {metrics.lag:,}")
    return ", ".join([*parts, *metrics.status_lines])


def print_result(result: Result, time_zone: str = "UTC") -> None:
    """Prints a result to stdout as the SQL client does in ``tableau`` mode: ``TableResult.print()``."""
    from streamsql.config import Configuration

    config = Configuration(
        {"sql-client.display.print-time-cost": "false", "table.local-time-zone": time_zone}
    )
    printer = Printer(Console(), Settings(config))
    started = time.monotonic()
    if result.is_query:
        printer.tableau(result, started)
    elif result.result_kind == "SUCCESS_WITH_CONTENT":
        printer.listing(result, started)
    else:
        print(result.message)
