"""What the live view draws, as text."""

import datetime as dt

from prompt_toolkit.formatted_text.utils import fragment_list_to_text

from streamsql.repl.pages import Changes, Page, Pager
from streamsql.repl.render import RowFormatter, width
from streamsql.repl.screen import cut, detail_lines, footer, status_line, table_lines, title_line

from .fake import COUNTS, FakeMetrics, change

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def page(*changes: str) -> Page:
    shown = Page(RowFormatter(COUNTS), 30)
    shown.show([change(c) for c in changes])
    return shown


def test_the_pager_walks_and_stops_at_the_ends() -> None:
    pager = Pager()
    pager.resize(10, 25)
    assert (pager.pages, pager.window()) == (3, (0, 10))
    pager.previous()
    assert pager.current == 1
    pager.next()
    pager.next()
    pager.next()
    assert (pager.current, pager.window()) == (3, (20, 25))
    pager.goto(99)
    assert pager.current == 3
    pager.goto(0)
    assert pager.current == 1


def test_following_the_end_shows_a_full_page() -> None:
    pager = Pager()
    pager.last()
    pager.resize(10, 25)
    assert pager.window() == (15, 25)
    pager.resize(10, 26)
    assert pager.window() == (16, 26)


def test_the_selection_moves_over_the_edge_of_a_page() -> None:
    pager = Pager()
    pager.resize(2, 3)
    pager.move(1)
    pager.move(1)
    assert (pager.current, pager.selected) == (2, 0)
    pager.resize(2, 3)
    pager.move(1)
    assert (pager.current, pager.selected) == (2, 0)
    pager.move(-1)
    assert (pager.current, pager.selected) == (1, 1)


def test_a_page_that_went_away() -> None:
    pager = Pager()
    pager.resize(10, 25)
    pager.goto(3)
    pager.resize(10, 5)
    assert (pager.current, pager.window()) == (1, (0, 5))


def test_changes_keep_the_latest() -> None:
    changes = Changes(3)
    changes.apply([change(f"+I w {i}") for i in range(5)])
    assert [r[1] for r in changes.rows(0, 10)] == [2, 3, 4]
    assert changes.dropped == 2


def test_widths_only_grow() -> None:
    shown = page("+I a_long_word 1")
    before = shown.widths
    shown.show([change("+I a 1")])
    assert shown.widths == before


def test_a_table_is_cut_at_the_edge() -> None:
    lines = fragment_list_to_text(table_lines(page("+I apple 1"), 0, 0, 11, with_op=True)).split("\n")
    assert lines == ["+----+---->", "| op |  wo>", "+----+---->", "| +I | app>"]


def test_cut_counts_wide_characters() -> None:
    assert cut("日本語日本語", 7) == "日本語>"
    assert cut("abc", 3) == "abc"


def test_the_numbers_of_a_job() -> None:
    metrics = FakeMetrics(
        late_records_dropped=2, operators={"a": {"stateBytes": 1500}, "b": {"stateBytes": 500}}
    )
    assert status_line(metrics, "running", ["3 rows"], 1234.0, NOW) == (
        "running │ 3 rows │ 1,234 rows/s │ lag 7 │ watermark 2023-11-14 22:13:20.000 │ 2 late │ state 2.0 kB"
    )
    today = dt.datetime(2023, 11, 14, tzinfo=dt.UTC)
    assert "watermark 22:13:20.000 " in status_line(metrics, "running", ["3 rows"], 1234.0, today)
    nothing = FakeMetrics(watermark_ms=None, lag=None)
    assert status_line(nothing, "running", ["0 rows"], 0.0, NOW).endswith("0 rows/s │ watermark -")


def test_title_fills_the_line() -> None:
    for columns in (20, 60, 120):
        assert width(fragment_list_to_text(title_line("table", 1, Pager(), "12:00:00", columns))) == columns


def test_warnings_and_errors_stand_above_the_status() -> None:
    lines = fragment_list_to_text(footer("running", ["broker away"], "failed:\nwhy", None, 80)).split("\n")
    assert lines[:4] == ["broker away", "failed:", "why", "running"]


def test_one_row_in_full() -> None:
    text = fragment_list_to_text(detail_lines(COUNTS, page("+I apple 1", "-D pear 2"), 1, 80))
    assert text.split("\n") == ["Row of kind -D", "", "word  STRING", "  pear", "n     BIGINT", "  2", ""]
