"""Row patterns of MATCH_RECOGNIZE as data: variables, sequences, alternatives, repetitions; what follows from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One row that satisfies the definition of ``name``."""

    name: str


@dataclass(frozen=True)
class Sequence:
    """Parts that follow each other without rows in between."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True)
class Alternation:
    """The first part that matches; earlier parts are preferred."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True)
class Repeat:
    """``part`` from ``minimum`` to ``maximum`` times (None: without end), as often or as seldom as possible."""

    part: Pattern
    minimum: int
    maximum: int | None
    reluctant: bool = False


Pattern = Variable | Sequence | Alternation | Repeat


def variables(pattern: Pattern) -> tuple[str, ...]:
    """The names in order of first appearance."""
    match pattern:
        case Variable(name):
            return (name,)
        case Sequence(parts) | Alternation(parts):
            return tuple(dict.fromkeys(n for p in parts for n in variables(p)))
        case Repeat(part):
            return variables(part)


def certain(pattern: Pattern) -> frozenset[str]:
    """The variables that have a row in every match."""
    match pattern:
        case Variable(name):
            return frozenset({name})
        case Sequence(parts):
            return frozenset().union(*(certain(p) for p in parts))
        case Alternation(parts):
            return frozenset.intersection(*(certain(p) for p in parts))
        case Repeat(part, minimum):
            return certain(part) if minimum else frozenset()


def shortest(pattern: Pattern) -> int:
    """The least number of rows of a match."""
    match pattern:
        case Variable():
            return 1
        case Sequence(parts):
            return sum(shortest(p) for p in parts)
        case Alternation(parts):
            return min(shortest(p) for p in parts)
        case Repeat(part, minimum):
            return minimum * shortest(part)


def first_variable(pattern: Pattern) -> str | None:
    """The variable of the first row, where every match begins with the same one."""
    match pattern:
        case Variable(name):
            return name
        case Sequence(parts):
            return first_variable(parts[0])
        case Alternation(parts):
            found = {first_variable(p) for p in parts}
            return found.pop() if len(found) == 1 else None
        case Repeat(part, minimum):
            return first_variable(part) if minimum else None


def open_ended(pattern: Pattern) -> Repeat | None:
    """A greedy repetition at the end of the pattern, whose last row only a row behind it would show; or None.

    ``?`` and ``{n}`` wait for one row at most and are none.
    """
    match pattern:
        case Variable():
            return None
        case Sequence(parts):
            for part in reversed(parts):
                found = open_ended(part)
                if found is not None or shortest(part):
                    return found
            return None
        case Alternation(parts):
            return next((f for p in parts if (f := open_ended(p)) is not None), None)
        case Repeat(part, minimum, maximum, reluctant):
            fixed = maximum == minimum or (minimum, maximum) == (0, 1)
            return open_ended(part) if reluctant or fixed else pattern


def size(pattern: Pattern) -> int:
    """The number of variables once repetitions are written out: what the matcher's program is as long as."""
    match pattern:
        case Variable():
            return 1
        case Sequence(parts) | Alternation(parts):
            return sum(size(p) for p in parts)
        case Repeat(part, minimum, maximum):
            return size(part) * max(minimum + 1 if maximum is None else maximum, 1)


def text(pattern: Pattern) -> str:
    """The pattern as it is written: ``A B+ (C | D){2,3}?``."""
    match pattern:
        case Variable(name):
            return name
        case Sequence(parts):
            return " ".join(_grouped(p, Alternation) for p in parts)
        case Alternation(parts):
            return " | ".join(text(p) for p in parts)
        case Repeat(part, minimum, maximum, reluctant):
            inner = _grouped(part, Alternation, Sequence, Repeat)
            return f"{inner}{_quantifier(minimum, maximum)}{'?' if reluctant else ''}"


def _grouped(pattern: Pattern, *kinds: type) -> str:
    return f"({text(pattern)})" if isinstance(pattern, kinds) else text(pattern)


def _quantifier(minimum: int, maximum: int | None) -> str:
    for low, high, short in ((0, None, "*"), (1, None, "+"), (0, 1, "?")):
        if (minimum, maximum) == (low, high):
            return short
    if minimum == maximum:
        return f"{{{minimum}}}"
    return f"{{{minimum},{'' if maximum is None else maximum}}}"
