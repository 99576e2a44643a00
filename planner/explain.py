"""EXPLAIN: plans as text in Flink's form, ``Name(key=[value], …)`` with children below ``+- ``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from . import logical as l
from . import physical as p
from .changelog_mode import keys_of

N = TypeVar("N", l.LogicalNode, p.PhysicalNode)


def logical_text(roots: Sequence[l.LogicalNode]) -> str:
    """The logical plan."""
    return "\n".join(_draw(root, lambda n: "Logical" + n.describe(), lambda n: n.inputs) for root in roots)


def physical_text(roots: Sequence[p.PhysicalNode], *, changelog: bool = False, share: bool = False) -> str:
    """The physical plan; ``changelog`` adds ``changelogMode=[…]`` and the upsert key per node.

    ``share``: a node read by several consumers is drawn once and then referred to by ``reuse_id``.
    """
    readers: dict[int, int] = {}
    for node in p.PhysicalPlan(tuple(roots)).nodes():
        for i in node.inputs:
            readers[id(i)] = readers.get(id(i), 0) + 1
    shared = {i: n + 1 for n, i in enumerate(k for k, count in readers.items() if count > 1)} if share else {}
    drawn: set[int] = set()

    def line(node: p.PhysicalNode) -> str:
        fields = [f"{k}=[{v}]" for k, v in node.fields()]
        if changelog:
            fields.append(f"changelogMode=[{node.short_kinds()}]")
            keys = keys_of(node)
            if keys is not None and node.updating:
                fields.append(f"upsertKeys=[({', '.join(keys)})]")
        number = shared.get(id(node))
        if number is not None and id(node) in drawn:
            return f"Reused(reference_id=[{number}])"
        text = f"{node.name}({', '.join(fields)})"
        return text if number is None else f"{text}(reuse_id=[{number}])"

    def children(node: p.PhysicalNode) -> Sequence[p.PhysicalNode]:
        if id(node) in shared and id(node) in drawn:
            return ()
        drawn.add(id(node))
        return node.inputs

    return "\n\n".join(_draw(root, line, children) for root in roots)


def _draw(root: N, line: Callable[[N], str], children: Callable[[N], Sequence[N]]) -> str:
    out: list[str] = []

    def visit(node: N, prefix: str, branch: str) -> None:
        out.append(prefix + branch + line(node))
        below = children(node)
        inner = prefix + {"": "", "+- ": "   ", ":- ": ":  "}[branch]
        for i, child in enumerate(below):
            visit(child, inner, "+- " if i == len(below) - 1 else ":- ")

    visit(root, "", "")
    return "\n".join(out)
