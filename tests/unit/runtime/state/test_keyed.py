"""merge_keyed against a dict; tables of slots in pieces."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsql.runtime.state import keyed
from streamsql.runtime.state.buffers import I64
from streamsql.runtime.state.keyed import keyed_table, merge_keyed

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


def test_pieces_are_not_joined_beyond_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [cut(slot, [(slot, True)]) for slot in range(6)]
    monkeypatch.setattr(keyed, "_PIECE_BYTES", 2 * tables[0].nbytes)
    found = merge_keyed(tables)
    assert found.column("slot").to_pylist() == list(range(6))
    assert list(map(len, found.column("slot").chunks)) == [2, 2, 2]


TEXTS = pa.schema([("slot", pa.int64()), ("text", pa.string())])


def texts(lengths: dict[int, int], most: int) -> keyed.Columns:
    """Columns of texts so long, at most so many bytes at once."""

    def columns(slots: I64) -> list[pa.Array]:
        found = ["x" * lengths.get(slot, 1) for slot in slots.tolist()]
        if sum(map(len, found)) > most:
            raise OverflowError("too much for one array")
        return [pa.array(slots), pa.array(found)]

    return columns


def test_a_piece_that_is_too_large_for_an_array_is_halved() -> None:
    slots = np.arange(1000)
    found = keyed_table(slots, texts({3: 90, 998: 100}, 100), TEXTS, None)
    assert found.column("slot").to_pylist() == slots.tolist()
    assert max(map(len, found.column("slot").chunks)) <= 100
    with pytest.raises(OverflowError, match="too much for one array"):
        keyed_table(slots, texts({7: 101}, 100), TEXTS, None)


def test_pieces_follow_the_size_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "_FIRST_ROWS", 8)
    monkeypatch.setattr(keyed, "_PIECE_ROWS", 64)
    monkeypatch.setattr(keyed, "_PIECE_BYTES", 4096)
    slots = np.arange(300)
    found = keyed_table(slots, texts(dict.fromkeys(range(100, 300), 400), 1 << 20), TEXTS, None)
    assert found.column("slot").to_pylist() == slots.tolist()
    assert list(map(len, found.column("slot").chunks)) == [8, 64, 64, 17, *[9] * 16, 3]
