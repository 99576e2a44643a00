"""Formats: bytes to rows and back, one format a file. ``base.py`` says what they promise."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from streamsql.catalog.connectors import FormatChoice
from streamsql.schema import Schema

from .base import Decoder, Encoder

_MODULES = {
    "json": "json",
    "csv": "csv",
    "raw": "raw",
    "debezium-json": "debezium_json",
    "parquet": "parquet",
}


def create_decoder(
    choice: FormatChoice, schema: Schema, *, time_zone: str = "UTC", metadata: Sequence[str] = ()
) -> Decoder:
    """A decoder of messages into ``schema`` (then one column per format metadata key)."""
    decoder: Decoder = _module(choice).create_decoder(
        schema, choice.options, time_zone=time_zone, metadata=metadata
    )
    return decoder


def create_encoder(choice: FormatChoice, schema: Schema, *, time_zone: str = "UTC") -> Encoder:
    """An encoder of rows of ``schema`` into messages."""
    encoder: Encoder = _module(choice).create_encoder(schema, choice.options, time_zone=time_zone)
    return encoder


def _module(choice: FormatChoice) -> ModuleType:
    return importlib.import_module(f"{__name__}.{_MODULES[choice.descriptor.name]}")
