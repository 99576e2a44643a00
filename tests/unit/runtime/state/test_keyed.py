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
SLOTS = st.integers(0, 12) | st.integers(10**12, 10**12 + 3)  # numbers of rows are slots, too
CUTS = st.lists(st.lists(st.tuples(SLOTS, st.booleans()), unique_by=lambda r: r[0]), min_size=1)


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
    rows = sorted(found.to_pylist(), key=lambda row: row["slot"])
    assert rows == [row for _, row in sorted(expected.items()) if keep_dead or row["live"]]


def test_small_neighbours_become_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "_PIECE_ROWS", 4)
    tables = [
        cut(0, [(slot, True) for slot in range(9)]),
        *(cut(slot, [(slot, True)]) for slot in range(9, 14)),
    ]
    once = merge_keyed([*tables, cut(1, [(4, False), (7, True)])])
    assert once.column("slot").to_pylist() == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 7]
    assert list(map(len, once.column("slot").chunks)) == [7, 4, 2]
    assert merge_keyed([once]).equals(once)
