"""merge_keyed against a dict."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.runtime.state import keyed
from streamsql.runtime.state.keyed import merge_keyed

SCHEMA = pa.schema(
    [("slot", pa.int64()), ("live", pa.bool_()), ("n", pa.decimal128(38, 2)), ("s", pa.list_(pa.string()))]
)
CUTS = st.lists(st.lists(st.tuples(st.integers(0, 12), st.booleans()), unique_by=lambda r: r[0]), min_size=1)


def cut(number: int, rows: list[tuple[int, bool]]) -> pa.Table:
    values = [
        {"slot": slot, "live": live, "n": number if live else None, "s": [f"{slot}"] if live else None}
        for slot, live in rows
    ]
    return pa.Table.from_pylist(values, SCHEMA)


@given(cuts=CUTS, keep_dead=st.booleans(), halves=st.booleans())
def test_the_last_row_of_a_slot_stays(
    cuts: list[list[tuple[int, bool]]], keep_dead: bool, halves: bool
) -> None:
    tables = [cut(number, rows) for number, rows in enumerate(cuts)]
    expected = {row["slot"]: row for table in tables for row in table.to_pylist()}
    if halves:  # merging is associative
        at = len(tables) // 2
        older = [merge_keyed(tables[:at], keep_dead=True)] if at else []
        tables = [*older, merge_keyed(tables[at:], keep_dead=True)]
    found = merge_keyed(tables, keep_dead=keep_dead)
    found.validate(full=True)
    assert found.schema == SCHEMA
    assert found.to_pylist() == [row for _, row in sorted(expected.items()) if keep_dead or row["live"]]


def test_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "_PIECE_ROWS", 3)
    tables = [cut(0, [(slot, True) for slot in range(10)]), cut(1, [(4, False), (11, True), (7, True)])]
    once = merge_keyed(tables)
    assert once.column("slot").to_pylist() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 11]
    assert [int(n) for n in once.column("n").to_pylist()] == [0, 0, 0, 0, 0, 0, 1, 0, 0, 1]
    assert merge_keyed([once]).equals(once)
