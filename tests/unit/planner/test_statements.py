"""SQL text to statements: what each form gives, and what is refused by name."""

from __future__ import annotations

import pytest

from streamsql.datatypes import ARRAY, BIGINT, DECIMAL, INT, STRING, TIMESTAMP
from streamsql.errors import StreamSqlError, UnsupportedError, ValidationError
from streamsql.planner.statement_names import columns_in, qualified, tables_in
from streamsql.planner.statements import (
    AddParts,
    AlterCatalog,
    AlterDatabase,
    AlterTable,
    AlterView,
    BeginStatementSet,
    ColumnSpec,
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Describe,
    DescribeJob,
    Drop,
    DropColumns,
    DropPrimaryKey,
    DropWatermark,
    EndStatementSet,
    Explain,
    Ident,
    Insert,
    KeySpec,
    LikeClause,
    ModifyParts,
    Name,
    Query,
    RenameColumn,
    RenameTo,
    Reset,
    ResetOptions,
    Set,
    SetOptions,
    Show,
    ShowJobs,
    Statement,
    StatementSet,
    StopJob,
    TableParts,
    Use,
    WatermarkDecl,
    parse_statement,
    parse_statements,
)


def name(*parts: str) -> Name:
    return Name(parts)


def column(column_name: str, type_: object = None, **rest: object) -> ColumnSpec:
    return ColumnSpec(Ident(column_name), type_, **rest)  # type: ignore[arg-type]


def idents(*names: str) -> tuple[Ident, ...]:
    return tuple(map(Ident, names))


CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS shop.orders (
  id BIGINT NOT NULL COMMENT 'the order',
  `select` DECIMAL(10, 2),
  ts TIMESTAMP(3),
  tags ARRAY<STRING NOT NULL>,
  part INT METADATA FROM 'partition' VIRTUAL,
  headers STRING METADATA,
  total AS `select` * 2 COMMENT 'twice',
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  CONSTRAINT pk PRIMARY KEY (id) NOT ENFORCED
) COMMENT 'all orders' PARTITIONED BY (part, id) WITH ('connector' = 'kafka', 'topic' = 'it''s')
"""


def test_create_table() -> None:
    assert parse_statement(CREATE_TABLE) == CreateTable(
        name("shop", "orders"),
        TableParts(
            (
                column("id", BIGINT().not_null(), comment="the order"),
                column("select", DECIMAL(10, 2)),
                column("ts", TIMESTAMP(3)),
                column("tags", ARRAY(STRING().not_null())),
                column("part", INT(), metadata_key="partition", virtual=True),
                column("headers", STRING(), metadata_key="headers"),
                column("total", expression="`select` * 2", comment="twice"),
            ),
            KeySpec(idents("id"), "pk"),
            WatermarkDecl(Ident("ts"), "ts - INTERVAL '5' SECOND"),
        ),
        {"connector": "kafka", "topic": "it's"},
        idents("part", "id"),
        "all orders",
        if_not_exists=True,
    )


def test_a_statement_keeps_its_text_and_the_places_in_it() -> None:
    statement = parse_statement(CREATE_TABLE)
    assert isinstance(statement, CreateTable)
    assert statement.sql == CREATE_TABLE
    key = statement.parts.primary_key
    assert key is not None and key.columns[0].position is not None
    assert key.columns[0].position.excerpt().splitlines() == [
        "line 11:   CONSTRAINT pk PRIMARY KEY (id) NOT ENFORCED",
        " " * len("line 11:   CONSTRAINT pk PRIMARY KEY (") + "^^",
    ]
    assert statement.name.position is not None
    assert statement.name.position.excerpt().endswith("^" * len("shop.orders"))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "CREATE TEMPORARY TABLE t (a INT PRIMARY KEY NOT ENFORCED) WITH ('connector'='print')",
            CreateTable(
                name("t"),
                TableParts((column("a", INT()),), KeySpec(idents("a"))),
                {"connector": "print"},
                temporary=True,
            ),
        ),
        (
            "CREATE TABLE t LIKE db.s (EXCLUDING ALL INCLUDING GENERATED, OVERWRITING OPTIONS)",
            CreateTable(
                name("t"),
                like=LikeClause(
                    name("db", "s"),
                    (("EXCLUDING", "ALL"), ("INCLUDING", "GENERATED"), ("OVERWRITING", "OPTIONS")),
                ),
            ),
        ),
        ("ALTER TABLE t RENAME a TO b", AlterTable(name("t"), RenameColumn(Ident("a"), Ident("b")))),
        ("ALTER TABLE IF EXISTS t RENAME TO d.u", AlterTable(name("t"), RenameTo(name("d", "u")), True)),
        ("ALTER TABLE t SET ('a'='1', 'a'='2')", AlterTable(name("t"), SetOptions({"a": "2"}))),
        ("ALTER TABLE t SET ()", AlterTable(name("t"), SetOptions({}))),
        ("ALTER TABLE t RESET ('a', 'b')", AlterTable(name("t"), ResetOptions(("a", "b")))),
        ("ALTER TABLE t DROP a", AlterTable(name("t"), DropColumns(idents("a")))),
        ("ALTER TABLE t DROP (a, b)", AlterTable(name("t"), DropColumns(idents("a", "b")))),
        ("ALTER TABLE t DROP PRIMARY KEY", AlterTable(name("t"), DropPrimaryKey())),
        ("ALTER TABLE t DROP CONSTRAINT pk", AlterTable(name("t"), DropPrimaryKey(Ident("pk")))),
        ("ALTER TABLE t DROP WATERMARK", AlterTable(name("t"), DropWatermark())),
        (
            "ALTER TABLE t ADD (a INT FIRST, b AS a + 1 AFTER a, WATERMARK FOR ts AS ts)",
            AlterTable(
                name("t"),
                AddParts(
                    TableParts(
                        (
                            column("a", INT(), place="FIRST"),
                            column("b", expression="a + 1", place=Ident("a")),
                        ),
                        watermark=WatermarkDecl(Ident("ts"), "ts"),
                    )
                ),
            ),
        ),
        (
            "ALTER TABLE t MODIFY a BIGINT COMMENT 'x'",
            AlterTable(name("t"), ModifyParts(TableParts((column("a", BIGINT(), comment="x"),)))),
        ),
        (
            "ALTER TABLE t MODIFY PRIMARY KEY (a, b) NOT ENFORCED",
            AlterTable(name("t"), ModifyParts(TableParts(primary_key=KeySpec(idents("a", "b"))))),
        ),
        ("ALTER VIEW v RENAME TO w", AlterView(name("v"), name("w"))),
        (
            "CREATE CATALOG IF NOT EXISTS c COMMENT 'x' WITH ('type'='generic_in_memory')",
            CreateCatalog(name("c"), {"type": "generic_in_memory"}, "x", True),
        ),
        ("ALTER CATALOG c SET ('a'='b')", AlterCatalog(name("c"), {"a": "b"})),
        ("ALTER CATALOG c RESET ('a')", AlterCatalog(name("c"), reset=("a",))),
        ("ALTER CATALOG c COMMENT 'x'", AlterCatalog(name("c"), comment="x")),
        ("CREATE DATABASE c.d WITH ('a'='b')", CreateDatabase(name("c", "d"), {"a": "b"})),
        ("ALTER DATABASE d SET ('a'='b')", AlterDatabase(name("d"), {"a": "b"})),
        ("CREATE FUNCTION f AS 'm.f' LANGUAGE PYTHON", CreateFunction(name("f"), "m.f")),
        (
            "CREATE TEMPORARY SYSTEM FUNCTION IF NOT EXISTS f AS 'm.f' LANGUAGE PYTHON",
            CreateFunction(name("f"), "m.f", temporary=True, system=True, if_not_exists=True),
        ),
        (
            "ALTER TEMPORARY FUNCTION IF EXISTS f AS 'm.g' LANGUAGE PYTHON",
            CreateFunction(name("f"), "m.g", temporary=True, alter=True, if_exists=True),
        ),
        ("DROP TABLE IF EXISTS a.b.c", Drop("TABLE", name("a", "b", "c"), if_exists=True)),
        ("DROP TEMPORARY VIEW v", Drop("VIEW", name("v"), temporary=True)),
        ("DROP DATABASE d CASCADE", Drop("DATABASE", name("d"), cascade=True)),
        ("DROP DATABASE d RESTRICT", Drop("DATABASE", name("d"))),
        ("DROP CATALOG c", Drop("CATALOG", name("c"))),
        ("DROP TEMPORARY SYSTEM FUNCTION f", Drop("FUNCTION", name("f"), temporary=True, system=True)),
        ("SHOW TABLES", Show("TABLES")),
        ("SHOW TABLES FROM a.b NOT LIKE 'x%'", Show("TABLES", name("a", "b"), "x%", negated=True)),
        ("SHOW DATABASES IN c ILIKE 'x'", Show("DATABASES", name("c"), "x", ignore_case=True)),
        ("SHOW CURRENT DATABASE", Show("CURRENT DATABASE")),
        ("SHOW COLUMNS FROM t", Show("COLUMNS", name("t"))),
        ("SHOW CREATE TABLE a.t", Show("CREATE TABLE", name("a", "t"))),
        ("SHOW USER FUNCTIONS", Show("USER FUNCTIONS")),
        ("SHOW JOBS", ShowJobs()),
        ("DESC t", Describe("TABLE", name("t"))),
        ("DESCRIBE FUNCTION EXTENDED f", Describe("FUNCTION", name("f"), True)),
        ("DESCRIBE JOB 'j1'", DescribeJob("j1")),
        ("STOP JOB 'j1' WITH SAVEPOINT WITH DRAIN", StopJob("j1", True, True)),
        ("STOP JOB 'j1'", StopJob("j1")),
        ("SET", Set()),
        ("SET 'a.b' = 'c'", Set("a.b", "c")),
        ("SET a.b-c = 5 s", Set("a.b-c", "5 s")),
        ("RESET", Reset()),
        ("RESET 'a.b'", Reset("a.b")),
        ("USE CATALOG c", Use("CATALOG", name("c"))),
        ("USE c.d", Use("DATABASE", name("c", "d"))),
        ("BEGIN STATEMENT SET", BeginStatementSet()),
        ("END", EndStatementSet()),
    ],
)
def test_statements(sql: str, expected: Statement) -> None:
    assert parse_statement(sql) == expected
    assert parse_statement(f"{sql};").sql == f"{sql};"


def test_queries() -> None:
    for sql, endless in [("SELECT 1", False), ("VALUES (1)", False), ("SELECT 1 EMIT CHANGES", True)]:
        statement = parse_statement(sql)
        assert isinstance(statement, Query)
        assert statement.emit_changes is endless
    subscribed = parse_statement("SUBSCRIBE TO jobs.board")
    assert isinstance(subscribed, Query) and subscribed.emit_changes
    assert subscribed.ast.sql(dialect="flink") == "SELECT * FROM jobs.board"


def test_insert() -> None:
    statement = parse_statement(
        "INSERT OVERWRITE db.t /*+ OPTIONS('a'='b') */ PARTITION (d = '1', e) (x, y) "
        "SELECT 1, 2 ON CONFLICT DO NOTHING"
    )
    assert isinstance(statement, Insert)
    assert statement.target == name("db", "t")
    assert statement.columns == idents("x", "y")
    assert [(k.name, v and v.name) for k, v in statement.partition] == [("d", "1"), ("e", None)]
    assert statement.options == {"a": "b"}
    assert (statement.overwrite, statement.on_conflict) == (True, "DO NOTHING")
    assert statement.query.sql(dialect="flink") == "SELECT 1, 2"
    plain = parse_statement("EXECUTE INSERT INTO t VALUES (1), (2)")
    assert isinstance(plain, Insert)
    assert (plain.columns, plain.partition, plain.options, plain.overwrite) == ((), (), {}, False)


def test_create_view() -> None:
    statement = parse_statement(
        "CREATE TEMPORARY VIEW v (a COMMENT 'first', b) COMMENT 'both' "
        "AS WITH q AS (SELECT 1 AS x, 2) SELECT * FROM q"
    )
    assert isinstance(statement, CreateView)
    assert statement.text == "WITH q AS (SELECT 1 AS x, 2) SELECT * FROM q"
    assert statement.columns == ((Ident("a"), "first"), (Ident("b"), None))
    assert (statement.comment, statement.temporary) == ("both", True)


@pytest.mark.parametrize(
    ("head", "replace"),
    [("CREATE TABLE", ""), ("CREATE OR REPLACE TABLE", "CREATE OR REPLACE"), ("REPLACE TABLE", "REPLACE")],
)
def test_create_table_as(head: str, replace: str) -> None:
    statement = parse_statement(f"{head} t (b, a) WITH ('connector'='print') AS SELECT a, b FROM s")
    assert isinstance(statement, CreateTable)
    assert statement.parts.columns == (column("b"), column("a"))
    assert statement.query is not None and statement.query.sql(dialect="flink") == "SELECT a, b FROM s"
    assert statement.replace == replace


def test_statement_set_and_explain() -> None:
    statement = parse_statement(
        "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; "
        "CREATE TABLE b WITH ('connector'='print') AS SELECT 2; END"
    )
    assert isinstance(statement, StatementSet)
    assert [type(s) for s in statement.statements] == [Insert, CreateTable]
    explained = parse_statement("EXPLAIN CHANGELOG_MODE, VERBOSE INSERT INTO a SELECT 1")
    assert isinstance(explained, Explain)
    assert explained.details == ("CHANGELOG_MODE", "VERBOSE")
    assert isinstance(explained.statement, Insert)
    plain = parse_statement("EXPLAIN PLAN FOR SELECT 1")
    assert isinstance(plain, Explain) and isinstance(plain.statement, Query) and plain.details == ()


def test_a_script() -> None:
    assert [type(s) for s in parse_statements("USE a; SET 'k'='v';\n-- a comment\nSHOW TABLES;")] == [
        Use,
        Set,
        Show,
    ]


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("CREATE MODEL m WITH ('a'='b')", "CREATE MODEL"),
        ("CREATE MATERIALIZED TABLE m AS SELECT 1", "CREATE MATERIALIZED TABLE"),
        ("CREATE CONNECTION c WITH ('a'='b')", "CREATE CONNECTION"),
        ("CREATE FUNCTION f AS 'a.B'", "functions in JAVA"),
        ("CREATE FUNCTION f AS 'a.B' LANGUAGE SCALA", "functions in SCALA"),
        ("CREATE FUNCTION f AS 'a.b' LANGUAGE PYTHON USING JAR 'x.jar'", "CREATE FUNCTION … USING"),
        ("CREATE TABLE t (a INT) DISTRIBUTED BY (a) INTO 3 BUCKETS WITH ('connector'='x')", "DISTRIBUTED"),
        (
            "CREATE TEMPORARY TABLE t WITH ('connector'='print') AS SELECT 1",
            "TEMPORARY table in CREATE TABLE … AS",
        ),
        (
            "CREATE TABLE t PARTITIONED BY (a) WITH ('connector'='print') AS SELECT 1 AS a",
            "PARTITIONED BY in",
        ),
        (
            "CREATE OR REPLACE TABLE t (a INT) WITH ('connector'='print')",
            "CREATE OR REPLACE TABLE without AS",
        ),
        (
            "CREATE TABLE t (a INT, WATERMARK FOR a.b AS a.b) WITH ('connector'='x')",
            "inside a watermark column",
        ),
        ("ALTER MODEL m SET ('a'='b')", "ALTER MODEL"),
        ("ALTER TABLE t ADD PARTITION (a = 1)", "ADD PARTITION"),
        ("ALTER TABLE t DROP PARTITION (a = 1)", "DROP PARTITION"),
        ("ALTER TABLE t DROP DISTRIBUTION", "DISTRIBUTED"),
        ("ALTER TABLE t DROP a.b", "inside a column"),
        ("DROP MODEL m", "DROP MODEL"),
        ("DROP MATERIALIZED TABLE m", "DROP MATERIALIZED TABLE"),
        ("SHOW PARTITIONS t", "SHOW PARTITIONS"),
        ("SHOW PROCEDURES", "SHOW PROCEDURES"),
        ("SHOW MODELS", "SHOW MODELS"),
        ("SHOW JARS", "SHOW JARS"),
        ("SHOW MATERIALIZED TABLES", "SHOW MATERIALIZED TABLES"),
        ("DESCRIBE MODEL m", "DESCRIBE MODEL"),
        ("USE MODULES core", "USE MODULES"),
        ("LOAD MODULE hive", "LOAD MODULE"),
        ("UNLOAD MODULE core", "UNLOAD MODULE"),
        ("ADD JAR 'x.jar'", "ADD JAR"),
        ("REMOVE JAR 'x.jar'", "REMOVE JAR"),
        ("CALL p(1)", "CALL"),
        ("ANALYZE TABLE t COMPUTE STATISTICS", "ANALYZE TABLE"),
        ("COMPILE PLAN 'f' FOR INSERT INTO t SELECT 1", "COMPILE PLAN"),
        ("EXECUTE PLAN 'f'", "EXECUTE PLAN"),
        ("UPDATE t SET a = 1", "UPDATE"),
        ("DELETE FROM t WHERE a = 1", "DELETE"),
        ("TRUNCATE TABLE t", "TRUNCATE TABLE"),
        ("EXPLAIN UPDATE t SET a = 1", "UPDATE"),
        ("INSERT INTO t /*+ STATE_TTL('t'='1d') */ SELECT 1", "the hint STATE_TTL"),
        ("INSERT INTO t (a.b) SELECT 1", "inside a column"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(sql: str, named: str) -> None:
    with pytest.raises(UnsupportedError) as raised:
        parse_statement(sql)
    assert named in raised.value.message


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("ALTER TABLE t ADD (b)", "column 'b' has no type"),
        ("CREATE TABLE t (a INT) WITH ('a'='1', 'a'='2')", "option 'a' is given twice"),
        ("CREATE TABLE t (a INT PRIMARY KEY NOT ENFORCED, PRIMARY KEY (a) NOT ENFORCED)", "one PRIMARY KEY"),
        ("CREATE TABLE t (a INT, WATERMARK FOR a AS a, WATERMARK FOR a AS a)", "one WATERMARK"),
        ("CREATE TABLE t LIKE s AS SELECT 1", "LIKE or AS"),
        ("EXPLAIN CREATE TABLE t (a INT) WITH ('connector'='x')", "EXPLAIN takes"),
        ("EXECUTE STATEMENT SET BEGIN CREATE TABLE t (a INT); END", "a statement set holds"),
    ],
)
def test_what_is_wrong(sql: str, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parse_statement(sql)
    assert message in raised.value.message


def test_two_statements_where_one_is_expected() -> None:
    with pytest.raises(StreamSqlError, match="found 2 statements"):
        parse_statement("SHOW TABLES; SHOW VIEWS")


def test_columns_in() -> None:
    assert columns_in("UPPER(a.b) || `c d` || CAST(e AS STRING)") == {"a", "c d", "e"}
    assert columns_in("PROCTIME()") == set()


def used(sql: str) -> set[str]:
    statement = parse_statement(sql)
    assert isinstance(statement, Query)
    return {".".join(p.name for p in t.parts) for t in tables_in(statement.ast)}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM a, b.c JOIN d.e.f ON TRUE", {"a", "b.c", "d.e.f"}),
        ("WITH q AS (SELECT * FROM a) SELECT * FROM q", {"a"}),
        ("WITH q AS (SELECT * FROM a) SELECT * FROM x.q", {"a", "x.q"}),
        ("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))", {"t"}),
        ("SELECT * FROM a WHERE x IN (SELECT y FROM b)", {"a", "b"}),
    ],
)
def test_tables_in(sql: str, tables: set[str]) -> None:
    assert used(sql) == tables


def test_qualified() -> None:
    def resolve(parts: list[str]) -> tuple[str, str, str]:
        return ("c", "d", parts[-1])

    assert qualified("SELECT t.a, b FROM t", resolve) == "SELECT t.a, b FROM c.d.t AS t"
    assert qualified("WITH q AS (SELECT * FROM t) SELECT * FROM q", resolve) == (
        "WITH q AS (SELECT * FROM c.d.t) SELECT * FROM q"
    )
