"""The `kafka` sink against a real broker: what stands in the topic afterwards, and what it refuses."""

import datetime as dt
import json
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import ARRAY, BIGINT, BYTES, MAP, ROW, STRING, TIMESTAMP, TIMESTAMP_LTZ
from streamsql.errors import ConfigError, ConnectorError, DataError
from streamsql.runtime.connectors import kafka_send
from tests.conftest import BrokerFactory, TopicFactory, unique_name
from tests.kafka.client import Cluster
from tests.kafka.tables import COLUMNS, definition, sink_of, source_of, started


def changes(weights: list[int] | None = None, **columns: list[object]) -> ChangelogBatch:
    """A batch with BIGINT ``id``; lists of text become strings."""
    rows = pa.RecordBatch.from_pydict(columns)
    return ChangelogBatch(rows, None if weights is None else np.array(weights, np.int64))


def values(kafka: Cluster, topic: str) -> list[object]:
    return [None if r.value is None else json.loads(r.value) for r in kafka.consume_all(topic)]


class TestRows:
    def test_values(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        sink = sink_of(definition(kafka.bootstrap, name))
        sink.start()
        sink.write(changes(id=[1, 2], name=["a", None]))
        sink.flush()
        sink.write(changes(id=[], name=[]))
        sink.write(changes([2, 1], id=[3, 4], name=["c", "d"]))
        sink.close(finished=True)
        expected = [(1, "a"), (2, None), (3, "c"), (3, "c"), (4, "d")]
        assert values(kafka, name) == [{"id": i, "name": n} for i, n in expected]

    def test_shows_at_once(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        sink = sink_of(definition(kafka.bootstrap, name))
        sink.start()
        sink.write(changes(id=[1], name=["a"]))
        sink.flush()
        assert len(kafka.consume_all(name, 1)) == 1  # no close, no further step
        sink.close(finished=True)

    def test_a_deletion_is_refused(self, kafka: Cluster, topic: TopicFactory) -> None:
        sink = sink_of(definition(kafka.bootstrap, topic()))
        with pytest.raises(ConnectorError, match="takes only insertions"):
            sink.write(changes([-1], id=[1], name=["a"]))
        sink.close(finished=False)

    def test_key_and_value(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=4)
        options = {
            "key_format": "json",
            "key_fields": "k_id",
            "key_fields__prefix": "k_",
            "value_fields__include": "EXCEPT_KEY",
        }
        sink = sink_of(definition(kafka.bootstrap, name, [("k_id", BIGINT()), ("name", STRING())], **options))
        sink.start()
        sink.write(changes(k_id=[1, 2, 1], name=["a", "b", "c"]))
        sink.close(finished=True)
        found = kafka.consume_all(name)
        assert sorted((r.key, r.value) for r in found) == [
            (b'{"id":1}', b'{"name":"a"}'),
            (b'{"id":1}', b'{"name":"c"}'),
            (b'{"id":2}', b'{"name":"b"}'),
        ]
        assert len({r.partition for r in found if r.key == b'{"id":1}'}) == 1

    def test_keys_land_where_javas_default_partitioner_puts_them(
        self, kafka: Cluster, topic: TopicFactory
    ) -> None:
        """murmur2 of the key, as the Java client computes it (values from Kafka's own tests)."""
        name = topic(partitions=100)
        options = {"key_format": "raw", "key_fields": "k", "value_fields__include": "EXCEPT_KEY"}
        sink = sink_of(definition(kafka.bootstrap, name, [("k", STRING()), ("name", STRING())], **options))
        known = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}
        sink.write(changes(k=list(known), name=["x"] * len(known)))
        sink.close(finished=True)
        found = {r.key.decode(): r.partition for r in kafka.consume_all(name) if r.key is not None}
        assert found == {k: (h & 0x7FFFFFFF) % 100 for k, h in known.items()}

    def test_metadata(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        entry = ROW([("key", STRING()), ("value", BYTES())])
        kinds = [
            ("at", "timestamp", TIMESTAMP_LTZ(3)),
            ("h", "headers", MAP(STRING(), BYTES())),
            ("hl", "header-list", ARRAY(entry)),
        ]
        sink = sink_of(definition(kafka.bootstrap, name, COLUMNS, kinds))
        at = dt.datetime.fromtimestamp(1_700_000_000.123, dt.UTC)
        rows = pa.RecordBatch.from_arrays(
            [
                pa.array([1, 2]),
                pa.array(["a", "b"]),
                pa.array([at, None], pa.timestamp("us", "UTC")),
                pa.array([[("x", b"1")], None], pa.map_(pa.string(), pa.binary())),
                pa.array(
                    [[{"key": "y", "value": b"2"}, {"key": "y", "value": None}], None], ARRAY(entry).arrow
                ),
            ],
            names=["id", "name", "at", "h", "hl"],
        )
        before = int(time.time() * 1000)
        sink.write(ChangelogBatch(rows))
        sink.close(finished=True)
        first, second = kafka.consume_all(name)
        assert (first.timestamp_ms, first.headers) == (
            1_700_000_000_123,
            [("x", b"1"), ("y", b"2"), ("y", None)],
        )
        assert second.timestamp_ms >= before - 1000 and second.headers == []
        assert [json.loads(r.value or b"") for r in (first, second)] == [
            {"id": 1, "name": "a"},
            {"id": 2, "name": "b"},
        ]

    def test_timestamp_alone(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        sink = sink_of(definition(kafka.bootstrap, name, COLUMNS, [("at", "timestamp", TIMESTAMP(3))]))
        at = dt.datetime.fromtimestamp(1_700_000_000.123, dt.UTC).replace(tzinfo=None)
        sink.write(changes(id=[1], name=["a"], at=[at]))
        sink.close(finished=True)
        [found] = kafka.consume_all(name)
        assert found.timestamp_ms == 1_700_000_000_123

    def test_a_topic_for_each_row(self, kafka: Cluster, topic: TopicFactory) -> None:
        a, b = topic("a"), topic("b")
        table = definition(kafka.bootstrap, f"{a};{b}", COLUMNS, [("t", "topic", STRING())])
        sink = sink_of(table)
        sink.start()
        sink.write(changes(id=[1, 2, 3], name=["x", "y", "z"], t=[a, b, a]))
        with pytest.raises(DataError, match="NULL in its topic column"):
            sink.write(changes(id=[1], name=["x"], t=[None]))
        sink.close(finished=True)
        assert [v["id"] for v in values(kafka, a) if isinstance(v, dict)] == [1, 3]
        assert [v["id"] for v in values(kafka, b) if isinstance(v, dict)] == [2]
        with pytest.raises(ConfigError, match="'topic' names 2"):
            sink_of(definition(kafka.bootstrap, f"{a};{b}"))

    def test_a_changelog_format(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        options = {"key_format": "json", "key_fields": "id"}
        table = definition(kafka.bootstrap, name, format="debezium-json", **options)
        sink = sink_of(table)
        sink.write(changes([1, 1, -1], id=[1, 2, 1], name=["a", "b", "a"]))
        sink.close(finished=True)
        assert [r.key for r in kafka.consume_all(name)] == [b'{"id":1}', b'{"id":2}', b'{"id":1}']
        table = definition(kafka.bootstrap, name, format="debezium-json", scan_startup_mode="earliest-offset")
        with started(source_of(table)) as reading:
            assert reading.take(3) == [(1, "a"), (2, "b"), (1, "a")]
            assert reading.weights == [1, 1, -1]

    def test_partitioners(self, kafka: Cluster, topic: TopicFactory) -> None:
        for partitioner, expected in (("fixed", [0] * 6), ("round-robin", [0, 0, 1, 1, 2, 2])):
            name = topic(partitioner, partitions=3)
            sink = sink_of(definition(kafka.bootstrap, name, sink_partitioner=partitioner))
            sink.start()
            sink.write(changes(id=[1, 2, 3, 4], name=["x"] * 4))
            sink.write(changes(id=[5, 6], name=["x"] * 2))
            sink.close(finished=True)
            assert sorted(r.partition for r in kafka.consume_all(name)) == expected

    def test_many_rows_through_a_small_queue(
        self, kafka: Cluster, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Back-pressure: writing waits, and nothing is lost or out of order."""
        monkeypatch.setattr(kafka_send, "QUEUE_MESSAGES_MAX", 200)
        monkeypatch.setattr(kafka_send, "CHUNK_MESSAGES", 100)
        monkeypatch.setattr(kafka_send, "QUEUE_BYTES_MAX", 20_000)
        name = topic()
        sink = sink_of(definition(kafka.bootstrap, name))
        sink.write(changes(id=list(range(5_000)), name=["x" * 50] * 5_000))
        sink.close(finished=True)
        assert [v["id"] for v in values(kafka, name) if isinstance(v, dict)] == list(range(5_000))


class TestErrors:
    def test_a_missing_topic(
        self, kafka: Cluster, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kafka_send, "AUTO_CREATE_WAIT_S", 0.2)
        name = topic("orders")
        sink = sink_of(definition(kafka.bootstrap, name[:-1]))
        with pytest.raises(ConnectorError, match=f"there is no topic '{name[:-1]}'") as caught:
            sink.start()
        assert name in str(caught.value.hint)
        sink.close(finished=False)

    def test_a_message_that_is_too_large(self, kafka: Cluster, topic: TopicFactory) -> None:
        sink = sink_of(definition(kafka.bootstrap, topic()))
        with pytest.raises(ConnectorError, match="Message size too large"):
            sink.write(changes(id=[1], name=["x" * 2_000_000]))
        sink.close(finished=False)

    def test_a_delivery_error_is_raised_later(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(config={"max.message.bytes": "1000"})
        sink = sink_of(definition(kafka.bootstrap, name))
        sink.write(changes(id=[1], name=["x" * 5_000]))
        with pytest.raises(ConnectorError, match=f"topic {name} partition 0 was not delivered"):
            sink.close(finished=True)

    def test_guarantee_none_only_logs(
        self, kafka: Cluster, topic: TopicFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        name = topic(config={"max.message.bytes": "1000"})
        sink = sink_of(definition(kafka.bootstrap, name, sink_delivery__guarantee="none"))
        sink.write(changes(id=[1], name=["x" * 5_000]))
        sink.close(finished=True)
        assert "was not delivered" in caplog.text

    def test_exactly_once_needs_checkpoints(self, kafka: Cluster) -> None:
        options = {"sink_delivery__guarantee": "exactly-once", "sink_transactional__id__prefix": "x"}
        with pytest.raises(ConfigError, match=r"SET 'execution\.checkpointing\.interval'"):
            sink_of(definition(kafka.bootstrap, "t", **options))

    def test_nothing_is_printed(self, capfd: pytest.CaptureFixture[str]) -> None:
        sink = sink_of(definition("127.0.0.1:1", "t"))
        sink.start()
        assert "is away since" in str(sink.status())
        sink.write(changes(id=[1], name=["a"]))
        sink.close(finished=False)
        assert capfd.readouterr() == ("", "")


def test_broker_lost_in_the_middle(kafka_broker_factory: BrokerFactory) -> None:
    """What was written while the broker was away arrives, once and in order."""
    broker = kafka_broker_factory()
    broker.create_topic("t")
    sink = sink_of(definition(broker.bootstrap, "t"))
    sink.start()
    sink.write(changes(id=list(range(100)), name=["x"] * 100))
    broker.consume_all("t", 100)
    broker.kill()
    sink.write(changes(id=list(range(100, 200)), name=["x"] * 100))
    sink.flush()
    deadline = time.monotonic() + 20
    while sink.status() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert f"broker {broker.bootstrap} is away" in str(sink.status())
    time.sleep(1.5)
    assert sink.status() is not None
    closing = threading.Thread(target=lambda: sink.close(finished=True))
    closing.start()
    closing.join(0.5)
    assert closing.is_alive()  # it waits for the acknowledgements
    broker.start()
    closing.join(60)
    assert not closing.is_alive()
    assert [json.loads(r.value or b"")["id"] for r in broker.consume_all("t")] == list(range(200))


def test_what_one_writes_the_other_reads(kafka: Cluster, topic: TopicFactory) -> None:
    name = topic(partitions=2)
    options = {"properties_group_id": unique_name("g"), "scan_startup_mode": "earliest-offset"}
    table = definition(kafka.bootstrap, name, **options)
    sink = sink_of(table)
    sink.write(changes(id=[1, 2], name=["a", None]))
    sink.close(finished=True)
    with started(source_of(table, bounded=True)) as reading:
        assert sorted(reading.to_the_end()) == [(1, "a"), (2, None)]
