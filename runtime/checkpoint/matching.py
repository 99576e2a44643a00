"""What of a saved cut a job takes: parts with equal fingerprints, in the order in which they occur.

An operator takes the state of the one that computed the same. State that nobody takes is lost, and with it positions
of sources that are read no more; the job refuses that unless it is asked for. What is new in a job that takes
everything else begins empty: it has not seen what its sources gave before. Output that is prepared and not yet
committed is lost with its sink.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from streamsql.errors import StateError

from ..connectors.base import Prepared
from .snapshot import JobSnapshot, OperatorSnapshot, SinkSnapshot, SourceSnapshot

IGNORE = "execution.state-recovery.ignore-unclaimed-state"


@dataclass(frozen=True)
class NewPart:
    """A source or sink of the job that goes on. ``name``: of its table."""

    fingerprint: str
    name: str


@dataclass(frozen=True)
class NewOperator:
    """An operator of the job that goes on.

    ``states``: the names it declares, none where it has no memory. ``inputs``: numbers of operators, ``-1 - n`` for
    source n, as in :class:`~streamsql.runtime.graph.Vertex`.
    """

    fingerprint: str
    name: str
    description: str
    states: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Restoration:
    """Who takes what: an entry for each source, operator and sink of the job, None for one that begins afresh.

    ``forgotten``: fingerprint of each saved operator whose state nobody takes, and its number among those with the
    same. ``kept``, ``begins`` and ``lost`` say it in words, a line each.
    """

    sources: tuple[SourceSnapshot | None, ...]
    operators: tuple[OperatorSnapshot | None, ...]
    sinks: tuple[SinkSnapshot | None, ...]
    forgotten: tuple[tuple[str, int], ...]
    kept: tuple[str, ...]
    begins: tuple[str, ...]
    lost: tuple[str, ...]

    def report(self) -> list[str]:
        """What happens to each part: first what goes on, then what begins, then what is lost."""
        return [*self.kept, *self.begins, *self.lost]

    def check(self, ignore_unclaimed: bool) -> None:
        """Raises StateError with all that would be lost, unless the user asked for that."""
        if not self.lost or ignore_unclaimed:
            return
        lines = "".join(f"\n  {line}" for line in (*self.lost, *self.begins))
        raise StateError(
            f"the job does not take all of the saved state:{lines}",
            hint="write the statements so that they compute what they did, or accept the loss: "
            f"SET '{IGNORE}' = 'true'",
        )


def match(
    saved: JobSnapshot,
    sources: Sequence[NewPart],
    operators: Sequence[NewOperator],
    sinks: Sequence[NewPart] = (),
    *,
    complete: bool = True,
) -> Restoration:
    """What of ``saved`` a job of these parts takes. ``complete``: all output up to the cut is committed."""
    read, written = _matched(saved.sources, sources), _matched(saved.sinks, sinks)
    computed = _matched(saved.operators, operators)
    refused = _refused(saved.operators, operators, computed)
    taken = [None if i in refused else at for i, at in enumerate(computed)]
    left = [at for at in _left(saved.operators, taken) if saved.operators[at].states]
    waiting = [] if complete else [at for at in _left(saved.sinks, written) if _has_output(saved.sinks[at])]
    words = _Words(saved, sources, operators, read, computed, refused, waiting)
    return Restoration(
        tuple(None if at is None else saved.sources[at] for at in read),
        tuple(None if at is None else saved.operators[at] for at in taken),
        tuple(None if at is None else saved.sinks[at] for at in written),
        forgotten=tuple(_numbered(saved.operators, at) for at in left),
        kept=tuple(words.kept()),
        begins=tuple(words.begins()),
        lost=tuple(words.lost()),
    )


# -- finding -------------------------------------------------------------------------------------------------------
class _Part(Protocol):
    @property
    def fingerprint(self) -> str: ...


P = TypeVar("P", bound=_Part)
N = TypeVar("N", bound=_Part)
Found = list[int | None]
"""For each new part the number of the saved one."""


def _matched(saved: Sequence[P], new: Sequence[N]) -> Found:
    free: dict[str, deque[int]] = defaultdict(deque)
    for at, part in enumerate(saved):
        free[part.fingerprint].append(at)
    return [free[part.fingerprint].popleft() if free[part.fingerprint] else None for part in new]


def _left(saved: Sequence[P], found: Sequence[int | None]) -> list[int]:
    return sorted(set(range(len(saved))) - {at for at in found if at is not None})


def _refused(
    saved: Sequence[OperatorSnapshot], operators: Sequence[NewOperator], found: Found
) -> dict[int, str]:
    """Operators that compute the same but cannot take the state, and why.

    Its pieces are others, or something below begins afresh: rows that it has had would come a second time.
    """
    refused: dict[int, str] = {}
    afresh: set[int] = set()
    for i, operator in enumerate(operators):
        at = found[i]
        below = any(n in afresh for n in operator.inputs)
        if at is not None and below:
            refused[i] = "what it reads begins afresh"
        elif at is not None and set(saved[at].states) != set(operator.states):
            refused[i] = _other_pieces(saved[at], operator)
        if below or (operator.states and (at is None or i in refused)):
            afresh.add(i)
    return refused


def _other_pieces(saved: OperatorSnapshot, new: NewOperator) -> str:
    before, now = (", ".join(sorted(names)) or "nothing" for names in (saved.states, new.states))
    return f"it was kept as {before} and is now kept as {now} (a time to live was set, or taken away)"


def _has_output(sink: SinkSnapshot) -> bool:
    return sink.prepared != Prepared()


def _numbered(saved: Sequence[P], at: int) -> tuple[str, int]:
    fingerprint = saved[at].fingerprint
    return fingerprint, sum(s.fingerprint == fingerprint for s in saved[:at])


# -- words ---------------------------------------------------------------------------------------------------------
_UPDATING = frozenset({
    "ChangelogNormalize", "Deduplicate", "GroupAggregate", "Join", "OverAggregate", "Rank", "SetOperation", "SortLimit",
    "SinkUpsertMaterializer",
})  # fmt: skip


@dataclass(frozen=True)
class _Words:
    saved: JobSnapshot
    sources: Sequence[NewPart]
    operators: Sequence[NewOperator]
    read: Found
    computed: Found
    refused: Mapping[int, str]
    waiting: Sequence[int]

    def kept(self) -> Iterator[str]:
        for source, at in zip(self.sources, self.read, strict=True):
            if at is not None:
                yield f"table {source.name}: goes on where it was"
        for i, operator in enumerate(self.operators):
            if operator.states and self.computed[i] is not None and i not in self.refused:
                yield f"{operator.description}: keeps its state"

    def begins(self) -> Iterator[str]:
        for source, at in zip(self.sources, self.read, strict=True):
            if at is None:
                yield f"table {source.name}: is new and begins as its options say"
        for i, operator in enumerate(self.operators):
            if operator.states and self.computed[i] is None:
                below = self._below(i)
                more = ""
                if any(n < 0 and self.read[-1 - n] is not None for n in below):
                    more = ", without what its tables held so far"
                if updates := [
                    self.operators[n].name for n in sorted(below) if n >= 0 and self._takes_back(n)
                ]:
                    more += f"; it can be wrong where {updates[-1]} takes back rows from before"
                yield f"{operator.description}: is new and begins empty{more}"

    def lost(self) -> Iterator[str]:
        for at in _left(self.saved.sources, self.read):
            if self.saved.sources[at].positions:
                yield f"table {self.saved.sources[at].name}: its position is lost, nothing reads it any more"
        for at in _left(self.saved.operators, self.computed):
            if self.saved.operators[at].states:
                yield f"{self.saved.operators[at].description}: its state is lost, nothing computes it any more"
        for i, why in self.refused.items():
            if self.operators[i].states:
                yield f"{self.operators[i].description}: its state is lost, {why}"
        for at in self.waiting:
            name = self.saved.sinks[at].name
            yield f"{name}: output that waits to be committed is lost, nothing writes its table any more"

    def _takes_back(self, operator: int) -> bool:
        """Whether an operator goes on with state that it may take rows back by."""
        return self.operators[operator].name in _UPDATING and self.computed[operator] is not None

    def _below(self, operator: int) -> set[int]:
        """All operators and sources that it reads, as ``inputs`` numbers them."""
        found: set[int] = set()
        for n in self.operators[operator].inputs:
            found |= {n} if n < 0 else {n} | self._below(n)
        return found
