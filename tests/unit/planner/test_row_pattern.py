"""What follows from a row pattern, and the program it becomes."""

from __future__ import annotations

import pytest

from streamsql.planner import row_pattern as p
from streamsql.runtime.match_program import END, compile_pattern

A, B, C = p.Variable("A"), p.Variable("B"), p.Variable("C")


def star(part: p.Pattern, low: int = 0, high: int | None = None, *, reluctant: bool = False) -> p.Repeat:
    return p.Repeat(part, low, high, reluctant)


PATTERNS: list[tuple[p.Pattern, str, int, set[str], str | None]] = [
    (A, "A", 1, {"A"}, "A"),
    (p.Sequence((A, star(B), C)), "A B* C", 2, {"A", "C"}, "A"),
    (p.Sequence((star(A, 0, 1), star(B, 2, 2), C)), "A? B{2} C", 3, {"B", "C"}, None),
    (p.Sequence((star(A, 1), star(B, 2, None, reluctant=True))), "A+ B{2,}?", 3, {"A", "B"}, "A"),
    (p.Alternation((p.Sequence((A, B)), p.Sequence((A, C, C)))), "A B | A C C", 2, {"A"}, "A"),
    (star(p.Alternation((A, B)), 1, 3), "(A | B){1,3}", 1, set(), None),
    (p.Sequence((p.Alternation((A, B)), C)), "(A | B) C", 2, {"C"}, None),
    (star(star(A, 1), 2, 2), "(A+){2}", 2, {"A"}, "A"),
]


@pytest.mark.parametrize(
    ("pattern", "text", "shortest", "certain", "first"), PATTERNS, ids=[t[1] for t in PATTERNS]
)
def test_what_follows(
    pattern: p.Pattern, text: str, shortest: int, certain: set[str], first: str | None
) -> None:
    assert p.text(pattern) == text
    assert p.shortest(pattern) == shortest
    assert p.certain(pattern) == certain
    assert p.first_variable(pattern) == first


@pytest.mark.parametrize(
    ("pattern", "end"),
    [
        (p.Sequence((A, star(B))), "B*"),
        (p.Sequence((A, star(B, 1), star(C, 0, 1))), "B+"),
        (p.Sequence((A, star(B, 1), C)), None),
        (p.Sequence((A, star(B, 2, 2))), None),
        (p.Sequence((A, star(B, 0, None, reluctant=True))), None),
        (p.Alternation((A, p.Sequence((A, star(B, 2, 3))))), "B{2,3}"),
        (p.Sequence((A, star(p.Sequence((B, star(C))), 2, 2))), "C*"),
    ],
    ids=str,
)
def test_an_open_end(pattern: p.Pattern, end: str | None) -> None:
    found = p.open_ended(pattern)
    assert (None if found is None else p.text(found)) == end


def test_size_counts_repetitions() -> None:
    assert p.size(p.Sequence((A, star(p.Sequence((B, C)), 2, 5), star(B)))) == 1 + 10 + 1


def test_ways_are_in_the_order_of_preference() -> None:
    greedy = compile_pattern(p.Sequence((A, star(B), C)))
    names = [greedy.variables[v] for v in greedy.states]
    ways = {
        names[i]: [END if s == END else names[s] for s in follow] for i, follow in enumerate(greedy.follow)
    }
    assert ways == {"A": ["B", "C"], "B": ["B", "C"], "C": [END]}
    reluctant = compile_pattern(p.Sequence((A, star(B, reluctant=True), C)))
    names = [reluctant.variables[v] for v in reluctant.states]
    (after_a,) = (f for i, f in enumerate(reluctant.follow) if names[i] == "A")
    assert [names[s] for s in after_a] == ["C", "B"]


def test_nothing_is_wanted_behind_a_complete_match() -> None:
    program = compile_pattern(p.Sequence((A, star(B, 0, 1, reluctant=True))))
    assert program.follow[program.start[0]] == (END,)


def test_a_loop_without_rows_ends() -> None:
    program = compile_pattern(p.Sequence((star(star(A, 0, 1)), B)))
    assert [program.variables[program.states[s]] for s in program.start] == ["A", "B"]
