"""TO_CHANGELOG and FROM_CHANGELOG, step by step."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.errors import DataError, StreamSqlError
from tests.harness import Table, harness
from tests.pretty import rows

INSERTS = Table({"k": pa.string(), "v": pa.int32()})
UPSERTS = Table({"k": pa.string(), "v": pa.int32()}, mode="I,UA,D", key=("k",))
CODED = Table({"op": pa.string(), "k": pa.string(), "v": pa.int32()})
COUNTS = "(SELECT k, COUNT(*) AS n FROM t GROUP BY k)"


def test_an_aggregate_as_rows() -> None:
    with harness(f"SELECT * FROM TO_CHANGELOG(input => {COUNTS})", {"t": INSERTS}) as h:
        h.push("+I a 1\n+I b 1")
        h.push("+I a 2")
        assert h.take() == rows("""
            +I INSERT        a 1
            +I INSERT        b 1
            +I UPDATE_BEFORE a 1
            +I UPDATE_AFTER  a 2
        """)


def test_codes_and_the_place_of_the_key() -> None:
    sql = """SELECT * FROM TO_CHANGELOG(
        input => TABLE t PARTITION BY v, op => DESCRIPTOR(what),
        op_mapping => MAP['INSERT, UPDATE_AFTER', 'now', 'DELETE', 'gone'])"""
    with harness(sql, {"t": UPSERTS}) as h:
        assert h.plan.roots[0].schema.names == ["v", "what", "k"]
        h.push("+I a 1")
        h.push("+U a 2\n+I b 7")
        h.push("-D a 2")
        assert h.take() == rows("""
            +I 1 now  a
            +I 2 now  a
            +I 7 now  b
            +I 2 gone a
        """)


def test_deletions_as_the_source_gives_them() -> None:
    """Without full deletions an upsert source needs no state: nobody tells an insertion from an update."""
    sql = "SELECT * FROM TO_CHANGELOG(input => TABLE t, produces_full_deletes => {})"
    for full, expected in (
        ("TRUE", "+I INSERT a 1\n+I UPDATE_BEFORE a 1\n+I UPDATE_AFTER a 2\n+I DELETE a 2"),
        ("FALSE", "+I UPDATE_AFTER a 1\n+I UPDATE_AFTER a 2\n+I DELETE a null"),
    ):
        with harness(sql.format(full), {"t": UPSERTS}) as h:
            h.push("+I a 1")
            h.push("+U a 2")
            h.push("-D a null")
            assert h.take() == rows(expected)
            assert ("ChangelogNormalize" in {n.name for n in h.plan.nodes()}) == (full == "TRUE")
    with harness(
        f"SELECT * FROM TO_CHANGELOG(input => {COUNTS}, produces_full_deletes => FALSE)", {"t": UPSERTS}
    ) as h:
        h.push("+I a 1")
        h.push("-D a 1")
        assert h.take() == rows("+I INSERT a 1\n+I DELETE a 1")


def test_rows_as_a_table() -> None:
    sql = "SELECT k, COUNT(*) AS n, SUM(v) AS s FROM FROM_CHANGELOG(TABLE t, DESCRIPTOR(op)) GROUP BY k"
    with harness(sql, {"t": CODED}) as h:
        h.push("+I INSERT a 1\n+I INSERT a 2")
        h.push("+I UPDATE_BEFORE a 2\n+I UPDATE_AFTER a 5\n+I INSERT b 9")
        h.push("+I DELETE b 9\n+I DELETE a 1")
        assert h.take() == rows("""
            +I a 2 3
            -U a 2 3
            +U a 2 6
            +I b 1 9
            -D b 1 9
            -U a 2 6
            +U a 1 5
        """)


@pytest.mark.parametrize("restored", [False, True])
def test_updates_by_key_are_told_from_rows(restored: bool) -> None:
    sql = """SELECT SUM(v) AS s FROM FROM_CHANGELOG(
        input => TABLE t PARTITION BY k, op_mapping => MAP['c, r', 'INSERT', 'u', 'UPDATE_AFTER', 'd', 'DELETE'])"""
    with harness(sql, {"t": CODED}, restored=restored) as h:
        h.push("+I c a 1\n+I r b 2")
        h.push("+I u a 5")
        h.push("+I d b null")
        assert h.take() == rows("+I 3\n-U 3\n+U 7\n-U 7\n+U 5")


def test_there_and_back() -> None:
    sql = f"SELECT * FROM FROM_CHANGELOG(TABLE (SELECT * FROM TO_CHANGELOG(TABLE {COUNTS})))"
    with harness(sql, {"t": INSERTS}) as h:
        h.push("+I a 1\n+I b 1")
        h.push("+I a 2")
        assert h.take() == rows("+I a 1\n+I b 1\n-D a 1\n+I a 2")


def test_a_code_nobody_named() -> None:
    sql = "SELECT * FROM FROM_CHANGELOG(input => TABLE t{})"
    with harness(sql.format(", error_handling => 'SKIP'"), {"t": CODED}) as h:
        h.push("+I INSERT a 1\n+I TRUNCATE a 1\n+I null a 1")
        assert h.take() == rows("+I a 1")
    with (
        harness(sql.format(""), {"t": CODED}) as h,
        pytest.raises(DataError, match="the operation 'TRUNCATE'"),
    ):
        h.push("+I INSERT a 1\n+I TRUNCATE a 1")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM TO_CHANGELOG()", "needs a table"),
        ("SELECT * FROM TO_CHANGELOG(input => TABLE t, op => DESCRIPTOR(k))", "adds a column 'k'"),
        ("SELECT * FROM TO_CHANGELOG(input => TABLE t, full_deletes => true)", "is not supported"),
        ("SELECT * FROM TO_CHANGELOG(input => TABLE t, produces_full_deletes => 'no')", "TRUE or FALSE"),
        ("SELECT * FROM TO_CHANGELOG(TABLE t, DESCRIPTOR(o), MAP['UPSERT', 'x'])", "is none of INSERT"),
        ("SELECT * FROM TO_CHANGELOG(TABLE t, DESCRIPTOR(o), MAP['INSERT', 'x', 'INSERT', 'y'])", "twice"),
        ("SELECT * FROM FROM_CHANGELOG((SELECT k AS op FROM t))", "no column besides 'op'"),
        ("SELECT * FROM FROM_CHANGELOG(TABLE t)", "needs a STRING column 'op'"),
        ("SELECT * FROM FROM_CHANGELOG(TABLE t, DESCRIPTOR(v))", "needs a STRING column 'v'"),
        ("SELECT * FROM FROM_CHANGELOG(TABLE t, DESCRIPTOR(k), MAP['u', 'UPDATE_AFTER'])", "needs the key"),
        (
            "SELECT * FROM FROM_CHANGELOG(TABLE t, DESCRIPTOR(k), error_handling => 'HOPE')",
            "'FAIL' or 'SKIP'",
        ),
        (f"SELECT * FROM FROM_CHANGELOG((SELECT k, CAST(n AS STRING) AS op FROM {COUNTS}))", "only inserted"),
    ],
)
def test_what_is_refused(sql: str, message: str) -> None:
    with pytest.raises(StreamSqlError, match=message) as raised:
        harness(sql, {"t": INSERTS})
    assert raised.value.position is not None
