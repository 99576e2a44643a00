"""Temporal joins: versions by event time against DuckDB's ASOF join, lookup tables against batch mode."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from streamsql.errors import UnsupportedError, ValidationError
from streamsql.testing.compare import difference

from .data import CHANGES, EVENTS, UPSERTS
from .run import batch, final, restarted, run_every_way, session
from .tables import MILLIS, RETRACT, UPSERT, Input, table

T = Input("t", EVENTS.rows, "ts", 5)
_RATES = {"cur": pa.string(), "rate": pa.int32(), "since": MILLIS}
_HISTORY = (
    ("a", 10, 0),
    ("b", 20, 2),
    ("a", 11, 2.9),
    ("c", 30, 6),
    ("a", 12, 3),
    ("b", 21, 10),
    ("a", 13, 9),
    ("d", 40, 33.5),
    ("a", 14, 35),
    ("b", None, 32),
    ("b", 23, 60),
    ("a", 15, 66),
)
RATES = Input("r", table(_RATES, *_HISTORY), "since", 2, key=("cur",))

NAMED = "SELECT t.k, t.v, r.rate FROM t JOIN r FOR SYSTEM_TIME AS OF t.ts ON t.k = r.cur"
JOINED = "SELECT t.k, t.v, t.ts, r.rate, r.since FROM t {0} r FOR SYSTEM_TIME AS OF t.ts {1} ON t.k = r.cur"
PLAIN = "SELECT t.k, t.v, t.ts, r.rate, r.since FROM t ASOF {0} r ON t.k = r.cur AND t.ts >= r.since"


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
def test_versions(kind: str) -> None:
    rows = run_every_way(JOINED.format(kind, ""), [T, RATES], PLAIN.format(kind))
    assert {row[3] for row in rows} >= {10, 12, 13, 14, 20, 21, 30}


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
def test_a_further_condition_is_about_the_version_that_held(kind: str) -> None:
    plain = "SELECT t.k, t.v, r.rate FROM (" + PLAIN.format("LEFT JOIN").replace(
        "t.k, t.v, t.ts", "t.*"
    ).replace("r.rate, r.since", "r.rate")
    matched = "SELECT t.*, r.rate AS r FROM t ASOF LEFT JOIN r ON t.k = r.cur AND t.ts >= r.since"
    plain = f"SELECT k, v, CASE WHEN r > v + 9 THEN r END FROM ({matched})"
    if kind == "JOIN":
        plain += " WHERE r > v + 9"
    sql = f"SELECT t.k, t.v, r.rate FROM t {kind} r FOR SYSTEM_TIME AS OF t.ts ON t.k = r.cur AND r.rate > t.v + 9"
    run_every_way(sql, [T, RATES], plain)


def test_a_restarted_temporal_join_goes_on() -> None:
    sql = JOINED.format("LEFT JOIN", "")
    assert difference(restarted(sql, [T, RATES], step=3), final(sql, [T, RATES])) is None


def test_versions_of_an_upsert_table_with_deletions() -> None:
    log = ((+1, "a", 10, 0), (+1, "b", 20, 2), (-1, "a", 10, 4), (+1, "a", 12, 9), (-1, "b", 20, 20))
    rates = Input(
        "r",
        table(_RATES, *(row[1:] for row in log)),
        "since",
        0,
        weights=tuple(row[0] for row in log),
        mode=UPSERT,
        key=("cur",),
    )
    # the same table read for what it is now does not take versions away
    now = "SELECT CAST(NULL AS STRING), CAST(NULL AS INT), SUM(rate) FROM r"
    both = f"SELECT t.k, t.v, r.rate FROM t JOIN r FOR SYSTEM_TIME AS OF t.ts ON t.k = r.cur UNION ALL {now}"
    for step in (1, 2, 100):
        assert (None, None, 12) in final(both, [T, rates], step=step)
        assert len(final(both, [T, rates], step=step)) == 12
    for step in (1, 2, 100):
        found = final(NAMED, [T, rates], step=step)
        a = sorted((v, rate) for k, v, rate in found if k == "a" and v is not None)
        assert a == [(-1, 12), (0, 12), (1, 10), (5, 12), (9, 12), (100, 12)]
        assert sorted(v for k, v, _ in found if k == "b") == [-5, 2, 2, 6]
        assert difference(found, batch(NAMED, [T, rates])) is None


def test_updates_of_a_retracting_table_are_no_deletions() -> None:
    """−U and +U are two rows of a changelog; wherever a step cuts them, the old version holds until the new one."""
    log = ((+1, "a", 10, 0), (-1, "a", 10, 0), (+1, "a", 11, 4), (-1, "a", 11, 4), (+1, "a", 12, 9))
    rates = Input(
        "r",
        table(_RATES, *(row[1:] for row in log)),
        "since",
        5,
        weights=tuple(row[0] for row in log),
        mode=RETRACT,
        key=("cur",),
    )
    for step in (1, 2, 100):
        sql = (
            "SELECT t.v, r.rate FROM t JOIN r FOR SYSTEM_TIME AS OF t.ts ON t.k = r.cur WHERE t.v IS NOT NULL"
        )
        found = final(sql, [T, rates], step=step)
        assert sorted(found) == [(-1, 12), (0, 12), (1, 10), (1, 11), (5, 12), (9, 12), (100, 12)]
        assert difference(found, batch(sql, [T, rates])) is None


def test_a_view_that_keeps_the_last_row_has_versions() -> None:
    history = Input("h", RATES.rows, "since", 2)
    view = (
        "CREATE TEMPORARY VIEW r AS SELECT cur, rate, since FROM (SELECT *, ROW_NUMBER() OVER "
        "(PARTITION BY cur ORDER BY since DESC) AS n FROM h) WHERE n = 1"
    )
    plain = PLAIN.format("LEFT JOIN").replace(" r ON", " h AS r ON")
    run_every_way(JOINED.format("LEFT JOIN", ""), [T, history], plain, setup=[view])


LOG = (
    (+1, "a", 10, 0), (+1, "b", 20, 2), (-1, "a", 10, 0), (+1, "a", 30, 3), (-1, "a", 30, 3), (+1, "a", 11, 8),
    (-1, "b", 20, 2), (+1, "b", 50, 9), (-1, "b", 50, 9), (+1, "b", 21, 33), (+1, "c", 90, 1), (-1, "a", 11, 8),
)  # fmt: skip
UPSERT_LOG = (
    (+1, "a", 10, 0),
    (+1, "b", 20, 2),
    (+1, "a", 30, 3),
    (+1, "a", 11, 8),
    (-1, "b", 20, 6),
    (+1, "b", 21, 33),
)


def changing(mode: str) -> Input:
    log = LOG if mode == RETRACT else UPSERT_LOG
    rows, weights = table(_RATES, *(row[1:] for row in log)), tuple(row[0] for row in log)
    return Input("r", rows, "since", 80, weights=weights, mode=mode, key=("cur",))


LAST = (
    "SELECT cur, rate, since FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cur ORDER BY since DESC) AS n FROM r) "
    "WHERE n = 1"
)
PASSING = "rate < 25 AND cur <> 'c'"
FILTERED = {
    "a table": (RATES, f"SELECT * FROM r WHERE {PASSING}"),
    "upserts": (changing(UPSERT), f"SELECT * FROM r WHERE {PASSING}"),
    "retractions": (changing(RETRACT), f"SELECT * FROM r WHERE {PASSING}"),
    "the last row of a key": (replace(RATES, key=()), f"{LAST} AND {PASSING}"),
    "twice": (replace(RATES, key=()), f"SELECT * FROM ({LAST} AND rate < 25) WHERE cur <> 'c'"),
}


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
@pytest.mark.parametrize("name", FILTERED)
def test_a_version_that_a_filter_leaves_out_ends_the_one_before(name: str, kind: str) -> None:
    rates, view = FILTERED[name]
    sql = (
        JOINED.format(kind, "").replace(" r FOR", " f FOR").replace("of t.ts", "OF t.ts").replace("r.", "f.")
    )
    found = run_every_way(
        sql, [T, rates], setup=[f"CREATE TEMPORARY VIEW f AS {view}"], steps=(1, 3, 100), shuffles=()
    )
    whole = (
        sql.replace(" f FOR", " v FOR")
        .replace("f.", "v.")
        .replace("JOIN", "LEFT JOIN")
        .replace("LEFT LEFT", "LEFT")
    )
    below = LAST if LAST in view else "SELECT * FROM r"
    every = batch(whole, [T, rates], setup=[f"CREATE TEMPORARY VIEW v AS {below}"])
    passed = [r for r in every if r[3] is not None and r[3] < 25 and r[0] != "c"]
    expected = passed if kind == "JOIN" else [r if r in passed else (*r[:3], None, None) for r in every]
    assert difference(found, expected) is None
    assert len(passed) < len(every)
    text = difference(restarted(sql, [T, rates], step=3, views={"f": view}), found)
    assert text is None, text


def test_a_window_over_a_temporal_join() -> None:
    sql = (
        "SELECT window_start, SUM(v * rate) AS s FROM TABLE(TUMBLE(TABLE (SELECT t.ts, t.v, r.rate FROM t JOIN r "
        "FOR SYSTEM_TIME AS OF t.ts ON t.k = r.cur), DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
        "GROUP BY window_start, window_end"
    )
    plain = (
        "SELECT time_bucket(INTERVAL '10 seconds', t.ts), SUM(v * rate) FROM t ASOF JOIN r "
        "ON t.k = r.cur AND t.ts >= r.since GROUP BY 1"
    )
    run_every_way(sql, [T, RATES], plain)


def test_left_rows_that_are_taken_back_in_time() -> None:
    log = (
        (+1, "a", 1, 1),
        (+1, "b", 2, 3),
        (-1, "a", 1, 1),
        (+1, "a", 3, 4),
        (+1, "a", 4, 9),
        (-1, "b", 2, 3),
        (+1, "b", 5, 12),
    )
    changing = Input(
        "t",
        table({"k": pa.string(), "v": pa.int32(), "ts": MILLIS}, *(row[1:] for row in log)),
        "ts",
        10,
        weights=tuple(row[0] for row in log),
        mode=RETRACT,
    )
    run_every_way(JOINED.format("LEFT JOIN", ""), [changing, RATES], PLAIN.format("LEFT JOIN"))


# -- present rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
@pytest.mark.parametrize("on", ["t.k = d.k", "t.k = d.k AND t.v < d.v", "t.v = d.v + 1", "t.v < d.v"])
@pytest.mark.parametrize("lookup", [CHANGES, UPSERTS], ids=["retracting", "upserts"])
def test_a_table_that_ends_is_loaded_first(kind: str, on: str, lookup: Input) -> None:
    name = lookup.name
    sql = f"SELECT t.k, t.v, d.v AS dv FROM t {kind} {name} FOR SYSTEM_TIME AS OF PROCTIME() AS d ON {on}"
    run_every_way(sql, [T, lookup], steps=(1, 7))


def test_what_comes_out_of_a_lookup_join_keeps_its_event_time() -> None:
    sql = (
        "SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (SELECT t.ts FROM t JOIN c "
        "FOR SYSTEM_TIME AS OF PROCTIME() AS c ON t.k = c.k), DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
        "GROUP BY window_start, window_end"
    )
    run_every_way(sql, [T, CHANGES])


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (JOINED.format("RIGHT JOIN", ""), "a RIGHT JOIN with r FOR SYSTEM_TIME AS OF is not supported"),
        (
            "SELECT * FROM t JOIN r FOR SYSTEM_TIME AS OF t.v ON t.k = r.cur",
            "expects a time attribute of the rows on the left",
        ),
        (
            "SELECT * FROM t JOIN r FOR SYSTEM_TIME AS OF t.ts ON t.v = r.rate",
            "must make its whole key (cur) equal",
        ),
        (
            "SELECT t.v FROM t JOIN r FOR SYSTEM_TIME AS OF t.ts ON t.v = r.rate",
            "must make its whole key (cur) equal\nline 1",
        ),
        ("SELECT * FROM t JOIN c FOR SYSTEM_TIME AS OF t.ts ON t.k = c.k", "it has no event time"),
        ("SELECT * FROM r JOIN t FOR SYSTEM_TIME AS OF r.since ON t.k = r.cur", "it has no key"),
        ("SELECT * FROM t FOR SYSTEM_TIME AS OF t.ts", "stands after JOIN"),
        (
            "SELECT c.k FROM c JOIN r FOR SYSTEM_TIME AS OF PROCTIME() ON c.k = r.cur",
            "of rows that are updated is not supported",
        ),
    ],
)
def test_refusals(sql: str, message: str) -> None:
    with session([T, RATES, CHANGES]) as env, pytest.raises((UnsupportedError, ValidationError)) as e:
        env.execute_sql(sql)
    assert message in str(e.value)
