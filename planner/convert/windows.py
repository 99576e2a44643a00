"""Window table functions."""

from __future__ import annotations

from streamsql.errors import UnsupportedError

from .. import logical as l
from .. import physical as p
from .converter import Converter


def window_table(node: l.WindowTable, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    if source.updating and node.window.kind == "SESSION":
        raise UnsupportedError(
            "SESSION windows over an updating table are not supported",
            hint="aggregate an insert-only table",
        )
    return p.WindowTableFunction(schema=node.schema, inputs=(source,), mode=source.mode, window=node.window)
