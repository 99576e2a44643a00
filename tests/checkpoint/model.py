"""A small job whose state is known exactly: what its snapshots hold, and what must come back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from streamsql.runtime.checkpoint.manifest import tables_of
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot, SinkSnapshot, SourceSnapshot
from streamsql.runtime.connectors.base import Prepared

KEYED = pa.schema([("slot", pa.int64()), ("live", pa.bool_()), ("text", pa.string()), ("n", pa.int64())])

Slots = dict[int, tuple[str, int] | None]


def slots_table(slots: Mapping[int, tuple[str, int] | None]) -> pa.Table:
    """One row a slot; None is a slot that was emptied."""
    rows = [
        {"slot": s, "live": v is not None, "text": v[0] if v else None, "n": v[1] if v else None}
        for s, v in slots.items()
    ]
    return pa.Table.from_pylist(rows, KEYED)


@dataclass
class ModelState:
    """One operator: slots that change, runs that are written once, a small table that is always rewritten."""

    slots: dict[int, tuple[str, int]] = field(default_factory=dict[int, tuple[str, int]])
    runs: dict[str, pa.Table] = field(default_factory=dict[str, pa.Table])
    meta: int = 0
    changed: Slots = field(default_factory=Slots)
    next_run: int = 0

    def put(self, slot: int, value: tuple[str, int] | None) -> None:
        """Writes or, with None, empties a slot."""
        if value is None:
            self.slots.pop(slot, None)
        else:
            self.slots[slot] = value
        self.changed[slot] = value

    def add_run(self, rows: int) -> None:
        self.runs[f"run-{self.next_run}"] = pa.table({"v": [self.next_run * 1000 + i for i in range(rows)]})
        self.next_run += 1

    def step(self, rng: random.Random, keys: int = 50) -> None:
        """Some change of each kind."""
        self.meta += 1
        for _ in range(rng.randrange(8)):
            slot = rng.randrange(keys)
            dead = rng.random() < 0.3
            self.put(slot, None if dead else ("t" * rng.randrange(20), rng.randrange(1 << 40)))
        if rng.random() < 0.4:
            self.add_run(rng.randrange(1, 30))
        while len(self.runs) > 4:
            del self.runs[min(self.runs, key=lambda name: int(name[4:]))]

    def tables(self, *, changes: bool) -> dict[str, pa.Table]:
        """As a state's ``snapshot``, or ``changes``."""
        slots = self.changed if changes else dict(self.slots)
        self.changed = {}
        return {"slots-a": slots_table(slots), **self.runs, "meta": pa.table({"m": [self.meta]})}


@dataclass
class ModelJob:
    """Two operators of one fingerprint, so that their place among the equals counts."""

    run: str = "run-a"
    number: int = 0
    operators: list[ModelState] = field(default_factory=lambda: [ModelState(), ModelState()])

    def step(self, rng: random.Random) -> None:
        for operator in self.operators:
            operator.step(rng)

    def cut(self, *, changes: bool, number: int | None = None) -> JobSnapshot:
        """The next checkpoint's snapshot."""
        self.number = self.number + 1 if number is None else number
        return self._snapshot([o.tables(changes=changes) for o in self.operators], changes=changes)

    def whole(self) -> JobSnapshot:
        """What must be found when the last cut is loaded."""
        copies = [replace(o, changed={}) for o in self.operators]
        return self._snapshot([o.tables(changes=False) for o in copies], changes=False)

    def _snapshot(self, tables: list[dict[str, pa.Table]], *, changes: bool) -> JobSnapshot:
        n = self.number
        carry = {"rows": pa.table({"x": [n]})}
        source = SourceSnapshot("src", "orders", {"orders-0": str(n * 10)}, {"end": "9"}, {"0": n}, carry)
        prepared = Prepared({"files": [f"part-{n}"], "size": 1.5}, {"rows": pa.table({"y": ["ü", None]})})
        return JobSnapshot(
            number=n,
            run=self.run,
            job_id="0123456789abcdef",
            job_name="orders",
            time_ms=1_700_000_000_000 + n,
            sources=(source,),
            operators=tuple(
                OperatorSnapshot("agg", f"Group-{i}", "GROUP BY fruit", {"in": None}, {"s": t, "empty": {}})
                for i, t in enumerate(tables)
            ),
            sinks=(SinkSnapshot("sink", "out", prepared),),
            engine={"duckdb": "2.0"},
            transaction={"id": "t", "number": n} if n % 2 else None,
            definition={"sql": "INSERT …", "options": {}},
            changes=changes,
        )


def plain(snapshot: JobSnapshot) -> tuple[object, ...]:
    """A snapshot as values that compare: rows of slots in order of slot, tables with their schemas."""
    tables = {
        place: (
            t.schema,
            sorted(t.to_pylist(), key=lambda r: r["slot"]) if "slot" in t.column_names else t.to_pylist(),
        )
        for place, t in tables_of(snapshot)
    }
    bare = replace(
        snapshot,
        changes=False,
        sources=tuple(replace(s, carry={}) for s in snapshot.sources),
        operators=tuple(replace(o, states=dict.fromkeys(o.states)) for o in snapshot.operators),  # type: ignore[arg-type]
        sinks=tuple(replace(s, prepared=Prepared(s.prepared.values)) for s in snapshot.sinks),
    )
    return bare, tables
