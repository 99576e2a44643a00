"""The keys that an operator's state is about: which slot each has, and when it is freed."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ..state.key_index import KeyIndex
from ..state.run_store import RunStore
from ..state.ttl import KeyedTtl
from .base import OperatorContext


def key_index(ctx: OperatorContext, schema: pa.Schema, keys: Sequence[int]) -> KeyIndex:
    """The state ``keys``: a slot for each value of those columns, freed by the operator's time to live."""
    return ctx.state("keys", KeyIndex([schema.field(k).type for k in keys], ctx.ttl_ms()))


def keyed_ttl(ctx: OperatorContext, rows: RunStore, schema: pa.Schema, keys: Sequence[int]) -> KeyedTtl:
    """Frees the rows of a key at once; keys are remembered only where there is a time to live."""
    return KeyedTtl(rows, None if ctx.ttl_ms() is None else key_index(ctx, schema, keys))
