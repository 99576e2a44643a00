"""KeyIndex against a dict: duplicates, equal hashes, removals, growth, restore, expiry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state import key_index
from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.key_index import KeyIndex

NAN = float("nan")


def constant(columns: list[pa.Array], n: int) -> np.ndarray[Any, Any]:
    return np.full(n, 42, np.uint64)


def two_values(columns: list[pa.Array], n: int) -> np.ndarray[Any, Any]:
    return hash_columns(columns, n) & np.uint64(1)


def proper(columns: list[pa.Array], n: int) -> np.ndarray[Any, Any]:
    return hash_columns(columns, n)


HASHES = [proper, constant, two_values]


def canonical(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """A key as a dict sees it once NaN and −0.0 are what SQL takes them for."""
    return tuple("NaN" if isinstance(v, float) and math.isnan(v) else v for v in key)


class Model:
    """The index and a dict from key to slot, driven together."""

    def __init__(self, types: list[pa.DataType], hashing: Any) -> None:
        self.types, self.hashing = types, hashing
        self.index = KeyIndex(types)
        self.slots: dict[tuple[Any, ...], int] = {}

    def arrays(self, keys: list[tuple[Any, ...]]) -> list[pa.Array]:
        return [pa.array([k[i] for k in keys], t) for i, t in enumerate(self.types)]

    def insert(self, keys: list[tuple[Any, ...]]) -> None:
        columns = self.arrays(keys)
        slots, inserted = self.index.lookup_or_insert(self.hashing(columns, len(keys)), columns)
        for key, slot, new in zip(map(canonical, keys), slots.tolist(), inserted.tolist(), strict=True):
            assert new == (key not in self.slots)
            if new:
                assert slot not in self.slots.values()
            assert self.slots.setdefault(key, slot) == slot
        self.check()

    def lookup(self, keys: list[tuple[Any, ...]]) -> None:
        columns = self.arrays(keys)
        slots = self.index.lookup(self.hashing(columns, len(keys)), columns)
        assert slots.tolist() == [self.slots.get(canonical(k), -1) for k in keys]

    def remove(self, keys: list[tuple[Any, ...]]) -> None:
        gone = {canonical(k) for k in keys} & self.slots.keys()
        self.index.remove(np.array([self.slots.pop(k) for k in gone], np.int64))
        self.check()

    def restore(self) -> None:
        tables = self.index.snapshot()
        self.index = KeyIndex(self.types)
        self.index.restore(tables)
        self.check()

    def check(self) -> None:
        slots = self.index.live_slots()
        assert sorted(self.slots.values()) == slots.tolist()
        assert len(self.index) == self.index.row_count == len(self.slots)
        assert not len(slots) or slots[-1] < self.index.capacity
        columns = [c.to_pylist() for c in self.index.keys(slots)]
        keys = list(zip(*columns, strict=True)) if columns else [()] * len(slots)
        assert {canonical(k): s for k, s in zip(keys, slots.tolist(), strict=True)} == self.slots


COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-3, 8)),
    (pa.float64(), st.sampled_from([0.0, -0.0, NAN, 1.5, -1.5])),
    (pa.string(), st.sampled_from(["", "a", "b", "ab", "long " * 5])),
    (pa.decimal128(20, 2), st.decimals(-2, 2, places=2, allow_nan=False)),
    (pa.bool_(), st.booleans()),
]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[pa.DataType], list[tuple[str, list[tuple[Any, ...]]]]]:
    columns = draw(st.lists(st.sampled_from(COLUMNS), max_size=3))
    key = st.tuples(*(st.one_of(st.none(), values) for _, values in columns))
    step = st.tuples(
        st.sampled_from(["insert", "insert", "lookup", "remove", "restore"]), st.lists(key, max_size=30)
    )
    return [t for t, _ in columns], draw(st.lists(step, max_size=12))


@pytest.mark.parametrize("hashing", HASHES)
@given(history=histories())
@settings(max_examples=60, deadline=None)
def test_behaves_like_a_dict(
    hashing: Any, history: tuple[list[pa.DataType], list[tuple[str, list[tuple[Any, ...]]]]]
) -> None:
    types, steps = history
    model = Model(types, hashing)
    for action, keys in steps:
        if action == "restore":
            model.restore()
        else:
            getattr(model, action)(keys)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["insert", "insert", "remove", "lookup", "restore"]),
            st.lists(st.tuples(st.integers(0, 300)), max_size=60),
        ),
        max_size=25,
    ),
    hashing=st.sampled_from(HASHES),
)
@settings(max_examples=80, deadline=None)
def test_behaves_like_a_dict_while_it_moves_between_tables(
    steps: list[tuple[str, list[tuple[Any, ...]]]], hashing: Any
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_index, "_SMALLEST_TABLE", 64)
        patch.setattr(key_index, "_MOVED_AT_LEAST", 3)
        patch.setattr(key_index, "_MOVED_PER_ROW", 2)
        model = Model([pa.int64()], hashing)
        for action, keys in steps:
            if action == "restore":
                model.restore()
            else:
                getattr(model, action)(keys)


def test_growth_with_removals_in_between() -> None:
    """Large enough to move between tables while keys come and go."""
    random = np.random.default_rng(3)
    index, slots_of = KeyIndex([pa.int64()]), dict[int, int]()
    moving = 0
    for step in range(20):
        keys = random.integers(0, 200_000, 15_000)
        hashes = hash_columns([pa.array(keys)])
        slots, inserted = index.lookup_or_insert(hashes, [pa.array(keys)])
        moving += index._old is not None
        unknown = {k for k in keys.tolist() if k not in slots_of}
        assert inserted.sum() == len(unknown)
        for key, slot in zip(keys.tolist(), slots.tolist(), strict=True):
            assert slots_of.setdefault(key, slot) == slot
        if step % 3 == 2:
            gone = np.array(sorted(slots_of))[:: 2 + step % 5]
            index.remove(np.array([slots_of.pop(k) for k in gone.tolist()], np.int64))
            probe = pa.array(gone)
            assert (index.lookup(hash_columns([probe]), [probe]) == -1).all()
        probe = pa.array(list(slots_of))
        found = index.lookup(hash_columns([probe]), [probe])
        assert found.tolist() == list(slots_of.values())
        assert len(set(found.tolist())) == len(found) == len(index)
    assert index.capacity <= 200_000
    assert moving > 2


def test_many_keys_of_one_hash() -> None:
    keys = pa.array([f"key {i}" for i in range(700)])
    index = KeyIndex([pa.string()])
    hashes = np.zeros(700, np.uint64)
    slots, inserted = index.lookup_or_insert(hashes, [keys])
    assert inserted.all() and sorted(slots.tolist()) == list(range(700))
    index.remove(slots[::2])
    again, inserted = index.lookup_or_insert(hashes, [keys])
    assert inserted.tolist() == [i % 2 == 0 for i in range(700)]
    assert (again[1::2] == slots[1::2]).all()


def test_new_keys_get_slots_in_order_of_appearance_and_freed_ones_first() -> None:
    index = KeyIndex([pa.string()])

    def insert(*keys: str) -> list[int]:
        column = pa.array(keys, pa.string())
        return [int(s) for s in index.lookup_or_insert(hash_columns([column]), [column])[0]]

    assert insert("a", "b", "a", "c") == [0, 1, 0, 2]
    index.remove(np.array([1]))
    index.remove(np.array([0]))
    copy = KeyIndex([pa.string()])
    copy.restore(index.snapshot())
    assert insert("x", "y", "z") == [0, 1, 3]
    index = copy  # a restored index goes on with the same slots
    assert insert("x", "y", "z") == [0, 1, 3]


def test_no_key_columns_means_one_key() -> None:
    index = KeyIndex([])
    hashes = np.arange(4, dtype=np.uint64)
    assert index.lookup(hashes, []).tolist() == [-1] * 4
    slots, inserted = index.lookup_or_insert(hashes, [])
    assert slots.tolist() == [0] * 4 and inserted.tolist() == [True, False, False, False]
    copy = KeyIndex([])
    copy.restore(index.snapshot())
    assert copy.lookup(hashes, []).tolist() == [0] * 4
    copy.remove(np.array([0]))
    assert len(copy) == 0 and copy.lookup(hashes, []).tolist() == [-1] * 4


def test_nested_keys() -> None:
    types = [pa.list_(pa.float64()), pa.struct([("a", pa.string())]), pa.map_(pa.string(), pa.int64())]
    columns = [
        pa.array([[0.0], [-0.0], [NAN, None], [NAN, None], None], types[0]),
        pa.array([{"a": "x"}, {"a": "x"}, None, None, {"a": None}], types[1]),
        pa.array([[("k", 1)], [("k", 1)], [], [], None], types[2]),
    ]
    for hashing in HASHES:
        index = KeyIndex(types)
        slots, _ = index.lookup_or_insert(hashing(columns, 5), columns)
        assert slots.tolist() == [0, 0, 1, 1, 2]
        assert index.keys(np.array([2]))[1].to_pylist() == [{"a": None}]


def test_dictionary_and_chunked_keys_are_taken_as_their_values() -> None:
    index = KeyIndex([pa.string()])
    plain = pa.array(["a", "b", None])
    encoded, chunked = plain.dictionary_encode(), pa.chunked_array([["a"], ["b", None]])
    first, _ = index.lookup_or_insert(hash_columns([plain]), [plain])
    for keys in (encoded, chunked):
        assert index.lookup(hash_columns([keys]), [keys]).tolist() == first.tolist()


def test_removing_a_slot_that_is_not_live_is_a_bug() -> None:
    index = KeyIndex([pa.int64()])
    with pytest.raises((AssertionError, IndexError)):
        index.remove(np.array([0]))


def test_snapshot_is_not_touched_by_later_changes() -> None:
    index = KeyIndex([pa.int64(), pa.string()])
    columns = [pa.array([1, 2]), pa.array(["a", None])]
    index.lookup_or_insert(hash_columns(columns), columns)
    tables = index.snapshot()
    before = {name: table.to_pydict() for name, table in tables.items()}
    index.remove(np.array([0]))
    other = [pa.array([9]), pa.array(["z"])]
    index.lookup_or_insert(hash_columns(other), other)
    assert {name: table.to_pydict() for name, table in tables.items()} == before
    assert index.read().to_pydict() == {"key0": [9, 2], "key1": ["z", None]}


@given(
    ttl=st.sampled_from([1, 10, 5000]),
    steps=st.lists(
        st.tuples(
            st.integers(0, 3000),
            st.lists(st.integers(0, 9), max_size=5),
            st.sampled_from(["", "remove", "restore"]),
        ),
        max_size=25,
    ),
)
@settings(max_examples=150, deadline=None)
def test_expiry_is_exact(ttl: int, steps: list[tuple[int, list[int], str]]) -> None:
    index, last, now = KeyIndex([pa.int64()], ttl), dict[int, int](), 0
    for wait, batch, action in steps:
        now += wait
        expired = {key for key, at in last.items() if at + ttl <= now}
        slots = index.live_slots()
        slot_of = dict(zip(index.keys(slots)[0].to_pylist(), slots.tolist(), strict=True))
        assert sorted(index.expire(now).tolist()) == sorted(slot_of[k] for k in expired)
        last = {key: at for key, at in last.items() if key not in expired}
        keys = pa.array(batch, pa.int64())
        found, _ = index.lookup_or_insert(hash_columns([keys]), [keys], now)
        assert (index.last_update_ms(found) == now).all()
        last |= dict.fromkeys(batch, now)
        if action == "remove" and batch:
            index.remove(found[:1])
            del last[batch[0]]
        elif action == "restore":
            tables = index.snapshot()
            index = KeyIndex([pa.int64()], ttl)
            index.restore(tables)
        assert sorted(index.keys(index.live_slots())[0].to_pylist()) == sorted(last)


def test_touch_postpones_expiry() -> None:
    index = KeyIndex([pa.int64()], ttl_ms=10)
    keys = pa.array([1, 2])
    slots, _ = index.lookup_or_insert(hash_columns([keys]), [keys], 0)
    index.touch(slots[:1], 5)
    assert index.expire(9).tolist() == []
    assert index.expire(10).tolist() == slots[1:].tolist()
    assert index.expire(14).tolist() == []
    assert index.expire(15).tolist() == slots[:1].tolist()
    assert KeyIndex([]).expire(10**15).tolist() == []
