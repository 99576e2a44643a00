"""The ``jdbc`` connector: tables of a PostgreSQL database, read once, asked by key, written."""

from __future__ import annotations

from .base import Sink, SinkContext, Source, SourceContext
from .jdbc_lookup import JdbcLookup
from .jdbc_sink import JdbcSink
from .jdbc_source import JdbcSource
from .lookup import LookupContext, LookupTable


def create_source(context: SourceContext) -> Source:
    return JdbcSource(context)


def create_lookup(context: LookupContext) -> LookupTable:
    """What answers the keys of a lookup join."""
    return JdbcLookup(context)


def create_sink(context: SinkContext) -> Sink:
    return JdbcSink(context)
