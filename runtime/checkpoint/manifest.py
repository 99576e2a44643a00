"""The manifest of a checkpoint: a JSON text that says everything but the rows, and where the rows are.

::

    {"format": "streamsql checkpoint", "version": 1, "checksum": "sha256:…", "content": {
       "kind": "checkpoint", "number": 7, "run": …, …,
       "packs": [{"file": "../shared/7-3fa9c1.pack", "size": 81920}],
       "operators": [{"fingerprint": …, "states": {"sums": {"slots-0": [{"pack": 0, "offset": 0, …}]}}}]}}

The outer four keys stay as they are in every later version, so that an older program can say what it has found.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from streamsql.errors import StateError

from ..connectors.base import Prepared
from .snapshot import JobSnapshot, OperatorSnapshot, SinkSnapshot, SourceSnapshot, Tables

FORMAT = "streamsql checkpoint"
VERSION = 1
"""Of what is on disk; goes up when an older program could not read it."""

MANIFEST = "_metadata"
MARKER = "_complete"
CHECKPOINT, SAVEPOINT = "checkpoint", "savepoint"

_UP = {CHECKPOINT: "../", SAVEPOINT: ""}
"""From the manifest's folder to the one that the paths of packs begin at."""

Place = tuple[str, ...]
"""Whose table: kind of owner, its fingerprint, its number among those with the same one, then state and table."""


@dataclass(frozen=True)
class Part:
    """Where rows are: an Arrow IPC file inside a pack. ``pack``: its path below the folder of the job or savepoint."""

    pack: str
    offset: int
    length: int
    rows: int
    crc32: int


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and whose checksum holds. ``packs``: file below ``root`` -> bytes it must have."""

    content: Mapping[str, Any]
    checksum: str
    packs: Mapping[str, int]

    @property
    def number(self) -> int:
        return int(self.content["number"])

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def run(self) -> str:
        return str(self.content["run"])

    def chains(self) -> dict[Place, list[Part]]:
        """The parts of every table, oldest first."""
        files = list(self.packs)
        found: dict[Place, list[Part]] = {}
        for place, parts in _part_lists(self.content):
            found[place] = [
                Part(files[p["pack"]], p["offset"], p["length"], p["rows"], int(p["crc32"], 16))
                for p in parts
            ]
        return found


class DamagedManifestError(Exception):
    """The text is no manifest, or not the one that was written; says what is wrong with it."""


def tables_of(snapshot: JobSnapshot) -> Iterator[tuple[Place, pa.Table]]:
    """All tables of a cut and where they belong."""
    for kind, groups in (
        ("source", [(s.fingerprint, {"carry": s.carry}) for s in snapshot.sources]),
        ("operator", [(o.fingerprint, o.states) for o in snapshot.operators]),
        ("sink", [(s.fingerprint, {"prepared": s.prepared.tables}) for s in snapshot.sinks]),
    ):
        for fingerprint, occurrence, states in _occurrences(groups):
            for state, tables in states.items():
                for name, table in tables.items():
                    yield (kind, fingerprint, occurrence, state, name), table


def _occurrences(
    groups: Sequence[tuple[str, Mapping[str, Any]]],
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Numbers those with the same fingerprint."""
    seen: Counter[str] = Counter()
    for fingerprint, states in groups:
        yield fingerprint, str(seen[fingerprint]), states
        seen[fingerprint] += 1


def encode(
    snapshot: JobSnapshot, kind: str, chains: Mapping[Place, Sequence[Part]], sizes: Mapping[str, int]
) -> tuple[bytes, str]:
    """The text of a manifest and its checksum. ``sizes``: bytes of each pack.

    Raises TypeError where a value is not JSON.
    """
    used = sorted({part.pack for parts in chains.values() for part in parts})
    numbers = {pack: i for i, pack in enumerate(used)}
    content = {
        "kind": kind,
        "number": snapshot.number,
        "run": snapshot.run,
        "job_id": snapshot.job_id,
        "job_name": snapshot.job_name,
        "time_ms": snapshot.time_ms,
        "finished": snapshot.finished,
        "engine": as_json(snapshot.engine, "engine"),
        "transaction": as_json(snapshot.transaction, "transaction"),
        "definition": as_json(snapshot.definition, "definition"),
        "packs": [{"file": _UP[kind] + pack, "size": sizes[pack]} for pack in used],
        **_owners(snapshot, chains, numbers),
    }
    checksum = _checksum(VERSION, content)
    return _text(content, checksum).encode(), checksum


def _text(content: Mapping[str, Any], checksum: str) -> str:
    """One line for each source, operator and sink: readable, and not as slow as ``indent``."""
    entries = []
    for key, value in content.items():
        text = json.dumps(value)
        if value and isinstance(value, list):
            text = "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "]"
        entries.append(f" {json.dumps(key)}: {text}")
    head = f'"format": {json.dumps(FORMAT)}, "version": {VERSION}, "checksum": {json.dumps(checksum)}'
    return f'{{{head}, "content": {{\n' + ",\n".join(entries) + "}}\n"


def _owners(
    snapshot: JobSnapshot, chains: Mapping[Place, Sequence[Part]], numbers: Mapping[str, int]
) -> dict[str, list[dict[str, Any]]]:
    """Sources, operators and sinks with the lists of their parts."""
    states: dict[Place, dict[str, dict[str, Any]]] = {}
    for place, parts in chains.items():
        states.setdefault(place[:3], {}).setdefault(place[3], {})[place[4]] = [
            {
                "pack": numbers[p.pack],
                "offset": p.offset,
                "length": p.length,
                "rows": p.rows,
                "crc32": f"{p.crc32:08x}",
            }
            for p in parts
        ]
    seen: Counter[Place] = Counter()

    def owner(kind: str, of: Any, tables: str, **more: Any) -> dict[str, Any]:
        occurrence = seen[kind, of.fingerprint]
        seen[kind, of.fingerprint] += 1
        entry = {"fingerprint": of.fingerprint, "name": of.name}
        entry |= {key: as_json(value, f"{kind} '{of.name}', {key}") for key, value in more.items()}
        return entry | {tables: states.get((kind, of.fingerprint, str(occurrence)), {})}

    return {
        "sources": [
            owner("source", s, "tables", positions=s.positions, memory=s.memory, clocks=s.clocks)
            for s in snapshot.sources
        ],
        "operators": [
            # States that have no table yet are named as well: they are there, and empty.
            entry | {"states": {**{name: {} for name in o.states}, **entry["states"]}}
            for o in snapshot.operators
            for entry in [owner("operator", o, "states", description=o.description, clocks=o.clocks)]
        ],
        "sinks": [owner("sink", s, "tables", values=s.prepared.values) for s in snapshot.sinks],
    }


def decode(data: bytes, place: str) -> Manifest:
    """Reads a manifest. ``place``: its folder, for errors.

    Raises DamagedManifestError, and StateError for one that a newer version wrote.
    """
    try:
        whole = json.loads(data)
    except ValueError:
        raise DamagedManifestError(
            "its manifest is no JSON: it is damaged or was not written to its end"
        ) from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise DamagedManifestError(f"its manifest does not begin with the format '{FORMAT}'")
    version, content = whole.get("version"), whole.get("content", {})
    if whole.get("checksum") != _checksum(version, content):
        raise DamagedManifestError("its manifest is damaged: the checksum does not match")
    if not isinstance(version, int) or version > VERSION:
        raise StateError(
            f"{place} has format version {version}, written by a newer version of streamsql; this one reads up to "
            f"{VERSION}",
            hint="run the job with the newer version, or move that folder away",
        )
    up = _UP[content["kind"]]
    packs = {str(p["file"]).removeprefix(up): int(p["size"]) for p in content["packs"]}
    return Manifest(content, whole["checksum"], packs)


def snapshot_of(manifest: Manifest, table_of: Callable[[Place], pa.Table]) -> JobSnapshot:
    """The cut that a manifest describes; ``table_of`` fetches its tables."""
    c = manifest.content
    seen: Counter[Place] = Counter()

    def states(kind: str, entry: Mapping[str, Any], key: str) -> dict[str, Tables]:
        owner = (kind, str(entry["fingerprint"]))
        occurrence = str(seen[owner])
        seen[owner] += 1
        return {
            state: {name: table_of((*owner, occurrence, state, name)) for name in tables}
            for state, tables in entry[key].items()
        }

    return JobSnapshot(
        number=c["number"],
        run=c["run"],
        job_id=c["job_id"],
        job_name=c["job_name"],
        time_ms=c["time_ms"],
        sources=tuple(
            SourceSnapshot(
                s["fingerprint"],
                s["name"],
                s["positions"],
                s["memory"],
                s["clocks"],
                states("source", s, "tables").get("carry", {}),
            )
            for s in c["sources"]
        ),
        operators=tuple(
            OperatorSnapshot(
                o["fingerprint"], o["name"], o["description"], o["clocks"], states("operator", o, "states")
            )
            for o in c["operators"]
        ),
        sinks=tuple(
            SinkSnapshot(
                s["fingerprint"],
                s["name"],
                Prepared(s["values"], states("sink", s, "tables").get("prepared", {})),
            )
            for s in c["sinks"]
        ),
        engine=c["engine"],
        transaction=c["transaction"],
        definition=c["definition"],
        finished=c["finished"],
    )


def _part_lists(content: Mapping[str, Any]) -> Iterator[tuple[Place, Sequence[Mapping[str, Any]]]]:
    for kind, key in (("source", "tables"), ("operator", "states"), ("sink", "tables")):
        groups = [(str(entry["fingerprint"]), entry[key]) for entry in content[f"{kind}s"]]
        for fingerprint, occurrence, states in _occurrences(groups):
            for state, tables in states.items():
                for name, parts in tables.items():
                    yield (kind, fingerprint, occurrence, state, name), parts


def as_json(value: Any, where: str) -> Any:
    """The same value in plain dicts and lists, ready for JSON and equal when read again. Raises TypeError if not."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if value - value != 0:
            raise TypeError(f"{where}: {value} is no JSON value")
        return value
    if isinstance(value, list):
        return [as_json(item, where) for item in value]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where}: the key {key!r} is a {type(key).__name__}, JSON has only str")
        return {key: as_json(item, f"{where}.{key}") for key, item in value.items()}
    raise TypeError(f"{where} is a {type(value).__name__}, which JSON does not have: {value!r:.80}")


def _checksum(version: Any, content: Any) -> str:
    canonical = json.dumps([version, content], sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"
