"""Which columns of a Kafka table the key and the value of a message hold."""

from __future__ import annotations

from dataclasses import dataclass

from streamsql.catalog.connectors import FormatChoice, TableOptions
from streamsql.catalog.descriptors_kafka import key_columns
from streamsql.catalog.table import TableDefinition
from streamsql.schema import Field, Schema

_BY_NAME = ("json", "debezium-json")
"""Formats that find fields by name: only the wanted ones need decoding. The others need every column."""


@dataclass(frozen=True)
class Part:
    """The key or the value: its format, the table's columns it holds, and their schema as the format sees
    it."""

    format: FormatChoice
    columns: tuple[str, ...]
    schema: Schema

    def narrowed(self, wanted: frozenset[str]) -> Part:
        """Only the wanted columns, where the format allows.

        Never fewer than two of several: messages are still checked, and a JSON message that is no object is
        not mistaken for the bare value of an only column.
        """
        options = self.format.options
        strict = self.format.descriptor.name == "json" and options["fail-on-missing-field"]
        if self.format.descriptor.name not in _BY_NAME or strict or len(self.columns) <= 2:
            return self
        keep = [i for i, name in enumerate(self.columns) if name in wanted]
        keep = sorted([*keep, *(i for i in range(len(self.columns)) if i not in keep)][: max(2, len(keep))])
        return Part(
            self.format, tuple(self.columns[i] for i in keep), Schema(tuple(self.schema[i] for i in keep))
        )


@dataclass(frozen=True)
class Layout:
    """``key`` is None for a table without key format."""

    key: Part | None
    value: Part


def layout_of(table: TableDefinition, options: TableOptions) -> Layout:
    """The layout that CREATE TABLE declares, with all columns."""
    assert options.value_format is not None, "checked by the connector's validate"
    physical = {c.name: c.type for c in table.physical_columns}
    keys = key_columns(table, options) if options.key_format is not None else []
    prefix = str(options.options["key.fields-prefix"])
    except_key = options.options["value.fields-include"] == "EXCEPT_KEY"

    def fields(names: list[str], strip: str) -> Schema:
        found = []
        for name in names:
            declared = physical[name]
            assert declared is not None
            found.append(Field(name.removeprefix(strip), declared))
        return Schema(tuple(found))

    key = None
    if options.key_format is not None:
        key = Part(options.key_format, tuple(keys), fields(keys, prefix))
    values = [name for name in physical if not (except_key and name in keys)]
    return Layout(key, Part(options.value_format, tuple(values), fields(values, "")))
