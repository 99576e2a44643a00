"""Where a scan of Kafka topics begins and ends: options to partitions with a first and an end offset.

Offsets are looked up once, when the brokers first answer, so that the position of every partition is known
before its first message. Source: Flink's ``OffsetsInitializer`` and its implementations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streamsql.catalog.descriptors_kafka import parse_offsets
from streamsql.catalog.kafka_properties import offset_reset
from streamsql.errors import ConfigError, ConnectorError, did_you_mean

from .base import SourceContext
from .kafka_client import LOG, owner_of, properties_of, reason

REQUEST_TIMEOUT_S = 10.0
"""Per request for offsets. A broker that is slower is asked again, as one that is away."""
_INTERNAL_TOPICS = re.compile(r"__(consumer_offsets|transaction_state|share_group_state)")
_RESET_OF_MODE = {"earliest-offset": "earliest", "specific-offsets": "earliest", "latest-offset": "latest"}
"""What happens to an offset that the log does not have (any more), as in Flink."""


@dataclass(frozen=True, order=True)
class Partition:
    """A topic partition; its name as a source split is ``topic-0``."""

    topic: str
    number: int

    @property
    def split(self) -> str:
        return f"{self.topic}-{self.number}"

    def at(self, offset: int) -> Any:
        """The client's object for this partition and an offset."""
        return TopicPartition(self.topic, self.number, offset)


@dataclass(frozen=True)
class Span:
    """What to read of one partition: ``[start, end)``; ``end`` None is for ever. ``high`` was the log's end
    then."""

    partition: Partition
    start: int
    end: int | None
    high: int


@dataclass(frozen=True)
class ScanPlan:
    """The scan options of a table, typed."""

    owner: str
    topics: tuple[str, ...]
    pattern: re.Pattern[str] | None
    startup: str
    startup_offsets: Mapping[int, int]
    startup_ms: int
    bounded: str
    bounded_offsets: Mapping[int, int]
    bounded_ms: int
    group: str | None
    reset: str | None
    reset_given: bool
    discovery_ms: int

    @property
    def is_bounded(self) -> bool:
        return self.bounded != "unbounded"


def scan_plan(context: SourceContext) -> ScanPlan:
    """The plan of a table's scan. A job in batch mode ends at the offsets that are latest when it starts.

    Raises ConfigError where the options cannot say where to start.
    """
    options, owner = context.options.options, owner_of(context)
    given = properties_of(context)
    upsert = context.options.connector.name == "upsert-kafka"
    startup = "earliest-offset" if upsert else str(options["scan.startup.mode"])
    bounded = str(options["scan.bounded.mode"])
    if context.bounded and bounded == "unbounded":
        bounded = "latest-offset"
    group, reset = given.get("group.id"), offset_reset(given)
    if startup == "group-offsets" and group is None and reset is None and not context.positions:
        raise ConfigError(
            f"{owner}: 'scan.startup.mode' is 'group-offsets', but there is no 'properties.group.id'",
            hint="set 'scan.startup.mode'='earliest-offset' or 'latest-offset', or give a group id",
        )

    def offsets(key: str) -> dict[int, int]:
        return parse_offsets(options[key], key, owner) if key in options else {}

    return ScanPlan(
        owner=owner,
        topics=tuple(options["topic"] or ()),
        pattern=None if upsert or "topic-pattern" not in options else re.compile(options["topic-pattern"]),
        startup=startup,
        startup_offsets={} if upsert else offsets("scan.startup.specific-offsets"),
        startup_ms=0 if upsert else int(options["scan.startup.timestamp-millis"] or 0),
        bounded=bounded,
        bounded_offsets=offsets("scan.bounded.specific-offsets"),
        bounded_ms=int(options["scan.bounded.timestamp-millis"] or 0),
        group=group,
        reset=reset or _RESET_OF_MODE.get(startup),
        reset_given=reset is not None,
        discovery_ms=0 if bounded != "unbounded" else int(options["scan.topic-partition-discovery.interval"]),
    )


def find_partitions(consumer: Any, plan: ScanPlan, timeout_s: float) -> list[Partition]:
    """All partitions of the plan's topics, sorted. KafkaException while no broker answers.

    Raises ConnectorError for a topic that does not exist.
    """
    topics = consumer.list_topics(timeout=timeout_s).topics
    if plan.pattern is not None:
        pattern = plan.pattern
        names = [n for n in topics if pattern.fullmatch(n) and not _INTERNAL_TOPICS.fullmatch(n)]
    else:
        names = list(plan.topics)
    found: list[Partition] = []
    for name in names:
        if name not in topics or not topics[name].partitions:
            raise _no_topic(consumer, plan, name, topics, timeout_s)
        found.extend(Partition(name, number) for number in topics[name].partitions)
    return sorted(found)


def _no_topic(
    consumer: Any, plan: ScanPlan, name: str, topics: Iterable[str], timeout_s: float
) -> ConnectorError:
    """Why a topic is not in the list: the broker says it when asked for that one."""
    metadata = consumer.list_topics(name, timeout=timeout_s).topics.get(name)
    error = metadata.error if metadata is not None else None
    if error is not None and error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
        return ConnectorError(f"{plan.owner}: topic '{name}' cannot be read: {reason(error)}")
    visible = sorted(t for t in topics if not t.startswith("__"))
    shown = ", ".join(visible[:20]) + (", …" if len(visible) > 20 else "")
    return ConnectorError(
        f"{plan.owner}: there is no topic '{name}'",
        hint=did_you_mean(name, visible) or (f"topics: {shown}" if visible else "the cluster has no topics"),
    )


def spans(
    consumer: Any,
    plan: ScanPlan,
    partitions: list[Partition],
    positions: Mapping[str, str],
    remembered: Mapping[str, int] | None = None,
    *,
    new: bool = False,
) -> list[Span]:
    """What to read of each partition. ``positions`` and ends that are ``remembered`` are those of a resumed
    job; ``new``: the partitions appeared later.

    A partition that is new, or unknown to the resumed job, is read from its beginning. KafkaException while
    no broker answers. Raises ConnectorError where the group has no offset, or the log no longer has the one
    asked for.
    """
    marks = {p: _marks(consumer, p) for p in partitions}
    resumed = {p: int(positions[p.split]) for p in partitions if p.split in positions}
    if new or positions:
        starts = {p: resumed.get(p, marks[p][0]) for p in partitions}
    else:
        starts = _starts(consumer, plan, partitions, marks)
    if remembered:
        ends = {p: remembered[p.split] for p in partitions}
    else:
        ends = _ends(consumer, plan, partitions, marks, starts)
    found: list[Span] = []
    for p in partitions:
        start = _within(plan, p, starts[p], marks[p], resumed=p in resumed)
        found.append(Span(p, start, ends.get(p), marks[p][1]))
    return found


_Marks = tuple[int, int]


def _marks(consumer: Any, partition: Partition) -> _Marks:
    low, high = consumer.get_watermark_offsets(partition.at(-1), timeout=REQUEST_TIMEOUT_S)
    return int(low), int(high)


def _within(plan: ScanPlan, partition: Partition, start: int, marks: _Marks, *, resumed: bool) -> int:
    """``start``, or where the reset policy says when the log does not have it.

    A resumed job would lose messages so, or read some again: that must be asked for by name.
    """
    low, high = marks
    if low <= start <= high:
        return start
    what = f"{plan.owner}: offset {start} of {partition.split} is not in the log, which has {low} to {high}"
    if resumed and not plan.reset_given:
        lost = f"{low - start} messages are gone" if start < low else "the topic is not the one that was read"
        raise ConnectorError(
            f"{what}: {lost} since the checkpoint",
            hint="set 'properties.auto.offset.reset' to 'earliest' or 'latest' to go on without them",
        )
    if plan.reset is None:
        raise ConnectorError(
            what, hint="set 'properties.auto.offset.reset' to 'earliest' or 'latest' to go on from there"
        )
    LOG.warning("%s; reading on from the %s", what, plan.reset)
    return low if plan.reset == "earliest" else high


def _starts(
    consumer: Any, plan: ScanPlan, partitions: list[Partition], marks: Mapping[Partition, _Marks]
) -> dict[Partition, int]:
    low = {p: marks[p][0] for p in partitions}
    high = {p: marks[p][1] for p in partitions}
    match plan.startup:
        case "earliest-offset":
            return low
        case "latest-offset":
            return high
        case "timestamp":
            return _at_time(consumer, partitions, plan.startup_ms, high)
        case "specific-offsets":
            named = {
                p: plan.startup_offsets[p.number] for p in partitions if p.number in plan.startup_offsets
            }
            return low | _committed(consumer, plan, [p for p in partitions if p not in named]) | named
        case "group-offsets":
            committed = _committed(consumer, plan, partitions)
            if plan.reset is not None:
                return (low if plan.reset == "earliest" else high) | committed
            if missing := [p.split for p in partitions if p not in committed]:
                raise ConnectorError(
                    f"{plan.owner} starts at the offsets of group '{plan.group}', "
                    f"which has none for {_some(missing)}",
                    hint="set 'properties.auto.offset.reset', or 'scan.startup.mode'='earliest-offset'",
                )
            return committed
        case mode:
            raise AssertionError(mode)


def _ends(
    consumer: Any,
    plan: ScanPlan,
    partitions: list[Partition],
    marks: Mapping[Partition, _Marks],
    starts: Mapping[Partition, int],
) -> dict[Partition, int]:
    high = {p: marks[p][1] for p in partitions}
    match plan.bounded:
        case "unbounded":
            return {}
        case "latest-offset":
            return high
        case "timestamp":
            return _at_time(consumer, partitions, plan.bounded_ms, high)
        case "specific-offsets":  # a partition that is not named is not read
            return {p: plan.bounded_offsets.get(p.number, starts[p]) for p in partitions}
        case "group-offsets":
            committed = _committed(consumer, plan, partitions)
            if missing := [p.split for p in partitions if p not in committed]:
                raise ConnectorError(
                    f"{plan.owner} ends at the offsets of group '{plan.group}', "
                    f"which has none for {_some(missing)}",
                    hint="use 'scan.bounded.mode'='latest-offset'",
                )
            return committed
        case mode:
            raise AssertionError(mode)


def _at_time(
    consumer: Any, partitions: list[Partition], epoch_ms: int, otherwise: Mapping[Partition, int]
) -> dict[Partition, int]:
    """Per partition the offset of the first message of that time or later; ``otherwise`` where there is
    none."""
    found = consumer.offsets_for_times([p.at(epoch_ms) for p in partitions], timeout=REQUEST_TIMEOUT_S)
    at = {Partition(t.topic, t.partition): int(t.offset) for t in _checked(found) if t.offset >= 0}
    return {p: at.get(p, otherwise[p]) for p in partitions}


def _committed(consumer: Any, plan: ScanPlan, partitions: list[Partition]) -> dict[Partition, int]:
    """The group's offsets, where it has some."""
    if plan.group is None or not partitions:
        return {}
    found = consumer.committed([p.at(-1) for p in partitions], timeout=REQUEST_TIMEOUT_S)
    return {Partition(t.topic, t.partition): int(t.offset) for t in _checked(found) if t.offset >= 0}


def _checked(found: Iterable[Any]) -> Iterable[Any]:
    """The answers; KafkaException for the first that is an error."""
    for answer in found:
        if answer.error is not None:
            raise KafkaException(answer.error)
        yield answer


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
