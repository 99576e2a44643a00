"""EXPLAIN GUARANTEES: what holds for a job's rows when it fails, source by source and sink by sink, and its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .catalog.connectors import TableOptions
from .catalog.guarantees import AT_LEAST_ONCE, EXACTLY_ONCE, Checkpointing, sink_guarantee, source_guarantee
from .config import Configuration
from .planner import physical as p
from .planner.fingerprints import description
from .planner.state_ttl import StateTtl

_FREED_BY_TIME = "freed as event time (or the clock) passes it"
_KEPT_BY_KEY = "freed by deletions and a time to live alone"
_STATE: dict[str, tuple[str, str]] = {
    "ChangelogNormalize": ("the last row of each key", _KEPT_BY_KEY),
    "Deduplicate": ("the keys seen, and their row where the last is kept", _KEPT_BY_KEY),
    "GroupAggregate": ("a row of values a group, or the rows of a group", _KEPT_BY_KEY),
    "IntervalJoin": ("rows that a partner may still come for", _FREED_BY_TIME),
    "Join": ("the rows of both sides", _KEPT_BY_KEY),
    "LookupJoin": ("rows that wait to be looked up again", "freed when they are found, or given up"),
    "Limit": ("how many rows there were, or the rows where they change", _KEPT_BY_KEY),
    "Match": ("matches that have begun", "freed by the end of a match, and WITHIN"),
    "OverAggregate": ("the rows of a frame, or a value a partition", _KEPT_BY_KEY),
    "Rank": ("the best rows of a partition, or all where rows change", _KEPT_BY_KEY),
    "SetOperation": ("each distinct row and its numbers of copies", _KEPT_BY_KEY),
    "SinkUpsertMaterializer": ("the rows of each key of the sink", _KEPT_BY_KEY),
    "Sort": ("all rows", "freed at the end"),
    "SortLimit": ("the best rows, or all where rows change", _KEPT_BY_KEY),
    "TemporalJoin": ("rows that wait, and the versions they may ask for", _FREED_BY_TIME),
    "TemporalSort": ("rows that wait for their time", _FREED_BY_TIME),
    "WindowAggregate": ("partial results of open windows", _FREED_BY_TIME),
    "WindowEmit": ("changes of open windows that are not shown yet", _FREED_BY_TIME),
    "WindowJoin": ("the rows of open windows", _FREED_BY_TIME),
    "WindowRank": ("the rows of open windows", _FREED_BY_TIME),
}
"""Class of node → what it keeps, and what frees it."""


def text(plan: p.PhysicalPlan, config: Configuration) -> str:
    """The section of EXPLAIN."""
    return "\n".join(_lines(plan, config))


def checkpointing(config: Configuration) -> Checkpointing:
    """How the session's jobs take checkpoints."""
    return Checkpointing(
        enabled=config.get("execution.checkpointing.interval") is not None,
        exactly_once=str(config.get("execution.checkpointing.mode")).upper() == "EXACTLY_ONCE",
        durable=config.get("execution.checkpointing.dir") is not None,
    )


def _lines(plan: p.PhysicalPlan, config: Configuration) -> Iterator[str]:
    checkpoints = checkpointing(config)
    yield from _job(checkpoints, config)
    nodes = plan.nodes()
    scans = {str(n.table.path): n for n in nodes if isinstance(n, p.TableSourceScan)}
    asked = {str(n.table.path): n for n in nodes if isinstance(n, p.LookupJoin)}
    yield from _part("Sources", [*map(_source, scans.values()), *map(_asked, asked.values())])
    yield from _part("State", (_state(n, config) for n in nodes if _kept(n) is not None))
    yield from _part("Sinks", (_sink(n, checkpoints) for n in plan.roots))


def _part(title: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    found = list(entries)
    if found:
        yield f"{title}:"
        for first, second in found:
            yield f"  {first}"
            yield f"    {second}"


def _job(checkpoints: Checkpointing, config: Configuration) -> Iterator[str]:
    if not checkpoints.enabled:
        yield "Checkpoints: none; SET 'execution.checkpointing.interval' = '10 s' takes them, and"
        yield "SET 'execution.checkpointing.dir' = '…' keeps them where a later process finds them"
        return
    every = config.as_dict().get("execution.checkpointing.interval", "")
    mode = EXACTLY_ONCE if checkpoints.exactly_once else AT_LEAST_ONCE
    yield f"Checkpoints: every {every}, {mode}"
    if not checkpoints.exactly_once:
        yield "SET 'execution.checkpointing.mode' = 'EXACTLY_ONCE' lets sinks write each row once"
    if not checkpoints.durable:
        yield "they end with this process; SET 'execution.checkpointing.dir' = '…' keeps them"


def _source(scan: p.TableSourceScan) -> tuple[str, str]:
    found = source_guarantee(scan.options)
    return f"{scan.table.path} ({scan.options.connector.name}): {found.level}", found.why + _unreadable(
        scan.options
    )


def _asked(node: p.LookupJoin) -> tuple[str, str]:
    name = f"{node.table.path} ({node.options.connector.name})"
    why = "rows that come again after a failure get the answers of that time"
    return f"{name}: asked", why + _unreadable(node.options)


def _unreadable(options: TableOptions) -> str:
    """What becomes of records that cannot be read, where they do not end the job."""
    given = options.options
    mode = given["error-handling.mode"] if given.declares("error-handling.mode") else "fail"
    if mode == "log":
        return f"; records that cannot be read go into {given['error-handling.log.target']}, at-least-once"
    return "; records that cannot be read are left out" if mode == "ignore" else ""


def _sink(root: p.PhysicalNode, checkpoints: Checkpointing) -> tuple[str, str]:
    if not isinstance(root, p.Sink):
        return "the client: none", "a query that is shown is not resumed; INSERT INTO a table to keep it"
    found = sink_guarantee(root.options, checkpoints)
    return f"{root.table.path} ({root.options.connector.name}): {found.level}", found.why


def _kept(node: p.PhysicalNode) -> tuple[str, str] | None:
    if isinstance(node, p.WindowTableFunction):
        return ("the rows of open sessions", _FREED_BY_TIME) if node.window.kind == "SESSION" else None
    if isinstance(node, p.GroupAggregate) and node.window_end is not None:
        return "a row of values a group", _FREED_BY_TIME
    if isinstance(node, p.OverAggregate) and node.time is not None:
        return _STATE["OverAggregate"][0], "freed as time passes the frame, or by a time to live"
    found = (_STATE.get(c.__name__) for c in type(node).__mro__)
    return next((f for f in found if f is not None), None)


def _state(node: p.PhysicalNode, config: Configuration) -> tuple[str, str]:
    kept = _kept(node)
    assert kept is not None
    what, freed = kept
    if freed is _FREED_BY_TIME or "time to live" not in freed:
        return description(node), f"{what}, {freed}"
    return description(node), f"{what}, {freed}: {_ttl(node, config)}"


def _ttl(node: p.PhysicalNode, config: Configuration) -> str:
    session = config.get("table.exec.state.ttl") or 0
    given = node.ttls or (None,) * len(node.inputs)
    texts = [_length(hint, session, config) for hint in given]
    return texts[0] if len(set(texts)) == 1 else f"left {texts[0]}, right {texts[1]}"


def _length(hint: StateTtl | None, session: int, config: Configuration) -> str:
    if (hint.ms if hint is not None else session) == 0:
        return "kept for ever"
    written = hint.text if hint is not None else config.as_dict().get("table.exec.state.ttl", f"{session} ms")
    return f"kept for {written} after its last change"
