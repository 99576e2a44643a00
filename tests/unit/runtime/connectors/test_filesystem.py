"""Reading with the filesystem connector: files, positions, metadata, unreadable records, new files."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamsql.datatypes import (
    BIGINT,
    INT,
    STRING,
    TIMESTAMP,
    TIMESTAMP_LTZ,
)  # fmt: skip
from streamsql.errors import ConnectorError, DataError
from streamsql.runtime.connectors import create_sink, create_source
from streamsql.runtime.connectors.filesystem_source import batches_of_lines

from .contexts import batch_of, poll_one, read_all, rows_of, sink_context, source_context, table
from .file_tables import TWO, files

# -- reading ---------------------------------------------------------------------------------------------------------


def test_reads_files_by_name_and_ends(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"id": 3, "name": "c"}\n')
    (tmp_path / "a.json").write_text('{"id": 1, "name": "a"}\r\n\n{"id": 2, "name": "b"}')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.json").write_text('{"id": 4}\n')
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "_tmp").mkdir()
    (tmp_path / "_tmp" / "d.json").write_text("no")
    source = create_source(source_context(files(tmp_path)))
    assert source.bounded
    batches = read_all(source)
    assert [r["id"] for r in rows_of(batches)] == [1, 2, 3, 4]
    assert rows_of(batches)[3]["name"] is None
    assert list(source.splits()) == ["a.json", "b.json", "sub/c.json"]
    last = {split: p for b in batches for split, p in b.positions.items()}
    assert last == {"a.json": "2 end", "b.json": "1 end", "sub/c.json": "1 end"}


def test_one_file_a_uri_and_compression(tmp_path: Path) -> None:
    one = tmp_path / "one.json.gz"
    one.write_bytes(gzip.compress(b'{"id": 1}\n{"id": 2}\n'))
    for path in (str(one), f"file://{one}"):
        definition = table(TWO, {"connector": "filesystem", "path": path, "format": "json"})
        assert [r["id"] for r in rows_of(read_all(create_source(source_context(definition))))] == [1, 2]


def test_an_empty_directory_ends_at_once(tmp_path: Path) -> None:
    batches = read_all(create_source(source_context(files(tmp_path))))
    assert rows_of(batches) == []
    assert batches[-1].finished


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    source = create_source(source_context(files(tmp_path / "nowhere")))
    with pytest.raises(ConnectorError, match="nowhere' does not exist"):
        source.start()
    source.close()
    with pytest.raises(ConnectorError, match="cannot be opened"):
        create_source(
            source_context(table(TWO, {"connector": "filesystem", "path": "nope://x", "format": "json"}))
        )


def test_the_pattern_chooses_files(tmp_path: Path) -> None:
    for name in ("a.json", "b.txt"):
        (tmp_path / name).write_text('{"id": 1}\n')
    definition = files(tmp_path, options={"source.path.regex-pattern": r".*\.json"})
    source = create_source(source_context(definition))
    read_all(source)
    assert list(source.splits()) == ["a.json"]


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_reading_goes_on_from_any_position(tmp_path: Path, kind: str, step: int) -> None:
    definition = files(tmp_path, kind)
    for start in (0, 40):
        sink = create_sink(sink_context(definition))
        sink.start()
        sink.write(batch_of(definition, *[(i, f"n{i}") for i in range(start, start + 40)]))
        sink.flush()
        sink.close(finished=True)
    positions: dict[str, str] = {}
    found: list[int] = []
    while not (len(positions) == 2 and all(p.endswith(" end") for p in positions.values())):
        source = create_source(source_context(definition, positions=positions, batch_rows_max=16))
        source.start()
        rows: list[dict[str, Any]] = []
        ended: set[str] = set()
        while not rows and len(ended) < 2:  # a new source after every batch with rows
            batch = poll_one(source, step)
            positions |= batch.positions
            ended |= batch.finished
            rows = rows_of([batch])
        source.close()
        found += [r["id"] for r in rows]
    assert sorted(found) == list(range(80))
    assert all(p == "40 end" for p in positions.values())


def test_large_text_files_come_in_batches(tmp_path: Path) -> None:
    count = 300_000
    (tmp_path / "a.csv").write_bytes(b"".join(b"%d,%d-%s\n" % (i, i, b"x" * 30) for i in range(count)))
    batches = read_all(create_source(source_context(files(tmp_path, "csv"), batch_rows_max=50_000)))
    sizes = [b.batch.num_rows for b in batches if b.batch is not None]
    assert sum(sizes) == count
    assert max(sizes) <= 50_000
    ids = [i for b in batches if b.batch is not None for i in b.batch.rows.column(0).to_pylist()]
    assert ids == list(range(count))


def test_lines_are_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'a,1\r\n\nb,"x\ny"\nc,"open\n\nlast"\nd,4'
    expected = [
        b"a,1",
        b'b,"x\ny"',
        b'c,"open\nlast"',
        b"d,4",
    ]  # an empty line inside quotes is lost with the others
    for size in range(1, len(data) + 1):
        monkeypatch.setattr("streamsql.runtime.connectors.filesystem_source._CHUNK_BYTES", size)
        stream = pa.BufferReader(data)
        found = [line for batch in batches_of_lines(stream, b'"', 2) for line in batch.to_pylist()]
        assert [f.replace(b"\n\n", b"\n") for f in found] == expected


def test_metadata_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"id": 1}\n{"id": 2}\n')
    keys = {
        "file.name": STRING(),
        "file.path": STRING(),
        "file.size": BIGINT(),
        "file.modification-time": TIMESTAMP_LTZ(3),
    }
    source = create_source(source_context(files(tmp_path, metadata=keys), columns=["id"]))
    found = rows_of(read_all(source))
    changed = datetime.fromtimestamp(int(path.stat().st_mtime * 1000) / 1000, UTC)
    assert found[1] == {
        "id": 2, "file.name": "a.json", "file.path": str(path), "file.size": 20, "file.modification-time": changed,
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["fail", "ignore", "log"])
def test_unreadable_records(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a.json").write_text('{"id": 1}\noops\n{"id": 3}\n')
    source = create_source(source_context(files(tmp_path, options={"error-handling.mode": mode})))
    if mode == "fail":
        with pytest.raises(DataError, match=r"a\.json, record 2: found 'oops', expected JSON"):
            read_all(source)
        return
    batches = read_all(source)
    assert [r["id"] for r in rows_of(batches)] == [1, 3]
    (bad,) = [r for b in batches for r in b.bad_records]
    assert bad.value == b"oops"
    assert bad.origin.endswith("a.json, record 2")


def test_new_files_are_read_once(tmp_path: Path) -> None:
    definition = files(tmp_path / "in", options={"source.monitor-interval": "10 ms"})
    source = create_source(source_context(definition))
    assert not source.bounded
    source.start()  # the directory may come later
    try:
        (tmp_path / "in").mkdir()
        found: list[int] = []
        for i in (1, 2):
            hidden = tmp_path / "in" / f".{i}.json"
            hidden.write_text(f'{{"id": {i}}}\n')
            hidden.rename(tmp_path / "in" / f"{i}.json")
            batches = [poll_one(source), poll_one(source)]
            found += [r["id"] for r in rows_of(batches)]
            assert batches[-1].finished == {f"{i}.json"}
        assert found == [1, 2]
        assert source.poll(10) is None
    finally:
        source.close()


def test_batch_mode_does_not_wait_for_new_files(tmp_path: Path) -> None:
    definition = files(tmp_path, options={"source.monitor-interval": "10 ms"})
    source = create_source(source_context(definition, bounded=True))
    assert source.bounded
    assert rows_of(read_all(source)) == []


def test_a_paused_file_is_not_handed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": 1}\n')
    source = create_source(source_context(files(tmp_path)))
    source.pause(frozenset({"a.json"}))
    source.start()
    try:
        assert source.poll(10) is None
        source.pause(frozenset())
        assert rows_of([poll_one(source)]) == [{"id": 1, "name": None}]
    finally:
        source.close()


def test_parquet_by_name_with_other_types(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 678901)
    written = pa.table({
        "extra": [1, 2],
        "name": pa.array(["a", "b"]).dictionary_encode(),
        "id": pa.array([1, 2], pa.int32()),
        "t": pa.array([moment, None], pa.timestamp("ns")),
    })  # fmt: skip
    pq.write_table(written, tmp_path / "a.parquet")
    columns = {"id": BIGINT(), "name": STRING(), "t": TIMESTAMP(6), "missing": INT()}
    found = rows_of(read_all(create_source(source_context(files(tmp_path, "parquet", columns)))))
    assert found == [
        {"id": 1, "name": "a", "t": moment, "missing": None},
        {"id": 2, "name": "b", "t": None, "missing": None},
    ]


def test_parquet_of_a_wrong_type_names_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["x"]}), tmp_path / "a.parquet")
    source = create_source(source_context(files(tmp_path, "parquet", {"id": BIGINT()})))
    with pytest.raises(DataError, match=r"a\.parquet: column 'id' is string, expected BIGINT"):
        read_all(source)


def test_parquet_numbers_are_no_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    source = create_source(source_context(files(tmp_path, "parquet", {"id": STRING()})))
    with pytest.raises(DataError, match=r"a\.parquet: column 'id' is int64, expected STRING"):
        read_all(source)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")
    source = create_source(source_context(files(tmp_path, "parquet")))
    with pytest.raises(ConnectorError, match=r"a\.parquet cannot be read"):
        read_all(source)
