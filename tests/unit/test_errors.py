"""The excerpt of an error: the line with a caret below the place."""

from __future__ import annotations

import pytest

from streamsql.errors import EXCERPT_WIDTH, Position


def marked(sql: str, start: int, end: int) -> str:
    """The text above the carets."""
    line, carets = Position.at(sql, start, end).excerpt().split("\n")
    return line[carets.index("^") : len(carets)]


def test_a_short_line_is_shown_whole() -> None:
    assert Position.at("SELECT x", 7, 7).excerpt() == "line 1: SELECT x\n               ^"


def test_the_line_of_several() -> None:
    assert Position.at("SELECT\n  xy", 9, 10).excerpt() == "line 2:   xy\n          ^^"


@pytest.mark.parametrize("before", [0, 5, 100, 300])
@pytest.mark.parametrize("after", [0, 5, 100, 300])
def test_of_a_long_line_the_place_is_shown(before: int, after: int) -> None:
    sql = "." * before + "nope" + "." * after
    assert marked(sql, before, before + 3) == "nope"
    line = Position.at(sql, before, before + 3).excerpt().split("\n")[0]
    assert len(line) <= len("line 1: ……") + EXCERPT_WIDTH
    assert line.startswith("line 1: …") == ("." * before not in line)


def test_a_marker_longer_than_what_is_shown_ends_with_it() -> None:
    assert set(marked("x" * 500, 10, 400)) == {"x"}
