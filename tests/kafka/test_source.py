"""The `kafka` source against a real broker: where it starts and ends, topics, consumer groups, lost brokers."""

import threading
import time

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streamsql.datatypes import INT, STRING
from streamsql.errors import ConfigError, ConnectorError
from tests.conftest import BrokerFactory, TopicFactory, unique_name
from tests.kafka.client import REQUEST_TIMEOUT_S, Cluster
from tests.kafka.tables import COLUMNS, EARLIEST, LATEST_END, definition, fill, json_row, source_of, started


def commit(kafka: Cluster, group: str, topic: str, offsets: dict[int, int]) -> None:
    consumer = Consumer(kafka.config(group_id=group))
    try:
        positions = [TopicPartition(topic, p, o) for p, o in offsets.items()]
        consumer.commit(offsets=positions, asynchronous=False)
    finally:
        consumer.close()


def committed(kafka: Cluster, group: str, topic: str, partitions: int) -> dict[int, int]:
    consumer = Consumer(kafka.config(group_id=group))
    try:
        asked = [TopicPartition(topic, p) for p in range(partitions)]
        found = consumer.committed(asked, timeout=REQUEST_TIMEOUT_S)
        return {t.partition: t.offset for t in found if t.offset >= 0}
    finally:
        consumer.close()


class TestStart:
    def test_earliest(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(3))
        fill(kafka, name, 1, range(3, 5))
        with started(source_of(definition(kafka.bootstrap, name, **EARLIEST))) as reading:
            assert sorted(reading.take(5)) == [(i, "x") for i in range(5)]
            assert dict(zip(reading.ids(), sorted(reading.splits), strict=True)).keys() == set(range(5))
            assert reading.positions == {f"{name}-0": "3", f"{name}-1": "2"}
            fill(kafka, name, 0, range(5, 6))
            assert reading.take(6)[-1] == (5, "x")
            reading.nothing_more()
            assert reading.source.lag() == 0
            assert reading.finished == set()

    def test_latest_has_its_positions_before_any_message(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(3))
        with started(
            source_of(definition(kafka.bootstrap, name, scan_startup_mode="latest-offset"))
        ) as reading:
            reading.until(lambda: len(reading.positions) == 2)
            assert reading.positions == {f"{name}-0": "3", f"{name}-1": "0"}
            fill(kafka, name, 1, range(7, 8))
            assert reading.take(1) == [(7, "x")]

    def test_timestamp(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(6))
        fill(kafka, name, 1, range(2))
        table = definition(
            kafka.bootstrap, name, scan_startup_mode="timestamp", scan_startup_timestamp__millis="3001"
        )
        with started(source_of(table, bounded=True)) as reading:
            assert sorted(reading.to_the_end()) == [(3, "x"), (4, "x"), (5, "x")]

    def test_specific_offsets_and_the_others_from_the_beginning(
        self, kafka: Cluster, topic: TopicFactory
    ) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(5))
        fill(kafka, name, 1, range(10, 12))
        table = definition(
            kafka.bootstrap,
            name,
            scan_startup_mode="specific-offsets",
            scan_startup_specific__offsets="partition:0,offset:3",
        )
        with started(source_of(table, bounded=True)) as reading:
            reading.to_the_end()
            assert reading.ids() == [3, 4, 10, 11]

    def test_group_offsets(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(), unique_name("g")
        fill(kafka, name, 0, range(5))
        commit(kafka, group, name, {0: 2})
        table = definition(kafka.bootstrap, name, properties_group_id=group)
        with started(source_of(table, bounded=True)) as reading:
            reading.to_the_end()
            assert reading.ids() == [2, 3, 4]

    def test_group_without_offsets_is_an_error_or_reset(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(), unique_name("g")
        fill(kafka, name, 0, range(2))
        table = definition(kafka.bootstrap, name, properties_group_id=group)
        source = source_of(table, bounded=True)
        with pytest.raises(ConnectorError, match=f"group '{group}', which has none for {name}-0"):
            source.start()
        source.close()
        for reset, expected in (("earliest", [0, 1]), ("latest", [])):
            options = {"properties_group_id": group, "properties_auto_offset_reset": reset}
            with started(source_of(definition(kafka.bootstrap, name, **options), bounded=True)) as reading:
                reading.to_the_end()
                assert reading.ids() == expected

    def test_group_offsets_without_a_group(self, kafka: Cluster, topic: TopicFactory) -> None:
        with pytest.raises(ConfigError, match=r"there is no 'properties\.group\.id'"):
            source_of(definition(kafka.bootstrap, topic()))

    def test_positions_of_a_resumed_job_win(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(5))
        fill(kafka, name, 1, range(10, 12))
        table = definition(kafka.bootstrap, name, scan_startup_mode="latest-offset")
        with started(source_of(table, positions={f"{name}-0": "4"}, bounded=True)) as reading:
            reading.to_the_end()
            assert reading.ids() == [4, 10, 11]  # partition 1 appeared after the checkpoint

    def test_an_offset_that_the_log_does_not_have(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(), unique_name("g")
        fill(kafka, name, 0, range(3))
        commit(kafka, group, name, {0: 99})
        source = source_of(definition(kafka.bootstrap, name, properties_group_id=group))
        with pytest.raises(ConnectorError, match=r"offset 99 of .* is not in the log, which has 0 to 3"):
            source.start()
        source.close()
        options = {"properties_group_id": group, "properties_auto_offset_reset": "earliest"}
        with started(source_of(definition(kafka.bootstrap, name, **options))) as reading:
            assert len(reading.take(3)) == 3


class TestEnd:
    def test_latest_offset(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=3)
        fill(kafka, name, 0, range(3))
        fill(kafka, name, 2, range(3, 4))
        source = source_of(definition(kafka.bootstrap, name, **LATEST_END))
        assert source.bounded
        with started(source) as reading:
            fill(kafka, name, 0, range(50, 60))  # after the start: not part of it
            reading.to_the_end()
            assert reading.ids() == [0, 1, 2, 3]
            assert reading.positions == {f"{name}-0": "3", f"{name}-1": "0", f"{name}-2": "1"}
            reading.nothing_more(0.2)

    def test_empty_topic(self, kafka: Cluster, topic: TopicFactory) -> None:
        with started(source_of(definition(kafka.bootstrap, topic(), **LATEST_END))) as reading:
            assert reading.to_the_end() == []

    def test_timestamp(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(6))
        fill(kafka, name, 1, range(2))
        table = definition(
            kafka.bootstrap,
            name,
            **EARLIEST,
            scan_bounded_mode="timestamp",
            scan_bounded_timestamp__millis="3001",
        )
        with started(source_of(table)) as reading:
            reading.to_the_end()
            assert reading.ids() == [0, 0, 1, 1, 2]

    def test_specific_offsets(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(6))
        fill(kafka, name, 1, range(10, 12))
        table = definition(
            kafka.bootstrap,
            name,
            **EARLIEST,
            scan_bounded_mode="specific-offsets",
            scan_bounded_specific__offsets="partition:0,offset:2",
        )
        with started(source_of(table)) as reading:
            reading.to_the_end()
            assert reading.ids() == [0, 1]

    def test_group_offsets(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(), unique_name("g")
        fill(kafka, name, 0, range(6))
        commit(kafka, group, name, {0: 4})
        table = definition(
            kafka.bootstrap,
            name,
            **EARLIEST,
            scan_bounded_mode="group-offsets",
            properties_group_id=group,
        )
        with started(source_of(table)) as reading:
            reading.to_the_end()
            assert reading.ids() == [0, 1, 2, 3]

    def test_an_end_in_the_future_is_waited_for(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        fill(kafka, name, 0, range(1))
        table = definition(
            kafka.bootstrap,
            name,
            **EARLIEST,
            scan_bounded_mode="specific-offsets",
            scan_bounded_specific__offsets="partition:0,offset:3",
        )
        with started(source_of(table)) as reading:
            reading.take(1)
            reading.nothing_more(0.3)
            assert not reading.finished
            fill(kafka, name, 0, range(1, 5))
            reading.to_the_end()
            assert reading.ids() == [0, 1, 2]

    def test_control_records_at_the_end(self, kafka: Cluster, topic: TopicFactory) -> None:
        """The last offsets before the end are the markers of a transaction, which no reader sees."""
        name = topic()
        producer = Producer(kafka.config(transactional_id=unique_name("tx")))
        producer.init_transactions(REQUEST_TIMEOUT_S)
        for value, keep in ((json_row(1), True), (json_row(2), False)):
            producer.begin_transaction()
            producer.produce(name, value)
            if keep:
                producer.commit_transaction(REQUEST_TIMEOUT_S)
            else:
                producer.flush(REQUEST_TIMEOUT_S)
                producer.abort_transaction(REQUEST_TIMEOUT_S)
        with started(source_of(definition(kafka.bootstrap, name, **LATEST_END))) as reading:
            assert reading.to_the_end() == [(1, "x")]
        options = {**LATEST_END, "properties_isolation_level": "read_uncommitted"}
        with started(source_of(definition(kafka.bootstrap, name, **options))) as reading:
            assert reading.to_the_end() == [(1, "x"), (2, "x")]


class TestTopics:
    def test_a_list_of_topics(self, kafka: Cluster, topic: TopicFactory) -> None:
        a, b = topic("a", partitions=2), topic("b", partitions=3)
        for partition in range(2):
            fill(kafka, a, partition, range(partition * 10, partition * 10 + 2))
        for partition in range(3):
            fill(kafka, b, partition, range(100 + partition, 101 + partition))
        table = definition(
            kafka.bootstrap,
            f"{a};{b}",
            COLUMNS,
            [("t", "topic", STRING()), ("p", "partition", INT())],
            **LATEST_END,
        )
        with started(source_of(table)) as reading:
            assert sorted(reading.to_the_end()) == sorted(
                [(i, "x", a, p) for p in range(2) for i in (p * 10, p * 10 + 1)]
                + [(100 + p, "x", b, p) for p in range(3)]
            )
            assert all(f"{r[2]}-{r[3]}" == s for r, s in zip(reading.rows, reading.splits, strict=True))

    def test_a_pattern_and_what_appears_later(self, kafka: Cluster, topic: TopicFactory) -> None:
        first = topic("first")
        stem = first[: -len(first.rsplit(".", 1)[1]) - 1].removesuffix("first")
        fill(kafka, first, 0, range(1))
        table = definition(
            kafka.bootstrap,
            "",
            topic__pattern=stem + r"(first|second)\..*",
            scan_startup_mode="latest-offset",
            scan_topic__partition__discovery_interval="200 ms",
        )
        with started(source_of(table)) as reading:
            reading.until(lambda: bool(reading.positions))
            second = topic("second")
            fill(kafka, second, 0, range(5, 6))  # a partition found later is read from its beginning
            assert reading.take(1) == [(5, "x")]
            assert set(reading.source.splits()) == {f"{first}-0", f"{second}-0"}

    def test_new_partitions_are_found(self, kafka: Cluster, topic: TopicFactory) -> None:
        from confluent_kafka.cimpl import NewPartitions

        name = topic()
        table = definition(
            kafka.bootstrap, name, **EARLIEST, scan_topic__partition__discovery_interval="200 ms"
        )
        with started(source_of(table)) as reading:
            admin = kafka.admin()
            admin.create_partitions([NewPartitions(name, 2)])[name].result(REQUEST_TIMEOUT_S)
            fill(kafka, name, 1, range(9, 10))
            assert reading.take(1) == [(9, "x")]

    def test_a_missing_topic(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic("orders")
        source = source_of(definition(kafka.bootstrap, name[:-1], **EARLIEST))
        with pytest.raises(ConnectorError, match=f"there is no topic '{name[:-1]}'") as caught:
            source.start()
        assert name in str(caught.value.hint)
        source.close()

    def test_a_pattern_that_matches_nothing(self, kafka: Cluster) -> None:
        options = {"topic__pattern": unique_name("none") + ".*", **EARLIEST}
        with started(source_of(definition(kafka.bootstrap, "", **options))) as reading:
            assert "no topic matches" in str(reading.source.status())
        source = source_of(definition(kafka.bootstrap, "", **options), bounded=True)
        with pytest.raises(ConnectorError, match="no topic matches"):
            source.start()
        source.close()

    def test_a_topic_that_is_deleted(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        names = ("refresh.interval", "propagation.max")
        options = {f"properties_topic_metadata_{n}_ms".replace(".", "_"): "500" for n in names}
        with started(source_of(definition(kafka.bootstrap, name, **EARLIEST, **options))) as reading:
            kafka.delete_topic(name)
            with pytest.raises(ConnectorError, match=f"topic '{name}' is gone"):
                reading.take(1)


class TestGroup:
    def test_commits_go_to_the_group(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(partitions=2), unique_name("g")
        fill(kafka, name, 0, range(4))
        table = definition(kafka.bootstrap, name, properties_group_id=group, **LATEST_END)
        with started(source_of(table)) as reading:
            reading.to_the_end()
            assert committed(kafka, group, name, 2) == {}
            reading.source.commit(reading.positions)
        assert committed(kafka, group, name, 2) == {0: 4, 1: 0}

    def test_commits_while_running(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(), unique_name("g")
        fill(kafka, name, 0, range(4))
        table = definition(kafka.bootstrap, name, properties_group_id=group, **EARLIEST)
        with started(source_of(table)) as reading:
            reading.take(4)
            reading.source.commit(reading.positions)
            deadline = time.monotonic() + 20
            while committed(kafka, group, name, 1) != {0: 4} and time.monotonic() < deadline:
                time.sleep(0.1)
            assert committed(kafka, group, name, 1) == {0: 4}

    def test_no_commits_when_turned_off(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, group = topic(), unique_name("g")
        fill(kafka, name, 0, range(4))
        options = {"properties_group_id": group, "properties_enable_auto_commit": "false"}
        with started(source_of(definition(kafka.bootstrap, name, **options, **LATEST_END))) as reading:
            reading.to_the_end()
            reading.source.commit(reading.positions)
        assert committed(kafka, group, name, 1) == {}


class TestBroker:
    def test_down_at_the_start(self, kafka_broker_factory: BrokerFactory) -> None:
        broker = kafka_broker_factory()
        broker.create_topic("t", 2)
        fill(broker, "t", 1, range(3))
        broker.stop()
        woken = threading.Event()
        source = source_of(definition(broker.bootstrap, "t", **EARLIEST), wake=woken.set)
        began = time.monotonic()
        with started(source) as reading:
            assert time.monotonic() - began < 10
            assert f"broker {broker.bootstrap} is away since" in str(source.status())
            assert source.splits() == () and source.lag() is None and not reading.poll()
            broker.start()
            reading.take(3)
            assert reading.ids() == [0, 1, 2] and woken.is_set()
            assert source.status() is None

    def test_down_for_ever_can_be_closed(self) -> None:
        source = source_of(definition("127.0.0.1:1", "t", **EARLIEST))
        source.start()
        assert "is away since" in str(source.status())
        began = time.monotonic()
        source.close()
        assert time.monotonic() - began < 5

    def test_lost_in_the_middle(self, kafka_broker_factory: BrokerFactory) -> None:
        """Killed while messages are on their way: each is delivered once, in order."""
        broker = kafka_broker_factory()
        broker.create_topic("t", 2)
        source = source_of(definition(broker.bootstrap, "t", **EARLIEST), batch_rows_max=300)
        with started(source) as reading:
            for turn in range(2):
                ids_of_turn = range(turn * 2_000, turn * 2_000 + 2_000)
                broker.produce("t", [(None, json_row(i), 1, None, i % 2) for i in ids_of_turn])
                reading.until(lambda seen=turn * 2_000 + 500: len(reading.rows) >= seen)  # type: ignore[misc]
                broker.kill()
                reading.until(lambda: source.status() is not None or reading.poll())
                reading.until(lambda: source.status() is not None)
                broker.start()
            broker.produce("t", [(None, json_row(4_000), 1, None, 0)])
            reading.take(4_001)
            reading.until(lambda: source.status() is None)
        assert reading.ids() == list(range(4_001))
        for split in ("t-0", "t-1"):
            mine = [r[0] for r, s in zip(reading.rows, reading.splits, strict=True) if s == split]
            assert mine == sorted(mine)


def test_nothing_is_printed(kafka: Cluster, topic: TopicFactory, capfd: pytest.CaptureFixture[str]) -> None:
    with started(source_of(definition(kafka.bootstrap, topic(), **LATEST_END))) as reading:
        reading.to_the_end()
    source = source_of(definition("127.0.0.1:1", "t", **EARLIEST))
    source.start()
    source.close()
    assert capfd.readouterr() == ("", "")


def test_split_ids_index_the_splits(kafka: Cluster, topic: TopicFactory) -> None:
    name = topic(partitions=4)
    fill(kafka, name, 3, range(5))
    with started(source_of(definition(kafka.bootstrap, name, **EARLIEST))) as reading:
        reading.take(5)
        batch = next(b for b in reading.batches if b.batch is not None)
        assert batch.split_ids is not None and batch.split_ids.dtype == np.int32
        assert {batch.splits[i] for i in batch.split_ids} == {f"{name}-3"}
