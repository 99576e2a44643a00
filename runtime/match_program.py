"""A row pattern as a program: states that take one row each, and where a match may go after it, best way first.

::

    A B* C        start → [A]      A → [B, C]      B → [B, C]      C → [END]
    A B*? C       start → [A]      A → [C, B]      B → [C, B]      C → [END]

Repetitions are written out (``A{2,3}`` is ``A A A?``). The order of the ways is that in which a matcher that backtracks
would try them; so a match that follows better ways is preferred, whenever it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamsql.planner import row_pattern as p

END = -1
"""Not a state: the match is complete."""


@dataclass(frozen=True)
class Program:
    """State ``i`` takes a row that satisfies ``variables[states[i]]`` and goes on at ``follow[i]``."""

    variables: tuple[str, ...]
    states: tuple[int, ...]
    start: tuple[int, ...]
    follow: tuple[tuple[int, ...], ...]


@dataclass
class _Node:
    """An instruction: takes a row of ``variable``, or (−1) branches to ``ways`` without taking one."""

    variable: int
    ways: list[int]


class _Writer:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.nodes: list[_Node] = []

    def node(self, variable: int, ways: list[int]) -> int:
        self.nodes.append(_Node(variable, ways))
        return len(self.nodes) - 1

    def write(self, pattern: p.Pattern, after: int) -> int:
        """Instructions for ``pattern`` that go on at ``after``; returns the first one."""
        match pattern:
            case p.Variable(name):
                return self.node(self.names.index(name), [after])
            case p.Sequence(parts):
                for part in reversed(parts):
                    after = self.write(part, after)
                return after
            case p.Alternation(parts):
                return self.node(-1, [self.write(part, after) for part in parts])
            case p.Repeat(part, minimum, maximum, reluctant):
                first = self._optional(part, minimum, maximum, reluctant, after)
                for _ in range(minimum):
                    first = self.write(part, first)
                return first

    def _optional(
        self, part: p.Pattern, minimum: int, maximum: int | None, reluctant: bool, after: int
    ) -> int:
        """What may follow the first ``minimum`` repetitions."""
        if maximum is None:
            loop = self.node(-1, [])
            self.nodes[loop].ways = _ways(self.write(part, loop), after, reluctant)
            return loop
        first = after
        for _ in range(maximum - minimum):
            first = self.node(-1, _ways(self.write(part, first), after, reluctant))
        return first


def _ways(again: int, on: int, reluctant: bool) -> list[int]:
    return [on, again] if reluctant else [again, on]


def compile_pattern(pattern: p.Pattern) -> Program:
    """The program of a pattern."""
    writer = _Writer(p.variables(pattern))
    entry = writer.write(pattern, END)
    taking = [i for i, node in enumerate(writer.nodes) if node.variable >= 0]
    number = {node: state for state, node in enumerate(taking)} | {END: END}

    def reached(first: int) -> tuple[int, ...]:
        """The states reached without a row, best first; what stands behind END is never wanted."""
        found: list[int] = []
        seen: set[int] = set()
        waiting = [first]
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            if at == END:
                return (*found, END)
            if writer.nodes[at].variable >= 0:
                found.append(number[at])
            else:
                waiting += reversed(writer.nodes[at].ways)
        return tuple(found)

    follow = tuple(reached(writer.nodes[i].ways[0]) for i in taking)
    return Program(writer.names, tuple(writer.nodes[i].variable for i in taking), reached(entry), follow)
