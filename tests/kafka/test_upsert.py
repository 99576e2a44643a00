"""`upsert-kafka` against a real broker: a topic as a table with a primary key."""

import json
import time
from typing import ClassVar

import pyarrow as pa
import pytest

from streamsql.catalog.table import TableDefinition
from streamsql.errors import ConfigError, DataError, ValidationError
from tests.conftest import TopicFactory
from tests.kafka.client import Cluster
from tests.kafka.tables import COLUMNS, definition, sink_of, source_of, started
from tests.kafka.test_sink import changes

OPTIONS = {"connector": "upsert-kafka", "key_format": "json", "scan_bounded_mode": "latest-offset"}
Change = tuple[int, tuple[object, ...]]


def table(bootstrap: str, topic: str, **options: str) -> TableDefinition:
    return definition(bootstrap, topic, COLUMNS, (), ("id",), **{**OPTIONS, **options})


def read(bootstrap: str, topic: str, **options: str) -> list[Change]:
    """Weights and rows, in the order of the topic."""
    with started(source_of(table(bootstrap, topic, **options))) as reading:
        reading.to_the_end()
        return list(zip(reading.weights, reading.rows, strict=True))


class TestSource:
    RECORDS = (
        ('{"id": 1}', '{"id": 1, "name": "a"}', 1, None, 0),
        ('{"id": 2}', '{"id": 2, "name": "b"}', 1, None, 0),
        ('{"id": 1}', None, 1, None, 0),
        ('{"id": 2}', '{"id": 2, "name": "c"}', 1, None, 0),
    )
    EXPECTED: ClassVar[list[Change]] = [(1, (1, "a")), (1, (2, "b")), (-1, (1, None)), (1, (2, "c"))]

    @pytest.mark.parametrize("include", ["ALL", "EXCEPT_KEY"])
    def test_upserts_and_tombstones(self, kafka: Cluster, topic: TopicFactory, include: str) -> None:
        name = topic()
        kafka.produce(name, self.RECORDS)
        assert read(kafka.bootstrap, name, value_fields__include=include) == self.EXPECTED

    def test_the_value_of_a_key_column(self, kafka: Cluster, topic: TopicFactory) -> None:
        """ALL: the value's own. EXCEPT_KEY: the key's."""
        name = topic()
        kafka.produce(name, [('{"id": 7}', '{"id": 1, "name": "a"}')])
        assert read(kafka.bootstrap, name) == [(1, (1, "a"))]
        assert read(kafka.bootstrap, name, value_fields__include="EXCEPT_KEY") == [(1, (7, "a"))]

    def test_always_from_the_beginning(self, kafka: Cluster, topic: TopicFactory) -> None:
        with pytest.raises(ConfigError, match=r"unknown option 'scan\.startup\.mode'"):
            source_of(table(kafka.bootstrap, topic(), scan_startup_mode="latest-offset"))

    def test_a_message_without_a_key(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.produce(name, [*self.RECORDS, (None, None, 1, None, 0)])
        with started(source_of(table(kafka.bootstrap, name))) as reading:
            with pytest.raises(DataError, match=r"offset 4: the message has no key; value: NULL"):
                reading.take(5)
            assert list(zip(reading.weights, reading.rows, strict=True)) == self.EXPECTED
        assert read(kafka.bootstrap, name, error__handling_mode="ignore") == self.EXPECTED

    def test_a_bad_value(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        records = list(self.RECORDS)
        records[1] = ('{"id": 2}', '{"id": 2, "name": ', 1, None, 0)
        kafka.produce(name, records)
        found = read(kafka.bootstrap, name, error__handling_mode="ignore")
        assert found == [c for i, c in enumerate(self.EXPECTED) if i != 1]

    def test_many(self, kafka: Cluster, topic: TopicFactory) -> None:
        """Large batches are decoded in columns: the same rows."""
        name = topic(partitions=2)
        records = [
            (json.dumps({"id": i}), json.dumps({"id": i, "name": f"n{i}"}) if i % 7 else None)
            for i in range(5_000)
        ]
        kafka.produce(name, records)
        for include in ("ALL", "EXCEPT_KEY"):
            found = read(kafka.bootstrap, name, value_fields__include=include)
            expected: list[Change] = [(1, (i, f"n{i}")) if i % 7 else (-1, (i, None)) for i in range(5_000)]
            assert sorted(found, key=lambda c: str(c[1][0]).zfill(5)) == expected


class TestSink:
    def test_the_last_change_of_each_key(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        sink = sink_of(table(kafka.bootstrap, name), upsert=True)
        sink.start()
        sink.write(changes([1, 1, 1, -1], id=[1, 2, 1, 2], name=["a", "b", "c", None]))
        sink.flush()
        sink.write(changes([-1, 1], id=[1, 3], name=[None, "d"]))
        sink.close(finished=True)
        assert [(r.key, r.value) for r in kafka.consume_all(name)] == [
            (b'{"id":1}', b'{"id":1,"name":"c"}'),
            (b'{"id":2}', None),
            (b'{"id":1}', None),
            (b'{"id":3}', b'{"id":3,"name":"d"}'),
        ]

    def test_a_retracting_query(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        sink = sink_of(table(kafka.bootstrap, name, value_fields__include="EXCEPT_KEY"))
        sink.write(changes([1, 1, 1], id=[1, 2, 3], name=["a", "b", "c"]))
        sink.write(changes([-1, 1, -1, 1, -1], id=[1, 1, 2, 3, 3], name=["a", "A", "b", "C", "c"]))
        sink.close(finished=True)
        assert [(r.key, r.value) for r in kafka.consume_all(name)] == [
            (b'{"id":1}', b'{"name":"a"}'),
            (b'{"id":2}', b'{"name":"b"}'),
            (b'{"id":3}', b'{"name":"c"}'),
            (b'{"id":1}', b'{"name":"A"}'),
            (b'{"id":2}', None),
            (b'{"id":3}', b'{"name":"C"}'),
        ]

    def test_insertions(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        sink = sink_of(table(kafka.bootstrap, name))
        sink.write(changes(id=[1, 2, 1], name=["a", "b", "c"]))
        sink.close(finished=True)
        assert [json.loads(r.value or b"")["name"] for r in kafka.consume_all(name)] == ["b", "c"]

    def test_equal_keys_share_a_partition_and_read_back(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=3)
        sink = sink_of(table(kafka.bootstrap, name), upsert=True)
        for turn in range(3):
            sink.write(changes(id=list(range(50)), name=[f"t{turn}"] * 50))
        sink.write(changes([-1] * 10, id=list(range(10)), name=[None] * 10))
        sink.close(finished=True)
        state: dict[object, object] = {}
        for weight, (key, value) in read(kafka.bootstrap, name):
            if weight > 0:
                state[key] = value
            else:
                del state[key]
        assert state == dict.fromkeys(range(10, 50), "t2")

    def test_held_back_until_there_are_enough(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        options = {"sink_buffer__flush_max__rows": "3", "sink_buffer__flush_interval": "1 h"}
        sink = sink_of(table(kafka.bootstrap, name, **options), upsert=True)
        sink.write(changes(id=[1, 2], name=["a", "b"]))
        sink.write(changes(id=[1], name=["c"]))
        sink.flush()
        assert kafka.end_offsets(name) == {0: 0}
        sink.write(changes(id=[3], name=["d"]))
        assert [json.loads(r.value or b"")["name"] for r in kafka.consume_all(name, 3)] == ["b", "c", "d"]
        sink.write(changes(id=[4], name=["e"]))
        sink.close(finished=True)
        assert kafka.end_offsets(name) == {0: 4}

    def test_held_back_for_a_time(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        options = {"sink_buffer__flush_max__rows": "1000", "sink_buffer__flush_interval": "100 ms"}
        sink = sink_of(table(kafka.bootstrap, name, **options), upsert=True)
        sink.write(changes(id=[1], name=["a"]))
        began = time.monotonic()
        kafka.consume_all(name, 1)  # sent by the timer, without a further step
        assert time.monotonic() - began < 20
        sink.flush()
        sink.close(finished=True)


def test_a_table_without_a_key(kafka: Cluster) -> None:
    with pytest.raises(ValidationError, match="needs a primary key"):
        source_of(definition(kafka.bootstrap, "t", **OPTIONS))


def test_retraction_that_leaves_an_older_row() -> None:
    """+new before −old, and a row that comes and goes within the step."""
    from streamsql.runtime.connectors.upsert_kafka import last_changes

    batch = changes([1, -1, 1, -1, 1, -1], id=[1, 1, 2, 2, 3, 3], name=["new", "old", "x", "x", "p", "q"])
    keys = pa.array([str(i).encode() for i in batch.rows.column(0).to_pylist()], pa.binary())
    chosen, deleted = last_changes(batch, keys, upsert=False)
    assert [(int(i), bool(d)) for i, d in zip(chosen, deleted, strict=True)] == [
        (0, False),
        (3, True),
        (4, False),
    ]
