"""Sources and sinks, one connector a file. ``base.py`` says what they promise."""

from __future__ import annotations

import importlib
from types import ModuleType

from .base import Sink, SinkContext, Source, SourceContext
from .lookup import LookupContext, LookupTable

_MODULES = {
    "kafka": "kafka",
    "upsert-kafka": "upsert_kafka",
    "filesystem": "filesystem",
    "datagen": "datagen",
    "print": "print",
    "blackhole": "blackhole",
    "in-process": "in_process",
    "jdbc": "jdbc",
}


def create_source(context: SourceContext) -> Source:
    """The source of a table; the module is imported when first needed."""
    source: Source = _module(context.options.connector.name).create_source(context)
    return source


def create_sink(context: SinkContext) -> Sink:
    """The sink of a table."""
    sink: Sink = _module(context.options.connector.name).create_sink(context)
    return sink


def create_lookup(context: LookupContext) -> LookupTable:
    """What answers the keys of a lookup join; for connectors whose descriptor says ``lookup``."""
    table: LookupTable = _module(context.scan.options.connector.name).create_lookup(context)
    return table


def _module(connector: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{_MODULES[connector]}")
