"""The mock cluster of the demo: the connectors work on it, and its faults are seen. No Java needed."""

import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError
from streamsql.runtime.connectors import mock_cluster
from streamsql.runtime.connectors.mock_cluster import MockCluster, create_topics
from tests.kafka.client import REQUEST_TIMEOUT_S
from tests.kafka.tables import definition, sink_of, source_of, started

EARLIEST = {"scan_startup_mode": "earliest-offset"}


def rows(*ids: int) -> ChangelogBatch:
    return ChangelogBatch(pa.RecordBatch.from_pydict({"id": list(ids), "name": ["x"] * len(ids)}))


def test_what_is_written_is_read() -> None:
    with MockCluster() as cluster:
        create_topics(cluster.bootstrap, {"one": 1, "three": 3})
        create_topics(cluster.bootstrap, {"one": 1})  # exists: left as it is
        topics = (
            AdminClient({"bootstrap.servers": cluster.bootstrap})
            .list_topics(timeout=REQUEST_TIMEOUT_S)
            .topics
        )
        assert {name: len(t.partitions) for name, t in topics.items()} == {"one": 1, "three": 3}
        sink = sink_of(definition(cluster.bootstrap, "three"))
        sink.start()
        sink.write(rows(1, 2, 3))
        sink.close(finished=True)
        with started(source_of(definition(cluster.bootstrap, "three", **EARLIEST), bounded=True)) as reading:
            assert sorted(reading.to_the_end()) == [(1, "x"), (2, "x"), (3, "x")]


def test_a_broker_that_goes_and_comes() -> None:
    cluster = MockCluster().start()
    if cluster._library is None:
        cluster.close()
        pytest.skip("the place of librdkafka's library is unknown on this platform")
    try:
        cluster.create_topic("t", 1)
        sink = sink_of(definition(cluster.bootstrap, "t"))
        sink.write(rows(1))
        with started(source_of(definition(cluster.bootstrap, "t", **EARLIEST))) as reading:
            reading.take(1)
            cluster.set_broker_down()
            reading.until(lambda: reading.source.status() is not None)
            sink.write(rows(2))
            cluster.set_broker_up()
            assert reading.take(2) == [(1, "x"), (2, "x")]
            reading.until(lambda: reading.source.status() is None)
        sink.close(finished=True)
    finally:
        cluster.close()


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wheels keep librdkafka elsewhere: a producer hosts the cluster."""
    monkeypatch.setattr(mock_cluster, "_library", lambda: None)
    with MockCluster() as cluster:
        create_topics(cluster.bootstrap, {"t": mock_cluster.DEFAULT_PARTITIONS})
        with pytest.raises(ConnectorError, match="makes topics of 4 partitions only, not 1"):
            create_topics(cluster.bootstrap, {"u": 1})
        with pytest.raises(ConnectorError, match="fault injection needs"):
            cluster.set_broker_down()
        with started(source_of(definition(cluster.bootstrap, "t", **EARLIEST), bounded=True)) as reading:
            assert reading.to_the_end() == []


def test_no_cluster_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mock_cluster, "REQUEST_TIMEOUT_S", 0.2)
    with pytest.raises(ConnectorError, match="no answer from Kafka at 127"):
        create_topics("127.0.0.1:1", {"t": 1})
