"""The checkpoints of one job on disk: written, found again, removed.

::

    <directory>/<job>/owner.json         who writes here
                      chk-7/_metadata    what checkpoint 7 is, and where its tables are
                      chk-7/_complete    everything about it is committed
                      shared/*.pack      tables, of one cut or several

A manifest makes a checkpoint exist; a pack that none refers to is litter. So nothing is ever changed in place, and
after a crash at any moment every manifest that can be read is whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

from streamsql.errors import FencedError

from ..state.keyed import merge_keyed
from .found import Found, folder_of, numbers_in, read_checkpoint, safe_name
from .location import PARTIAL, Location, open_location
from .manifest import CHECKPOINT, MANIFEST, MARKER, DamagedManifestError, Part, Place, encode
from .ownership import Ownership
from .packs import DamagedPackError, PackReader, PackWriter
from .segments import Segments
from .snapshot import JobSnapshot

log = logging.getLogger("streamsql.checkpoint")

SHARED = "shared"
_RUN_LENGTH = 6

# What one call of compact() copies at most, unless a single merge is larger; or so many times what the last checkpoint
# has written, if that is more: a row is merged several times, so less would never catch up.
_COMPACT_BYTES = 64 << 20
_COMPACT_TIMES = 4
# Packs are copied when they take so many times what is used of them and this much more, or are this many. Merging alone
# frees packs as well: while there is any, they may take more.
_USE_MAX, _USE_MAX_MERGING = 2, 4
_WASTE = 1 << 20
_PACKS_MAX = 64
_LIVE_SHARE_MIN = 0.5


@dataclass
class _Known:
    """A checkpoint folder of this job, as far as the store needs it. ``checksum``: None for one that is unreadable.

    ``job_id``: another one than ours where a job of this name began afresh.
    """

    packs: frozenset[str] = frozenset()
    job_id: str = ""
    checksum: str | None = None
    complete: bool = False


class CheckpointStore:
    """The checkpoints of one job. Call :meth:`take_over` before writing, and :meth:`close` in the end.

    Methods may be called from any thread, one at a time goes on. ``retained``: complete checkpoints that are kept.
    ``run``: names the attempt that writes, ``copy`` the copy of the job of which it is an attempt.
    """

    def __init__(
        self,
        directory: str | Location,
        job_name: str,
        *,
        retained: int = 1,
        compression: bool = False,
        run: str,
        copy: str = "",
        now_ms: Callable[[], int],
    ) -> None:
        assert retained >= 1, retained
        parent = (
            open_location(directory, "execution.checkpointing.dir")
            if isinstance(directory, str)
            else directory
        )
        self.location = parent.below(safe_name(job_name))
        self.problems: list[str] = []
        """What :meth:`candidates` passed over and why, as sentences."""
        self._retained = retained
        self._compression = compression
        self._run = run
        self._owner = Ownership(self.location, job_name, run, copy, now_ms)
        self._reader = PackReader(self.location)
        self._lock = threading.RLock()
        self._known: dict[int, _Known] = {}
        self._files: set[str] = set()
        self._sizes: dict[str, int] = {}
        self._last_bytes = 0
        self.written_bytes = 0
        """Of tables, by the last :meth:`write`."""
        self._reset()

    def _reset(self) -> None:
        """Nothing is known of the state: the next snapshot must be full."""
        self._segments = Segments()
        self._folded: tuple[str, int] | None = None
        self._run_of_segments: str | None = None
        self._started = False

    @property
    def wants_full(self) -> bool:
        """Whether the next snapshot must hold everything: at first, and when files that are still needed are gone."""
        return not self._started

    def take_over(self, *, again: bool = False) -> None:
        """Makes this run the one that writes.

        Raises JobError where another process of this machine runs the job, StateError where a newer version of the
        program wrote. A run elsewhere gets a FencedError when it writes next. ``again``: an earlier run of this copy of
        the job has failed; raises FencedError where another copy has come since.
        """
        with self._lock:
            try:
                self._owner.take(again=again)
                self._scan()
            except BaseException:
                self._owner.release()
                raise

    def _scan(self) -> None:
        """Notes what is there. Files of a run that comes later are thereby not ours to remove."""
        self._files = {f"{SHARED}/{name}" for name in self.location.names(SHARED)}
        self._known = {}
        for number in numbers_in(self.location):
            try:
                one = read_checkpoint(self._reader, number)
                manifest = one.manifest
                self._known[number] = _Known(
                    frozenset(manifest.packs),
                    str(manifest.content["job_id"]),
                    manifest.checksum,
                    one.complete,
                )
            except (FileNotFoundError, DamagedManifestError):
                self._known[number] = _Known()
            except OSError:
                if not self.location.local:
                    raise
                self._known[number] = _Known()

    def candidates(self) -> list[Found]:
        """The checkpoints that can be read, newest first; :attr:`problems` says which were passed over.

        All bytes are checked down to the first complete one. Raises StateError where a newer version of the program
        wrote, and OSError where the store does not answer.
        """
        with self._lock:
            self.problems = []
            found: list[Found] = []
            certain = False
            for number in sorted(numbers_in(self.location), reverse=True):
                try:
                    one = read_checkpoint(self._reader, number)
                    if certain:
                        self._reader.check_sizes(one.manifest.packs)
                    else:
                        one.verify()
                except FileNotFoundError:
                    if not found:
                        self._pass_over(number, "it was not written to its end")
                except (DamagedManifestError, DamagedPackError) as damage:
                    self._pass_over(number, str(damage))
                except OSError as error:
                    if not self.location.local:  # it may answer later, and an older one would be wrong
                        raise
                    self._pass_over(number, f"it cannot be read: {error}")
                else:
                    found.append(one)
                    certain = certain or one.complete
            return found

    def release(self) -> None:
        """Frees what :meth:`candidates` has fetched: :meth:`load` would read it again."""
        with self._lock:
            self._reader.release()

    def _pass_over(self, number: int, why: str) -> None:
        self.problems.append(f"checkpoint {self.location.text(folder_of(number))} is passed over: {why}")

    def next_number(self) -> int:
        """A number above all that are there, readable or not; 1 at first.

        Where no lock keeps others out, one is left free: a run that lost the job while it was writing a checkpoint may
        still do that, and must not put it in the place of ours.
        """
        with self._lock:
            highest = max([*numbers_in(self.location), *self._known], default=0)
            return highest + (1 if self.location.local or not highest else 2)

    def load(self, found: Found) -> JobSnapshot:
        """All that a checkpoint or savepoint holds; what is written from now on goes on from it.

        Call :meth:`forget` for each operator that begins without its state. Raises StateError for what is damaged.
        """
        snapshot = found.snapshot()
        with self._lock:
            self._reset()
            self._reader.release()
            if found.reader is self._reader:
                self._segments = Segments(found.manifest.chains())
                self._sizes |= found.manifest.packs
            else:
                self._segments.fold(snapshot)
            self._started = True
        return snapshot

    def forget(self, fingerprint: str, occurrence: int = 0) -> None:
        """An operator of the snapshot loaded begins afresh: the ``occurrence``-th with this fingerprint."""
        with self._lock:
            self._segments.forget(fingerprint, occurrence)

    def _hold(self, snapshot: JobSnapshot) -> None:
        """Remembers a cut, so that the changes it took from the states reach the next one if it is not written."""
        if self._folded == (snapshot.run, snapshot.number):
            return
        if self._run_of_segments not in (None, snapshot.run):
            self._reset()
        if snapshot.changes and self.wants_full:
            raise OSError(
                errno.ESTALE,
                f"checkpoint {snapshot.number} holds only changes, and what they belong to is not in "
                f"{self.location.text()}; the next one holds everything",
            )
        self._segments.fold(snapshot)
        self._folded = (snapshot.run, snapshot.number)
        self._run_of_segments = snapshot.run
        self._started = True

    def write(self, snapshot: JobSnapshot) -> None:
        """Makes a checkpoint durable, as *prepared*.

        Raises OSError where that fails, and may be called again with the same snapshot or with a later one: what was
        handed over stays in memory until it is written. When :attr:`wants_full` is true then, only a full one helps.
        Raises FencedError where another run has taken over.
        """
        with self._lock:
            self._hold(snapshot)  # before anything that may fail
            self._owner.check()
            number = snapshot.number
            later = [n for n, known in self._known.items() if n > number and known.checksum]
            assert not later, f"checkpoint {number} after {later}: numbers go up, see next_number()"
            self._check_packs()
            self._write_pack(str(number), self._segments)
            chains = self._segments.parts()
            data, checksum = encode(snapshot, CHECKPOINT, chains, self._sizes)
            if number in self._known:
                if self._known[number].checksum == checksum:
                    return
                self._remove_checkpoint(number)
            # Where no lock keeps others out, and writing the pack may have taken long.
            if not self.location.local:
                self._owner.check()
            packs = frozenset(part.pack for parts in chains.values() for part in parts)
            self._known[number] = _Known(packs, snapshot.job_id)
            try:
                self.location.put(f"{folder_of(number)}/{MANIFEST}", data)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._remove_checkpoint(number)
                raise
            self._known[number].checksum = checksum

    def _check_packs(self) -> None:
        """Where looking costs little: whether somebody removed what is still needed."""
        if self.location.local:
            for pack in self._segments.live_bytes():
                if self.location.size(pack) != self._sizes[pack]:
                    self._reset()
                    raise OSError(
                        errno.ENOENT,
                        f"{self.location.text(pack)}, which checkpoints need, was removed or cut short; the next "
                        "checkpoint holds everything",
                    )

    def _write_pack(self, name: str, segments: Segments) -> None:
        """Writes what is pending."""
        pending = list(segments.pending())
        self.written_bytes = 0
        if pending:
            with self._new_pack(name) as pack:
                parts = {(place, i): pack.add(table) for place, i, table in pending}
            segments.written(parts)
            self.written_bytes = self._last_bytes = pack.size

    @contextlib.contextmanager
    def _new_pack(self, name: str) -> Generator[PackWriter]:
        """A pack in the shared folder, durable when the block ends."""
        stem = f"{SHARED}/{name}-{hashlib.sha256(self._run.encode()).hexdigest()[:_RUN_LENGTH]}"
        path, again = f"{stem}.pack", 1
        while path in self._files:
            again += 1
            path = f"{stem}-{again}.pack"
        self._files.add(path)  # now, for the case that it fails and cannot be removed either
        if self.location.local:
            self._files.add(path + PARTIAL)
        with self.location.create(path) as out:
            pack = PackWriter(path, out, compression=self._compression)
            yield pack
        self._sizes[path] = pack.size

    def complete(self, number: int) -> None:
        """All output of a checkpoint is committed: marks it, then removes what is not needed any more.

        Raises OSError where the mark fails, and may be called again; FencedError where another run has taken over.
        """
        with self._lock:
            self._owner.check()
            known = self._known[number]
            assert known.checksum is not None, f"checkpoint {number} is not written"
            mark = {"number": number, "run": self._run, "checksum": known.checksum}
            self.location.put(f"{folder_of(number)}/{MARKER}", json.dumps(mark).encode())
            known.complete = True
            try:
                self._clean(number)
            except OSError as e:
                log.warning("what checkpoints no longer need is removed after the next one: %s", e)

    def _clean(self, newest: int) -> None:
        """Removes older checkpoints beyond those retained, unreadable ones, and packs that nobody needs.

        A job that began afresh takes the place of the one before: going back to that would repeat its output.
        """
        job_id = self._known[newest].job_id
        complete = sorted(
            (n for n, k in self._known.items() if k.complete and k.job_id == job_id and n <= newest),
            reverse=True,
        )
        keep = {*complete[: self._retained], newest}
        for number in sorted(self._known):
            if number not in keep and (number < newest or self._known[number].checksum is None):
                self._remove_checkpoint(number)
        needed = {*self._segments.live_bytes()}
        for known in self._known.values():
            needed |= known.packs
        for path in sorted(self._files - needed):
            self.location.remove(path)
            self._files.discard(path)
            self._sizes.pop(path, None)
            self._reader.forget(path)

    def discard(self, number: int) -> None:
        """Removes a checkpoint that does not hold. What it has written stays with later ones that go on from it."""
        with self._lock:
            self._remove_checkpoint(number)

    def _remove_checkpoint(self, number: int) -> None:
        """The manifest goes first: half a checkpoint is none."""
        folder = folder_of(number)
        self.location.remove(f"{folder}/{MANIFEST}")
        self.location.remove_folder(folder)
        self._known.pop(number, None)

    def delete(self) -> None:
        """Removes all checkpoints of the job, for one that is not to leave any."""
        with self._lock:
            self._owner.check()
            # The newest last: what a crash leaves is the end.
            for number in sorted(numbers_in(self.location)):
                self._remove_checkpoint(number)
            self.location.remove_folder(SHARED)
            self._files.clear()
            self._reset()

    def compact(self) -> None:
        """Between checkpoints: merges segments of chains, and copies what is left of packs that are mostly unused.

        About 64 MB a call; the rest comes with the next. Raises OSError, which leaves everything as it was.
        """
        with self._lock:
            merges = self._merges()
            copies = self._copies(frozenset(part for _, parts, _ in merges for part in parts))
            if not merges and not copies:
                return
            try:
                self._rewrite(merges, copies)
            except DamagedPackError as damage:
                self._reset()
                raise OSError(errno.EIO, f"{damage}; the next checkpoint holds everything") from None
            finally:
                self._reader.release()

    def _budget(self) -> int:
        return max(_COMPACT_BYTES, _COMPACT_TIMES * self._last_bytes)

    def _merges(self) -> list[tuple[Place, list[Part], bool]]:
        """The longest first: no chain waits for ever beside one that takes the whole budget."""
        chosen: list[tuple[Place, list[Part], bool]] = []
        size = 0
        for place, parts, whole in sorted(self._segments.mergeable(), key=lambda merge: -len(merge[1])):
            length = sum(part.length for part in parts)
            if not chosen or size + length <= self._budget():
                chosen.append((place, parts, whole))
                size += length
        return chosen

    def _copies(self, merging: frozenset[Part]) -> list[tuple[Place, Part]]:
        live = self._segments.live_bytes()
        times = _USE_MAX_MERGING if merging else _USE_MAX
        waste = sum(self._sizes[pack] for pack in live) - times * sum(live.values())
        by_use = sorted(live, key=lambda pack: live[pack])
        due = by_use[: len(live) // 2] if len(live) > _PACKS_MAX and not merging else []
        if waste > _WASTE:
            due = [pack for pack in by_use if pack in due or live[pack] < self._sizes[pack] * _LIVE_SHARE_MIN]
        chosen, size = set[str](), 0
        for pack in due:
            size += live[pack]
            if not chosen or size <= self._budget():
                chosen.add(pack)
        return [found for found in self._segments.of_packs(frozenset(chosen)) if found[1] not in merging]

    def _rewrite(
        self, merges: list[tuple[Place, list[Part], bool]], copies: list[tuple[Place, Part]]
    ) -> None:
        blobs = self._reader.blobs(part for _, part in copies)
        done: list[tuple[Place, list[Part], Part | None]] = []
        number = self._folded[1] if self._folded else 0
        with self._new_pack(f"{number}c") as pack:
            for place, parts, whole in merges:
                tables = self._reader.tables(parts)
                table = merge_keyed([tables[part] for part in parts], keep_dead=not whole)
                done.append((place, parts, pack.add(table)))
            done += [(place, [part], pack.copy(part, blobs[part])) for place, part in copies]
        for place, old, new in done:
            self._segments.replace(place, old, new)

    def close(self) -> None:
        """Lets another run take the job; idempotent. What was merged for a checkpoint that never came goes first."""
        with self._lock:
            complete = [number for number, known in self._known.items() if known.complete]
            if complete and self._last_bytes:
                with contextlib.suppress(OSError, FencedError):
                    self._owner.check()
                    self._segments = Segments()
                    self._clean(max(complete))
            self._last_bytes = 0
            self._reset()
            self._owner.release()
