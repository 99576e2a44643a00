"""What the live view draws: styled text from numbers and rows. Pure functions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples

from streamsql.changelog import RowKind
from streamsql.schema import Schema

from .engine import Metrics
from .pages import Page, Pager
from .render import TableLayout, fit, watermark_text, width

Fragments = StyleAndTextTuples

INTERVALS_MS: tuple[int | None, ...] = (None, 50, 100, 500, 1000, 5000, 10_000, 60_000)  # None: only by R
FASTEST = 1  # index into INTERVALS_MS: 20 pictures a second
KEYS = "Q Quit  + - Rate  G Goto  N Next  P Prev  L Last  O Open  R Refresh  ←→ Scroll"
_OP_STYLES = {
    RowKind.INSERT: "class:view.insert",
    RowKind.UPDATE_AFTER: "class:view.update",
    RowKind.UPDATE_BEFORE: "class:view.delete",
    RowKind.DELETE: "class:view.delete",
}


def interval_text(index: int) -> str:
    """
    >>> [interval_text(i) for i in (0, 1, 4, 7)]
    ['manual', 'fastest', '1 s', '1 min']
    """
    ms = INTERVALS_MS[index]
    if ms is None:
        return "manual"
    if index == FASTEST:
        return "fastest"
    if ms < 1000:
        return f"{ms} ms"
    return f"{ms // 60_000} min" if ms >= 60_000 else f"{ms // 1000} s"


def title_line(mode: str, interval: int, pager: Pager, updated: str, columns: int) -> Fragments:
    """The inverse line on top."""
    page = f"last of {pager.pages}" if pager.page is None else f"{pager.current} of {pager.pages}"
    left = f" SQL Query Result ({'Table' if mode == 'table' else 'Changelog'})"
    right = f"Refresh: {interval_text(interval)}   Page: {page}   Updated: {updated} "
    space = columns - width(left) - width(right)
    text = left + " " * space + right if space > 0 else fit(left + "  " + right, columns)
    return [("class:view.title", text.ljust(columns))]


def table_lines(page: Page, selected: int, first_column: int, columns: int, *, with_op: bool) -> Fragments:
    """The header and the rows, from ``first_column`` on, cut at the right edge of the terminal."""
    layout = TableLayout(page.names[first_column:], page.widths[first_column:], with_op=with_op)
    rule, header, _ = layout.header
    out: Fragments = [
        ("class:view.rule", cut(rule, columns) + "\n"),
        ("class:view.header", cut(header, columns) + "\n"),
        ("class:view.rule", cut(rule, columns)),
    ]
    for i, (row, texts) in enumerate(zip(page.rows, page.texts, strict=True)):
        line = cut(layout.line(texts[first_column:], row.kind.short), columns)
        chosen = "class:view.selected" if i == selected else ""
        out.append(("", "\n"))
        if with_op and not chosen:
            out += [("", line[:2]), (_OP_STYLES[row.kind], line[2:4]), ("", line[4:])]
        else:
            out.append((chosen, line))
    return out


def cut(line: str, columns: int) -> str:
    """The line without what is right of the terminal's edge, marked by ``>``."""
    if width(line) <= columns:
        return line
    while line and width(line) > columns - 1:
        line = line[: len(line) - max(1, (width(line) - columns + 1) // 2)]
    return line + ">"


def detail_lines(schema: Schema, page: Page, selected: int, columns: int) -> Fragments:
    """One row, a column a line, nothing cut."""
    if not page.rows:
        return [("", "no row")]
    selected = min(selected, len(page.rows) - 1)
    name_width = max(width(n) for n in page.names)
    out: Fragments = [("class:view.header", f"Row of kind {page.rows[selected].kind.short}\n\n")]
    for name, field, text in zip(page.names, schema, page.texts[selected], strict=True):
        label = name + " " * (name_width - width(name))
        out += [
            ("class:view.header", label),
            ("class:view.keys", f"  {field.type.sql()}\n"),
            ("", f"  {text}\n"),
        ]
    return out


def result_counts(mode: str, rows: int, dropped: int, changes: int) -> list[str]:
    """How much of the result there is.

    >>> result_counts("table", 1, 0, 3), result_counts("changelog", 1000, 500, 1500)
    (['1 row', '3 changes'], ['1,500 changes'])
    """
    if mode == "changelog":
        return [f"{changes:,} changes"]
    parts = [f"{rows:,} row" if rows == 1 else f"{rows:,} rows"]
    if dropped:
        parts.append(f"{dropped:,} older rows dropped")
    if changes != rows:
        parts.append(f"{changes:,} changes")
    return parts


def status_line(
    metrics: Metrics | None, state: str, counts: list[str], rows_per_second: float, now: dt.datetime
) -> str:
    """The numbers of the job in one line; unknown lag and absent troubles are left out.

    ``now`` is in the session's zone.
    """
    zone = now.tzinfo or dt.UTC
    parts = [state, *counts]
    if metrics is not None:
        parts.append(f"{rows_per_second:,.0f} rows/s")
        if metrics.lag is not None:
            parts.append(f"lag {metrics.lag:,}")
        parts.append(f"watermark {watermark_text(metrics.watermark_ms, zone, now.date())}")
        state_bytes = sum(operator.get("stateBytes", 0) for operator in metrics.operators.values())
        troubles = ((metrics.late_records_dropped, "late"), (metrics.bad_records, "unreadable"))
        parts += [f"{count:,} {what}" for count, what in troubles if count]
        if state_bytes:
            parts.append(f"state {bytes_text(state_bytes)}")
    return " │ ".join(parts)


def empty_text(metrics: Metrics | None, state: str, changes: int) -> str:
    """Why the table has no rows, as far as the numbers tell."""
    if state != "running" or changes:
        return "no rows"
    if metrics is None or not metrics.records_in:
        return "waiting for input …"
    read = f"{metrics.records_in:,} rows read, none in the result yet"
    if metrics.watermark_ms is None:
        return f"{read}: a WHERE takes them all, or windows wait for a first watermark"
    return f"{read}: a WHERE takes them all, or windows wait for the watermark to pass their end"


def bytes_text(n: int) -> str:
    """
    >>> bytes_text(900), bytes_text(1_500_000)
    ('900 B', '1.5 MB')
    """
    if n < 1000:
        return f"{n} B"
    power = min(3, (len(str(n)) - 1) // 3)
    return f"{n / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"


def footer(
    status: str, warnings: Sequence[str], error: str | None, prompt: str | None, columns: int
) -> Fragments:
    """The lines below the table."""
    out: Fragments = [("class:view.warning", cut(line, columns) + "\n") for line in warnings]
    if error is not None:
        out += [("class:view.error", cut(line, columns) + "\n") for line in error.split("\n")]
    out.append(("class:view.status", cut(status, columns) + "\n"))
    out.append(("class:view.keys", cut(KEYS, columns)) if prompt is None else ("", prompt))
    return out
