"""Logical to physical: chooses an operator per node, merges projections and filters into Calc, shares equal sub-plans.

Modes are filled in afterwards by :mod:`~streamsql.planner.changelog_mode`; here every updating node is RETRACT and
upsert sources UPSERT. One module a family of nodes; ``HANDLERS`` says which function converts which node.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import logical as l
from .. import physical as p
from ..logical_changelog import FromChangelog, ToChangelog
from ..logical_joins import TemporalJoin
from ..logical_match import MatchRecognize
from .calc import unnest
from .changelog import from_changelog, to_changelog
from .converter import Converter, Handler
from .converter import PhysicalOptions as PhysicalOptions
from .expand import expand
from .groups import aggregate
from .joins import join
from .match import match_recognize
from .over import over_aggregate
from .ranks import calc_or_top_n, sort
from .sets import set_operation, union
from .sinks import collect, sink
from .sources import scan, values, view, watermark
from .temporal import temporal_join
from .windows import window_table

HANDLERS: Mapping[type[l.LogicalNode], Handler] = {
    l.Scan: scan,
    l.Values: values,
    l.Watermark: watermark,
    l.View: view,
    l.Project: calc_or_top_n,
    l.Filter: calc_or_top_n,
    l.Unnest: unnest,
    l.WindowTable: window_table,
    l.Aggregate: aggregate,
    l.Sort: sort,
    l.Over: over_aggregate,
    l.Join: join,
    TemporalJoin: temporal_join,
    l.Expand: expand,
    ToChangelog: to_changelog,
    FromChangelog: from_changelog,
    l.Union: union,
    l.SetOperation: set_operation,
    MatchRecognize: match_recognize,
    l.Sink: sink,
    l.Collect: collect,
}


def to_physical(
    root: l.LogicalNode, options: PhysicalOptions, memo: dict[str, p.PhysicalNode]
) -> p.PhysicalNode:
    """The physical tree of one root.

    ``memo`` is shared by the roots of a job, so that equal sub-plans become one node.
    """
    return Converter(HANDLERS, options, memo).convert(root)
