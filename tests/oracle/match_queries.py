"""The generator's MATCH_RECOGNIZE between other operators, its rows in an order that no order of arrival decides.

The matcher itself is checked by ``matching.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rank_queries import exact

if TYPE_CHECKING:
    from .queries import Builder, Relation

PATTERNS = ("A B", "A B* C", "A+ B", "A B*? C", "A (B | C) B?", "A B{1,3}? C", "(A B)+ C")
SKIPS = ("", "AFTER MATCH SKIP PAST LAST ROW", "AFTER MATCH SKIP TO LAST B", "AFTER MATCH SKIP TO NEXT ROW")


def match(b: Builder, depth: int) -> Relation:
    """Matches of a short pattern over a relation with a time, by random conditions."""
    from .queries import Relation, T, U

    r = b.relation(depth - 1)
    if r.time is None or r.updating:
        r = (T, U)[b.choose(2)]
    r = exact(b, r)
    assert r.time is not None
    pattern = str(b.pick(*PATTERNS))
    skip = str(b.pick(*(s for s in SKIPS if not s.endswith("B") or pattern in ("A B", "A+ B"))))
    within = str(b.pick("", "", " WITHIN INTERVAL '7' SECOND", " WITHIN INTERVAL '20' SECOND"))
    names = [n for n, _ in r.columns]
    keys = [n for n in names if n != r.time and b.one_in(4)][:2]
    order = ", ".join([f"{r.time}", *(n for n in names if n != r.time)])
    column, kind = r.columns[b.choose(len(r.columns))]
    others = [b.condition(r, 1), b.condition(r, 1)]
    conditions = {
        "A": b.condition(r, 1),
        "B": b.pick(f"B.{column} >= A.{column}", f"LAST({column}, 1) IS NOT NULL", "COUNT(*) < 4", others[0]),
        "C": b.pick(
            f"C.{column} <> LAST({column}, 2)", f"MAX(A.{column}) < C.{column}", f"NOT ({others[1]})"
        ),
    }
    define = ", ".join(f"{v} AS {c}" for v, c in conditions.items() if v in pattern and not b.one_in(5))
    made = [
        (b.name(), "big", "COUNT(*)"),
        (b.name(), "big", "COUNT(B.*)"),
        (b.name(), kind, f"LAST(B.{column})"),
    ]
    made.append((b.name(), kind, f"FIRST({column})"))
    time = b.name() if b.one_in(2) else None
    if time is not None:
        made.append((time, r.kind(r.time), "MATCH_ROWTIME()"))
    measures = ", ".join(f"{e} AS {n}" for n, _, e in made)
    by = f"PARTITION BY {', '.join(keys)} " if keys else ""
    body = f"{by}ORDER BY {order} MEASURES {measures} {skip} PATTERN ({pattern}){within}"
    sql = f"SELECT * FROM ({r.sql}) MATCH_RECOGNIZE ({body}{f' DEFINE {define}' if define else ''})"
    columns = (*((n, r.kind(n)) for n in keys), *((n, k) for n, k, _ in made))
    return Relation(sql, columns, time=time)


FORMS = (match,)
