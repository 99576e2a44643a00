"""The transaction that the exactly-once sinks of a job share: whether a job has one, and whether its tables agree."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.descriptors_kafka import delivery_guarantee
from streamsql.catalog.kafka_properties import PREFIX, Client, client_properties, transaction_timeout_ms
from streamsql.catalog.table import TableDefinition
from streamsql.errors import ConfigError

from .base import Transaction

_ONE_PREFIX = "the exactly-once tables of a job share one transaction: give all of them the same prefix"
_ONE_CLIENT = "the exactly-once tables of a job share one transaction: give all of them the same value"


def transaction_of(
    tables: Sequence[tuple[TableDefinition, TableOptions]], job_name: str, interval_ms: int | None = None
) -> Transaction | None:
    """The transaction of a job that writes these tables; None where no guarantee is ``exactly-once``.

    ``interval_ms``: the time between checkpoints. Raises ConfigError where the tables do not fit into one transaction.
    """
    members = [(t, o) for t, o in tables if is_exactly_once(o)]
    if not members:
        return None
    prefix = _common("sink.transactional-id-prefix", [(t, _prefix(o)) for t, o in members], _ONE_PREFIX)
    topics = [topic for _, options in members for topic in options.options["topic"] or ()]
    if not topics:
        raise ConfigError(
            f"table {members[0][0].path}: 'sink.delivery-guarantee' = 'exactly-once' needs the option 'topic'",
            hint="name a topic that rows may go to; the job keeps its progress with it",
        )
    given = [(t, _producer_properties(t, o)) for t, o in members]
    names = dict.fromkeys(name for _, properties in given for name in properties)
    for name in names:
        of_table = [(t, properties.get(name)) for t, properties in given]
        _common(f"{PREFIX}{name}", of_table, _ONE_CLIENT)
    properties = members[0][1].options.with_prefix(PREFIX)
    timeout_ms = transaction_timeout_ms(properties, f"table {members[0][0].path}")
    if interval_ms is not None and interval_ms >= timeout_ms:
        raise ConfigError(
            f"table {members[0][0].path}: a transaction lasts from checkpoint to checkpoint ({interval_ms} ms), "
            f"and brokers end it after {timeout_ms} ms",
            hint="lower 'execution.checkpointing.interval', or raise 'properties.transaction.timeout.ms'",
        )
    from .kafka_decision import Place  # the client is imported where it is needed
    from .kafka_transactions import KafkaTransaction

    return KafkaTransaction(Place(str(prefix), topics[0]), properties, job_name)


def is_exactly_once(options: TableOptions) -> bool:
    """Whether a table is written in the job's transaction."""
    kafka = options.connector.name in ("kafka", "upsert-kafka")
    return kafka and delivery_guarantee(options) == "exactly-once"


def _prefix(options: TableOptions) -> str:
    return str(options.options["sink.transactional-id-prefix"])


def _producer_properties(table: TableDefinition, options: TableOptions) -> dict[str, str]:
    return client_properties(options.options.with_prefix(PREFIX), Client.PRODUCER, f"table {table.path}")


def _common(key: str, of_table: Sequence[tuple[TableDefinition, str | None]], hint: str) -> str | None:
    """The one value of an option. Raises ConfigError for two."""
    first_table, first = of_table[0]
    for table, value in of_table[1:]:
        if value != first:
            raise ConfigError(
                f"tables {first_table.path} and {table.path} are written by one job with 'exactly-once', but "
                f"'{key}' is {_shown(first)} for one and {_shown(value)} for the other",
                hint=hint,
            )
    return first


def _shown(value: str | None) -> str:
    return "not set" if value is None else f"'{value}'"
