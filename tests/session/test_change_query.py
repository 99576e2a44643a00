"""A job goes on from a savepoint with statements that changed: what it keeps, what it refuses, what begins empty."""

from __future__ import annotations

from typing import Any

import pytest

from streamsql import StreamSqlError
from streamsql.errors import StateError
from tests.session.market import SUMS, Market


@pytest.mark.parametrize(
    "statement",
    [
        SUMS,
        SUMS.replace("''", "UPPER(fruit)"),
        "INSERT INTO totals SELECT f.fruit, SUM(f.kilos) AS k, '' AS l FROM orders AS f GROUP BY f.fruit",
        SUMS.replace("''", "CAST(SUM(kilos) AS STRING)"),
        f"{SUMS} HAVING SUM(kilos) > 2",
        f"EXECUTE STATEMENT SET BEGIN INSERT INTO log SELECT fruit, kilos FROM orders; {SUMS}; END",
        f"EXECUTE STATEMENT SET BEGIN {SUMS}; INSERT INTO log SELECT fruit, COUNT(*) FROM orders GROUP BY fruit; END",
    ],
    ids=["same", "computed column", "alias", "cast", "filter", "another insert", "another aggregate"],
)  # fmt: skip
def test_state_is_kept(market: Market, statement: str) -> None:
    market.saved(SUMS)
    market.goes_on(statement)
    assert [r[:2] for r in market.rows() if r[0] == "apple"] == [("apple", 3)]


def test_what_begins_empty_is_said(market: Market) -> None:
    market.saved(SUMS)
    more = "INSERT INTO log SELECT fruit, MAX(kilos) FROM orders GROUP BY fruit"
    notes = market.goes_on(f"EXECUTE STATEMENT SET BEGIN {SUMS}; {more}; END")
    kept, begins = notes[1:]
    assert "SUM(kilos)" in kept and kept.endswith("keeps its state")
    assert "MAX(kilos)" in begins
    assert begins.endswith("is new and begins empty, without what its tables held so far")


def test_another_query_is_refused_with_what_would_be_lost(market: Market) -> None:
    market.saved(SUMS)
    with pytest.raises(StreamSqlError) as caught:
        market.env.execute_sql(SUMS.replace("SUM(kilos)", "MAX(kilos)"))
    text = str(caught.value)
    assert isinstance(caught.value, StateError)
    assert "select=[fruit, SUM(kilos) AS EXPR$1]): its state is lost, nothing computes it any more" in text
    assert "SET 'execution.state-recovery.ignore-unclaimed-state' = 'true'" in text


def test_the_loss_can_be_accepted(market: Market) -> None:
    market.saved(SUMS)
    market.set("execution.state-recovery.ignore-unclaimed-state", "true")
    notes = market.goes_on(SUMS.replace("SUM(kilos)", "MAX(kilos)"))
    assert any("its state is lost" in n for n in notes)
    assert ("apple", 2, "") in market.rows()


def test_a_time_to_live_may_change(market: Market) -> None:
    market.set("table.exec.state.ttl", "1 h")
    market.saved(SUMS)
    market.set("table.exec.state.ttl", "2 h")
    market.goes_on(SUMS)
    assert ("apple", 3, "") in market.rows()


def test_a_time_to_live_where_none_was_is_refused(market: Market) -> None:
    recomputed = SUMS.replace("SUM(kilos)", "CAST(LISTAGG(CAST(kilos AS STRING), '') AS BIGINT)")
    market.saved(recomputed)
    market.set("table.exec.state.ttl", "2 h")
    with pytest.raises(StateError) as caught:
        market.env.execute_sql(recomputed)
    assert "it was kept as flags, rows and is now kept as flags, keys, rows" in str(caught.value)


PER_FRUIT = "(SELECT fruit, SUM(kilos) AS s, COUNT(*) AS n FROM orders GROUP BY fruit)"
FEWER = f"SELECT 1 FROM {PER_FRUIT} b WHERE b.s = a.s + 1"
COUNTS = f"SELECT fruit, n FROM {PER_FRUIT}"
RANKED = f"SELECT *, ROW_NUMBER() OVER (ORDER BY s DESC) AS r FROM {PER_FRUIT}"


@pytest.mark.parametrize(
    ("query", "result"),
    [
        (f"SELECT 'n', SUM(s), '' FROM {PER_FRUIT}", None),
        (f"SELECT 'n', COUNT(*), '' FROM {PER_FRUIT}", None),
        (f"SELECT fruit, s, '' FROM {PER_FRUIT} a WHERE NOT EXISTS ({FEWER})", None),
        (f"SELECT CAST(s AS STRING), COUNT(*), '' FROM {PER_FRUIT} GROUP BY s", ("3", 1, "")),
        (f"SELECT 'm', MAX(s), '' FROM {PER_FRUIT}", ("m", 3, "")),
        (f"SELECT fruit, s, '' FROM ({RANKED}) WHERE r < 3", ("apple", 3, "")),
        (f"SELECT a.fruit, a.s, '' FROM {PER_FRUIT} a JOIN {PER_FRUIT} b ON a.fruit = b.fruit", None),
        (f"SELECT fruit, s, '' FROM (SELECT fruit, s FROM {PER_FRUIT} EXCEPT {COUNTS})", ("apple", 3, "")),
    ],
    ids=["sum", "count", "anti join", "group", "max", "top", "join", "except"],
)  # fmt: skip
def test_what_is_new_above_updates_meets_rows_it_never_saw(
    market: Market, query: str, result: tuple[Any, ...] | None
) -> None:
    """It must not fail, and it is said; what a row that it never saw amounts to is up to the operator."""
    market.env.execute_sql(
        "CREATE TABLE kept (fruit STRING PRIMARY KEY NOT ENFORCED, s BIGINT, n BIGINT) WITH ('connector'='blackhole')"
    )
    keeps = f"INSERT INTO kept SELECT * FROM {PER_FRUIT}"
    market.saved(keeps)
    notes = market.goes_on(f"EXECUTE STATEMENT SET BEGIN {keeps}; INSERT INTO totals {query}; END")
    assert any("it can be wrong where GroupAggregate takes back rows from before" in n for n in notes)
    assert result is None or market.rows() == [result]
