"""The store of checkpoints: what was written is found, and nothing else stays."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streamsql.errors import ConfigError, JobError
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, SinkSnapshot
from streamsql.runtime.checkpoint.store import CheckpointStore
from streamsql.runtime.connectors.base import Prepared
from tests.checkpoint.faulty import owner_unreadable
from tests.checkpoint.model import ModelJob, plain

Open = Callable[..., CheckpointStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """``opened(run="run-a", **options)``: a store in the test's folder that has taken over."""
    stores: list[CheckpointStore] = []

    def create(run: str = "run-a", **options: Any) -> CheckpointStore:
        for store in stores:
            store.close()
        store = CheckpointStore(str(tmp_path), "orders", run=run, now_ms=lambda: 0, **options)
        store.take_over()
        stores.append(store)
        return store

    yield create
    for store in stores:
        store.close()


def files(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}


def write(store: CheckpointStore, job: ModelJob, *, complete: bool = True) -> JobSnapshot:
    """The next checkpoint; returns all that it must hold."""
    snapshot = job.cut(changes=not store.wants_full)
    whole = job.whole()
    store.write(snapshot)
    if complete:
        store.complete(snapshot.number)
    return whole


def test_nothing_at_first(opened: Open) -> None:
    store = opened()
    assert store.candidates() == [] and store.problems == [] and store.next_number() == 1
    assert store.wants_full


@pytest.mark.parametrize("compression", [False, True])
def test_a_later_run_finds_it_all(opened: Open, compression: bool) -> None:
    store, job, rng = opened(compression=compression), ModelJob(), random.Random(3)
    whole = job.whole()
    for _ in range(40):
        job.step(rng)
        whole = write(store, job)
        store.compact()
    again = opened("run-b", compression=compression)
    (found,) = again.candidates()
    assert (found.number, found.run, found.complete, found.time_ms) == (40, "run-a", True, whole.time_ms)
    assert plain(again.load(found)) == plain(whole)
    assert not again.wants_full and again.next_number() == 41


def test_it_goes_on_from_what_was_loaded(opened: Open) -> None:
    store, job, rng = opened(), ModelJob(), random.Random(4)
    whole = job.whole()
    for number in range(32):
        job.step(rng)
        whole = write(store, job)
        if number % 5 == 4:
            store = opened(f"run-{number}")
            store.load(store.candidates()[0])
            job.run = f"run-{number}"
    assert plain(store.candidates()[0].snapshot()) == plain(whole)


def test_prepared_until_it_is_complete(opened: Open) -> None:
    store, job = opened(), ModelJob()
    job.step(random.Random(1))
    first = write(store, job)
    job.step(random.Random(2))
    second = write(store, job, complete=False)
    assert [(f.number, f.complete) for f in store.candidates()] == [(2, False), (1, True)]
    later = opened("run-b")
    prepared, complete = later.candidates()
    assert plain(later.load(complete)) == plain(first)
    assert plain(later.load(prepared)) == plain(second)
    later.complete(2)
    assert [(f.number, f.complete) for f in later.candidates()] == [(2, True)]


def test_discarded_changes_reach_the_next_one(opened: Open) -> None:
    store, job = opened(), ModelJob()
    job.step(random.Random(1))
    write(store, job)
    job.operators[0].put(7, ("kept", 7))
    write(store, job, complete=False)
    store.discard(2)
    assert [f.number for f in store.candidates()] == [1]
    job.operators[0].put(8, ("new", 8))
    whole = write(store, job)
    assert plain(store.candidates()[0].snapshot()) == plain(whole)


def test_what_a_failed_checkpoint_took_is_in_the_next(opened: Open, tmp_path: Path) -> None:
    """Also where it fails before anything is written."""
    store, job, rng = opened(), ModelJob(), random.Random(5)
    job.step(rng)
    write(store, job)
    with owner_unreadable(tmp_path / "orders"):
        for _ in range(100):
            job.step(rng)
            with pytest.raises(OSError, match=r"owner\.json is damaged"):
                store.write(job.cut(changes=not store.wants_full))
    job.step(rng)
    whole = write(store, job)
    assert plain(store.candidates()[0].snapshot()) == plain(whole)


@pytest.mark.parametrize("retained", [1, 3])
def test_no_file_is_left_over(opened: Open, tmp_path: Path, retained: int) -> None:
    store, job, rng = opened(retained=retained), ModelJob(), random.Random(6)
    (tmp_path / "orders/shared").mkdir()
    (tmp_path / "orders/shared/9-dead.pack.tmp").write_bytes(b"a crash left it")
    (tmp_path / "orders/chk-1").mkdir()
    store = opened("run-b", retained=retained)
    job.run = "run-b"
    job.number = store.next_number() - 1
    for n in range(60):
        job.step(rng)
        write(store, job, complete=n % 3 != 1)
        if n % 2:
            store.compact()
    write(store, job)
    found = store.candidates()
    assert (
        [f.number for f in found] == list(range(job.number, job.number + 1))
        if retained == 1
        else len(found) == 3
    )
    needed = {f"orders/{pack}" for f in found for pack in f.manifest.packs}
    kept = {f"orders/chk-{f.number}/{name}" for f in found for name in ("_metadata", "_complete")}
    assert files(tmp_path) == needed | kept | {"orders/owner.json"}
    folders = {p.name for p in (tmp_path / "orders").iterdir() if p.is_dir()}
    assert folders == {"shared"} | {f"chk-{f.number}" for f in found}
    assert len(needed) < 30


def test_chains_and_packs_stay_short(opened: Open) -> None:
    """Of 250 checkpoints, each with a change of every kind, a manifest refers to few parts and little waste."""
    store, job, rng = opened(), ModelJob(), random.Random(8)
    for _ in range(250):
        job.step(rng)
        write(store, job)
        store.compact()
        store.compact()
    (found,) = store.candidates()
    assert max(map(len, found.manifest.chains().values())) < 15
    assert len(found.manifest.packs) <= 66
    assert plain(found.snapshot()) == plain(job.whole())


def test_immutable_tables_are_written_once(opened: Open, tmp_path: Path) -> None:
    store, job = opened(), ModelJob()
    job.operators[0].runs = {"run-0": pa.table({"v": pa.array(range(100_000))})}
    sizes = []
    for _ in range(3):
        write(store, job)
        sizes.append(sum(p.stat().st_size for p in (tmp_path / "orders/shared").iterdir()))
    assert sizes[0] > 800_000 and sizes[2] < 1.05 * sizes[0]


def test_another_run_starts_from_nothing(opened: Open) -> None:
    """A run that loads nothing does not take over tables by their names."""
    store, job = opened(), ModelJob()
    job.operators[0].runs = {"run-0": pa.table({"v": [1]})}
    write(store, job)
    job.run = "run-b"
    job.operators[0].runs = {"run-0": pa.table({"v": [2]})}
    with pytest.raises(OSError, match="holds only changes"):
        store.write(job.cut(changes=True))
    assert store.wants_full
    whole = write(store, job)
    assert plain(store.candidates()[0].snapshot()) == plain(whole)


def test_an_operator_that_begins_afresh_is_forgotten(opened: Open) -> None:
    store, job = opened(), ModelJob()
    job.operators[0].runs = {"run-0": pa.table({"v": [1]})}
    job.operators[0].put(3, ("old", 1))
    write(store, job)
    store.load(store.candidates()[0])
    store.forget("agg", 0)
    job.operators[0].runs = {"run-0": pa.table({"v": [2]})}
    job.operators[0].slots, job.operators[0].changed = {}, {}
    job.operators[0].put(4, ("new", 2))
    whole = write(store, job)
    assert plain(store.candidates()[0].snapshot()) == plain(whole)


def test_numbers_go_up(opened: Open) -> None:
    store, job = opened(), ModelJob()
    job.number = 6
    write(store, job)
    with pytest.raises(AssertionError, match=r"checkpoint 5 after \[7\]"):
        store.write(job.cut(changes=True, number=5))


def test_the_same_snapshot_twice_is_one_checkpoint(opened: Open, tmp_path: Path) -> None:
    store, job = opened(), ModelJob()
    snapshot = job.cut(changes=False)
    store.write(snapshot)
    before = files(tmp_path)
    store.write(snapshot)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": {"b": b"x"}}, r"sink 'out', values\.a\.b is a bytes"),
        ({"a": (1, 2)}, r"sink 'out', values\.a is a tuple"),
        ({"a": {1: 2}}, r"values\.a: the key 1 is a int"),
        ({"a": [float("nan")]}, r"values\.a: nan is no JSON value"),
    ],
)
def test_prepared_values_are_json(opened: Open, value: dict[str, Any], message: str) -> None:
    snapshot = replace(ModelJob().cut(changes=False), sinks=(SinkSnapshot("sink", "out", Prepared(value)),))
    with pytest.raises(TypeError, match=message):
        opened().write(snapshot)


def test_tables_of_all_kinds_come_back(opened: Open) -> None:
    """Dictionaries that differ, slices, tables without rows, lists, more than is encoded at once."""
    first, second = pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()
    tables = {
        "dictionary": pa.table({"d": pa.chunked_array([first, second])}),
        "slice": pa.table({"s": ["x" * 100, None, "ü"], "n": [[1], None, []]}).slice(1, 2),
        "empty": pa.schema([("a", pa.decimal128(38, 2)), ("t", pa.timestamp("us"))]).empty_table(),
        "large": pa.table({"i": pa.array(range(2_200_000))}),
    }
    job = ModelJob().cut(changes=False)
    operator = replace(job.operators[0], states={"s": tables})
    for compression in (False, True):
        store = opened(f"run-{compression}", compression=compression)
        store.write(replace(job, number=store.next_number(), operators=(operator,)))
        loaded = store.candidates()[0].snapshot().operators[0].states["s"]
        assert list(loaded) == list(tables)
        assert loaded["dictionary"].to_pydict() == {"d": ["a", "b", "c", "a"]}
        others = [name for name in tables if name != "dictionary"]
        assert not [name for name in others if not tables[name].equals(loaded[name], check_metadata=True)]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    one = CheckpointStore(str(tmp_path), "orders", run="a", now_ms=lambda: 1_700_000_000_000)
    two = CheckpointStore(tmp_path.as_uri(), "orders", run="b", now_ms=lambda: 0)
    one.take_over()
    one.take_over()
    with pytest.raises(
        JobError, match=r"'orders' is already running \(pid \d+, since 2023-11-14T22:13:20\+00:00\)"
    ):
        two.take_over()
    CheckpointStore(str(tmp_path), "other", run="c", now_ms=lambda: 0).take_over()
    one.close()
    two.take_over()
    two.close()


def test_a_uri_that_nobody_understands() -> None:
    with pytest.raises(ConfigError, match="'ftp://host/x' cannot be opened") as raised:
        CheckpointStore("ftp://user:secret@host/x", "j", run="r", now_ms=lambda: 0)
    assert "secret" not in str(raised.value)


def test_what_compaction_has_written_stays(opened: Open) -> None:
    """No manifest refers to it before the next checkpoint does."""
    store, job = opened(), ModelJob()
    for n in range(6):
        job.operators[0].put(n, ("x", n))
        write(store, job, complete=False)
        store.compact()
        store.complete(job.number)
    assert any("c-" in pack for pack in store.candidates()[0].manifest.packs)
    assert plain(store.candidates()[0].snapshot()) == plain(job.whole())


def test_a_job_that_begins_afresh_takes_the_place_of_the_one_before(opened: Open) -> None:
    """Its checkpoints are not to go back to, however many are retained: their output would be repeated."""
    store, job = opened(retained=2), ModelJob()
    for _ in range(3):
        write(store, job)
    store, later = opened("run-b", retained=2), ModelJob("run-b")
    later.number = store.next_number() - 1
    for kept in ([4], [5, 4], [6, 5]):
        store.write(replace(later.cut(changes=not store.wants_full), job_id="another"))
        assert 3 in [f.number for f in store.candidates()] or later.number > 4
        store.complete(later.number)
        assert [f.number for f in store.candidates()] == kept


def test_an_unreadable_checkpoint_of_a_higher_number_goes(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "orders/chk-9").mkdir(parents=True)
    (tmp_path / "orders/chk-9/_metadata").write_text("{")
    store, job = opened(), ModelJob()
    assert store.next_number() == 10
    write(store, job)
    assert [f.number for f in store.candidates()] == [1] and store.problems == []
