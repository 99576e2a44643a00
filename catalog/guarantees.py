"""What holds for the rows of a table when a job fails and goes on: of sources, and of sinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .connectors import TableOptions

EXACTLY_ONCE, AT_LEAST_ONCE, NONE = "exactly-once", "at-least-once", "none"
REPLAYABLE, NOT_REPLAYABLE = "replayable", "not replayable"


@dataclass(frozen=True)
class Guarantee:
    """``level``: one of the constants above; ``why`` in a clause or two."""

    level: str
    why: str


@dataclass(frozen=True)
class Checkpointing:
    """How a job takes checkpoints: whether at all, and whether for exactly-once. ``durable``: they outlive it."""

    enabled: bool = False
    exactly_once: bool = True
    durable: bool = False


# -- sources -------------------------------------------------------------------------------------------------------
_SOURCES: dict[str, Guarantee] = {
    "kafka": Guarantee(
        REPLAYABLE, "reading goes on at the offsets of the checkpoint, for as long as the topic keeps them"
    ),
    "upsert-kafka": Guarantee(
        REPLAYABLE, "reading goes on at the offsets of the checkpoint, for as long as the topic keeps them"
    ),
    "filesystem": Guarantee(
        REPLAYABLE, "reading goes on at the row of the checkpoint; files that were read must stay as they are"
    ),
    "datagen": Guarantee(
        REPLAYABLE, "rows follow from a seed that checkpoints hold; times among them follow the clock"
    ),
    "in-process": Guarantee(
        REPLAYABLE, "the rows lie in the memory of this program, and are gone when it ends"
    ),
    "jdbc": Guarantee(
        REPLAYABLE,
        "reading goes on behind the last primary key; without one behind as many rows, if they keep their order",
    ),
}  # fmt: skip


def source_guarantee(options: TableOptions) -> Guarantee:
    """Whether rows that were read can be read again from a place that a checkpoint names."""
    unknown = Guarantee(NOT_REPLAYABLE, f"the connector '{options.connector.name}' does not say that it is")
    return _SOURCES.get(options.connector.name, unknown)


# -- sinks ---------------------------------------------------------------------------------------------------------
_AGAIN = "rows written after the last checkpoint are written again after a failure"


def sink_guarantee(options: TableOptions, checkpoints: Checkpointing) -> Guarantee:
    """How often a row is seen that the job writes, over failures and restarts."""
    name = options.connector.name
    if name == "blackhole":
        return Guarantee(NONE, "it keeps no rows")
    found = _SINKS.get(name, _unknown)(options)
    if not checkpoints.enabled:
        afresh = "without checkpoints a job that failed begins afresh, as its tables' options say"
        return Guarantee(NONE, f"{afresh}; with them: {found.level}")
    if found.level == EXACTLY_ONCE and not checkpoints.exactly_once:
        return Guarantee(AT_LEAST_ONCE, f"'execution.checkpointing.mode' is AT_LEAST_ONCE: {_AGAIN}")
    return found


def _kafka(options: TableOptions) -> Guarantee:
    given = options.options
    level = str(
        given["sink.semantic"] if "sink.semantic" in given.given else given["sink.delivery-guarantee"]
    )
    if level == EXACTLY_ONCE:
        return Guarantee(
            EXACTLY_ONCE,
            "the rows up to a checkpoint and its number are one transaction; who reads with "
            "isolation.level=read_committed sees each row once",
        )
    if level == NONE:
        return Guarantee(NONE, "the job does not wait for the broker: rows can be lost")
    return Guarantee(AT_LEAST_ONCE, f"{_AGAIN}; 'sink.delivery-guarantee' = 'exactly-once' writes each once")


def _upsert_kafka(options: TableOptions) -> Guarantee:
    found = _kafka(options)
    if found.level != AT_LEAST_ONCE:
        return found
    return Guarantee(AT_LEAST_ONCE, f"{_AGAIN} and replace themselves: who reads by key sees the right table")


def _jdbc(options: TableOptions) -> Guarantee:
    return Guarantee(AT_LEAST_ONCE, f"{_AGAIN}; with a primary key they replace themselves")


def _unknown(options: TableOptions) -> Guarantee:
    return Guarantee(AT_LEAST_ONCE, _AGAIN)


_SINKS: dict[str, Callable[[TableOptions], Guarantee]] = {
    "kafka": _kafka,
    "upsert-kafka": _upsert_kafka,
    "jdbc": _jdbc,
    "print": lambda options: Guarantee(
        AT_LEAST_ONCE, "what was printed after the last checkpoint is printed again after a failure"
    ),
    "filesystem": lambda options: Guarantee(
        EXACTLY_ONCE, "files are named by a checkpoint and renamed into sight once it is durable"
    ),
    "in-process": lambda options: Guarantee(
        EXACTLY_ONCE, "rows are added once their checkpoint is durable; they live as long as this program"
    ),
}  # fmt: skip
