"""What fits at the cursor: a pure function from text and cursor to kinds of things (tables, columns, options
…).

The names themselves come from the catalog (``completer.py``), so this file is tested without a terminal or an
engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from streamsql.planner.highlight import is_open, tokens

from .scope import FROM_ENDS, WINDOW_FUNCTIONS, Relation, Statement, statement_at, unquote


class Kind(Enum):
    """The kinds of names a place can take."""

    TABLE = "table"
    VIEW = "view"
    COLUMN = "column"
    FUNCTION = "function"
    KEYWORD = "keyword"
    TYPE = "type"
    CONNECTOR = "connector"
    OPTION = "option"
    SESSION_OPTION = "session option"
    CATALOG = "catalog"
    DATABASE = "database"
    JOB = "job"
    NAME = "name"
    COMMAND = "command"


@dataclass(frozen=True)
class Suggestion:
    """One kind of thing that fits.

    ``names`` are given by the text or the grammar (KEYWORD, NAME, TYPE); ``relations`` are whose columns fit
    (COLUMN); ``connector`` is the one chosen in the same WITH list (OPTION), ``path`` the part before the
    last dot (TABLE).
    """

    kind: Kind
    names: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    connector: str | None = None
    path: str = ""


@dataclass(frozen=True)
class Completion:
    """``text[start:cursor]`` is what has been typed of the word, without an opening quote. ``quote`` is
    ``'``, a backtick, or empty; ``given`` holds names already used in the same list."""

    start: int
    prefix: str
    quote: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    given: frozenset[str] = frozenset()


def keywords(text: str) -> Suggestion:
    """Keywords or phrases, separated by ``|``."""
    return Suggestion(Kind.KEYWORD, tuple(part.strip() for part in text.split("|")))


TABLES, VIEWS = Suggestion(Kind.TABLE), Suggestion(Kind.VIEW)
FUNCTIONS, DATABASES, CATALOGS = (
    Suggestion(Kind.FUNCTION),
    Suggestion(Kind.DATABASE),
    Suggestion(Kind.CATALOG),
)
JOBS, SESSION_OPTIONS = Suggestion(Kind.JOB), Suggestion(Kind.SESSION_OPTION)
_TYPE_TEXTS = """
    ARRAY< BIGINT BOOLEAN BYTES CHAR( DATE DECIMAL( DOUBLE FLOAT INT MAP< MULTISET< ROW< SMALLINT STRING TIME
    TIMESTAMP(3) TIMESTAMP_LTZ(3) TINYINT VARBINARY( VARCHAR(
"""
TYPES = Suggestion(Kind.TYPE, tuple(_TYPE_TEXTS.split()))
START = keywords(
    "SELECT|INSERT INTO|WITH|CREATE TABLE|CREATE TEMPORARY TABLE|CREATE VIEW|CREATE TEMPORARY VIEW"
    "|CREATE CATALOG|CREATE DATABASE|CREATE FUNCTION|DROP TABLE|DROP VIEW|ALTER TABLE|SHOW TABLES|SHOW VIEWS"
    "|SHOW JOBS|SHOW FUNCTIONS|SHOW CREATE TABLE|SHOW CATALOGS|SHOW DATABASES|SHOW COLUMNS FROM|DESCRIBE"
    "|EXPLAIN|EXPLAIN CHANGELOG_MODE|EXECUTE STATEMENT SET|SET|RESET|USE|USE CATALOG|STOP JOB"
)
COMMANDS = Suggestion(Kind.COMMAND, ("HELP", "QUIT", "EXIT", "CLEAR"))
QUERY_STARTS = keywords("SELECT|WITH|VALUES")

# Whole beginnings of statements (words that may be left out are dropped first) and what comes next.
HEADS: dict[str, tuple[Suggestion, ...]] = {
    "USE": (keywords("CATALOG"), DATABASES),
    "USE CATALOG": (CATALOGS,),
    "SHOW": (
        keywords(
            "TABLES|VIEWS|COLUMNS FROM|CREATE TABLE|CREATE VIEW|CATALOGS|DATABASES|CURRENT CATALOG"
            "|CURRENT DATABASE|FUNCTIONS|USER FUNCTIONS|JOBS|MODULES|PARTITIONS"
        ),
    ),
    "SHOW CURRENT": (keywords("CATALOG|DATABASE"),),
    "SHOW CREATE": (keywords("TABLE|VIEW|CATALOG"),),
    "SHOW CREATE TABLE": (TABLES,),
    "SHOW CREATE VIEW": (VIEWS,),
    "SHOW CREATE CATALOG": (CATALOGS,),
    "SHOW TABLES": (keywords("FROM|LIKE|NOT LIKE"),),
    "SHOW TABLES FROM": (DATABASES,),
    "SHOW TABLES IN": (DATABASES,),
    "SHOW VIEWS": (keywords("FROM|LIKE"),),
    "SHOW COLUMNS": (keywords("FROM"),),
    "SHOW COLUMNS FROM": (TABLES,),
    "SHOW COLUMNS IN": (TABLES,),
    "SHOW PARTITIONS": (TABLES,),
    "DESCRIBE": (TABLES, keywords("CATALOG|DATABASE|FUNCTION|JOB")),
    "DESC": (TABLES, keywords("CATALOG|DATABASE|FUNCTION|JOB")),
    "DESCRIBE CATALOG": (CATALOGS,),
    "DESCRIBE DATABASE": (DATABASES,),
    "DESCRIBE FUNCTION": (FUNCTIONS,),
    "DESCRIBE JOB": (JOBS,),
    "DESC JOB": (JOBS,),
    "STOP": (keywords("JOB"),),
    "STOP JOB": (JOBS,),
    "DROP": (keywords("TABLE|VIEW|DATABASE|CATALOG|FUNCTION|TEMPORARY TABLE|TEMPORARY VIEW"),),
    "DROP TABLE": (TABLES, keywords("IF EXISTS")),
    "DROP VIEW": (VIEWS, keywords("IF EXISTS")),
    "DROP DATABASE": (DATABASES, keywords("IF EXISTS")),
    "DROP CATALOG": (CATALOGS, keywords("IF EXISTS")),
    "DROP FUNCTION": (FUNCTIONS, keywords("IF EXISTS")),
    "ALTER": (keywords("TABLE|VIEW|DATABASE|FUNCTION"),),
    "ALTER TABLE": (TABLES, keywords("IF EXISTS")),
    "ALTER VIEW": (VIEWS,),
    "ALTER DATABASE": (DATABASES,),
    "CREATE": (
        keywords("TABLE|TEMPORARY TABLE|VIEW|TEMPORARY VIEW|DATABASE|CATALOG|FUNCTION|TEMPORARY FUNCTION"),
    ),
    "CREATE TABLE": (keywords("IF NOT EXISTS"),),
    "CREATE VIEW": (keywords("IF NOT EXISTS"),),
    "CREATE DATABASE": (keywords("IF NOT EXISTS"),),
    "INSERT": (keywords("INTO|OVERWRITE"),),
    "INSERT INTO": (TABLES,),
    "INSERT OVERWRITE": (TABLES,),
    "SET": (SESSION_OPTIONS,),
    "RESET": (SESSION_OPTIONS,),
    "EXPLAIN": (
        keywords(
            "PLAN FOR|CHANGELOG_MODE|ESTIMATED_COST|JSON_EXECUTION_PLAN|SELECT|INSERT INTO"
            "|STATEMENT SET BEGIN"
        ),
    ),
    "EXECUTE": (keywords("STATEMENT SET BEGIN|INSERT INTO"),),
    "EXECUTE STATEMENT": (keywords("SET BEGIN"),),
    "EXECUTE STATEMENT SET": (keywords("BEGIN"),),
    "BEGIN": (keywords("STATEMENT SET"),),
}
OPTIONAL_WORDS = frozenset(
    {"IF", "NOT", "EXISTS", "TEMPORARY", "SYSTEM", "EXTENDED", "FULL", "OR", "REPLACE"}
)
HEAD_WORDS_MAX = 6

AFTER_TABLE = keywords(
    "WHERE|GROUP BY|JOIN|LEFT JOIN|INNER JOIN|FULL OUTER JOIN|CROSS JOIN|AS|HAVING|ORDER BY|LIMIT|UNION ALL"
    "|UNION|FOR SYSTEM_TIME AS OF|ON|EXCEPT|INTERSECT"
)
IN_EXPRESSION = keywords(
    "AND|OR|NOT|IN|BETWEEN|LIKE|IS NULL|IS NOT NULL|CASE|WHEN|THEN|ELSE|END|CAST(|INTERVAL|DISTINCT|EXISTS"
    "|TRUE|FALSE|NULL|CURRENT_TIMESTAMP|CURRENT_DATE|OVER|PARTITION BY|FILTER (WHERE|AS|ASC|DESC"
)
CLAUSES = {
    "SELECT": keywords("FROM"),
    "WHERE": keywords("GROUP BY|HAVING|ORDER BY|LIMIT|UNION ALL"),
    "ON": keywords("WHERE|GROUP BY|JOIN|LEFT JOIN"),
    "BY": keywords("HAVING|ORDER BY|LIMIT|UNION ALL"),
    "HAVING": keywords("ORDER BY|LIMIT|UNION ALL"),
}
TABLE_STARTS = keywords("TABLE(|TUMBLE(TABLE|HOP(TABLE|CUMULATE(TABLE|SESSION(TABLE|LATERAL TABLE(|UNNEST(")
INTERVAL_UNITS = keywords("SECOND|MINUTE|HOUR|DAY|MONTH|YEAR|SECONDS|MINUTES|HOURS|DAYS")


def suggest(text: str, cursor: int) -> Completion:
    """Everything that fits at ``text[:cursor]``; no suggestions inside comments, numbers and plain literals.

    >>> [s.kind.value for s in suggest("SELECT * FROM ", 14).suggestions][:1]
    ['table']
    """
    for token in tokens(text):
        if token.start < cursor <= token.end:
            inside = cursor < token.end or is_open(text, token)
            if token.kind in ("comment", "hint") and (inside or text.startswith("--", token.start)):
                return Completion(cursor, "")
            if token.kind == "number":
                return Completion(cursor, "")
            if token.kind in ("string", "quoted"):
                if not inside:
                    return Completion(cursor, "")
                return _complete(text, cursor, token.start + 1, text[token.start])
            if token.kind in ("keyword", "type", "function", "name"):
                return _complete(text, cursor, token.start, "")
    return _complete(text, cursor, cursor, "")


def _complete(text: str, cursor: int, start: int, quote: str) -> Completion:
    statement = statement_at(text, cursor)
    # The word being typed is no context: count only the tokens that end before it.
    first = start - len(quote)
    count = sum(1 for t in statement.tokens if t.end <= first)
    place = Place(statement, count)
    found = place.in_string() if quote == "'" else place.in_code()
    if quote == "`":
        found = [s for s in found if s.kind not in (Kind.KEYWORD, Kind.FUNCTION, Kind.TYPE, Kind.COMMAND)]
    return Completion(start, text[start:cursor], quote, tuple(found), place.given())


class Place:
    """A place between two tokens of a statement: ``count`` tokens stand before it."""

    def __init__(self, statement: Statement, count: int) -> None:
        self.statement = statement
        self.count = count
        self.words = statement.words[:count]
        self.groups = statement.groups_before(count)

    @property
    def last(self) -> str:
        return self.words[-1] if self.words else ""

    # -- strings ---------------------------------------------------------------------------------------------
    def in_string(self) -> list[Suggestion]:
        """Inside ``'…'``: an option key or value, a session option, a job id, or nothing."""
        if self.words[:1] in (["SET"], ["RESET"]) and len(self.words) == 1:
            return [SESSION_OPTIONS]
        if self.words[-2:] in (["STOP", "JOB"], ["DESCRIBE", "JOB"], ["DESC", "JOB"]):
            return [JOBS]
        if not self._in_options():
            return []
        if self.last == "=":
            key = self._literal(self.count - 2)
            return [Suggestion(Kind.CONNECTOR)] if key == "connector" else []
        return [Suggestion(Kind.OPTION, connector=self._connector())]

    def _in_options(self) -> bool:
        """Inside the list of ``WITH (…)``, ``SET (…)`` or ``RESET (…)`` of a DDL statement."""
        if not self.groups or self.words[0] not in ("CREATE", "ALTER"):
            return False
        group = self.groups[-1]
        return group > 0 and self.words[group - 1] in ("WITH", "SET", "RESET")

    def _literal(self, i: int) -> str:
        token = self.statement.tokens[i]
        return self.statement.text[token.start : token.end].strip("'") if token.kind == "string" else ""

    def _pairs(self) -> Iterable[tuple[int, int]]:
        """Positions of key and value of each ``'key' = 'value'`` in the list around the place, also behind
        it."""
        items = self.statement.level(self.groups[-1])
        for position, i in enumerate(items[1:-1], 1):
            if self.statement.words[i] == "=":
                yield items[position - 1], items[position + 1]

    def _connector(self) -> str | None:
        for key, value in self._pairs():
            if self._literal(key) == "connector":
                return self._literal(value)
        return None

    def given(self) -> frozenset[str]:
        """Option keys that the list has already."""
        return (
            frozenset(self._literal(key) for key, _ in self._pairs()) if self._in_options() else frozenset()
        )

    # -- names and keywords ----------------------------------------------------------------------------------
    def in_code(self) -> list[Suggestion]:
        if not self.words:
            return [START, COMMANDS]
        if self.last == ".":
            return self._qualified()
        head = self._head()
        if head is not None:
            return list(head)
        if self._in_options():
            return [] if self.last == "=" else [Suggestion(Kind.OPTION, connector=self._connector())]
        if self._defines_columns():
            return self._column_definition()
        if self.last in ("CREATE", "ALTER", "DROP", "AS") and self.words[0] == "CREATE" and not self.groups:
            return [QUERY_STARTS]
        if self.words[0] in ("ALTER", "DROP", "CREATE") and not self.groups and "SELECT" not in self.words:
            return self._ddl()
        return self._query()

    def _head(self) -> tuple[Suggestion, ...] | None:
        if len(self.words) > HEAD_WORDS_MAX:
            return None
        significant = [w for w in self.words if w not in OPTIONAL_WORDS]
        found = HEADS.get(" ".join(significant))
        if found is not None and self.last in ("IF", "NOT"):
            return (keywords("EXISTS|NOT EXISTS"),)
        if found is not None and self.last == "EXISTS":
            return tuple(s for s in found if s.kind is not Kind.KEYWORD)
        if found is not None and self.last == "TEMPORARY":
            return (keywords("TABLE|VIEW|FUNCTION"),)
        return found

    def _qualified(self) -> list[Suggestion]:
        """After ``name.``: columns of the relation called so, or tables below a catalog or database."""
        i = self.count - 1
        parts: list[str] = []
        while i >= 1 and self.words[i] == ".":
            parts.insert(0, self.statement.name(i - 1))
            i -= 2
        before = self.words[i] if i >= 0 else ""
        if self._takes_table(i, before):
            return [Suggestion(Kind.TABLE, path=".".join(parts))]
        if len(parts) > 1:
            return []
        found = tuple(r for r in self._visible() if r.alias == unquote(parts[0]))
        return [Suggestion(Kind.COLUMN, relations=found)] if found else []

    def _takes_table(self, i: int, before: str) -> bool:
        if before in ("FROM", "JOIN", "INTO", "TABLE", "DESCRIBE", "DESC", "OVERWRITE", "VIEW"):
            return True
        return before == "," and self._clause(i) == "FROM"

    def _clause(self, count: int) -> str:
        """The word that opened the clause around a place: SELECT, FROM, WHERE, ON, BY … or nothing."""
        group = self.groups[-1] if self.groups else None
        for i in reversed(self.statement.select_around(group, count)):
            word = self.statement.words[i]
            if i < count and (
                word in CLAUSES or word in FROM_ENDS or word in ("FROM", "JOIN", "VALUES", "PARTITION")
            ):
                return "FROM" if word == "JOIN" else word
        return ""

    def _defines_columns(self) -> bool:
        return (
            len(self.groups) >= 1
            and self.words[0] in ("CREATE", "ALTER")
            and "TABLE" in self.words[: self.groups[0]]
            and "AS" not in self.words[: self.groups[0]]
            and self.words[self.groups[0] - 1] not in ("WITH", "SET", "RESET")
        )

    def _column_definition(self) -> list[Suggestion]:
        items = self.statement.level(self.groups[0])
        declared = tuple(
            self.statement.name(i)
            for position, i in enumerate(items)
            if self.statement.is_name(i)
            and (position == 0 or self.statement.words[items[position - 1]] == ",")
        )
        columns = Suggestion(Kind.NAME, declared)
        if self.last == "FOR":
            return [columns]
        if len(self.groups) > 1 or "AS" in self.words[self._item_start() :]:
            in_key = len(self.groups) > 1 and self.words[self.groups[1] - 1] == "KEY"
            return [columns] if in_key else [columns, FUNCTIONS, IN_EXPRESSION]
        if self.last in ("(", ","):
            return [keywords("PRIMARY KEY (|WATERMARK FOR|CONSTRAINT")]
        if self.count - self._item_start() == 1 and self.last != "WATERMARK":
            return [TYPES, keywords("AS")]
        return [
            keywords(
                "NOT NULL|METADATA|METADATA FROM|METADATA VIRTUAL|VIRTUAL|COMMENT|NOT ENFORCED|FOR|AS|KEY ("
            )
        ]

    def _item_start(self) -> int:
        """Where the column definition around the place begins."""
        inside = [i for i in self.statement.level(self.groups[0]) if i < self.count and self.words[i] == ","]
        return (inside[-1] if inside else self.groups[0]) + 1

    def _ddl(self) -> list[Suggestion]:
        if self.last == "LIKE":
            return [TABLES]
        if self.words[0] == "ALTER":
            return [keywords("RENAME TO|SET (|RESET (|ADD|MODIFY|DROP")]
        if self.words[0] == "CREATE":
            return [keywords("WITH (|AS|LIKE|PARTITIONED BY (|COMMENT")]
        return []

    # -- queries ---------------------------------------------------------------------------------------------
    def _query(self) -> list[Suggestion]:
        if self._takes_table(self.count - 1, self.last):
            starts = [TABLE_STARTS] if self.last in ("FROM", "JOIN", ",") else []
            queries = self._with_names()
            return [TABLES, *([queries] if queries.names else []), *starts]
        special = self._special()
        if special is not None:
            return special
        clause = self._clause(self.count)
        if clause == "FROM":
            return [AFTER_TABLE]
        visible = self._visible()
        found = [Suggestion(Kind.COLUMN, relations=visible)] if visible else []
        aliases = tuple(r.alias for r in visible if r.alias)
        names = [Suggestion(Kind.NAME, aliases)] if aliases else []
        more = [CLAUSES[clause]] if clause in CLAUSES else []
        return [*found, *names, FUNCTIONS, IN_EXPRESSION, *more, *([] if clause else [QUERY_STARTS])]

    def _special(self) -> list[Suggestion] | None:
        """Places with a grammar of their own; None where an expression fits."""
        if self.last in ("GROUP", "ORDER", "PARTITION"):
            return [keywords("BY")]
        if self.last in ("LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER"):
            return [keywords("JOIN|OUTER JOIN")]
        if len(self.words) > 1 and self.words[-2] == "INTERVAL":
            return [INTERVAL_UNITS]
        if not self.groups:
            if (
                self.words[0] == "INSERT"
                and "SELECT" not in self.words
                and "VALUES" not in self.words
                and "WITH" not in self.words
            ):
                return [QUERY_STARTS]
            return None
        group = self.groups[-1]
        opener = self.words[group - 1] if group else ""
        if self.last == "AS" and opener in ("CAST", "TRY_CAST"):
            return [TYPES]
        if opener == "DESCRIPTOR":
            return [Suggestion(Kind.COLUMN, relations=self._descriptor_relations())]
        if opener in WINDOW_FUNCTIONS and self.last == "(":
            return [keywords("TABLE")]
        if opener in WINDOW_FUNCTIONS and self.last == ",":
            return [keywords("DESCRIPTOR(|INTERVAL")]
        if self._inserted_columns(group):
            target = self._target(group)
            return [Suggestion(Kind.COLUMN, relations=(target,))] if target else []
        if self.last == "(" and opener in ("", "AS", "FROM", "JOIN", "IN", "EXISTS"):
            visible = self._visible()
            columns = [Suggestion(Kind.COLUMN, relations=visible), FUNCTIONS] if visible else []
            return [QUERY_STARTS, *columns]
        return None

    def _inserted_columns(self, group: int) -> bool:
        """Whether a group is the column list of ``INSERT INTO t (…)``."""
        before = self.words[:group]
        into = max((i for i, w in enumerate(before) if w in ("INTO", "OVERWRITE")), default=None)
        return into is not None and all(
            self.words[i] == "." or self.statement.tokens[i].kind in ("name", "quoted", "function")
            for i in range(into + 1, group)
        )

    def _target(self, group: int) -> Relation | None:
        into = max(i for i, w in enumerate(self.words[:group]) if w in ("INTO", "OVERWRITE"))
        path = "".join(
            "." if self.words[i] == "." else self.statement.name(i) for i in range(into + 1, group)
        )
        return Relation(path, path) if path else None

    def _descriptor_relations(self) -> tuple[Relation, ...]:
        """The table of the window function around ``DESCRIPTOR(``."""
        if len(self.groups) < 2:
            return ()
        items = self.statement.level(self.groups[-2])
        words = [self.statement.words[i] for i in items]
        path = ""
        for i in items[words.index("TABLE") + 1 :] if "TABLE" in words else ():
            if not (self.statement.is_name(i) or self.statement.words[i] == "."):
                break
            path += "." if self.statement.words[i] == "." else self.statement.name(i)
        return (Relation(path, path),) if path else ()

    def _visible(self) -> tuple[Relation, ...]:
        """Relations whose columns the place can use: of its own SELECT, then of the queries around it."""
        found: list[Relation] = []
        for group in [*reversed(self.groups), None]:
            found += self.statement.relations(self.statement.select_around(group, self.count))
        return tuple(found)

    def _with_names(self) -> Suggestion:
        return Suggestion(Kind.NAME, tuple(self.statement.with_queries))
