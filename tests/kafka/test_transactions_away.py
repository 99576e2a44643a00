"""Exactly-once output while brokers pause, die and come back, and while a transaction outlives its time."""

import json
import threading
import time

import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError
from streamsql.runtime.connectors import kafka_transactions
from streamsql.runtime.connectors.base import Sink, Transaction
from tests.conftest import BrokerFactory, TopicFactory, unique_name
from tests.kafka.broker import Broker
from tests.kafka.client import Cluster
from tests.kafka.tables import exactly_once, sink_of, transaction_for

pytestmark = pytest.mark.timeout(300)  # starts of brokers, on a machine that may be busy
WAIT_S = 60.0


class Epochs:
    """A transaction and one sink, and the ids that were committed."""

    def __init__(self, bootstrap: str, topic: str, prefix: str, **options: str) -> None:
        self.table = exactly_once(bootstrap, topic, prefix, **options)
        self.transaction: Transaction = transaction_for(self.table)
        self.sink: Sink | None = None
        self.number = self.next = 0

    def open(self) -> "Epochs":
        self.transaction.open(None)
        self.sink = sink_of(self.table, transaction=self.transaction)
        self.sink.start()
        return self

    def write(self, count: int = 10) -> None:
        assert self.sink is not None
        ids = list(range(self.next, self.next + count))
        self.sink.write(ChangelogBatch(pa.RecordBatch.from_pydict({"id": ids, "name": ["x"] * count})))
        self.sink.flush()
        self.next += count

    def prepare(self) -> None:
        assert self.sink is not None
        deadline = time.monotonic() + WAIT_S
        while not self.sink.settle(0.2):
            assert time.monotonic() < deadline, self.sink.status()
        self.number += 1
        self.transaction.prepare(self.number)

    def commit(self) -> None:
        self.transaction.commit(self.number, "r")

    def close(self) -> None:
        self.transaction.close()


def ids(cluster: Cluster, topic: str) -> list[int]:
    return [json.loads(m.value or b"")["id"] for m in cluster.consume_all(topic)]


def eventually_away(epochs: Epochs) -> str:
    """Waits until the status tells that the broker does not answer."""
    assert epochs.sink is not None
    deadline = time.monotonic() + WAIT_S
    while (status := epochs.sink.status() or epochs.transaction.status()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return status


@pytest.fixture
def broker(kafka_broker_factory: BrokerFactory) -> Broker:
    started = kafka_broker_factory()
    started.create_topic("t")
    return started


def test_a_broker_that_dies_and_comes_back(broker: Broker) -> None:
    """In every phase of an epoch: while writing, between the cut and the commit, and in the commit itself."""
    epochs = Epochs(broker.bootstrap, "t", "p").open()
    epochs.write()
    broker.restart()
    epochs.write()
    epochs.prepare()
    epochs.write()
    broker.restart()
    epochs.commit()
    assert ids(broker, "t") == list(range(20))
    epochs.prepare()
    broker.kill()
    committing = threading.Thread(target=epochs.commit)
    committing.start()
    assert f"broker {broker.bootstrap} is away" in eventually_away(epochs)
    broker.start()
    committing.join(WAIT_S)
    assert not committing.is_alive()
    assert ids(broker, "t") == list(range(30))
    epochs.close()


def test_a_broker_that_pauses(broker: Broker) -> None:
    """A commit waits for it; so does closing, but only for a moment."""
    epochs = Epochs(broker.bootstrap, "t", "p").open()
    epochs.write()
    epochs.prepare()
    committing = threading.Thread(target=epochs.commit)
    with broker.paused():
        committing.start()
        committing.join(3.0)
        assert committing.is_alive()
        assert f"broker {broker.bootstrap} is away" in eventually_away(epochs)
    committing.join(WAIT_S)
    assert epochs.transaction.status() is None
    assert ids(broker, "t") == list(range(10))
    epochs.write()
    with broker.paused():
        began = time.monotonic()
        epochs.close()
        assert time.monotonic() - began < 20
    again = Epochs(broker.bootstrap, "t", "p").open()
    again.next = 10
    again.write()
    again.prepare()
    again.commit()
    again.close()
    assert ids(broker, "t") == list(range(20))


def test_opening_waits_for_a_broker(broker: Broker) -> None:
    broker.stop()
    epochs = Epochs(broker.bootstrap, "t", "p")
    opening = threading.Thread(target=epochs.open)
    opening.start()
    time.sleep(3)
    assert opening.is_alive()
    broker.start()
    opening.join(WAIT_S)
    epochs.write()
    epochs.prepare()
    epochs.commit()
    assert ids(broker, "t") == list(range(10))
    epochs.close()


def test_a_transaction_that_is_open_for_too_long(
    kafka: Cluster, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker ends it, which is no other run: the job begins again from its last checkpoint."""
    monkeypatch.setattr(kafka_transactions, "TAKEOVER_S", 1.0)
    name, prefix = topic(), unique_name("p")
    options = {"properties_transaction_timeout_ms": "1000"}
    epochs = Epochs(kafka.bootstrap, name, prefix, **options).open()
    epochs.write()
    epochs.prepare()
    epochs.commit()
    epochs.write()
    deadline = time.monotonic() + WAIT_S
    while len(kafka.consume_all(name, read_committed=False)) < 20 or kafka.end_offsets(name)[0] < 22:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    with pytest.raises(
        ConnectorError, match=r"ended a transaction that was open for more than 1000 ms"
    ) as caught:
        epochs.prepare()
        epochs.commit()
    assert "transaction.timeout.ms" in str(caught.value.hint)
    epochs.close()
    again = Epochs(kafka.bootstrap, name, prefix, **options)
    assert again.transaction.open(epochs.transaction.record()) == (1, "r")
    again.close()
    assert ids(kafka, name) == list(range(10))
