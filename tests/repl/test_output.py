"""Results on paper: finite tables, tableau, JSON and CSV, through a small engine."""

import io
import time

import pytest

from streamsql.changelog import Row
from streamsql.datatypes import STRING
from streamsql.errors import Position, StreamSqlError, ValidationError
from streamsql.repl.console import Console
from streamsql.repl.output import Printer
from streamsql.repl.settings import Settings
from streamsql.schema import Schema

from .fake import FakeEnvironment, FakeResult, change


class Sheet:
    """A printer and what it wrote."""

    def __init__(self, *, cost: bool = False) -> None:
        self.out = io.StringIO()
        env = FakeEnvironment()
        env.config.set("sql-client.display.print-time-cost", str(cost).lower())
        self.printer = Printer(Console(self.out), Settings(env.config))

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


UPDATES = [[change("+I a 1"), change("+I b 1")], [change("-U a 1"), change("+U a 2")]]


def test_a_finite_query_shows_its_final_rows() -> None:
    sheet = Sheet()
    shown = sheet.printer.table(FakeResult(UPDATES, bounded=True), time.monotonic())
    assert shown.rows == 2
    assert sheet.lines == [
        "+------+---+",
        "| word | n |",
        "+------+---+",
        "|    a | 2 |",
        "|    b | 1 |",
        "+------+---+",
        "2 rows in set",
    ]


def test_the_time_is_printed() -> None:
    sheet = Sheet(cost=True)
    sheet.printer.table(FakeResult([[change("+I a 1")]], bounded=True), time.monotonic())
    assert sheet.lines[-1] == "1 row in set (0.00 seconds)"


def test_an_empty_result() -> None:
    sheet = Sheet()
    sheet.printer.table(FakeResult([], bounded=True), time.monotonic())
    assert sheet.lines == ["Empty set"]


def test_tableau_prints_every_change() -> None:
    sheet = Sheet()
    sheet.printer.tableau(FakeResult(UPDATES, bounded=True), time.monotonic())
    rule = "+----+" + "-" * 32 + "+" + "-" * 22 + "+"
    assert sheet.lines[:3] == [rule, "| op | " + "word".rjust(30) + " | " + "n".rjust(20) + " |", rule]
    assert [line[2:4] for line in sheet.lines[3:7]] == ["+I", "+I", "-U", "+U"]
    assert sheet.lines[7:] == [rule, "Received a total of 4 rows"]


def test_json_of_a_finite_query_has_no_op() -> None:
    sheet = Sheet()
    sheet.printer.encoded(FakeResult(UPDATES, bounded=True), "json")
    assert sheet.lines == ['{"word": "a", "n": 2}', '{"word": "b", "n": 1}']


def test_csv_of_an_insert_only_query_has_no_op() -> None:
    sheet = Sheet()
    sheet.printer.encoded(FakeResult(UPDATES[:1], bounded=True, insert_only=True), "csv")
    assert sheet.lines == ["word,n", "a,1", "b,1"]


def test_a_listing_shows_null_as_nothing() -> None:
    sheet = Sheet()
    schema = Schema.of([("name", STRING()), ("key", STRING())])
    sheet.printer.listing(FakeResult([[Row(("id", None))]], schema=schema, is_query=False), time.monotonic())
    assert sheet.lines[3] == "|   id |     |"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def listing(out: io.StringIO, *rows: Row) -> list[str]:
    schema = Schema.of([("name", STRING()), ("key", STRING())])
    printer = Printer(Console(out), Settings(FakeEnvironment().config))
    printer.listing(FakeResult([list(rows)], schema=schema, is_query=False), time.monotonic())
    return out.getvalue().splitlines()


def test_one_row_that_is_wider_than_the_terminal_is_upright(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    row = Row(("x" * 20, None))
    assert listing(Terminal(), row)[:2] == [f"name | {'x' * 20}", " key |"]
    assert listing(Terminal(), row, row)[0].startswith("+--")
    assert listing(io.StringIO(), row)[0].startswith("+--")
    assert listing(Terminal(), Row(("x", None)))[0].startswith("+--")


def test_a_plan_is_printed_as_it_is() -> None:
    sheet = Sheet()
    schema = Schema.of([("result", STRING())])
    sheet.printer.listing(FakeResult([[Row(("== Plan ==\n+- Calc\n",))]], schema=schema, is_query=False), 0.0)
    assert sheet.lines == ["== Plan ==", "+- Calc"]


def test_a_failing_query_raises_its_error_and_is_closed() -> None:
    result = FakeResult(UPDATES, fails=StreamSqlError("boom"))
    with pytest.raises(StreamSqlError, match="boom"):
        Sheet().printer.tableau(result, time.monotonic())
    assert result.closed.is_set()


def test_errors_show_the_place_and_no_stack() -> None:
    out = io.StringIO()
    sql = "SELECT prce FROM t"
    error = ValidationError(
        "no column 'prce'", hint="did you mean 'price'?", position=Position.at(sql, 7, 10)
    )
    Console(out).error(error)
    assert out.getvalue().splitlines() == [
        "[ERROR] no column 'prce'",
        "line 1: SELECT prce FROM t",
        "               ^^^^",
        "Hint: did you mean 'price'?",
    ]


def test_the_stack_is_there_when_asked_for() -> None:
    out = io.StringIO()
    try:
        raise KeyError("inside")
    except KeyError as error:
        Console(out).error(error)
        assert "Traceback" not in out.getvalue()
        Console(out).error(error, verbose=True)
    assert "unexpected error: KeyError: 'inside'" in out.getvalue()
    assert "Traceback" in out.getvalue()
