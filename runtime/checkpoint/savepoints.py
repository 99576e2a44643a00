"""Savepoints: checkpoints that belong to the user, each in one folder that may be moved or copied."""

from __future__ import annotations

import contextlib
import secrets

from streamsql.errors import StateError

from ..connectors.base import Prepared
from .found import Found, describe, numbers_in, read_checkpoint, read_manifest
from .location import Location, open_location
from .manifest import (
    CHECKPOINT,
    MANIFEST,
    MARKER,
    SAVEPOINT,
    DamagedManifestError,
    Part,
    Place,
    encode,
    tables_of,
)
from .packs import DamagedPackError, PackReader, PackWriter
from .snapshot import JobSnapshot

DATA = "data.pack"
_JOB_LENGTH = 6
_HINT = f"give the folder that holds {MANIFEST}, as STOP JOB … WITH SAVEPOINT printed it"


def write_savepoint(
    directory: str, snapshot: JobSnapshot, *, compression: bool = False, token: str | None = None
) -> str:
    """Writes all of a snapshot into a new folder below ``directory`` and returns its path, or URI.

    ``token`` makes its name differ from others, at random by default. Raises OSError; then nothing of it is left.
    """
    assert not snapshot.changes, "a savepoint holds everything, this snapshot only what changed"
    name = f"savepoint-{snapshot.job_id[:_JOB_LENGTH]}-{token or secrets.token_hex(6)}"
    folder = open_location(directory, "execution.checkpointing.savepoint-dir").below(name)
    try:
        with folder.create(DATA) as out:
            pack = PackWriter(DATA, out, compression=compression)
            pack.write(b"streamsql\n")  # a file of nothing cannot be mapped
            chains: dict[Place, list[Part]] = {
                place: [pack.add(table)] for place, table in tables_of(snapshot)
            }
        folder.put(MANIFEST, encode(snapshot, SAVEPOINT, chains, {DATA: pack.size})[0])
    except BaseException:
        with contextlib.suppress(OSError):
            folder.remove_folder()
        raise
    base, mark, query = directory.partition("?") if "://" in directory else (directory, "", "")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def open_savepoint(path: str) -> Found:
    """The savepoint in a folder; or a checkpoint; or, of a job's folder of checkpoints, the latest complete one.

    Raises StateError where there is none, or where it is damaged or of a newer version, and OSError.
    """
    if not path.strip():
        raise StateError("the path of a savepoint is empty", hint=_HINT)
    location = open_location(path, "execution.state-recovery.path")
    if location.text().endswith(f"/{MANIFEST}"):
        location = location.below("..")
    try:
        manifest = read_manifest(location)
        root = location.below("..") if manifest.kind == CHECKPOINT else location
        found = describe(location, manifest, PackReader(root))
        found.verify()
        return found
    except (FileNotFoundError, NotADirectoryError):
        return _latest(location)
    except (DamagedManifestError, DamagedPackError) as damage:
        raise StateError(
            f"{location.text()} cannot be restored: {damage}", hint="restore another checkpoint or savepoint"
        ) from None


def _latest(job: Location) -> Found:
    reader = PackReader(job)
    problems: list[str] = []
    for number in numbers_in(job):
        try:
            found = read_checkpoint(reader, number)
            if found.complete:
                found.verify()
                return found
        except FileNotFoundError:
            continue
        except (DamagedManifestError, DamagedPackError) as damage:
            problems.append(f"checkpoint {number}: {damage}")
    passed = f" ({'; '.join(problems)})" if problems else ""
    raise StateError(
        f"there is no savepoint and no complete checkpoint in {job.text()}{passed}",
        hint=_HINT,
    )


def load_savepoint(path: str) -> JobSnapshot:
    """All that a savepoint holds, for a job to begin with; ``path`` and errors as for :func:`open_savepoint`.

    Raises StateError for a checkpoint whose output may not be committed: only the job itself can tell, or commit it.
    """
    found = open_savepoint(path)
    snapshot = found.snapshot()
    waits = snapshot.transaction is not None or any(s.prepared != Prepared() for s in snapshot.sinks)
    if found.manifest.kind == CHECKPOINT and waits and not found.complete:
        raise StateError(
            f"the output of {found.path} is prepared, and nothing says that it was committed: a job that began there "
            "could miss it",
            hint="resume the job itself, which commits it, or give a complete checkpoint: one with a file "
            f"{MARKER} beside {MANIFEST}",
        )
    return snapshot
