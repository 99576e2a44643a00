"""The `kafka` source against a real broker: the rows it delivers, and messages that cannot be read."""

import datetime as dt
import json
import time

import pytest

from streamsql.datatypes import ARRAY, BIGINT, BYTES, INT, MAP, ROW, STRING, TIMESTAMP, TIMESTAMP_LTZ
from streamsql.errors import DataError
from tests.conftest import TopicFactory
from tests.kafka.client import Cluster, Record
from tests.kafka.tables import (
    COLUMNS,
    EARLIEST,
    LATEST_END,
    definition,
    fill,
    json_row,
    source_of,
    started,
)


class TestRows:
    def test_metadata(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        headers = [("a", b"1"), ("a", b"2"), ("n", None)]
        kafka.produce(
            name,
            [Record("k", json_row(1), 1_700_000_000_123, headers, 1), Record(None, json_row(2), 5, None, 1)],
        )
        kinds = [
            ("t", "topic", STRING()),
            ("p", "partition", BIGINT()),
            ("h", "headers", MAP(STRING(), BYTES())),
            ("hl", "header-list", ARRAY(ROW([("key", STRING()), ("value", BYTES())]))),
            ("e", "leader-epoch", INT()),
            ("o", "offset", BIGINT()),
            ("ts", "timestamp", TIMESTAMP_LTZ(3)),
            ("local", "timestamp", TIMESTAMP(3)),
            ("tt", "timestamp-type", STRING()),
        ]
        with started(source_of(definition(kafka.bootstrap, name, COLUMNS, kinds, **LATEST_END))) as reading:
            first, second = reading.to_the_end()
        at = dt.datetime.fromtimestamp(1_700_000_000.123, dt.UTC)
        entries = [{"key": k, "value": v} for k, v in headers]
        assert first == (
            *(1, "x", name, 1, [("a", b"2"), ("n", None)], entries),
            *(0, 0, at, at.replace(tzinfo=None), "CreateTime"),
        )
        assert second[2:8] == (name, 1, [], [], 0, 1)

    def test_log_append_time(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(config={"message.timestamp.type": "LogAppendTime"})
        kafka.produce(name, [("k", json_row(1), 5)])
        kinds = [("tt", "timestamp-type", STRING()), ("ts", "timestamp", TIMESTAMP_LTZ(3))]
        with started(source_of(definition(kafka.bootstrap, name, COLUMNS, kinds, **LATEST_END))) as reading:
            [found] = reading.to_the_end()
        assert found[2] == "LogAppendTime" and found[3].year > 2000

    def test_key_and_value(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.produce(
            name,
            [
                ('{"user": "ann"}', '{"id": 1, "name": "a"}', 1, None, 0),
                (None, '{"id": 2, "name": "b"}', 1, None, 0),
                ('{"user": "cid"}', None, 1, None, 0),
                ('{"user": "dot"}', '{"id": 4}', 1, None, 0),
            ],
        )
        columns = [("k_user", STRING()), ("id", BIGINT()), ("name", STRING())]
        options = {
            "key_format": "json",
            "key_fields": "k_user",
            "key_fields__prefix": "k_",
            "value_fields__include": "EXCEPT_KEY",
        }
        table = definition(kafka.bootstrap, name, columns, **options, **LATEST_END)
        with started(source_of(table)) as reading:  # a NULL value is no row, as in Flink
            assert reading.to_the_end() == [("ann", 1, "a"), (None, 2, "b"), ("dot", 4, None)]
            assert reading.positions == {f"{name}-0": "4"}
        with started(source_of(table, only=["id"])) as reading:
            assert reading.to_the_end() == [(1,), (2,), (4,)]

    def test_a_bare_json_string_as_key(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.produce(name, [('"GNOU"', json_row(1)), ('"x"', json_row(2))])
        columns = [("k", STRING()), ("id", BIGINT()), ("name", STRING())]
        options = {"key_format": "json", "key_fields": "k", "value_fields__include": "EXCEPT_KEY"}
        with started(
            source_of(definition(kafka.bootstrap, name, columns, **options, **LATEST_END))
        ) as reading:
            assert sorted(reading.to_the_end()) == [("GNOU", 1, "x"), ("x", 2, "x")]

    def test_a_key_column_that_the_value_holds_too_is_the_values(
        self, kafka: Cluster, topic: TopicFactory
    ) -> None:
        name = topic()
        kafka.produce(name, [('{"id": 7}', json_row(1))])
        options = {"key_format": "json", "key_fields": "id"}
        with started(source_of(definition(kafka.bootstrap, name, **options, **LATEST_END))) as reading:
            assert reading.to_the_end() == [(1, "x")]

    def test_raw_and_csv(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.produce(name, [(None, "1,a", 1, None, 0), (None, None, 1, None, 0), (None, "2,b", 1, None, 0)])
        table = definition(kafka.bootstrap, name, [("line", STRING())], format="raw", **LATEST_END)
        with started(source_of(table)) as reading:
            assert reading.to_the_end() == [("1,a",), (None,), ("2,b",)]
        table = definition(kafka.bootstrap, name, format="csv", **LATEST_END)
        with started(source_of(table)) as reading:
            assert reading.to_the_end() == [(1, "a"), (2, "b")]

    def test_a_changelog_format_and_its_metadata(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        before, after = {"id": 1, "name": "a"}, {"id": 1, "name": "b"}
        source = {"table": "people", "ts_ms": 5}
        events = [
            {"before": None, "after": before, "op": "c", "source": source},
            {"before": before, "after": after, "op": "u", "source": source},
            {"before": after, "after": None, "op": "d", "source": source},
        ]
        kafka.produce(name, [(None, json.dumps(e), 1, None, 0) for e in events])
        kinds = [("from_table", "value.source.table", STRING()), ("o", "offset", BIGINT())]
        table = definition(kafka.bootstrap, name, COLUMNS, kinds, format="debezium-json", **LATEST_END)
        with started(source_of(table)) as reading:
            changes = list(zip(reading.to_the_end(), reading.weights, strict=True))
            assert changes == [
                ((1, "a", "people", 0), 1),
                ((1, "a", "people", 1), -1),
                ((1, "b", "people", 1), 1),
                ((1, "b", "people", 2), -1),
            ]
        with started(source_of(table)) as reading:  # the two rows of one message are not torn apart
            reading.to_the_end(max_rows=2)
            sizes = [b.batch.num_rows for b in reading.batches if b.batch is not None]
            assert sizes == [1, 2, 1]

    @pytest.mark.parametrize("max_rows", [1, 7, 1_000])
    def test_positions_of_partial_batches(self, kafka: Cluster, topic: TopicFactory, max_rows: int) -> None:
        """Wherever a batch is cut, reading on from its positions gives exactly the rest."""
        name = topic(partitions=2)
        fill(kafka, name, 0, range(20))
        fill(kafka, name, 1, range(20, 31))
        table = definition(kafka.bootstrap, name, **LATEST_END)
        with started(source_of(table)) as reading:
            reading.until(lambda: len(reading.rows) >= 11, max_rows)
            assert max(b.batch.num_rows for b in reading.batches if b.batch is not None) <= max_rows
            with started(source_of(table, positions=reading.positions)) as rest:
                rest.to_the_end()
        assert sorted(reading.ids() + rest.ids()) == list(range(31))

    def test_many_messages_in_order(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, count = topic(partitions=3), 30_000
        kafka.produce(name, [(None, json_row(i), 1, None, i % 3) for i in range(count)])
        with started(
            source_of(definition(kafka.bootstrap, name, **LATEST_END), batch_rows_max=5_000)
        ) as reading:
            reading.to_the_end()
        assert reading.ids() == list(range(count))
        for split in reading.source.splits():
            mine = [r[0] for r, s in zip(reading.rows, reading.splits, strict=True) if s == split]
            assert mine == sorted(mine)

    def test_pausing_loses_and_doubles_nothing(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, count = topic(partitions=2), 20_000
        kafka.produce(name, [(None, json_row(i), 1, None, i % 2) for i in range(count)])
        source = source_of(definition(kafka.bootstrap, name, **LATEST_END), batch_rows_max=500)
        with started(source) as reading:
            for turn in range(10):
                source.pause(frozenset({f"{name}-{turn % 2}"}))
                reading.until(lambda: reading.poll(), timeout_s=30) if turn < 4 else reading.poll()
                time.sleep(0.05)
            source.pause(frozenset())
            reading.to_the_end()
        assert reading.ids() == list(range(count))

    def test_a_paused_split_stands_still(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(partitions=2)
        source = source_of(definition(kafka.bootstrap, name, **EARLIEST))
        with started(source) as reading:
            source.pause(frozenset({f"{name}-0"}))
            time.sleep(0.5)
            fill(kafka, name, 0, range(3))
            fill(kafka, name, 1, range(10, 12))
            reading.take(2)
            reading.nothing_more()
            assert reading.ids() == [10, 11]
            source.pause(frozenset())
            reading.take(5)
            assert reading.ids() == [0, 1, 2, 10, 11]


class TestBadRecords:
    VALUES = (json_row(0), json_row(1), '{"id": "no number"}', json_row(3), "not json", json_row(5))

    def produce(self, kafka: Cluster, name: str) -> None:
        kafka.produce(name, [(None, v, 77, None, 0) for v in self.VALUES])

    def test_fail_delivers_what_stands_before(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        self.produce(kafka, name)
        with started(source_of(definition(kafka.bootstrap, name, **EARLIEST))) as reading:
            assert reading.take(2) == [(0, "x"), (1, "x")]
            with pytest.raises(DataError) as caught:
                reading.take(3)
            assert reading.positions == {f"{name}-0": "2"}
            assert f"topic {name}, partition 0, offset 2" in caught.value.message
            assert "no number" in caught.value.message
            with pytest.raises(DataError):
                reading.source.poll(10)

    @pytest.mark.parametrize("mode", ["ignore", "log"])
    def test_passed_over(self, kafka: Cluster, topic: TopicFactory, mode: str) -> None:
        name = topic()
        self.produce(kafka, name)
        options = {"error__handling_mode": mode, "error__handling_log_target": "errors"}
        with started(source_of(definition(kafka.bootstrap, name, **options, **LATEST_END))) as reading:
            reading.to_the_end()
            assert reading.ids() == [0, 1, 3, 5]
            assert reading.positions == {f"{name}-0": "6"}
            origins = [f"topic {name}, partition 0, offset {o}" for o in (2, 4)]
            assert [b.origin for b in reading.bad] == origins
            assert [b.value for b in reading.bad] == [b'{"id": "no number"}', b"not json"]
            assert [b.timestamp_ms for b in reading.bad] == ([77, 77] if mode == "log" else [None, None])

    def test_a_bad_key(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic()
        kafka.produce(name, [("1", '{"name": "a"}'), ("oh", '{"name": "b"}'), ("3", '{"name": "c"}')])
        options = {"key_format": "json", "key_fields": "id", "value_fields__include": "EXCEPT_KEY"}
        table = definition(kafka.bootstrap, name, **options, **LATEST_END, error__handling_mode="ignore")
        with started(source_of(table)) as reading:
            assert sorted(reading.to_the_end()) == [(1, "a"), (3, "c")]
            assert reading.bad[0].message.startswith("key: ") and reading.bad[0].value == b"oh"
