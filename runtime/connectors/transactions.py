"""Which sinks of a job write in a transaction, and what opens it."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition

from .base import Transaction

GUARANTEE = "sink.delivery-guarantee"


def transaction_of(tables: Sequence[tuple[TableDefinition, TableOptions]], job_name: str) -> Transaction | None:
    """The transaction of the sinks with ``sink.delivery-guarantee`` = ``exactly-once``; None where none has it.

    Raises ConfigError where they cannot share one.
    """
    wanted = [
        (table, options)
        for table, options in tables
        if options.options.declares(GUARANTEE) and options.options[GUARANTEE] == "exactly-once"
    ]
    if not wanted:
        return None
    from .kafka_transactions import transaction_of as open_transaction

    return open_transaction(wanted, job_name)
