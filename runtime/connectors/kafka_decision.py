"""The number of the checkpoint whose output a Kafka transaction committed last, kept by Kafka itself.

A transaction commits output together with an offset of a consumer group that nobody joins: the group is named as the
transactional ids' prefix, the partition is the first of a topic the job writes (the *carrier*), and the offset's
metadata say which checkpoint of which run it was. So the decision is where the output is, and changes with it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streamsql.catalog.kafka_properties import Client, client_properties

from .kafka_client import LOG, RECONNECT_BACKOFF_MAX_MS, RECOVERY, Health, create_client


@dataclass(frozen=True)
class Place:
    """Where a decision stands."""

    prefix: str
    topic: str

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"connector": "kafka", "prefix": self.prefix, "topic": self.topic}

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Place:
        """The place a checkpoint kept."""
        return cls(str(recorded["prefix"]), str(recorded["topic"]))


@dataclass(frozen=True)
class Decision:
    """``checkpoint`` None: not known, Kafka had forgotten it. ``owner``: the transaction object that wrote it."""

    checkpoint: int | None
    run: str
    owner: str

    def offset(self, place: Place) -> Any:
        """As the client takes it; the offset is the checkpoint's number, for people who look at the group."""
        text = json.dumps({"checkpoint": self.checkpoint, "run": self.run, "owner": self.owner})
        return TopicPartition(place.topic, 0, self.checkpoint or 0, text)

    @classmethod
    def of(cls, metadata: str | None) -> Decision | None:
        """None for what is no decision: the group may have been used for something else.

        >>> Decision.of('{"checkpoint": 3, "run": "a", "owner": "b"}')
        Decision(checkpoint=3, run='a', owner='b')
        >>> Decision.of("note") is None
        True
        """
        try:
            found = json.loads(metadata or "")
        except ValueError:
            return None
        if not isinstance(found, dict) or "checkpoint" not in found:
            return None
        number = found["checkpoint"]
        return cls(None if number is None else int(number), str(found.get("run")), str(found.get("owner")))


class DecisionReader:
    """A consumer that never reads messages; it asks the group's coordinator."""

    def __init__(self, properties: Mapping[str, str], owner: str, health: Health, group: str) -> None:
        taken = client_properties(properties, Client.PRODUCER, owner)
        given = client_properties(properties, Client.CONSUMER, owner)
        configuration: dict[str, Any] = {
            "metadata.recovery.strategy": RECOVERY,
            "reconnect.backoff.max.ms": RECONNECT_BACKOFF_MAX_MS,
            **{name: value for name, value in given.items() if name in taken},  # what both clients take
            "group.id": group,
            "isolation.level": "read_committed",  # the answer waits for a transaction that is being committed
            "enable.auto.commit": False,
            "error_cb": health.on_error,
        }
        self._consumer = create_client(Consumer, configuration, owner)
        # As a producer takes it; it outlives ``close``.
        self.group: Any = self._consumer.consumer_group_metadata()

    def read(self, place: Place, timeout_s: float) -> Decision | None:
        """The decision, or None where there is none. KafkaException where the broker does not say."""
        [answer] = self._consumer.committed([TopicPartition(place.topic, 0)], timeout=timeout_s)
        if answer.error is not None:
            raise KafkaException(answer.error)
        if answer.offset < 0:
            return None
        decision = Decision.of(answer.metadata)
        if decision is None:
            LOG.warning(
                "group '%s' holds offsets that are not this job's: '%s'", place.prefix, answer.metadata
            )
        return decision

    def close(self) -> None:
        with contextlib.suppress(KafkaException):
            self._consumer.close()
