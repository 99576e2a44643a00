"""Forms of random queries: grouping sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .queries import Builder, Relation


def grouping_sets(b: Builder, depth: int) -> Relation:
    """GROUP BY with several sets of keys, beside the window's where the input has one and the draw says so."""
    r = b.relation(depth - 1)
    keys = b.keys(r)
    if not keys:
        return b.project(depth)
    window = r.window if r.window and b.one_in(2) else None
    listed = ", ".join(keys)
    sets = str(
        b.pick(
            f"ROLLUP ({listed})",
            f"CUBE ({listed})",
            f"GROUPING SETS (({listed}), ({keys[0]}))",
            f"GROUPING SETS (({listed}), ({keys[-1]}), ())",
        )
    )
    items = [(k, b.name(), r.kind(k)) for k in keys]
    items += [(w, b.name(), "time") for w in window or ()]
    items += [(f"GROUPING({keys[-1]})", b.name(), "big")] + [(c, b.name(), k) for c, k in b.calls(r)]
    body = ", ".join(f"{e} AS {n}" for e, n, _ in items)
    by = ", ".join([*(window or ()), sets])
    sql = f"SELECT {body} FROM ({r.sql}){b.where(r)} GROUP BY {by}"
    columns = tuple((n, k) for _, n, k in items)
    renamed = {e: n for e, n, _ in items}
    return replace(
        r,
        sql=sql,
        columns=columns,
        updating=window is None,
        ordered=False,
        time=None,
        window=(renamed[window[0]], renamed[window[1]]) if window else None,
    )


FORMS: tuple[Callable[[Builder, int], Relation], ...] = (grouping_sets,)
