"""MATCH_RECOGNIZE."""

from __future__ import annotations

from streamsql.errors import UnsupportedError

from .. import physical as p
from ..logical_match import MatchRecognize
from .converter import Converter


def match_recognize(node: MatchRecognize, c: Converter) -> p.PhysicalNode:
    source = c.convert(node.input)
    if source.updating:
        raise UnsupportedError(
            "MATCH_RECOGNIZE reads rows that are only inserted, but its input changes rows it has given before",
            hint="match over the insert-only table itself, or over a window aggregate",
        )
    return p.Match(schema=node.schema, inputs=(source,), logical=node)
