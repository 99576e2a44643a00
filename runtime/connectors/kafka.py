"""The ``kafka`` connector. Reading: ``kafka_source.py`` and what it draws in its text; writing:
``kafka_sink.py``."""

from __future__ import annotations

from .base import Sink, SinkContext, Source, SourceContext
from .kafka_sink import KafkaSink
from .kafka_source import KafkaSource


def create_source(context: SourceContext) -> Source:
    return KafkaSource(context)


def create_sink(context: SinkContext) -> Sink:
    return KafkaSink(context)
