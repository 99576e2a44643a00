"""The table a changelog describes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streamsql.changelog import Row, RowKind
from streamsql.repl.materialized import MaterializedResult

KINDS = {k.short: k for k in RowKind}


def rows(text: str) -> list[Row]:
    """One row a line: ``+I a 1``."""
    lines = [line.split() for line in text.strip().splitlines()]
    return [Row(line[1:], ("k", "v"), KINDS[line[0]]) for line in lines]


def shown(result: MaterializedResult) -> list[str]:
    return [" ".join(map(str, r)) for r in result.rows()]


def test_updates_stay_in_place_with_a_key() -> None:
    result = MaterializedResult((0,), 100)
    result.apply(rows("+I a 1\n+I b 1\n-U a 1\n+U a 2"))
    assert shown(result) == ["a 2", "b 1"]


def test_updates_stay_in_place_without_a_key() -> None:
    result = MaterializedResult(None, 100)
    result.apply(rows("+I a 1\n+I b 1\n-U a 1"))
    result.apply(rows("+U a 2"))
    assert shown(result) == ["a 2", "b 1"]


def test_upserts_need_no_retraction() -> None:
    result = MaterializedResult((0,), 100)
    result.apply(rows("+I a 1\n+U a 2\n+I b 1\n-D a 2"))
    assert shown(result) == ["b 1"]


def test_a_row_without_columns_in_its_key_is_the_only_one() -> None:
    result = MaterializedResult((), 100)
    result.apply(rows("+I a 1\n-U a 1\n+U a 2"))
    assert shown(result) == ["a 2"]


def test_equal_rows_count() -> None:
    result = MaterializedResult(None, 100)
    result.apply(rows("+I a 1\n+I a 1\n-D a 1"))
    assert shown(result) == ["a 1"]


def test_unhashable_values_and_nan_are_rows_like_others() -> None:
    result = MaterializedResult(None, 100)
    for kind in (RowKind.INSERT, RowKind.DELETE):
        result.apply([Row(([1, {"a": [2]}], float("nan")), ("k", "v"), kind)])
    assert len(result) == 0


def test_the_oldest_rows_are_dropped() -> None:
    result = MaterializedResult(None, 3)
    result.apply(rows("\n".join(f"+I a {i}" for i in range(5))))
    assert shown(result) == ["a 2", "a 3", "a 4"]
    assert result.dropped == 2
    result.apply(rows("-D a 0\n-D a 3"))  # the first is gone already
    assert shown(result) == ["a 2", "a 4"]


def test_a_slice() -> None:
    result = MaterializedResult((0,), 100)
    result.apply(rows("+I a 1\n+I b 1\n+I c 1\n-D a 1"))
    assert [r[0] for r in result.rows(1, 2)] == ["c"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=200), st.booleans())
def test_any_changelog_gives_its_table(changes: list[tuple[int, int, bool]], keyed: bool) -> None:
    """Random inserts, updates and deletions, against a plain dictionary or counter."""
    result = MaterializedResult((0,) if keyed else None, 10_000)
    table: dict[int, int] = {}
    bag: Counter[tuple[int, int]] = Counter()
    for key, value, change in changes:
        out: list[Row] = []
        if keyed and key in table:
            old = (key, table[key])
            out = [Row(old, (), RowKind.UPDATE_BEFORE), Row((key, value), (), RowKind.UPDATE_AFTER)]
            if not change:
                out = [Row(old, (), RowKind.DELETE)]
                del table[key]
            else:
                table[key] = value
        elif keyed or change or not bag:
            out = [Row((key, value))]
            table[key] = value
            bag[key, value] += 1
        else:
            old = next(iter(+bag))
            bag[old] -= 1
            bag = +bag
            out = [Row(old, (), RowKind.UPDATE_BEFORE), Row((key, value), (), RowKind.UPDATE_AFTER)]
            bag[key, value] += 1
        for row in out:
            result.apply([row])
    expected = Counter(table.items()) if keyed else bag
    assert Counter(map(tuple, result.rows())) == expected
    assert len(result) == expected.total()
