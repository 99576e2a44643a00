"""Whether a table's scan ends by itself, decided from its options alone."""

from __future__ import annotations

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.table import TableDefinition


def is_bounded(table: TableDefinition, options: TableOptions) -> bool:
    """True for files without a monitor interval, databases, bounded Kafka reads, generators and tables with an end."""
    own = options.options
    match options.connector.name:
        case "filesystem":
            return own["source.monitor-interval"] is None
        case "kafka":
            return str(own["scan.bounded.mode"]) != "unbounded"
        case "jdbc":
            return True
        case "datagen":
            return "number-of-rows" in own or any(
                k.endswith(".kind") and v == "sequence" for k, v in own.given.items()
            )
        case "in-process":
            return own["bounded"] is True or bool(getattr(table.data, "finished", False))
        case _:
            return False
