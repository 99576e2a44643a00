"""What of a savepoint a changed job takes, and what it is told about the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamsql.errors import StateError
from streamsql.runtime.checkpoint.matching import NewOperator, NewPart, Restoration, match
from streamsql.runtime.checkpoint.snapshot import JobSnapshot, OperatorSnapshot, SinkSnapshot, SourceSnapshot
from streamsql.runtime.connectors.base import Prepared

ORDERS = SourceSnapshot("s1", "orders", {"orders-0": "17"})
SUMS = OperatorSnapshot("f1", "GroupAggregate", "GroupAggregate(sums)", {}, {"keys": {}, "rows": {}})
TOP = OperatorSnapshot("f2", "Rank", "Rank(top)", {}, {"rows": {}})
CALC = OperatorSnapshot("f3", "Calc", "Calc(x)", {}, {})
TOTALS = SinkSnapshot("t1", "totals")


def saved(*operators: OperatorSnapshot, sources: tuple[SourceSnapshot, ...] = (ORDERS,)) -> JobSnapshot:
    return JobSnapshot(3, "r", "job", "j", 0, sources, operators, (TOTALS,))


def new(old: OperatorSnapshot, *inputs: int, states: tuple[str, ...] | None = None) -> NewOperator:
    names = tuple(old.states) if states is None else states
    return NewOperator(old.fingerprint, old.name, old.description, names, inputs or (-1,))


READ = [NewPart("s1", "orders")]


def refusal(restoration: Restoration) -> str:
    restoration.check(ignore_unclaimed=True)
    with pytest.raises(StateError) as caught:
        restoration.check(ignore_unclaimed=False)
    return str(caught.value)


def test_the_same_job_takes_everything() -> None:
    found = match(saved(SUMS, TOP), READ, [new(SUMS), new(TOP, 0)], [NewPart("t1", "totals")])
    assert found.sources == (ORDERS,) and found.operators == (SUMS, TOP) and found.sinks == (TOTALS,)
    assert found.forgotten == ()
    assert found.report() == [
        "table orders: goes on where it was",
        "GroupAggregate(sums): keeps its state",
        "Rank(top): keeps its state",
    ]
    found.check(ignore_unclaimed=False)


def test_output_that_waits_is_lost_with_its_sink() -> None:
    files = SinkSnapshot("t2", "Sink(files)", Prepared({"files": ["part-1"]}))
    held = replace(saved(), sinks=(TOTALS, files))
    written = [NewPart("t1", "totals")]
    found = match(held, READ, [], written, complete=False)
    assert found.lost == (
        "Sink(files): output that waits to be committed is lost, nothing writes its table any more",
    )
    assert found.lost[0] in refusal(found)
    assert match(held, READ, [], [*written, NewPart("t2", "files")], complete=False).lost == ()
    assert match(held, READ, [], [NewPart("t2", "files")], complete=False).lost == ()  # totals had no output
    assert match(held, READ, [], written).lost == ()  # it was committed


def test_what_is_new_begins_empty_and_that_is_said() -> None:
    sources = [*READ, NewPart("s2", "fruits")]
    found = match(
        saved(SUMS),
        sources,
        [new(TOP), new(SUMS), new(CALC), NewOperator("f9", "Join", "Join(y)", ("left",), (2, -2))],
    )
    assert found.operators == (None, SUMS, None, None)
    assert found.begins == (
        "table fruits: is new and begins as its options say",
        "Rank(top): is new and begins empty, without what its tables held so far",
        "Join(y): is new and begins empty, without what its tables held so far",
    )
    found.check(ignore_unclaimed=False)


def test_a_new_operator_over_a_new_table_misses_nothing() -> None:
    found = match(saved(SUMS), [*READ, NewPart("s2", "fruits")], [new(SUMS), new(TOP, -2)])
    assert found.begins[-1] == "Rank(top): is new and begins empty"


def test_a_new_operator_above_one_that_goes_on_is_warned_of() -> None:
    found = match(saved(SUMS), READ, [new(SUMS), new(CALC, 0), new(TOP, 1)])
    assert found.begins == (
        "Rank(top): is new and begins empty, without what its tables held so far; it can be wrong where "
        "GroupAggregate takes back rows from before",
    )


def test_state_that_nobody_takes_is_refused_with_a_list() -> None:
    found = match(
        saved(SUMS, TOP), READ, [new(SUMS), NewOperator("f8", "Rank", "Rank(top 5)", ("rows",), (0,))]
    )
    assert found.forgotten == (("f2", 0),)
    assert refusal(found) == (
        "the job does not take all of the saved state:\n"
        "  Rank(top): its state is lost, nothing computes it any more\n"
        "  Rank(top 5): is new and begins empty, without what its tables held so far; it can be wrong where "
        "GroupAggregate takes back rows from before\n"
        "Hint: write the statements so that they compute what they did, or accept the loss: "
        "SET 'execution.state-recovery.ignore-unclaimed-state' = 'true'"
    )


def test_a_table_that_nobody_reads_any_more_is_a_loss() -> None:
    other = SourceSnapshot("s2", "fruits", {"0": "5"})
    empty = SourceSnapshot("s3", "values", {})
    found = match(saved(SUMS, sources=(ORDERS, other, empty)), READ, [new(SUMS)])
    assert found.lost == ("table fruits: its position is lost, nothing reads it any more",)


def test_what_has_no_memory_is_no_loss() -> None:
    found = match(saved(CALC, SUMS), READ, [new(SUMS)])
    assert found.lost == () and found.forgotten == ()


def test_equal_operators_are_taken_in_order() -> None:
    second = OperatorSnapshot("f1", "GroupAggregate-2", "GroupAggregate(again)", {}, SUMS.states)
    found = match(saved(SUMS, second), READ, [new(SUMS), new(SUMS)])
    assert [o.name for o in found.operators if o is not None] == ["GroupAggregate", "GroupAggregate-2"]
    fewer = match(saved(SUMS, second), READ, [new(SUMS)])
    assert fewer.forgotten == (("f1", 1),)


def test_state_in_other_pieces_is_not_taken_nor_what_follows() -> None:
    found = match(saved(SUMS, CALC, TOP), READ, [new(SUMS, states=("keys",)), new(CALC, 0), new(TOP, 1)])
    assert found.operators == (None, None, None)
    assert found.forgotten == (("f1", 0), ("f2", 0))
    assert found.lost == (
        "GroupAggregate(sums): its state is lost, it was kept as keys, rows and is now kept as keys "
        "(a time to live was set, or taken away)",
        "Rank(top): its state is lost, what it reads begins afresh",
    )
