"""What is offered where: statements with the cursor drawn as ``|``, and the kinds that must come."""

import pytest

from streamsql.repl.completion import Completion, Kind, Suggestion, suggest


def at(marked: str) -> Completion:
    """The completion at the ``|`` of a text."""
    cursor = marked.index("|")
    return suggest(marked[:cursor] + marked[cursor + 1 :], cursor)


def kinds(marked: str) -> set[Kind]:
    return {s.kind for s in at(marked).suggestions}


def one(marked: str, kind: Kind) -> Suggestion:
    found = [s for s in at(marked).suggestions if s.kind is kind]
    assert found, f"no {kind} at {marked}: {at(marked)}"
    return found[0]


def tables_of(marked: str) -> list[str | None]:
    return [r.table for r in one(marked, Kind.COLUMN).relations]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM |",
        "SELECT * FROM ban|",
        "SELECT * FROM a JOIN |",
        "SELECT * FROM a, |",
        "SELECT * FROM a WHERE x IN (SELECT y FROM |)",
        "SELECT * FROM TABLE(TUMBLE(TABLE |, DESCRIPTOR(ts)))",
        "INSERT INTO |",
        "INSERT INTO sink SELECT * FROM |",
        "DESCRIBE |",
        "desc |",
        "DROP TABLE IF EXISTS |",
        "DROP TABLE |",
        "ALTER TABLE |",
        "SHOW CREATE TABLE |",
        "SHOW COLUMNS FROM |",
        "SELECT 1; SELECT * FROM |; SELECT 2",
        "CREATE TABLE a LIKE |",
        "SELECT * FROM `|",
        "EXPLAIN SELECT * FROM |",
        "CREATE VIEW v AS SELECT * FROM |",
    ],
)
def test_tables_fit(text: str) -> None:
    assert Kind.TABLE in kinds(text)


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("SELECT | FROM trades", ["trades"]),
        ("SELECT a, | FROM trades t", ["trades"]),
        ("SELECT t.| FROM trades AS t JOIN books b ON t.x = b.x", ["trades"]),
        ("SELECT * FROM trades AS t JOIN books b ON t.x = b.|", ["books"]),
        ("SELECT * FROM trades t JOIN books b ON |", ["trades", "books"]),
        ("SELECT * FROM trades WHERE |", ["trades"]),
        ("SELECT * FROM trades GROUP BY |", ["trades"]),
        ("SELECT * FROM trades ORDER BY pr|", ["trades"]),
        ("SELECT COUNT(|) FROM trades", ["trades"]),
        ("SELECT * FROM c.d.trades WHERE trades.|", ["c.d.trades"]),
        ("SELECT * FROM a UNION ALL SELECT | FROM b", ["b"]),
        ("SELECT | FROM a UNION ALL SELECT x FROM b", ["a"]),
        ("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE |)", ["b", "a"]),
        ("SELECT * FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(|), INTERVAL '1' MINUTE))", ["trades"]),
        ("INSERT INTO sink (|", ["sink"]),
        ("INSERT INTO sink (a, |) SELECT 1, 2", ["sink"]),
        ("INSERT INTO sink SELECT | FROM trades", ["trades"]),
    ],
)
def test_columns_of(text: str, tables: list[str]) -> None:
    assert tables_of(text) == tables


def test_a_window_function_adds_its_columns() -> None:
    (relation,) = one(
        "SELECT w.| FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND) AS w", Kind.COLUMN
    ).relations
    assert (relation.table, relation.columns) == ("t", ("window_start", "window_end", "window_time"))


def test_subqueries_and_with_queries_name_their_columns() -> None:
    (subquery,) = one("SELECT s.| FROM (SELECT a, b + 1 AS c, o.d FROM o) s", Kind.COLUMN).relations
    assert subquery.columns == ("a", "c", "d")
    (query,) = one(
        "WITH q AS (SELECT a, COUNT(*) AS n FROM t GROUP BY a) SELECT q.| FROM q", Kind.COLUMN
    ).relations
    assert query.columns == ("a", "n")
    (listed,) = one("WITH q (x, y) AS (SELECT 1, 2) SELECT q.| FROM q", Kind.COLUMN).relations
    assert listed.columns == ("x", "y")
    (star,) = one("SELECT s.| FROM (SELECT * FROM t) s", Kind.COLUMN).relations
    assert [p.table for p in star.parts] == ["t"]


def test_with_queries_are_tables() -> None:
    assert one("WITH q AS (SELECT 1) SELECT * FROM |", Kind.NAME).names == ("q",)


def test_a_with_query_that_names_itself_ends() -> None:
    assert one("WITH q AS (SELECT * FROM q) SELECT q.| FROM q", Kind.COLUMN).relations


def test_options_follow_the_connector() -> None:
    text = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', '|"
    found = at(text)
    assert one(text, Kind.OPTION).connector == "kafka"
    assert (found.quote, found.prefix, found.given) == ("'", "", frozenset({"connector"}))
    assert (
        one("CREATE TABLE t (a INT) WITH ('to|', 'connector' = 'datagen')", Kind.OPTION).connector
        == "datagen"
    )
    assert one("CREATE TABLE t (a INT) WITH ('|", Kind.OPTION).connector is None
    assert kinds("CREATE TABLE t (a INT) WITH (|") == {Kind.OPTION}
    assert kinds("CREATE TABLE t (a INT) WITH ('connector' = '|") == {Kind.CONNECTOR}
    assert kinds("CREATE TABLE t (a INT) WITH ('topic' = '|") == set()
    assert kinds("ALTER TABLE t SET ('|") == {Kind.OPTION}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SET '|", Kind.SESSION_OPTION),
        ("SET 'table.exec|", Kind.SESSION_OPTION),
        ("RESET '|", Kind.SESSION_OPTION),
        ("USE CATALOG |", Kind.CATALOG),
        ("USE |", Kind.DATABASE),
        ("STOP JOB '|", Kind.JOB),
        ("DESCRIBE JOB '|", Kind.JOB),
        ("DROP VIEW |", Kind.VIEW),
        ("SHOW CREATE VIEW |", Kind.VIEW),
        ("CREATE TABLE t (a |", Kind.TYPE),
        ("CREATE TABLE t (a INT, b ST|", Kind.TYPE),
        ("SELECT CAST(a AS |) FROM t", Kind.TYPE),
        ("SELECT | FROM t", Kind.FUNCTION),
        ("|", Kind.COMMAND),
        ("|", Kind.KEYWORD),
    ],
)
def test_the_kind_fits(text: str, kind: Kind) -> None:
    assert kind in kinds(text)


def test_declared_columns_fit_in_watermark_and_primary_key() -> None:
    assert one("CREATE TABLE t (id INT, ts TIMESTAMP(3), WATERMARK FOR |", Kind.NAME).names == ("id", "ts")
    assert one("CREATE TABLE t (id INT, n INT, PRIMARY KEY (|", Kind.NAME).names == ("id", "n")
    assert "id" in one("CREATE TABLE t (id INT, twice AS |", Kind.NAME).names


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("SELECT a FROM t |", "WHERE"),
        ("SELECT a FROM t GROUP |", "BY"),
        ("SELECT a FROM t LEFT |", "JOIN"),
        ("SELECT INTERVAL '1' |", "MINUTE"),
        ("INSERT INTO t |", "SELECT"),
        ("SHOW |", "TABLES"),
        ("SELECT * FROM TUMBLE(|", "TABLE"),
        ("SELECT * FROM TUMBLE(TABLE t, |", "DESCRIPTOR("),
        ("CREATE TABLE t (a INT) |", "WITH ("),
        ("CREATE TABLE t (|", "WATERMARK FOR"),
        ("CREATE VIEW v AS |", "SELECT"),
        ("SELECT a |", "FROM"),
        ("ALTER TABLE t |", "RENAME TO"),
        ("DROP |", "TABLE"),
    ],
)
def test_keywords_fit(text: str, word: str) -> None:
    offered = [n for s in at(text).suggestions if s.kind is Kind.KEYWORD for n in s.names]
    assert word in offered


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'ab|",
        "SELECT 1 -- FROM |",
        "/* SELECT * FROM |",
        "SELECT 12|",
        "SELECT 'done'|",
        "SELECT x.y.| FROM t",
    ],
)
def test_nothing_fits(text: str) -> None:
    assert at(text).suggestions == ()


def test_the_typed_part() -> None:
    found = at("SELECT na| FROM t")
    assert (found.start, found.prefix, found.quote) == (7, "na", "")
    found = at("SELECT `na| FROM t")
    assert (found.start, found.prefix, found.quote) == (8, "na", "`")


def test_a_path_before_the_dot_is_kept() -> None:
    assert one("SELECT * FROM cat.db.|", Kind.TABLE).path == "cat.db"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ((((",
        "))) FROM (",
        "WITH",
        "FROM , , JOIN",
        "CREATE TABLE (",
        ";;; '",
        "a.b.c.",
        "SELECT . FROM .",
    ],
)
def test_no_text_breaks_it(text: str) -> None:
    for cursor in range(len(text) + 1):
        suggest(text, cursor)
