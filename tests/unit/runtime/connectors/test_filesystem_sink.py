"""Writing with the filesystem connector: partitions, types, and what a reader sees while files grow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamsql.catalog.connectors import table_options
from streamsql.catalog.table import TableDefinition
from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    DOUBLE,
    INT,
    INTERVAL_SECOND,
    MAP,
    ROW,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    DataType,
)
from streamsql.errors import ConfigError, ConnectorError, UnsupportedError, ValidationError
from streamsql.runtime.connectors import create_sink, create_source
from streamsql.runtime.connectors.filesystem_sink import FilesystemSink

from .contexts import batch_of, read_all, rows_of, sink_context, source_context
from .file_tables import Clock, files, names, visible

# -- partitions ------------------------------------------------------------------------------------------------------

BY_DAY: dict[str, DataType] = {"day": DATE(), "id": BIGINT(), "kind": STRING()}


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_partitions_there_and_back(tmp_path: Path, kind: str) -> None:
    definition = files(tmp_path, kind, BY_DAY, partition_keys=["day", "kind"])
    rows = [
        (date(2024, 5, 1), 1, "a/b"),
        (date(2024, 5, 1), 2, "a/b"),
        (None, 3, None),
        (date(2024, 5, 2), 4, "x=y %"),
    ]
    sink = create_sink(sink_context(definition))
    sink.start()
    sink.write(batch_of(definition, *rows))
    sink.flush()
    sink.close(finished=True)
    assert sorted(str(Path(n).parent) for n in visible(tmp_path)) == [
        "day=2024-05-01/kind=a%2Fb",
        "day=2024-05-02/kind=x%3Dy %25",
        "day=__DEFAULT_PARTITION__/kind=__DEFAULT_PARTITION__",
    ]
    found = rows_of(read_all(create_source(source_context(definition))))
    assert sorted((r["id"], r["day"], r["kind"]) for r in found) == [(i, d, k) for d, i, k in rows]
    only_keys = rows_of(read_all(create_source(source_context(definition, columns=["kind"]))))
    assert len(only_keys) == 4 and list(only_keys[0]) == ["kind"]


def test_partition_directories_must_fit(tmp_path: Path) -> None:
    (tmp_path / "day=yesterday").mkdir()
    (tmp_path / "day=yesterday" / "a.json").write_text("{}")
    definition = files(tmp_path, "json", {"id": BIGINT(), "day": DATE()}, partition_keys=["day"])
    with pytest.raises(ConnectorError, match=r"directory 'day=yesterday'.*expected DATE"):
        read_all(create_source(source_context(definition)))
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ConnectorError, match=r"in no directory 'day=…'"):
        read_all(create_source(source_context(definition)))


# -- writing ---------------------------------------------------------------------------------------------------------

EVERYTHING: dict[str, DataType] = {
    "s": STRING(),
    "b": BOOLEAN(),
    "i": INT(),
    "d": DOUBLE(),
    "n": DECIMAL(10, 2),
    "y": BYTES(),
    "day": DATE(),
    "t": TIME(3),
    "ts": TIMESTAMP(6),
    "z": TIMESTAMP_LTZ(3),
    "a": ARRAY(STRING()),
    "r": ROW([("x", INT()), ("y", STRING())]),
}
MOMENT = datetime(2024, 1, 2, 3, 4, 5, 120_000)
VALUES: list[Sequence[Any]] = [
    (
        'a,"b"\n',
        True,
        1,
        1.5,
        Decimal("1.10"),
        b"\x00\xff",
        MOMENT.date(),
        MOMENT.time(),
        MOMENT,
        MOMENT.replace(tzinfo=UTC),
        ["p", "q"],
        {"x": 1, "y": "z"},
    ),
    ("é", None, None, None, None, None, None, None, None, None, None, None),
]


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_every_type_there_and_back(tmp_path: Path, kind: str) -> None:
    columns = dict(EVERYTHING)
    if kind != "csv":
        columns["m"] = MAP(STRING(), INT())
    definition = files(tmp_path, kind, columns)
    rows = [(*v, [("k", 1)])[: len(columns)] for v in VALUES]
    sink = create_sink(sink_context(definition))
    sink.start()
    sink.write(batch_of(definition, *rows))
    sink.close(finished=True)
    found = rows_of(read_all(create_source(source_context(definition))))
    assert [tuple(r.values()) for r in found] == rows


def test_raw_files_are_lines(tmp_path: Path) -> None:
    definition = files(tmp_path, "raw", {"line": STRING()})
    sink = create_sink(sink_context(definition))
    sink.start()
    sink.write(batch_of(definition, ("a b",), ('{"c"}',)))
    sink.close(finished=True)
    (name,) = visible(tmp_path)
    assert (tmp_path / name).read_text() == 'a b\n{"c"}\n'
    assert rows_of(read_all(create_source(source_context(definition)))) == [
        {"line": "a b"},
        {"line": '{"c"}'},
    ]


def make_sink(definition: TableDefinition, clock: Clock) -> FilesystemSink:
    sink = FilesystemSink(sink_context(definition, now_ms=clock), timer=False)
    sink.start()
    return sink


def test_files_are_hidden_until_they_are_done(tmp_path: Path) -> None:
    definition, clock = files(tmp_path, options={"sink.rolling-policy.rollover-interval": "1 min"}), Clock()
    sink = make_sink(definition, clock)
    sink.write(batch_of(definition, (1, "a")))
    sink.flush()
    assert visible(tmp_path) == [] and len(names(tmp_path)) == 1
    clock.now += 60_000
    sink.write(batch_of(definition, (2, "b")))
    assert visible(tmp_path) == []
    sink.flush()
    assert len(visible(tmp_path)) == 1
    sink.write(batch_of(definition, (3, "c")))
    sink.flush()
    assert len(visible(tmp_path)) == 1 and len(names(tmp_path)) == 2
    sink.close(finished=True)
    assert len(visible(tmp_path)) == len(names(tmp_path)) == 2
    assert sorted(r["id"] for r in rows_of(read_all(create_source(source_context(definition))))) == [1, 2, 3]


def test_a_full_file_is_renamed_at_the_end_of_the_step(tmp_path: Path) -> None:
    definition, clock = files(tmp_path, options={"sink.rolling-policy.file-size": "30b"}), Clock()
    sink = make_sink(definition, clock)
    for i in range(4):
        sink.write(batch_of(definition, (i, "abc")))  # 21 bytes each
    assert visible(tmp_path) == [] and len(names(tmp_path)) == 2
    sink.flush()
    assert len(visible(tmp_path)) == 2
    sink.close(finished=True)
    assert len(names(tmp_path)) == 2


def test_a_quiet_file_is_done(tmp_path: Path) -> None:
    options = {
        "sink.rolling-policy.inactivity-interval": "1 s",
        "sink.rolling-policy.check-interval": "10 ms",
    }
    definition, clock = files(tmp_path, options=options), Clock()
    sink = FilesystemSink(sink_context(definition, now_ms=clock))
    sink.start()
    sink.write(batch_of(definition, (1, "a")))
    clock.now += 1000
    sink.flush()
    assert len(visible(tmp_path)) == 1
    sink.write(batch_of(definition, (2, "b")))
    sink.flush()
    clock.now += 1000
    for _ in range(1000):  # the sink's own timer, no step
        if len(visible(tmp_path)) == 2:
            break
        sink._closed.wait(0.01)
    assert len(visible(tmp_path)) == 2
    sink.close(finished=True)


def test_a_failed_job_leaves_nothing_it_did_not_finish(tmp_path: Path) -> None:
    definition, clock = files(tmp_path, options={"sink.rolling-policy.file-size": "30b"}), Clock()
    sink = make_sink(definition, clock)
    for i in range(2):
        sink.write(batch_of(definition, (i, "abc")))
    sink.flush()
    done = visible(tmp_path)
    for i in range(3):
        sink.write(batch_of(definition, (i, "abc")))
    assert len(names(tmp_path)) == 3
    sink.close(finished=False)
    assert names(tmp_path) == done


def test_file_names_of_two_jobs_differ(tmp_path: Path) -> None:
    definition, clock = files(tmp_path), Clock()
    for _ in range(2):
        sink = make_sink(definition, clock)
        sink.write(batch_of(definition, (1, "a")))
        sink.close(finished=True)
    assert len(visible(tmp_path)) == 2
    assert all(n.startswith("part-") and n.endswith(".json") for n in visible(tmp_path))


def test_a_sink_without_rows_leaves_no_file(tmp_path: Path) -> None:
    sink = make_sink(files(tmp_path / "new"), Clock())
    sink.flush()
    sink.close(finished=True)
    assert (tmp_path / "new").is_dir() and names(tmp_path) == []


def test_process_time_commit(tmp_path: Path) -> None:
    options = {"sink.partition-commit.policy.kind": "success-file", "sink.partition-commit.delay": "10 s"}
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"], options=options)
    clock = Clock()
    sink = make_sink(definition, clock)
    sink.write(batch_of(definition, (date(2024, 5, 1), 1, "a")))
    sink.flush()
    clock.now += 9_999
    sink.flush()
    assert len(names(tmp_path)) == 1
    clock.now += 1
    sink.flush()
    assert names(tmp_path)[0] == "day=2024-05-01/_SUCCESS" and len(visible(tmp_path)) == 1
    sink.close(finished=True)


def test_partition_time_commit(tmp_path: Path) -> None:
    options = {
        "sink.partition-commit.policy.kind": "success-file",
        "sink.partition-commit.trigger": "partition-time",
        "sink.partition-commit.delay": "1 h",
        "sink.partition-commit.success-file.name": "_DONE",
        "partition.time-extractor.timestamp-pattern": "$day 00:00:00",
        "sink.partition-commit.watermark-time-zone": "Europe/Berlin",
    }
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["day"], options=options)
    clock = Clock()
    sink = make_sink(definition, clock)
    sink.write(batch_of(definition, (date(2024, 5, 1), 1, "a"), (date(2024, 5, 2), 2, "a")))
    due = int(datetime(2024, 4, 30, 23, tzinfo=UTC).timestamp() * 1000)
    sink.on_watermark(due - 1)
    sink.flush()
    assert visible(tmp_path) == []
    sink.on_watermark(due)
    sink.flush()
    assert (tmp_path / "day=2024-05-01" / "_DONE").exists() and not (
        tmp_path / "day=2024-05-02" / "_DONE"
    ).exists()
    assert len(visible(tmp_path)) == 1
    sink.close(finished=True)
    assert len(visible(tmp_path)) == 2 and (tmp_path / "day=2024-05-02" / "_DONE").exists()


def test_a_partition_without_a_time_is_an_error(tmp_path: Path) -> None:
    options = {
        "sink.partition-commit.policy.kind": "success-file",
        "sink.partition-commit.trigger": "partition-time",
    }
    definition = files(tmp_path, "json", BY_DAY, partition_keys=["kind"], options=options)
    sink = make_sink(definition, Clock())
    sink.write(batch_of(definition, (date(2024, 5, 1), 1, "a")))
    with pytest.raises(ConnectorError, match="the text 'a', which is not a time"):
        sink.flush()
    sink.close(finished=False)


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    sink = create_sink(sink_context(files(tmp_path / "f")))
    with pytest.raises(ConnectorError, match="is a file"):
        sink.start()
    sink.close(finished=False)


def test_parquet_options(tmp_path: Path) -> None:
    definition = files(
        tmp_path,
        "parquet",
        {"t": TIMESTAMP(6)},
        options={
            "parquet.compression": "ZSTD",
            "parquet.timestamp.time.unit": "millis",
            "parquet.enable.dictionary": "false",
        },
    )
    sink = create_sink(sink_context(definition))
    sink.start()
    sink.write(batch_of(definition, (MOMENT,)))
    sink.close(finished=True)
    written = pq.ParquetFile(tmp_path / visible(tmp_path)[0])
    assert written.schema_arrow.field("t").type == pa.timestamp("ms")
    column = written.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD" and "PLAIN_DICTIONARY" not in column.encodings
    written.close()


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        ("json", {"auto-compaction": "true"}, UnsupportedError, "auto-compaction"),
        ("json", {"compaction.file-size": "1mb"}, UnsupportedError, "compaction.file-size"),
        ("json", {"sink.partition-commit.policy.kind": "metastore"}, ConfigError, "found 'metastore'"),
        ("json", {"sink.partition-commit.policy.kind": "success-file"}, ConfigError, "needs PARTITIONED BY"),
        ("json", {"source.path.regex-pattern": "("}, ConfigError, "regex-pattern"),
        ("json", {"source.monitor-interval": "0"}, ConfigError, "above 0"),
        ("json", {"partition.time-extractor.kind": "custom"}, UnsupportedError, "Java class"),
        ("avro", {}, ConfigError, "format 'avro'"),
        ("parquet", {"parquet.utc-timezone": "false"}, UnsupportedError, "utc-timezone"),
        ("parquet", {"parquet.compresion": "gzip"}, ConfigError, "did you mean 'compression'"),
        ("json", {"sink.parallelism": "2"}, UnsupportedError, "one process"),
    ],
)
def test_options_that_are_refused(
    tmp_path: Path, kind: str, options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        table_options(files(tmp_path, kind, options=options))


def test_types_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="INTERVAL"):
        create_sink(sink_context(files(tmp_path, "parquet", {"i": INTERVAL_SECOND()})))
    with pytest.raises(UnsupportedError, match="partition key"):
        create_sink(
            sink_context(files(tmp_path, "json", {"a": ARRAY(INT()), "b": INT()}, partition_keys=["a"]))
        )
    with pytest.raises(ValidationError, match="no column beside"):
        table_options(files(tmp_path, "json", {"a": INT()}, partition_keys=["a"]))
    with pytest.raises(ValidationError, match="one column beside"):
        table_options(files(tmp_path, "raw", BY_DAY, partition_keys=["day"]))
