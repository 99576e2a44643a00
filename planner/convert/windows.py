"""Window table functions."""

from __future__ import annotations

from streamsql.changelog import ChangelogMode

from .. import logical as l
from .. import physical as p
from .converter import Converter


def window_table(node: l.WindowTable, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    grows = node.window.kind == "SESSION"  # its rows come when the session is complete
    return p.WindowTableFunction(
        schema=node.schema,
        inputs=(source,),
        mode=ChangelogMode.INSERT_ONLY if grows else source.mode,
        window=node.window,
    )
