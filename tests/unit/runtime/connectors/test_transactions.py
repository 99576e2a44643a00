"""Which tables of a job share its transaction, and which do not fit together."""

import pytest

from streamsql.catalog.connectors import TableOptions, table_options
from streamsql.catalog.table import Column, ObjectPath, TableDefinition
from streamsql.datatypes import BIGINT
from streamsql.errors import ConfigError
from streamsql.runtime.connectors.kafka_transactions import KafkaTransaction
from streamsql.runtime.connectors.transactions import transaction_of

KAFKA = {"connector": "kafka", "topic": "a", "properties.bootstrap.servers": "h:1", "format": "json"}
ONCE = {**KAFKA, "sink.delivery-guarantee": "exactly-once", "sink.transactional-id-prefix": "p"}


def table(name: str, options: dict[str, str]) -> tuple[TableDefinition, TableOptions]:
    made = TableDefinition(ObjectPath("c", "d", name), (Column("k", BIGINT()),), options)
    return made, table_options(made)


def test_tables_without_the_guarantee_need_none() -> None:
    assert transaction_of([], "job") is None
    print_table = table("p", {"connector": "print"})
    assert transaction_of([table("t", KAFKA), print_table], "job") is None


def test_the_first_topic_carries_the_decision() -> None:
    others = [table("plain", {**KAFKA, "topic": "z"}), table("t", ONCE), table("u", {**ONCE, "topic": "b"})]
    transaction = transaction_of(others, "job")
    assert isinstance(transaction, KafkaTransaction)
    assert transaction.record() == {"connector": "kafka", "prefix": "p", "topic": "a"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"sink.transactional-id-prefix": "q"},
            r"c\.d\.t and c\.d\.u .* 'sink\.transactional-id-prefix' is 'p' for one and 'q' for the other",
        ),
        ({"properties.bootstrap.servers": "i:1"}, r"'properties\.bootstrap\.servers' is 'h:1' .* 'i:1'"),
        ({"properties.linger.ms": "7"}, r"'properties\.linger\.ms' is not set for one and '7'"),
    ],
)
def test_two_tables_that_differ(changed: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        transaction_of([table("t", ONCE), table("u", {**ONCE, **changed})], "job")
    assert "share one transaction" in str(caught.value.hint)


def test_properties_of_readers_may_differ() -> None:
    assert transaction_of([table("t", ONCE), table("u", {**ONCE, "properties.fetch.min.bytes": "7"})], "job")


def test_checkpoints_must_come_before_the_transaction_runs_out() -> None:
    short = {**ONCE, "properties.transaction.timeout.ms": "60000"}
    assert transaction_of([table("t", short)], "job", 59_999) is not None
    with pytest.raises(ConfigError, match=r"checkpoint to checkpoint \(60000 ms\).* after 60000 ms"):
        transaction_of([table("t", short)], "job", 60_000)


def test_a_topic_is_needed() -> None:
    options = {k: v for k, v in ONCE.items() if k != "topic"} | {"topic-pattern": "a.*"}
    with pytest.raises(ConfigError, match="needs the option 'topic'"):
        transaction_of([table("t", options)], "job")


def test_a_time_out_that_is_no_number() -> None:
    with pytest.raises(ConfigError, match="found 'soon', expected a number"):
        transaction_of([table("t", {**ONCE, "properties.transaction.timeout.ms": "soon"})], "job")
