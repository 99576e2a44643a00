"""Checkpoints and savepoints as they are found on disk, to be read."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field

import pyarrow as pa

from streamsql.errors import StateError

from ..state.keyed import merge_keyed
from .location import Location
from .manifest import MANIFEST, MARKER, DamagedManifestError, Manifest, Place, decode, snapshot_of
from .packs import DamagedPackError, PackReader
from .segments import is_keyed
from .snapshot import JobSnapshot

_FOLDER = re.compile(r"chk-(0|[1-9]\d*)")
_NAME_LENGTH_MAX = 80


@dataclass(frozen=True)
class Found:
    """A checkpoint or savepoint whose manifest can be read.

    ``complete``: all its output is committed; else it is *prepared*. ``finished``: the job had come to its end.
    ``path``: where it is, for people.
    """

    number: int
    run: str
    complete: bool
    finished: bool
    path: str
    manifest: Manifest = field(repr=False)
    reader: PackReader = field(repr=False, compare=False)

    @property
    def time_ms(self) -> int:
        """When its cut was taken."""
        return int(self.manifest.content["time_ms"])

    def verify(self) -> None:
        """Reads all its bytes. Raises DamagedPackError."""
        self.reader.check_sizes(self.manifest.packs)
        self.reader.blobs(part for parts in self.manifest.chains().values() for part in parts)

    def snapshot(self) -> JobSnapshot:
        """All it holds; local tables lie in mapped files. Raises StateError for what is damaged."""
        chains = self.manifest.chains()
        try:
            self.reader.check_sizes(self.manifest.packs)
            tables = self.reader.tables(part for parts in chains.values() for part in parts)
        except DamagedPackError as damage:
            raise StateError(
                f"{self.path} cannot be read: {damage}", hint="restore another checkpoint or savepoint"
            ) from None
        return snapshot_of(self.manifest, lambda place: _whole(place, [tables[p] for p in chains[place]]))


def _whole(place: Place, tables: list[pa.Table]) -> pa.Table:
    """A table from its parts."""
    if is_keyed(place):
        return merge_keyed(tables)
    (table,) = tables
    return table


def read_manifest(folder: Location) -> Manifest:
    """The manifest in a folder. Raises FileNotFoundError, DamagedManifestError, StateError for a newer version's."""
    return decode(folder.read(MANIFEST), folder.text())


def read_checkpoint(reader: PackReader, number: int) -> Found:
    """A checkpoint of the job in whose folder ``reader`` reads. Raises as :func:`read_manifest`."""
    folder = reader.location.below(folder_of(number))
    manifest = read_manifest(folder)
    if manifest.number != number:
        raise DamagedManifestError(f"its manifest is that of checkpoint {manifest.number}")
    return describe(folder, manifest, reader)


def describe(folder: Location, manifest: Manifest, reader: PackReader) -> Found:
    """What was found in ``folder``."""
    return Found(
        number=manifest.number,
        run=manifest.run,
        complete=is_complete(folder, manifest),
        finished=bool(manifest.content["finished"]),
        path=folder.text(),
        manifest=manifest,
        reader=reader,
    )


def is_complete(folder: Location, manifest: Manifest) -> bool:
    """Whether the mark is there and is of this manifest, not of one that was here before."""
    try:
        mark = json.loads(folder.read(MARKER))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(mark, dict) and mark.get("checksum") == manifest.checksum


def numbers_in(job: Location) -> list[int]:
    """The checkpoints in the folder of a job, newest first, readable or not."""
    return sorted((int(m[1]) for name in job.names() if (m := _FOLDER.fullmatch(name))), reverse=True)


def folder_of(number: int) -> str:
    """The name of a checkpoint's folder, as Flink has it."""
    return f"chk-{number}"


def safe_name(name: str) -> str:
    """A job's name as the name of a folder; different names stay different.

    >>> safe_name("orders"), safe_name("a/b c")
    ('orders', 'a-b-c-0af99a')
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_NAME_LENGTH_MAX]
    if safe == name and re.match("[^.]", name):
        return name
    return f"{safe.lstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
