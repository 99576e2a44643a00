"""streamsql answers what Flink answered: result types, final tables, and the changelog where it has one order.

``record.py`` stored Flink's answers in ``expected/``; no Flink is needed here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from streamsql import TableEnvironment
from streamsql.errors import StreamSqlError

from .cases import HERE, Case, canonical, queries, scalars, tables
from .differences import CHANGELOGS, KINDS, QUERIES, REFUSED, SCALARS, TYPES

Values = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """Flink's answer to a query: types and changelog, or its error."""

    types: list[str]
    changes: list[tuple[str, Values]]
    error: str | None = None

    @property
    def final(self) -> Counter[Values]:
        return final(self.changes)


def final(changes: list[tuple[str, Values]]) -> Counter[Values]:
    """The table that a changelog amounts to."""
    rows: Counter[Values] = Counter()
    for kind, values in changes:
        rows[values] += 1 if kind in ("+I", "+U") else -1
    return +rows


def recorded() -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for part in re.split(r"(?m)^-- ", (HERE / "expected" / "queries.txt").read_text())[1:]:
        name, *lines = part.strip("\n").split("\n")
        if lines[0].startswith("error: "):
            found[name] = Answer([], [], lines[0].removeprefix("error: "))
            continue
        changes = [(line[:2], tuple(line[3:].split(" | "))) for line in lines[1:]]
        found[name] = Answer(lines[0].removeprefix("types: ").replace(" *ROWTIME*", "").split(" | "), changes)
    return found


def recorded_scalars() -> dict[str, tuple[str, str]]:
    """Type and value by expression; the type of an error is ``error``."""
    lines = (HERE / "expected" / "scalars.txt").read_text().splitlines()
    found = {}
    for line in lines:
        expression, *answer = line.split(" => ")
        if len(answer) == 1:
            answer = ["error", answer[0].removeprefix("error: ")]
        found[expression] = (answer[0], answer[1])
    return found


ANSWERS = recorded()
SCALAR_ANSWERS = recorded_scalars()


@pytest.fixture(scope="module")
def session() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        for statement in tables():
            made.execute_sql(statement)
        yield made


@pytest.fixture
def env(session: TableEnvironment) -> TableEnvironment:
    session.execute_sql("RESET")
    session.execute_sql("SET 'table.local-time-zone' = 'Europe/Paris'")
    return session


def ask(env: TableEnvironment, sql: str) -> Answer:
    """streamsql's answer, in the form of Flink's."""
    result = env.execute_sql(sql)
    types = [f.type.sql() for f in result.get_table_schema()]
    return Answer(types, [(row.kind.short, tuple(map(canonical, row))) for row in result.collect()])


def test_all_is_recorded() -> None:
    assert list(ANSWERS) == [case.name for case in queries()]
    assert list(SCALAR_ANSWERS) == scalars()


def test_no_difference_is_forgotten() -> None:
    assert {*QUERIES, *REFUSED, *CHANGELOGS, *KINDS} <= set(ANSWERS)
    assert {*SCALARS, *TYPES} <= {*SCALAR_ANSWERS, *ANSWERS}


@pytest.mark.parametrize("mode", ["STREAMING", "BATCH"])
@pytest.mark.parametrize("case", queries(), ids=lambda c: c.name)
def test_query(env: TableEnvironment, case: Case, mode: str) -> None:
    expected = ANSWERS[case.name]
    env.execute_sql(f"SET 'execution.runtime-mode' = '{mode}'")
    if case.name in REFUSED:
        with pytest.raises(StreamSqlError, match=REFUSED[case.name]):
            ask(env, case.sql)
        return
    found = ask(env, case.sql)
    if expected.error is not None:
        assert case.name in QUERIES, f"Flink refuses: {expected.error}"
        return
    if case.name not in TYPES:
        assert found.types == expected.types
    if case.name not in QUERIES:
        assert found.final == expected.final


def reads_once(case: Case) -> bool:
    """Whether the query reads one table once: only then is the order of its rows the same in every run."""
    return len(re.findall(r"\b(orders|payments|customers|rates|changes|ticks|versions)\b", case.sql)) == 1


@pytest.mark.parametrize("case", list(filter(reads_once, queries())), ids=lambda c: c.name)
def test_changelog(env: TableEnvironment, case: Case) -> None:
    """With mini-batch off, every intermediate change is Flink's."""
    expected = ANSWERS[case.name]
    if case.name in {*REFUSED, *QUERIES, *CHANGELOGS}:
        return
    env.execute_sql("SET 'table.exec.mini-batch.enabled' = 'false'")
    found = ask(env, case.sql)
    if case.name in KINDS:
        assert Counter(signs(found.changes)) == Counter(signs(expected.changes))
    else:
        assert Counter(found.changes) == Counter(expected.changes)


def signs(changes: list[tuple[str, Values]]) -> list[tuple[str, Values]]:
    """Changes as mere additions and removals."""
    return [("+" if kind in ("+I", "+U") else "-", values) for kind, values in changes]


@pytest.mark.parametrize("expression", scalars())
def test_scalar(env: TableEnvironment, expression: str) -> None:
    type_, value = SCALAR_ANSWERS[expression]
    if type_ == "error":
        assert expression in SCALARS, f"Flink refuses: {value}"
        return
    found = ask(env, f"SELECT {expression}")
    if expression not in TYPES:
        assert found.types == [type_]
    if expression not in SCALARS:
        assert [values for _, values in found.changes] == [(value,)]
