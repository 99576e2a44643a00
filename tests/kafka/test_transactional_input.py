"""Topics that hold transactions: what was aborted or is open is not read, and reads end where they should."""

import pytest
from confluent_kafka import TopicPartition

from streamsql.errors import ConnectorError
from tests.conftest import TopicFactory
from tests.kafka.client import Cluster, Record
from tests.kafka.tables import EARLIEST, LATEST_END, definition, fill, json_row, source_of, started


def records(ids: range, partition: int = 0) -> list[Record]:
    return [Record(None, json_row(i), 1 + i, None, partition) for i in ids]


class TestEnds:
    """The end of the log is the mark of a transaction, which is no message."""

    @pytest.mark.parametrize("last", ["committed", "aborted", "open"])
    def test_latest_offset(self, kafka: Cluster, topic: TopicFactory, last: str) -> None:
        name = topic(partitions=2)
        kafka.transact(name, records(range(5)))
        kafka.transact(name, records(range(5, 9)), commit=False)
        kafka.transact(name, records(range(9, 12)))
        expected = 12
        if last == "aborted":
            kafka.transact(name, records(range(20, 25)), commit=False)
        left = kafka.transact(name, records(range(20, 25)), commit=None, name="o") if last == "open" else None
        with started(source_of(definition(kafka.bootstrap, name, **LATEST_END))) as reading:
            reading.to_the_end()
            assert reading.ids() == [*range(5), *range(9, expected)]
            end = kafka.end_offsets(name)[0] if left is None else 15
            assert reading.positions == {f"{name}-0": str(end), f"{name}-1": "0"}
            assert reading.source.lag() == 0
        if left is not None:
            left.abort_transaction(30)

    def test_a_topic_of_aborted_messages_alone(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.transact(name, records(range(5)), commit=False)
        with started(source_of(definition(kafka.bootstrap, name, **LATEST_END))) as reading:
            assert reading.to_the_end() == []
            assert reading.positions == {f"{name}-0": "6"}

    @pytest.mark.parametrize("end", [3, 5, 6, 7, 10])
    def test_an_end_among_marks(self, kafka: Cluster, topic: TopicFactory, end: int) -> None:
        """Offsets: 0-4 committed, 5 its mark, 6-8 aborted, 9 its mark, 10-11 plain."""
        name = topic()
        kafka.transact(name, records(range(5)))
        kafka.transact(name, records(range(6, 9)), commit=False)
        kafka.produce(name, records(range(10, 12)))
        options = {
            **EARLIEST,
            "scan_bounded_mode": "specific-offsets",
            "scan_bounded_specific__offsets": f"partition:0,offset:{end}",
        }
        with started(source_of(definition(kafka.bootstrap, name, **options))) as reading:
            reading.to_the_end()
            assert reading.ids() == list(range(min(end, 5)))
            assert reading.positions == {f"{name}-0": str(end)}

    def test_uncommitted_on_request(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.transact(name, records(range(3)), commit=False)
        options = {**LATEST_END, "properties_isolation_level": "read_uncommitted"}
        with started(source_of(definition(kafka.bootstrap, name, **options))) as reading:
            reading.to_the_end()
            assert reading.ids() == [0, 1, 2]


def test_what_commits_later_is_read_then(kafka: Cluster, topic: TopicFactory) -> None:
    name = topic()
    left = kafka.transact(name, records(range(3)), commit=None)
    with started(source_of(definition(kafka.bootstrap, name, **EARLIEST))) as reading:
        reading.nothing_more()
        left.commit_transaction(30)
        assert reading.take(3) == [(0, "x"), (1, "x"), (2, "x")]


class TestResume:
    def test_a_bounded_read_ends_where_it_would_have_ended(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        fill(kafka, name, 0, range(10))
        fill(kafka, name, 1, range(10, 13))
        table = definition(kafka.bootstrap, name, **LATEST_END)
        with started(source_of(table, batch_rows_max=4)) as reading:
            reading.until(lambda: len(reading.rows) >= 4, max_rows=4)
            memory, positions, seen = reading.source.memory(), dict(reading.positions), list(reading.ids())
        fill(kafka, name, 0, range(20, 25))
        kafka.add_partitions(name, 3)
        fill(kafka, name, 2, range(30, 33))
        with started(source_of(table, positions=positions, memory=memory)) as reading:
            reading.to_the_end()
            assert sorted(seen + reading.ids()) == list(range(13))
            assert reading.source.memory() == memory
        with started(source_of(table)) as reading:  # at another first start the end is another
            assert len(reading.to_the_end()) == 21

    def test_an_unbounded_read_remembers_no_end(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        with started(source_of(definition(kafka.bootstrap, name, **EARLIEST))) as reading:
            assert reading.source.memory() == {}

    @pytest.mark.parametrize(
        ("position", "why"), [(3, "2 messages are gone"), (99, "not the one that was read")]
    )
    def test_a_position_that_the_log_no_longer_has(
        self, kafka: Cluster, topic: TopicFactory, position: int, why: str
    ) -> None:
        """The startup mode's own reset is for the first start; here messages would be lost unasked."""
        name = topic()
        fill(kafka, name, 0, range(10))
        admin = kafka.admin()
        [done] = admin.delete_records([TopicPartition(name, 0, 5)]).values()
        done.result(30)
        positions = {f"{name}-0": str(position)}
        with pytest.raises(ConnectorError, match=why) as caught:
            source = source_of(definition(kafka.bootstrap, name, **EARLIEST), positions=positions)
            try:
                source.start()
            finally:
                source.close()
        assert "'properties.auto.offset.reset'" in str(caught.value.hint)
        options = {**EARLIEST, "properties_auto_offset_reset": "earliest"}
        with started(source_of(definition(kafka.bootstrap, name, **options), positions=positions)) as reading:
            assert len(reading.take(5)) == 5
