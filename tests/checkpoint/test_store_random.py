"""Any order of writing, failing, merging, restarting: what is found is what was there."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsql.runtime.checkpoint.manifest import as_json
from streamsql.runtime.checkpoint.savepoints import load_savepoint, open_savepoint, write_savepoint
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot, SinkSnapshot, SourceSnapshot
from streamsql.runtime.checkpoint.store import CheckpointStore
from streamsql.runtime.connectors.base import Prepared
from tests.checkpoint.faulty import owner_unreadable
from tests.checkpoint.model import ModelJob, ModelState, plain, slots_table

ACTIONS = (
    "step",
    "step",
    "write",
    "write",
    "write unmarked",
    "fail",
    "discard",
    "compact",
    "restart",
    "savepoint",
)


class Machine:
    """A job and its store; after every action what can be found is compared with what must be."""

    def __init__(self, folder: str, retained: int, keys: int) -> None:
        self.folder, self.retained, self.keys = folder, retained, keys
        self.runs = 0
        self.job = ModelJob("run-0")
        self.held: dict[int, tuple[tuple[object, ...], list[ModelState]]] = {}
        self.complete: set[int] = set()
        self.store = self.opened()

    def opened(self) -> CheckpointStore:
        store = CheckpointStore(
            self.folder,
            "orders",
            run=self.job.run,
            retained=self.retained,
            now_ms=lambda: 0,
            compression=self.keys > 20,
        )
        store.take_over()
        return store

    def do(self, action: str, rng: random.Random) -> None:
        if action == "step":
            for operator in self.job.operators:
                operator.step(rng, self.keys)
        elif action in ("write", "write unmarked"):
            self.write(marked=action == "write")
        elif action == "fail":
            with owner_unreadable(Path(self.folder, "orders")), pytest.raises(OSError, match="is damaged"):
                self.store.write(self.job.cut(changes=not self.store.wants_full))
        elif action == "discard" and self.held and max(self.held) not in self.complete:
            self.store.discard(max(self.held))
            del self.held[max(self.held)]
        elif action == "compact":
            self.store.compact()
        elif action == "restart":
            self.restart()
        elif action == "savepoint":
            self.from_savepoint()

    def write(self, *, marked: bool) -> None:
        snapshot = self.job.cut(changes=not self.store.wants_full)
        self.store.write(snapshot)
        number = snapshot.number
        self.held[number] = plain(self.job.whole()), copied(self.job.operators)
        if marked:
            self.store.complete(number)
            self.complete.add(number)
            kept = sorted(self.complete & self.held.keys())[-self.retained :]
            self.held = {n: held for n, held in self.held.items() if n in kept}

    def restart(self) -> None:
        self.store.close()
        self.runs += 1
        self.job.run = f"run-{self.runs}"
        self.store = self.opened()
        found = self.store.candidates()
        if found:
            assert plain(self.store.load(found[0])) == self.held[found[0].number][0]
            self.job.operators = copied(self.held[found[0].number][1])
        else:
            self.job.operators = [ModelState(), ModelState()]
        self.job.number = self.store.next_number() - 1

    def from_savepoint(self) -> None:
        """The job ends with a savepoint, and a later run goes on from it."""
        number = self.job.number
        path = write_savepoint(f"{self.folder}/savepoints", self.job.whole())
        whole = plain(self.job.whole())
        self.store.close()
        self.runs += 1
        self.job.run = f"run-{self.runs}"
        self.store = self.opened()
        assert plain(self.store.load(open_savepoint(path))) == whole
        self.job.operators = copied(self.job.operators)
        self.job.number = max(number, self.store.next_number() - 1)

    def check(self) -> None:
        found = self.store.candidates()
        assert {f.number: f.complete for f in found} == {n: n in self.complete for n in self.held}
        assert self.store.problems == []
        for one in found:
            assert plain(one.snapshot()) == self.held[one.number][0]


def copied(operators: list[ModelState]) -> list[ModelState]:
    """As a later run restores them: nothing has changed yet."""
    return [ModelState(dict(o.slots), dict(o.runs), o.meta, {}, o.next_run) for o in operators]


@contextmanager
def machine(retained: int, keys: int) -> Generator[Machine]:
    with tempfile.TemporaryDirectory() as folder:
        made = Machine(folder, retained, keys)
        yield made
        made.store.close()


@settings(max_examples=25)
@given(st.integers(0, 1 << 30))
def test_any_order(seed: int) -> None:
    """Long orders: what one action loses shows some actions later."""
    rng = random.Random(seed)
    with machine(retained=rng.randint(1, 3), keys=rng.choice([3, 50])) as made:
        for i in range(rng.randint(10, 40)):
            made.do(rng.choice(ACTIONS), rng)
            if i % 4 == 3:
                made.check()
        made.check()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
VALUES = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
TEXTS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
COLUMNS = st.lists(st.integers(-9, 9) | st.none(), max_size=5).map(
    lambda v: pa.table({"c": pa.array(v, pa.int64())})
)
SLOTS = st.dictionaries(st.integers(0, 9), st.tuples(st.text(max_size=3), st.integers(0, 9)), max_size=5)
NAMES = st.text(max_size=4)
TABLES = st.dictionaries(NAMES | st.just("run-1"), COLUMNS, max_size=2)
STATE = st.just(dict[str, pa.Table]()) | st.builds(
    lambda others, slots: others | {"slots-k": slots_table(slots)}, TABLES, SLOTS
)
FINGERPRINT = st.sampled_from(["same", "other", "ü/\ud800\n"])


@st.composite
def snapshots(draw: Any) -> JobSnapshot:
    """Names of every kind, and few fingerprints, so that many are the same."""
    sources = st.builds(SourceSnapshot, FINGERPRINT, NAMES, TEXTS, TEXTS, VALUES, TABLES)
    operators = st.builds(
        OperatorSnapshot, FINGERPRINT, NAMES, NAMES, VALUES, st.dictionaries(NAMES, STATE, max_size=2)
    )
    sinks = st.builds(SinkSnapshot, FINGERPRINT, NAMES, st.builds(Prepared, VALUES, TABLES))
    return JobSnapshot(
        number=draw(st.integers(1, 1 << 40)),
        run="r",
        job_id=draw(st.text("abc123", min_size=1, max_size=12)),
        job_name=draw(NAMES),
        time_ms=draw(st.integers(0, 1 << 45)),
        sources=tuple(draw(st.lists(sources, max_size=3))),
        operators=tuple(draw(st.lists(operators, max_size=4))),
        sinks=tuple(draw(st.lists(sinks, max_size=2))),
        engine=draw(VALUES),
        transaction=draw(st.none() | VALUES),
        definition=draw(VALUES),
        finished=draw(st.booleans()),
    )


@settings(max_examples=50)
@given(snapshots())
def test_any_snapshot(snapshot: JobSnapshot) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert plain(load_savepoint(write_savepoint(folder, snapshot))) == plain(snapshot)
        store = CheckpointStore(folder, snapshot.job_name or "unnamed", run="r", now_ms=lambda: 0)
        store.take_over()
        store.write(snapshot)
        (found,) = store.candidates()
        assert plain(store.load(found)) == plain(snapshot)
        assert found.finished == snapshot.finished
        store.close()


@given(JSON)
def test_json_is_the_same_again(value: Any) -> None:
    assert as_json(value, "here") == value
