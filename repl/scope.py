"""Which relations and columns the text itself names around a place: FROM lists, subqueries, WITH queries,
window functions.

Works on tokens, not on a parse tree, because the text is being typed and seldom parses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from streamsql.planner.highlight import Token, tokens

_FROM_ENDS = "WHERE GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH UNION EXCEPT INTERSECT MINUS QUALIFY EMIT"
FROM_ENDS = frozenset(_FROM_ENDS.split())
SET_OPERATORS = frozenset({"UNION", "EXCEPT", "INTERSECT", "MINUS"})
WINDOW_FUNCTIONS = frozenset({"TUMBLE", "HOP", "CUMULATE", "SESSION"})
WINDOW_COLUMNS = ("window_start", "window_end", "window_time")
SUBQUERY_DEPTH_MAX = 8  # a WITH query that names itself must end somewhere


@dataclass(frozen=True)
class Relation:
    """Something FROM names. ``table`` is the catalog name to look up (as typed, unquoted) or None;
    ``columns`` are known from the text alone; ``parts`` are relations whose columns it has as well (``SELECT
    *`` of a subquery)."""

    alias: str
    table: str | None = None
    columns: tuple[str, ...] = ()
    parts: tuple[Relation, ...] = ()


def unquote(part: str) -> str:
    """A name as the catalog knows it.

    >>> unquote("`a``b"), unquote("a")
    ('a`b', 'a')
    """
    if not part.startswith("`"):
        return part
    inner = part[1:-1] if len(part) > 1 and part.endswith("`") else part[1:]
    return inner.replace("``", "`")


class Statement:
    """The tokens of one statement, with its parentheses matched. Indices are positions in :attr:`tokens`."""

    def __init__(self, text: str, found: list[Token]) -> None:
        self.text = text
        self.tokens = [t for t in found if t.kind not in ("comment", "hint")]
        self.words = [text[t.start : t.end].upper() for t in self.tokens]
        self.closing: dict[int, int] = {}  # "(" -> its ")", or the end of the statement
        self.opening: list[int | None] = []  # per token the innermost "(" around it
        stack: list[int] = []
        for i, word in enumerate(self.words):
            if word == ")" and stack:
                self.closing[stack.pop()] = i
            self.opening.append(stack[-1] if stack else None)
            if word == "(":
                stack.append(i)
        for i in stack:
            self.closing[i] = len(self.tokens)

    def name(self, i: int) -> str:
        return unquote(self.text[self.tokens[i].start : self.tokens[i].end])

    def is_name(self, i: int) -> bool:
        return i < len(self.tokens) and self.tokens[i].kind in ("name", "quoted")

    def groups_before(self, count: int) -> list[int]:
        """The "(" still open after the first ``count`` tokens, outermost first."""
        stack: list[int] = []
        for i, word in enumerate(self.words[:count]):
            if word == "(":
                stack.append(i)
            elif word == ")" and stack:
                stack.pop()
        return stack

    def level(self, group: int | None) -> list[int]:
        """The tokens directly inside a group (None: the statement); a nested group appears as its "("
        alone."""
        start, end = (-1, len(self.tokens)) if group is None else (group, self.closing[group])
        return [i for i in range(start + 1, end) if self.opening[i] == group and self.words[i] != ")"]

    def select_around(self, group: int | None, count: int) -> list[int]:
        """Of the tokens directly in a group, those of the SELECT that holds place ``count`` (before that
        token)."""
        segment: list[int] = []
        for i in self.level(group):
            if self.words[i] in SET_OPERATORS:
                if i >= count:
                    break
                segment = []
            else:
                segment.append(i)
        return segment

    # -- relations -------------------------------------------------------------------------------------------
    def relations(self, items: list[int], depth: int = 0) -> tuple[Relation, ...]:
        """What the FROM clause among ``items`` (one SELECT, one level) names."""
        found: list[Relation] = []
        in_from = starts = False
        position = 0
        while position < len(items):
            word = self.words[items[position]]
            if word in FROM_ENDS:
                in_from = False
            if word == "FROM" or (in_from and word in (",", "JOIN")):
                in_from = starts = True
                position += 1
                continue
            if in_from and starts and word != "LATERAL":
                starts = False
                relation, position = self._relation(items, position, depth)
                if relation is not None:
                    found.append(relation)
                continue
            position += 1
        return tuple(found)

    def _relation(self, items: list[int], position: int, depth: int) -> tuple[Relation | None, int]:
        """The relation that starts at ``items[position]``, and the position after it and its alias."""
        i = items[position]
        following = items[position + 1] if position + 1 < len(items) else None
        if self.words[i] == "(":
            relation, position = self._group(i, depth), position + 1
        elif following is not None and following == i + 1 and self.words[following] == "(":
            relation, position = self._call(i, depth), position + 2
        elif self.is_name(i):
            path, position = self._path(items, position)
            relation = self._with_query(path, depth) or Relation(path.rpartition(".")[2], path)
        else:
            return None, position + 1
        if self._word(items, position) == "FOR":  # FOR SYSTEM_TIME AS OF a.b
            _, position = self._path(items, position + 4)
        return self._aliased(relation, items, position)

    def _word(self, items: list[int], position: int) -> str:
        return self.words[items[position]] if position < len(items) else ""

    def _path(self, items: list[int], position: int) -> tuple[str, int]:
        parts: list[str] = []
        while position < len(items) and self.is_name(items[position]):
            parts.append(self.name(items[position]))
            position += 1
            if self._word(items, position) != ".":
                break
            position += 1
        return ".".join(parts), position

    def _aliased(self, relation: Relation, items: list[int], position: int) -> tuple[Relation, int]:
        if self._word(items, position) == "AS":
            position += 1
        if position >= len(items):
            return relation, position
        i = items[position]
        # A word before "(" looks like a call: `AS t (a, b)`.
        if self.is_name(i) or (self.tokens[i].kind == "function" and i + 1 in self.closing):
            columns = relation.columns
            parts, table = relation.parts, relation.table
            if self._word(items, position + 1) == "(":
                columns, parts, table = self._names_in(i + 1), (), None
                position += 1
            return Relation(self.name(i), table, columns, parts), position + 1
        return relation, position

    def _group(self, group: int, depth: int) -> Relation:
        """A subquery in parentheses."""
        columns, parts = self.output(group, depth + 1)
        return Relation("", None, columns, parts)

    def _call(self, i: int, depth: int) -> Relation:
        """``TUMBLE(TABLE t, …)``, ``TABLE(TUMBLE(TABLE t, …))``, ``UNNEST(…)`` and other table functions."""
        group, name = i + 1, self.words[i]
        inside = self.level(group)
        if name == "TABLE" and inside and inside[0] + 1 in self.closing:
            return self._call(inside[0], depth)
        extra = WINDOW_COLUMNS if name in WINDOW_FUNCTIONS else ()
        for position, k in enumerate(inside):
            if self.words[k] == "TABLE" and position + 1 < len(inside):
                part, _ = self._relation(inside, position + 1, depth)
                if part is not None:
                    return Relation("", part.table, (*part.columns, *extra), part.parts)
        return Relation("", None, extra)

    def _names_in(self, group: int) -> tuple[str, ...]:
        return tuple(self.name(i) for i in self.level(group) if self.is_name(i))

    # -- queries in the text ---------------------------------------------------------------------------------
    def output(self, group: int, depth: int) -> tuple[tuple[str, ...], tuple[Relation, ...]]:
        """The column names of the query in a group, and the relations that its ``*`` stands for."""
        if depth > SUBQUERY_DEPTH_MAX:
            return (), ()
        items = self.select_around(group, group + 1)
        words = [self.words[i] for i in items]
        if "SELECT" not in words:
            return (), ()
        start = words.index("SELECT") + 1
        end = words.index("FROM") if "FROM" in words else len(words)
        columns: list[str] = []
        parts: tuple[Relation, ...] = ()
        chosen = items[start:end]
        for position, i in enumerate(chosen):
            if position + 1 < len(chosen) and self.words[chosen[position + 1]] != ",":
                continue
            if self.words[i] == "*":
                qualifier = (
                    self.name(chosen[position - 2])
                    if position >= 2 and words[start + position - 1] == "."
                    else None
                )
                parts += tuple(r for r in self.relations(items, depth) if qualifier in (None, r.alias))
            elif self.is_name(i):
                columns.append(self.name(i))
        return tuple(columns), parts

    @cached_property
    def with_queries(self) -> dict[str, tuple[int, tuple[str, ...] | None]]:
        """Name → (its group, its column list or None) of every ``name [(…)] AS (SELECT …)``."""
        found: dict[str, tuple[int, tuple[str, ...] | None]] = {}
        for i, word in enumerate(self.words):
            if (
                word != "AS"
                or self.words[i + 1 : i + 2] != ["("]
                or self.words[i + 2 : i + 3] not in (["SELECT"], ["WITH"], ["VALUES"])
            ):
                continue
            name, columns = i - 1, None
            if self.words[i - 1] == ")" and self.opening[i - 1] == self.opening[i]:
                opened = next((o for o, c in self.closing.items() if c == i - 1), 0)
                name, columns = opened - 1, self._names_in(opened)
            if name >= 1 and self.words[name - 1] in ("WITH", "RECURSIVE", ","):
                found[self.name(name)] = (i + 1, columns)
        return found

    def _with_query(self, path: str, depth: int) -> Relation | None:
        if path not in self.with_queries or depth > SUBQUERY_DEPTH_MAX:
            return None
        group, listed = self.with_queries[path]
        if listed is not None:
            return Relation(path, None, listed)
        columns, parts = self.output(group, depth + 1)
        return Relation(path, None, columns, parts)


def statement_at(text: str, cursor: int) -> Statement:
    """The statement that holds the cursor (``;`` separates statements)."""
    found = tokens(text)
    first = last = None
    for i, token in enumerate(found):
        if text[token.start : token.end] == ";" and token.kind == "punctuation":
            if token.end <= cursor:
                first = i
            elif last is None:
                last = i
    return Statement(text, found[0 if first is None else first + 1 : last])
