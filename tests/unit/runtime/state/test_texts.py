"""Strings read by words: gathered, compared and joined like Python's bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state import texts
from streamsql.runtime.state.slot_column import SlotColumn
from streamsql.runtime.state.texts import LONG, Texts

VALUES = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.integers(0, 30).map(lambda n: b"a" * n),
    st.sampled_from([b"x" * LONG, b"y" * (LONG + 1), b"z" * 2000, b"z" * 1999 + b"y"]),
)
COLUMN = st.lists(VALUES, max_size=30)


@given(COLUMN, st.data())
@settings(max_examples=300, deadline=None)
def test_gathering_joining_and_comparing(values: list[bytes | None], data: st.DataObject) -> None:
    skip = data.draw(st.integers(0, len(values)))
    kept = values[skip:]
    found = Texts.of(pa.array(values, pa.binary()).slice(skip))
    rows = data.draw(st.lists(st.integers(0, len(kept) - 1))) if kept else []
    others = (
        data.draw(st.lists(st.integers(0, len(kept) - 1), min_size=len(rows), max_size=len(rows)))
        if kept
        else []
    )
    a, b = found.take(np.array(rows, np.int64)), found.take(np.array(others, np.int64))
    for arrow_type in (pa.binary(), pa.large_binary()):
        array = texts.to_arrow(a, arrow_type)
        array.validate(full=True)
        assert array.to_pylist() == [kept[i] for i in rows]
    assert texts.equal(a, b).tolist() == [kept[i] == kept[j] for i, j in zip(rows, others, strict=True)]


def test_more_than_two_gigabytes_do_not_fit_32_bit_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    column = SlotColumn(pa.string())
    column.set(np.zeros(1, np.int64), pa.array(["x" * 1000]))

    class Narrow:
        max = 1500

    monkeypatch.setattr(np, "iinfo", lambda dtype: Narrow)
    with pytest.raises(OverflowError, match="2000 bytes"):
        column.get(np.zeros(2, np.int64))
