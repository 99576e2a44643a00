"""The parts of the Kafka source and sink that need no broker: queues, cutting of batches, reading of one fetch."""

import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import KafkaError, Message, TopicPartition

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConnectorError
from streamsql.runtime.connectors.kafka_client import Health
from streamsql.runtime.connectors.kafka_fetch import Fetcher, Wanted
from streamsql.runtime.connectors.kafka_offsets import Partition, Span
from streamsql.runtime.connectors.kafka_queue import Handover, Ready, ReadyQueue
from streamsql.runtime.connectors.kafka_source import shown

SPLITS = ("t-0", "t-1")


def ready(split_ids: list[int], offsets: list[int], **more: Any) -> Ready:
    rows = pa.RecordBatch.from_pydict({"i": list(range(len(offsets)))})
    return Ready(ChangelogBatch(rows), np.array(split_ids, np.int32), np.array(offsets, np.int64), **more)


class TestCutting:
    def test_positions_follow_the_last_message_of_each_split(self) -> None:
        whole = ready(
            [0, 1, 0, 0], [5, 9, 7, 8], positions={"t-0": "20", "t-1": "10"}, finished=frozenset({"t-1"})
        )
        head, tail = whole.split(3, SPLITS)
        assert head.positions == {"t-0": "8", "t-1": "10"} and not head.finished
        assert tail is not None and tail.positions == whole.positions and tail.finished == {"t-1"}
        assert head.rows is not None and head.rows.rows.column(0).to_pylist() == [0, 1, 2]
        assert tail.rows is not None and tail.rows.rows.column(0).to_pylist() == [3]

    def test_rows_of_a_message_stay_together(self) -> None:
        whole = ready([0, 0, 0, 0, 0], [5, 6, 6, 6, 7])
        cuts = []
        for max_rows in range(1, 6):
            head, _ = whole.split(max_rows, SPLITS)
            assert head.rows is not None
            cuts.append(head.rows.num_rows)
        assert cuts == [1, 1, 1, 4, 5]
        head, tail = ready([0, 0], [5, 5]).split(1, SPLITS)
        assert tail is None and head.rows is not None and head.rows.num_rows == 2

    def test_equal_offsets_of_two_splits_are_two_messages(self) -> None:
        head, _ = ready([0, 1], [5, 5]).split(1, SPLITS)
        assert head.positions == {"t-0": "6"}

    def test_no_rows(self) -> None:
        assert Ready(positions={"t-0": "1"}).split(1, SPLITS)[1] is None


class TestQueues:
    def test_the_error_comes_after_the_rows(self) -> None:
        woken: list[int] = []
        queue = ReadyQueue(lambda: woken.append(1))
        queue.put(ready([0], [1]))
        queue.fail(ConnectorError("gone"))
        taken = queue.take(10, SPLITS)
        assert taken is not None and taken.rows is not None and len(woken) == 2
        for _ in range(2):
            with pytest.raises(ConnectorError, match="gone"):
                queue.take(10, SPLITS)

    def test_a_full_queue_holds_the_reader_until_it_is_stopped(self) -> None:
        queue = ReadyQueue(lambda: None)
        done = threading.Event()

        def fill() -> None:
            for i in range(10):
                queue.put(ready([0], [i]))
            done.set()

        thread = threading.Thread(target=fill)
        thread.start()
        assert not done.wait(0.1)
        assert queue.take(10, SPLITS) is not None
        assert not done.wait(0.1)
        queue.stop()
        thread.join(5)
        assert done.is_set()

    def test_handover(self) -> None:
        line: Handover[int] = Handover()
        line.put(1)
        line.fail(ValueError("x"))
        assert line.get() == 1
        with pytest.raises(ValueError, match="x"):
            line.get()
        line.stop()
        assert line.get() is None
        line.put(2)  # dropped, and does not block
        line.wait(None)


class FakeConsumer:
    """Hands out the messages it was given; remembers what it was told."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.calls: list[tuple[str, Any]] = []

    def poll(self, _: float) -> Message | None:
        return self.messages.pop(0) if self.messages else None

    def consume(self, n: int, _: float) -> list[Message]:
        taken, self.messages = self.messages[:n], self.messages[n:]
        return taken

    def __getattr__(self, name: str) -> Any:
        return lambda parts, **_: self.calls.append((name, sorted(f"{p.topic}-{p.partition}" for p in parts)))

    def get_watermark_offsets(self, _: TopicPartition, cached: bool) -> tuple[int, int] | None:
        return (0, 30) if cached else None


def message(partition: int, offset: int, value: bytes = b"v", topic: str = "t") -> Message:
    return Message(topic=topic, partition=partition, offset=offset, value=value, key=b"k", timestamp=(1, 5))


def end_of(partition: int, offset: int) -> Message:
    return Message(topic="t", partition=partition, offset=offset, error=KafkaError(KafkaError._PARTITION_EOF))


def fetcher(
    consumer: FakeConsumer, *spans: tuple[int, int, int | None], wanted: Wanted | None = None
) -> Fetcher:
    found = Fetcher(consumer, Health("table t", "h:1"), wanted or Wanted(), "table t")
    found.assign([Span(Partition("t", p), start, end, 20) for p, start, end in spans])
    return found


class TestFetching:
    def test_what_was_handed_over_before_is_left_out(self) -> None:
        """As after a pause or a lost connection."""
        reader = fetcher(
            FakeConsumer(message(0, 3), message(0, 4), message(1, 9)), (0, 4, None), (1, 0, None)
        )
        found = reader.fetch(0, 100)
        assert found is not None
        assert found.offsets.tolist() == [4, 9] and found.split_ids.tolist() == [0, 1]
        assert found.positions == {0: 5, 1: 10}

    def test_the_end_by_a_message(self) -> None:
        consumer = FakeConsumer(message(0, 4), message(0, 5), message(0, 6))
        reader = fetcher(consumer, (0, 4, 6), (1, 0, 1))
        found = reader.fetch(0, 100)
        assert found is not None and found.offsets.tolist() == [4, 5]
        assert found.positions == {0: 6} and found.finished == {0} and not reader.done
        assert consumer.calls[-1] == ("incremental_unassign", ["t-0"])

    def test_the_end_beyond_the_last_message(self) -> None:
        """The offsets up to the end are control records, or were compacted away."""
        reader = fetcher(FakeConsumer(message(0, 4), end_of(0, 6)), (0, 4, 6))
        found = reader.fetch(0, 100)
        assert found is not None and found.positions == {0: 6} and found.finished == {0} and reader.done

    def test_an_end_of_partition_before_the_end(self) -> None:
        reader = fetcher(FakeConsumer(end_of(0, 5)), (0, 4, 6))
        assert reader.fetch(0, 100) is None and not reader.done

    def test_an_empty_span_is_finished_at_once_and_never_assigned(self) -> None:
        consumer = FakeConsumer()
        reader = fetcher(consumer, (0, 4, 4))
        found = reader.fetch(0, 100)
        assert found is not None and len(found.offsets) == 0 and found.finished == {0} and reader.done
        assert consumer.calls == []

    def test_a_batch_has_a_limit(self) -> None:
        reader = fetcher(FakeConsumer(*(message(0, i) for i in range(50))), (0, 0, None))
        sizes = []
        while (found := reader.fetch(0, 20)) is not None:
            sizes.append(len(found.offsets))
        assert sizes == [20, 20, 10]

    def test_partitions_of_several_topics(self) -> None:
        consumer = FakeConsumer(message(0, 1), message(2, 1, topic="u"), message(1, 1))
        reader = fetcher(consumer, (0, 0, None), (1, 0, None))
        reader.assign([Span(Partition("u", 2), 0, None, 5)])
        found = reader.fetch(0, 100)
        assert found is not None and found.split_ids.tolist() == [0, 2, 1]

    @pytest.mark.parametrize("count", [5, 300])
    def test_each_message_has_its_offset(self, count: int) -> None:
        """Also among offsets that are missing, and where partitions alternate."""
        whole = [(0, i) for i in range(count)]
        missing = [(0, 2 * i) for i in range(count)]
        one_missing = [(0, i + (i > count // 2)) for i in range(count)]
        alternating = [(i % 2, i // 2) for i in range(count)]
        for places in (whole, missing, one_missing, alternating):
            reader = fetcher(FakeConsumer(*(message(p, o) for p, o in places)), (0, 0, None), (1, 0, None))
            found = reader.fetch(0, 1000)
            assert found is not None
            assert list(zip(found.split_ids.tolist(), found.offsets.tolist(), strict=True)) == places

    def test_only_what_is_wanted(self) -> None:
        wanted = Wanted(keys=True, timestamps=True)
        found = fetcher(FakeConsumer(message(0, 1)), (0, 0, None), wanted=wanted).fetch(0, 10)
        assert found is not None and found.keys is not None and found.timestamps is not None
        assert (found.keys.to_pylist(), found.timestamps.tolist()) == ([b"k"], [5])
        assert found.headers is None and found.leader_epochs is None

    def test_pausing(self) -> None:
        consumer = FakeConsumer()
        reader = fetcher(consumer, (0, 0, None), (1, 0, None))
        consumer.calls.clear()
        reader.pause(frozenset({"t-0"}))
        reader.pause(frozenset({"t-0"}))
        reader.pause(frozenset({"t-1"}))
        reader.pause(frozenset())
        assert consumer.calls == [
            ("pause", ["t-0"]),
            ("pause", ["t-1"]),
            ("resume", ["t-0"]),
            ("resume", ["t-1"]),
        ]

    def test_known_ends(self) -> None:
        reader = fetcher(FakeConsumer(), (0, 0, None), (1, 0, 25))
        assert reader.known_ends() == {"t-0": 30, "t-1": 25}

    def test_an_offset_that_is_gone(self) -> None:
        gone = Message(
            topic="t", partition=0, offset=1, error=KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")
        )
        with pytest.raises(ConnectorError, match="t-0: out of range"):
            fetcher(FakeConsumer(gone), (0, 1, None)).fetch(0, 10)


class TestHealth:
    def test_away_and_back(self) -> None:
        health = Health("table t", "h:1")
        assert health.status() is None
        health.on_error(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
        assert health.status() == "broker h:1 is away since 0 s (Connection refused)"
        health.on_answer()
        assert health.status() is None

    def test_what_waiting_does_not_mend(self) -> None:
        health = Health("table t", "h:1")
        health.on_error(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
        with pytest.raises(ConnectorError, match="table t: wrong password"):
            health.raise_failure()


def test_long_values_are_shortened() -> None:
    assert shown(b"x" * 300) == "x" * 200 + "… (300 bytes)"
    assert shown(b"\xff") == "\\xff"
