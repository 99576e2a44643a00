"""RunStore against a plain history of insertions and retractions."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.state import consolidate, run_merge, run_store
from streamsql.runtime.state.base import IMMUTABLE_PREFIX
from streamsql.runtime.state.consolidate import cancel, group_ids, sort_order
from streamsql.runtime.state.hashing import hash_columns
from streamsql.runtime.state.run_store import RunProbe, RunStore
from streamsql.runtime.state.runs import Run, merge

SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.string())])
Content = tuple[int | None, str | None]
Change = tuple[Content, int]


def proper(columns: list[pa.Array]) -> Any:
    return hash_columns(columns)


def constant(columns: list[pa.Array]) -> Any:
    return np.full(len(columns[0]), 7, np.uint64)


def two_values(columns: list[pa.Array]) -> Any:
    return hash_columns(columns) & np.uint64(1)


def batch(contents: list[Content]) -> pa.RecordBatch:
    columns = [pa.array([c[i] for c in contents], SCHEMA.field(i).type) for i in range(2)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def time_of(content: Content) -> int:
    """A time that depends on the row alone, as an event time does."""
    return 0 if content[1] is None else len(content[1])


class Model:
    """The store, and the history it stands for."""

    def __init__(self, hashing: Any, *, timed: bool) -> None:
        self.hashing, self.timed = hashing, timed
        self.store = RunStore(SCHEMA, [0], timed=timed)
        self.history: list[tuple[Content, int, int]] = []  # content, weight, seq
        self.horizon = -1
        self.seq = 0

    def append(self, changes: list[Change]) -> None:
        contents = [c for c, _ in changes]
        rows = batch(contents)
        weights = np.array([w for _, w in changes], np.int64)
        times = np.array([time_of(c) for c in contents], np.int64) if self.timed else None
        self.store.append(self.hashing([rows.column(0)]), rows, weights, times=times)
        for content, weight in changes:
            if not self.timed or time_of(content) > self.horizon:
                self.history.append((content, weight, self.seq))
            self.seq += 1

    def left(self) -> dict[Content, list[int]]:
        """Per content the seqs of the insertions left, or −1 for each retraction that is owed."""
        inserted: dict[Content, list[int]] = defaultdict(list)
        retracted: Counter[Content] = Counter()
        for content, weight, seq in self.history:
            inserted[content] += [seq] * weight
            retracted[content] += max(0, -weight)
        result = {}
        for content in {**inserted, **retracted}:
            seqs, k = sorted(inserted[content]), retracted[content]
            rest = seqs[k:] or [-1] * (k - len(seqs))
            if rest:
                result[content] = rest
        return result

    def probe(self, keys: list[int | None]) -> None:
        keys = list(dict.fromkeys(keys))
        column = pa.array(keys, pa.int64())
        hashes = self.hashing([column])
        left = self.left()
        found = self.store.probe(hashes, [column], consolidate=True)
        expected = {c: seqs for c, seqs in left.items() if c[0] in keys}
        assert seqs_of(found) == expected
        assert [keys[i] for i in found.probe_index.tolist()] == found.rows["k"].to_pylist()
        places = list(zip(found.probe_index.tolist(), found.seq.tolist(), strict=True))
        assert places == sorted(places)
        plain = self.store.probe(hashes, [column])
        assert [keys[i] for i in plain.probe_index.tolist()] == plain.rows["k"].to_pylist()
        sums: Counter[Content] = Counter()
        for content, weight in zip(contents_of(plain.rows), plain.weights.tolist(), strict=True):
            sums[content] += weight
        counts = {c: len(s) if s[0] >= 0 else -len(s) for c, s in expected.items()}
        assert {c: n for c, n in sums.items() if n} == counts

    def expire(self, time: int, *, take: bool) -> None:
        gone = {c: s for c, s in self.left().items() if time_of(c) <= time}
        if take:
            assert seqs_of(self.store.take_until(time)) == gone
        else:
            self.store.drop_until(time)
        self.horizon = max(self.horizon, time)
        self.history = [h for h in self.history if time_of(h[0]) > self.horizon]

    def restore(self) -> None:
        tables = self.store.snapshot()
        self.store = RunStore(SCHEMA, [0], timed=self.timed)
        self.store.restore(tables)

    def check(self) -> None:
        left = {c: s for c, s in self.left().items() if s[0] >= 0}
        rows = sorted((seq, c) for c, seqs in left.items() for seq in seqs)
        assert contents_of(self.store.read()) == [c for _, c in rows]
        assert self.store.row_count >= len(left)


def contents_of(rows: pa.RecordBatch | pa.Table) -> list[Content]:
    return list(zip(rows["k"].to_pylist(), rows["v"].to_pylist(), strict=True))


def seqs_of(found: RunProbe) -> dict[Content, list[int]]:
    result: dict[Content, list[int]] = defaultdict(list)
    rows = zip(contents_of(found.rows), found.weights.tolist(), found.seq.tolist(), strict=True)
    for content, weight, seq in rows:
        result[content] += [seq] * weight if weight > 0 else [-1] * -weight
    return {c: sorted(s) for c, s in result.items()}


KEYS = st.one_of(st.none(), st.integers(0, 4))
CONTENTS = st.tuples(KEYS, st.sampled_from([None, "", "a", "b", "ccc"]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.tuples(CONTENTS, st.sampled_from([1, 1, 1, -1, 2, -2, 0])))),
        st.tuples(st.just("probe"), st.lists(KEYS)),
        st.tuples(st.just("restore"), st.none()),
        st.tuples(st.just("drop"), st.integers(-1, 3)),
        st.tuples(st.just("take"), st.integers(-1, 3)),
    ),
    max_size=20,
)


@pytest.mark.parametrize("at_once", [1, 1 << 15])
@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("hashing", [proper, constant, two_values])
@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_behaves_like_its_history(
    hashing: Any, timed: bool, at_once: int, steps: list[tuple[str, Any]]
) -> None:
    model = Model(hashing, timed=timed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_store, "_AT_ONCE_ROWS", at_once)  # 1: merges go on over many appends
        for action, argument in steps:
            if action == "restore":
                model.restore()
            elif action not in ("drop", "take"):
                getattr(model, action)(argument)
            elif timed:
                model.expire(argument, take=action == "take")
            model.check()
        model.probe([None, 0, 1, 2, 3, 4, 5])


def test_a_merge_goes_on_with_the_appends_and_no_call_does_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_store, "_AT_ONCE_ROWS", 64)
    sizes: list[int] = []

    def counted(name: str, runs: list[Run], *rest: Any) -> Run:
        sizes[-1] += sum(map(len, runs))
        return merge(name, runs, *rest)

    monkeypatch.setattr(run_merge, "merge", counted)
    monkeypatch.setattr(run_store, "merge", counted)
    store, random = RunStore(SCHEMA, [0]), np.random.default_rng(1)
    keys = random.permutation(20_000)
    for turn, weight in ((0, 1), (1, -1)):  # all rows come, then all but the last part go
        for at in range(0, len(keys) - 1000 * turn, 50):
            sizes.append(0)
            rows = batch([(int(k), "x") for k in keys[at : at + 50]])
            store.append(hash_columns([rows.column(0)]), rows, np.full(50, weight))
            assert store.run_count <= 40
    assert max(sizes) <= 64 * 16  # a portion for each merge in progress
    assert sum(sizes) <= 15 * 40_000
    assert sorted(store.read()["k"].to_numpy()) == sorted(keys[-1000:])
    filler = batch([(-1 - i, "y") for i in range(50)])
    for _ in range(3000):
        store.append(hash_columns([filler.column(0)]), filler)
        store.append(hash_columns([filler.column(0)]), filler, np.full(50, -1))
    assert store.row_count < 6000  # the merges came to their ends


def test_a_retraction_cancels_the_earliest_insertion_even_in_an_old_run() -> None:
    """Merging the young runs alone must not let the retraction eat the young copy."""
    store, key = RunStore(SCHEMA, [0]), pa.array([1])
    hashes = hash_columns([key])
    filler = batch([(100 + i, "x") for i in range(1000)])
    old = pa.concat_batches([batch([(1, "a")]), filler])
    store.append(hash_columns([old.column(0)]), old)
    for weight in (1, -1):
        store.append(hashes, batch([(1, "a")]), np.array([weight], np.int64))
    assert store.run_count == 2
    found = store.probe(hashes, [key], consolidate=True)
    assert found.seq.tolist() == [1001] and found.weights.tolist() == [1]
    assert store.probe(hashes, [key]).weights.tolist() == [1, 1, -1]


def test_rows_that_come_and_go_do_not_pile_up() -> None:
    """A table of 500 keys updated over and over: the store stays within a few times its live rows."""
    store, random = RunStore(SCHEMA, [0]), np.random.default_rng(5)
    state: dict[int, str] = {}
    for step in range(400):
        keys = sorted(set(random.integers(0, 500, 50).tolist()))
        changes = [((k, state[k]), -1) for k in keys if k in state]
        changes += [((k, f"v{step}"), 1) for k in keys]
        state |= dict.fromkeys(keys, f"v{step}")
        rows = batch([c for c, _ in changes])
        store.append(hash_columns([rows.column(0)]), rows, np.array([w for _, w in changes], np.int64))
        assert store.row_count <= 4 * 500 + 100
        assert store.run_count <= 12
    column = pa.array(list(state))
    found = store.probe(hash_columns([column]), [column], consolidate=True)
    assert dict(contents_of(found.rows)) == state


def test_a_skewed_key_is_found_whole() -> None:
    store = RunStore(SCHEMA, [0])
    rows = batch([(7 if i % 10 else i, str(i)) for i in range(5000)])
    for at in range(0, 5000, 500):
        part = rows.slice(at, 500)
        store.append(hash_columns([part.column(0)]), part)
    key = pa.array([3, 7, 10])
    found = store.probe(hash_columns([key]), [key], consolidate=True)
    assert np.bincount(found.probe_index).tolist() == [0, 4500, 1]
    assert found.seq[:-1].tolist() == [i for i in range(5000) if i % 10]


def test_probing_nothing_and_probing_an_empty_store() -> None:
    store, none = RunStore(SCHEMA, [0]), pa.array([], pa.int64())
    key = pa.array([1])
    for whole in (False, True):
        found = store.probe(hash_columns([key]), [key], consolidate=whole)
        assert found.rows.schema == SCHEMA and found.rows.num_rows == len(found.weights) == 0
    store.append(hash_columns([key]), batch([(1, "a")]))
    assert store.probe(hash_columns([none]), [none]).rows.num_rows == 0
    assert store.read().to_pydict() == {"k": [1], "v": ["a"]}


def test_nested_columns_and_several_keys() -> None:
    schema = pa.schema(
        [("m", pa.map_(pa.string(), pa.int64())), ("k", pa.string()), ("d", pa.decimal128(9, 2))]
    )
    columns = [
        pa.array([[("a", 1)], None, [("a", 1)]], schema.field(0).type),
        pa.array(["x", None, "x"]),
        pa.array([Decimal(1), None, Decimal(1)], pa.decimal128(9, 2)),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=schema)
    store, keys = RunStore(schema, [1, 2]), columns[1:]
    store.append(hash_columns(keys), rows)
    first = rows.slice(0, 1)
    store.append(hash_columns(first.columns[1:]), first, np.array([-1]))
    probe = [k.slice(0, 2) for k in keys]
    found = store.probe(hash_columns(probe), probe, consolidate=True)
    assert found.seq.tolist() == [2, 1] and found.probe_index.tolist() == [0, 1]
    assert found.rows.column(0).to_pylist() == [[("a", 1)], None]


def test_an_unchanged_run_keeps_its_name_and_a_name_never_changes_its_content() -> None:
    store, random = RunStore(SCHEMA, [0], timed=True), np.random.default_rng(2)
    seen: dict[str, pa.Table] = {}
    kept = 0
    for step in range(60):
        keys = random.integers(0, 50, int(random.integers(1, 40)))
        rows = batch([(int(k), str(k)) for k in keys])
        store.append(hash_columns([rows.column(0)]), rows, times=np.full(len(keys), step))
        if step % 7 == 6:
            store.drop_until(step - 20)
        if step % 13 == 12:
            tables = store.snapshot()
            store = RunStore(SCHEMA, [0], timed=True)
            store.restore(tables)
        runs = {n: t for n, t in store.snapshot().items() if n.startswith(IMMUTABLE_PREFIX)}
        for name, table in runs.items():
            kept += name in seen
            assert seen.setdefault(name, table).equals(table)
    assert kept > 60


def test_expired_rows_are_freed_in_bulk() -> None:
    store = RunStore(SCHEMA, [0], timed=True)
    for step in range(50):
        rows = batch([(i, "x") for i in range(20)])
        store.append(hash_columns([rows.column(0)]), rows, times=np.full(20, step))
        store.drop_until(step - 5)
        assert store.row_count <= 2 * 5 * 20 + 20
    store.drop_until(49)
    assert store.row_count == 0 and store.nbytes == 0


def test_sort_order_is_stable_for_any_hashes() -> None:
    random = np.random.default_rng(3)
    for hashes in (
        random.integers(0, 2**63, 5000).astype(np.uint64),
        random.integers(0, 5, 5000).astype(np.uint64),
        np.zeros(100, np.uint64),
        np.zeros(1, np.uint64),
        np.zeros(0, np.uint64),
        np.repeat(random.integers(0, 2**63, 100).astype(np.uint64), 30),
    ):
        assert sort_order(hashes).tolist() == np.argsort(hashes, kind="stable").tolist()


def test_group_ids_with_equal_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consolidate, "hash_columns", lambda columns, n: np.zeros(n, np.uint64))
    columns = [pa.array([1, 2, 1, None, 2, None]), pa.array(["a", "b", "a", "b", None, "b"])]
    assert group_ids(columns, 6).tolist() == [0, 1, 0, 2, 3, 2]


def test_group_ids_and_cancel() -> None:
    columns = [pa.array([1.0, -0.0, 0.0, None, None]), pa.array(["a", "b", "b", "a", "a"])]
    groups = group_ids(columns, 5)
    assert groups[1] == groups[2] and groups[3] == groups[4] and len(set(groups.tolist())) == 3
    assert len(group_ids([c.slice(0, 0) for c in columns], 0)) == 0
    weights, seq = np.array([1, 3, -2, -1, -1]), np.array([0, 1, 2, 3, 4])
    assert cancel(groups, weights, seq).tolist() == [1, 1, 0, 0, -2]
    assert cancel(np.zeros(3, np.int64), np.array([1, 1, -1]), np.array([5, 4, 9])).tolist() == [1, 0, 0]
