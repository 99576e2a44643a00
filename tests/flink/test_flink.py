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
from .differences import CHANGELOGS, KINDS, QUERIES, REFUSED_IN_BATCH, SCALARS, TYPES

Values = tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """An answer to a query: types and changelog."""

    types: list[str]
    changes: list[tuple[str, Values]]

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
        changes = [(line[:2], tuple(line[3:].split(" | "))) for line in lines[1:]]
        found[name] = Answer(lines[0].removeprefix("types: ").replace(" *ROWTIME*", "").split(" | "), changes)
    return found


def recorded_scalars() -> dict[str, tuple[str, str]]:
    """Type and value by expression."""
    lines = (HERE / "expected" / "scalars.txt").read_text().splitlines()
    return {expression: (type_, value) for expression, type_, value in (line.split(" => ") for line in lines)}


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
    assert {*QUERIES, *CHANGELOGS, *KINDS} <= set(ANSWERS)
    assert {*SCALARS, *TYPES} <= {*SCALAR_ANSWERS, *ANSWERS}


def held(found: object, expected: object, listed: bool) -> None:
    """Equal, unless a difference is listed: then it must be there, so that the list stays true."""
    if listed:
        assert found != expected, "a listed difference is gone: take it off the list"
    else:
        assert found == expected


@pytest.mark.parametrize("mode", ["STREAMING", "BATCH"])
@pytest.mark.parametrize("case", queries(), ids=lambda c: c.name)
def test_query(env: TableEnvironment, case: Case, mode: str) -> None:
    expected = ANSWERS[case.name]
    env.execute_sql(f"SET 'execution.runtime-mode' = '{mode}'")
    if mode == "BATCH" and case.name in REFUSED_IN_BATCH:
        with pytest.raises(StreamSqlError, match="not supported in batch mode"):
            ask(env, case.sql)
        return
    found = ask(env, case.sql)
    held(found.types, expected.types, case.name in TYPES)
    held(found.final, expected.final, case.name in QUERIES)


def reads_once(case: Case) -> bool:
    """Whether the query reads one table once: only then is the order of its rows the same in every run."""
    return len(re.findall(r"\b(orders|payments|customers|rates|changes|ticks|versions)\b", case.sql)) == 1


@pytest.mark.parametrize("case", [c for c in queries() if reads_once(c)], ids=lambda c: c.name)
def test_changelog(env: TableEnvironment, case: Case) -> None:
    """With mini-batch off, every intermediate change is Flink's."""
    env.execute_sql("SET 'table.exec.mini-batch.enabled' = 'false'")
    found, expected = ask(env, case.sql).changes, ANSWERS[case.name].changes
    listed = {*QUERIES, *CHANGELOGS}
    held(Counter(signs(found)), Counter(signs(expected)), case.name in listed)
    held(Counter(found), Counter(expected), case.name in {*listed, *KINDS})


def signs(changes: list[tuple[str, Values]]) -> list[tuple[str, Values]]:
    """Changes as mere additions and removals."""
    return [("+" if kind in ("+I", "+U") else "-", values) for kind, values in changes]


@pytest.mark.parametrize("expression", scalars())
def test_scalar(env: TableEnvironment, expression: str) -> None:
    type_, value = SCALAR_ANSWERS[expression]
    found = ask(env, f"SELECT {expression}")
    held(found.types, [type_], expression in TYPES)
    held([values for _, values in found.changes], [(value,)], expression in SCALARS)
