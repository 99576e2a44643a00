"""Statements on names and options: what they do to the catalog and what they answer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from streamsql.catalog.table import Column, ViewDefinition, WatermarkSpec
from streamsql.datatypes import BIGINT, CHAR, INT, STRING, TIMESTAMP, TIMESTAMP_LTZ
from streamsql.ddl import execute
from streamsql.ddl_show import like_regex
from streamsql.errors import CatalogError, ConfigError, UnsupportedError, ValidationError
from streamsql.planner.statements import Ident, Name, parse_statement
from tests.unit.ddl_session import DdlSession

WITH = "WITH ('connector'='kafka', 'topic'='t', 'properties.bootstrap.servers'='b:9092', 'format'='json')"
CHANGES = WITH.replace("'json'", "'debezium-json'")
ORDERS = f"""
CREATE TABLE orders (
  id BIGINT,
  price INT COMMENT 'in cents',
  ts TIMESTAMP(3),
  part INT METADATA FROM 'partition' VIRTUAL,
  `timestamp` TIMESTAMP_LTZ(3) METADATA,
  twice AS price * 2,
  p AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) COMMENT 'all orders' {WITH}
"""


@pytest.fixture
def session() -> DdlSession:
    session = DdlSession()
    session.run(ORDERS)
    return session


# -- CREATE TABLE ---------------------------------------------------------------------------------


def test_create_table(session: DdlSession) -> None:
    table = session.table("orders")
    assert table.columns == (
        Column("id", BIGINT()),
        Column("price", INT(), "in cents"),
        Column("ts", TIMESTAMP(3)),
        Column("part", INT(), metadata_key="partition", virtual=True),
        Column("timestamp", TIMESTAMP_LTZ(3), metadata_key="timestamp"),
        Column("twice", INT(), expression="price * 2"),
        Column("p", TIMESTAMP_LTZ(3).not_null(), expression="PROCTIME()"),
    )
    assert table.watermark == WatermarkSpec("ts", "ts - INTERVAL '5' SECOND")
    assert (table.comment, table.connector, table.primary_key) == ("all orders", "kafka", ())


def test_key_columns_become_not_null(session: DdlSession) -> None:
    session.run(
        f"CREATE TABLE u (a INT, b STRING, c INT, CONSTRAINT k PRIMARY KEY (b, a) NOT ENFORCED) {CHANGES}"
    )
    table = session.table("u")
    assert (table.primary_key, table.primary_key_name) == (("b", "a"), "k")
    assert [c.type for c in table.columns] == [INT().not_null(), STRING().not_null(), INT()]


def test_if_not_exists_leaves_the_table_as_it_is(session: DdlSession) -> None:
    before = session.table("orders")
    assert (
        session.run("CREATE TABLE IF NOT EXISTS orders (x INT) WITH ('connector'='nonsense')").message == "OK"
    )
    assert session.table("orders") is before
    session.run(f"CREATE TEMPORARY TABLE IF NOT EXISTS orders (x INT) {WITH}")
    assert session.table("orders").temporary


def test_a_table_in_another_database(session: DdlSession) -> None:
    session.run("CREATE DATABASE shop")
    session.run(f"CREATE TABLE shop.t (x INT) {WITH}")
    assert str(session.table("shop", "t").path) == "default_catalog.shop.t"


@pytest.mark.parametrize(
    ("rules", "columns", "watermark", "options"),
    [
        ("", "id price ts part timestamp twice p x", True, 4),
        ("(EXCLUDING ALL)", "id price ts x", False, 0),
        ("(EXCLUDING METADATA)", "id price ts twice p x", True, 4),
        ("(EXCLUDING GENERATED EXCLUDING WATERMARKS)", "id price ts part timestamp x", False, 4),
        ("(EXCLUDING ALL INCLUDING OPTIONS)", "id price ts x", False, 4),
    ],
)
def test_like(session: DdlSession, rules: str, columns: str, watermark: bool, options: int) -> None:
    own = "" if options else WITH
    session.run(f"CREATE TABLE t (x INT) {own} LIKE orders {rules}")
    table = session.table("t")
    assert [c.name for c in table.columns] == columns.split()
    assert (table.watermark is not None) is watermark
    assert table.options["topic"] == "t" and len(table.options) == 4
    assert table.comment is None


def test_like_overwriting(session: DdlSession) -> None:
    session.run(
        "CREATE TABLE t (twice AS price * 3, WATERMARK FOR ts AS ts) WITH ('topic'='other') "
        "LIKE orders (OVERWRITING GENERATED OVERWRITING WATERMARKS OVERWRITING OPTIONS)"
    )
    table = session.table("t")
    assert [c.name for c in table.columns] == ["id", "price", "ts", "part", "timestamp", "twice", "p"]
    twice = table.column("twice")
    assert twice is not None and twice.expression == "price * 3"
    assert table.watermark == WatermarkSpec("ts", "ts")
    assert table.options["topic"] == "other"


def test_create_table_as(session: DdlSession) -> None:
    query = "SELECT id, price, 'x' AS k FROM orders"
    result = session.run(f"CREATE TABLE t (extra STRING, price BIGINT) {WITH} AS {query}")
    assert session.table("t").columns == (
        Column("extra", STRING()),
        Column("price", BIGINT()),
        Column("id", BIGINT()),
        Column("k", CHAR(1).not_null()),
    )
    insert = result.insert
    assert insert is not None
    assert insert.target == Name(("default_catalog", "default_database", "t"))
    assert insert.columns == (Ident("id"), Ident("price"), Ident("k"))
    assert insert.query.sql(dialect="flink") == query


def test_create_table_as_with_an_order_of_names(session: DdlSession) -> None:
    result = session.run(f"CREATE TABLE t (price, id) {WITH} AS SELECT id, price FROM orders")
    assert [c.name for c in session.table("t").columns] == ["price", "id"]
    assert result.insert is not None and result.insert.columns == (Ident("id"), Ident("price"))


def test_replace_table(session: DdlSession) -> None:
    with pytest.raises(CatalogError, match="does not exist"):
        session.run(f"REPLACE TABLE t {WITH} AS SELECT id FROM orders")
    assert session.run(f"CREATE OR REPLACE TABLE t {WITH} AS SELECT id FROM orders").insert is not None
    assert session.run(f"REPLACE TABLE t {WITH} AS SELECT price FROM orders").insert is not None
    assert [c.name for c in session.table("t").columns] == ["price"]


# -- ALTER TABLE ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("ADD x INT", "id price ts part timestamp twice p x"),
        ("ADD x INT FIRST", "x id price ts part timestamp twice p"),
        ("ADD (x INT AFTER id, y AS x + 1 AFTER x)", "id x y price ts part timestamp twice p"),
        ("ADD off BIGINT METADATA FROM 'offset' VIRTUAL", "id price ts part timestamp twice p off"),
        ("MODIFY p AS PROCTIME() FIRST", "p id price ts part timestamp twice"),
        ("MODIFY id BIGINT AFTER price", "price id ts part timestamp twice p"),
        ("DROP (price, twice)", "id ts part timestamp p"),
        ("DROP part", "id price ts timestamp twice p"),
        ("RENAME id TO order_id", "order_id price ts part timestamp twice p"),
    ],
)
def test_alter_columns(session: DdlSession, change: str, columns: str) -> None:
    session.run(f"ALTER TABLE orders {change}")
    assert [c.name for c in session.table("orders").columns] == columns.split()


def test_modify_keeps_the_comment_unless_it_has_one(session: DdlSession) -> None:
    session.run("ALTER TABLE orders MODIFY price BIGINT NOT NULL")
    assert session.table("orders").column("price") == Column("price", BIGINT().not_null(), "in cents")
    session.run("ALTER TABLE orders MODIFY price INT COMMENT 'euros'")
    assert session.table("orders").column("price") == Column("price", INT(), "euros")


def test_alter_key_and_watermark(session: DdlSession) -> None:
    session.run(f"CREATE TABLE t (a INT, b INT, ts TIMESTAMP(3)) {CHANGES}")
    session.run("ALTER TABLE t ADD PRIMARY KEY (a) NOT ENFORCED")
    session.run("ALTER TABLE t MODIFY CONSTRAINT k PRIMARY KEY (b) NOT ENFORCED")
    assert session.table("t").primary_key == ("b",)
    session.run("ALTER TABLE t RENAME b TO c")
    assert session.table("t").primary_key == ("c",)
    session.run("ALTER TABLE t DROP CONSTRAINT k")
    assert session.table("t").primary_key == ()
    session.run("ALTER TABLE t ADD PRIMARY KEY (a, c) NOT ENFORCED")
    session.run("ALTER TABLE t DROP CONSTRAINT PK_a_c")
    assert session.table("t").primary_key == ()
    session.run("ALTER TABLE t ADD WATERMARK FOR ts AS ts")
    session.run("ALTER TABLE t MODIFY WATERMARK FOR ts AS ts - INTERVAL '1' SECOND")
    assert session.table("t").watermark == WatermarkSpec("ts", "ts - INTERVAL '1' SECOND")
    session.run("ALTER TABLE t DROP WATERMARK")
    assert session.table("t").watermark is None


def test_alter_options(session: DdlSession) -> None:
    session.run("ALTER TABLE orders SET ('topic'='u', 'scan.startup.mode'='latest-offset', 'topic'='v')")
    assert session.table("orders").options["topic"] == "v"
    session.run("ALTER TABLE orders RESET ('scan.startup.mode', 'never.set')")
    assert "scan.startup.mode" not in session.table("orders").options
    session.run("ALTER TABLE orders SET ()")


def test_a_refused_change_changes_nothing(session: DdlSession) -> None:
    before = session.table("orders")
    with pytest.raises(ConfigError):
        session.run("ALTER TABLE orders SET ('scan.startup.moed'='latest-offset')")
    with pytest.raises(ValidationError):
        session.run("ALTER TABLE orders ADD (x INT, y AS nowhere)")
    assert session.table("orders") is before


def test_rename_table(session: DdlSession) -> None:
    session.run("ALTER TABLE orders RENAME TO sales")
    assert session.names("SHOW TABLES") == ["sales"]
    session.run("ALTER TABLE sales RENAME TO default_database.orders")
    assert session.names("SHOW TABLES") == ["orders"]
    assert session.run("ALTER TABLE IF EXISTS nowhere RENAME TO x").message == "OK"


# -- views ----------------------------------------------------------------------------------------


def test_views(session: DdlSession) -> None:
    session.run("CREATE VIEW v (a, b) COMMENT 'c' AS SELECT id, price FROM orders")
    assert session.rows("DESCRIBE v") == [
        ("a", "BIGINT", True, None, None, None),
        ("b", "INT", True, None, None, None),
    ]
    assert session.names("SHOW VIEWS") == ["v"]
    assert session.names("SHOW TABLES") == ["orders", "v"]
    session.run("CREATE VIEW IF NOT EXISTS v AS SELECT nowhere FROM nowhere")
    session.run("ALTER VIEW v AS SELECT ts FROM orders")
    assert session.rows("DESCRIBE v") == [("ts", "TIMESTAMP(3) *ROWTIME*", True, None, None, None)]
    session.run("ALTER VIEW v RENAME TO w")
    session.run("DROP VIEW w")
    assert session.names("SHOW VIEWS") == []


def test_a_view_is_read_where_it_was_created(session: DdlSession) -> None:
    session.run("CREATE VIEW v AS SELECT orders.id, price FROM orders")
    session.run("CREATE DATABASE d")
    session.run("USE d")
    view = session.catalog.require(session.catalog.resolve(["default_database", "v"]))
    assert isinstance(view, ViewDefinition) and view.current_database == "default_database"
    assert session.rows("SHOW CREATE VIEW default_database.v") == [
        (
            "CREATE VIEW `default_catalog`.`default_database`.`v`\n"
            "AS SELECT orders.id, price FROM default_catalog.default_database.orders AS orders\n",
        )
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER VIEW v AS SELECT * FROM v",
        "ALTER VIEW v AS SELECT * FROM w",
        "ALTER VIEW v AS SELECT id FROM orders WHERE id IN (SELECT id FROM w)",
        "CREATE TEMPORARY VIEW v AS SELECT * FROM v",
    ],
)
def test_a_view_that_reads_itself_is_refused(session: DdlSession, sql: str) -> None:
    session.run("CREATE VIEW v AS SELECT id FROM orders")
    session.run("CREATE VIEW w AS SELECT id FROM v")
    with pytest.raises(ValidationError, match="would read itself"):
        session.run(sql)


# -- catalogs, databases, functions ---------------------------------------------------------------


def test_catalogs_and_databases(session: DdlSession) -> None:
    session.run(
        "CREATE CATALOG c COMMENT 'mine' WITH ('type'='generic_in_memory', 'default-database'='main')"
    )
    session.run("CREATE DATABASE c.d COMMENT 'two' WITH ('owner'='me')")
    assert session.names("SHOW CATALOGS") == ["c", "default_catalog"]
    assert session.names("SHOW DATABASES FROM c") == ["d", "main"]
    session.run("USE CATALOG c")
    assert session.names("SHOW CURRENT CATALOG") + session.names("SHOW CURRENT DATABASE") == ["c", "main"]
    session.run("USE d")
    assert session.names("SHOW CURRENT DATABASE") == ["d"]
    assert session.rows("DESCRIBE CATALOG EXTENDED c") == [
        ("name", "c"),
        ("type", "generic_in_memory"),
        ("comment", "mine"),
        ("option:default-database", "main"),
        ("option:type", "generic_in_memory"),
    ]
    session.run("ALTER DATABASE d SET ('owner'='you')")
    assert session.rows("DESC DATABASE EXTENDED d")[-1] == ("option:owner", "you")
    session.run("ALTER CATALOG c COMMENT 'yours'")
    assert session.rows("DESC CATALOG c")[-1] == ("comment", "yours")
    session.run("ALTER CATALOG c SET ('default-database'='d')")
    session.run("ALTER CATALOG c RESET ('default-database')")
    assert session.rows("SHOW CREATE CATALOG c") == [
        ("CREATE CATALOG `c`\nCOMMENT 'yours'\nWITH (\n  'type' = 'generic_in_memory'\n)\n",)
    ]
    session.run("USE default_catalog.default_database")
    session.run("DROP DATABASE c.d")
    session.run("DROP CATALOG c")
    assert session.names("SHOW CATALOGS") == ["default_catalog"]


def test_functions(session: DdlSession) -> None:
    session.run("CREATE FUNCTION Later AS 'json.dumps' LANGUAGE PYTHON")
    session.run("CREATE TEMPORARY SYSTEM FUNCTION now_ AS 'json.loads' LANGUAGE PYTHON")
    assert session.names("SHOW USER FUNCTIONS") == ["later", "now_"]
    assert session.names("SHOW FUNCTIONS LIKE '%a%'") == ["later"]
    assert session.rows("DESCRIBE FUNCTION later") == [
        ("is system function", "false"),
        ("is temporary", "false"),
        ("class name", "json.dumps"),
        ("function language", "PYTHON"),
    ]
    found = session.catalog.functions.get(session.catalog.resolve(["LATER"]))
    assert found is not None and found.callable is json.dumps
    session.run("ALTER FUNCTION later AS 'json.loads' LANGUAGE PYTHON")
    assert session.rows("DESC FUNCTION later")[2] == ("class name", "json.loads")
    session.run("DROP FUNCTION later")
    session.run("DROP TEMPORARY SYSTEM FUNCTION now_")
    session.run("DROP FUNCTION IF EXISTS later")
    assert session.names("SHOW USER FUNCTIONS") == []


def test_built_in_functions_are_listed_and_described(session: DdlSession) -> None:
    session.run("CREATE FUNCTION mine AS 'json.dumps' LANGUAGE PYTHON")
    assert session.names("SHOW FUNCTIONS LIKE 'MI%'") == ["MIN", "MINUTE"]
    assert session.names("SHOW FUNCTIONS ILIKE 'mi%'") == ["MIN", "mine", "MINUTE"]
    assert session.rows("DESCRIBE FUNCTION upper") == [
        ("is system function", "true"),
        ("is temporary", "false"),
    ]
    rows = session.rows("DESCRIBE FUNCTION EXTENDED upper")
    assert [key for key, _ in rows[2:]] == ["is deterministic", "signature", "result", "description"]
    assert ("signature", "UPPER(string)") in [(k, str(v).lower().replace("upper", "UPPER")) for k, v in rows]


# -- SHOW and DESCRIBE ----------------------------------------------------------------------------


def test_describe(session: DdlSession) -> None:
    result = session.run("DESCRIBE orders")
    assert result.schema.names == ["name", "type", "null", "key", "extras", "watermark", "comment"]
    assert result.rows == [
        ("id", "BIGINT", True, None, None, None, None),
        ("price", "INT", True, None, None, None, "in cents"),
        ("ts", "TIMESTAMP(3) *ROWTIME*", True, None, None, "ts - INTERVAL '5' SECOND", None),
        ("part", "INT", True, None, "METADATA FROM 'partition' VIRTUAL", None, None),
        ("timestamp", "TIMESTAMP_LTZ(3)", True, None, "METADATA", None, None),
        ("twice", "INT", True, None, "AS price * 2", None, None),
        ("p", "TIMESTAMP_LTZ(3) *PROCTIME*", False, None, "AS PROCTIME()", None, None),
    ]
    session.run(f"CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b) NOT ENFORCED) {CHANGES}")
    keyed = session.run("SHOW COLUMNS FROM t LIKE 'a'")
    assert keyed.schema.names == ["name", "type", "null", "key", "extras", "watermark"]
    assert keyed.rows == [("a", "INT", False, "PRI(a, b)", None, None)]


FANCY = f"""
CREATE TEMPORARY TABLE `odd ``name` (
  `select` MAP<STRING NOT NULL, BYTES> COMMENT 'it''s',
  h MAP<STRING NOT NULL, BYTES> METADATA FROM 'headers',
  d DECIMAL(10, 2) NOT NULL,
  r ROW<`a b` INT, c ARRAY<DOUBLE>>,
  ts AS TO_TIMESTAMP_LTZ(CAST(d AS BIGINT), 3) COMMENT 'computed',
  WATERMARK FOR ts AS ts,
  CONSTRAINT pk PRIMARY KEY (d) NOT ENFORCED
) COMMENT 'a comment' {CHANGES.replace("'t'", "'it''s'")}
"""


@pytest.mark.parametrize("sql", [ORDERS, FANCY])
def test_show_create_table_gives_the_same_table(sql: str) -> None:
    first, second = DdlSession(), DdlSession()
    first.run(sql)
    (name,) = first.names("SHOW TABLES")
    quoted = f"`{name.replace('`', '``')}`"
    text = first.names(f"SHOW CREATE TABLE {quoted}")[0]
    second.run(text)
    assert second.table(name) == first.table(name)
    assert second.names(f"SHOW CREATE TABLE {quoted}") == [text]


def test_show_create_table_text(session: DdlSession) -> None:
    assert session.names("SHOW CREATE TABLE orders")[0] == (
        "CREATE TABLE `default_catalog`.`default_database`.`orders` (\n"
        "  `id` BIGINT,\n"
        "  `price` INT COMMENT 'in cents',\n"
        "  `ts` TIMESTAMP(3),\n"
        "  `part` INT METADATA FROM 'partition' VIRTUAL,\n"
        "  `timestamp` TIMESTAMP_LTZ(3) METADATA,\n"
        "  `twice` AS price * 2,\n"
        "  `p` AS PROCTIME(),\n"
        "  WATERMARK FOR `ts` AS ts - INTERVAL '5' SECOND\n"
        ") COMMENT 'all orders'\n"
        "WITH (\n"
        "  'connector' = 'kafka',\n"
        "  'topic' = 't',\n"
        "  'properties.bootstrap.servers' = 'b:9092',\n"
        "  'format' = 'json'\n"
        ")\n"
    )


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("", ["a_b", "aXb", "b"]),
        ("LIKE 'a%'", ["a_b", "aXb"]),
        ("NOT LIKE 'a%'", ["b"]),
        ("LIKE 'a_b'", ["a_b", "aXb"]),
        ("LIKE 'a\\_b'", ["a_b"]),
        ("LIKE 'AXB'", []),
        ("ILIKE 'AXB'", ["aXb"]),
    ],
)
def test_like_patterns(condition: str, names: list[str]) -> None:
    session = DdlSession()
    for table in ("a_b", "aXb", "b"):
        session.run(f"CREATE TABLE {table} (x INT) {WITH}")
    assert session.names(f"SHOW TABLES {condition}") == sorted(names)


def test_like_regex_escapes_the_rest() -> None:
    assert like_regex("a.b%") == r"a\.b.*"


def test_tables_of_jobs_are_listed_and_described(session: DdlSession) -> None:
    board = replace(session.table("orders"), path=session.catalog.resolve(["jobs", "board"]))
    session.catalog.virtual = lambda parts: board if parts == ("board",) else None
    session.catalog.virtual_names = lambda: [("board",)]
    assert session.names("SHOW TABLES FROM jobs") == ["board"]
    assert session.names("DESCRIBE jobs.board")[0] == "id"
    with pytest.raises(CatalogError, match="jobs"):
        session.run("ALTER TABLE jobs.board ADD x INT")
    with pytest.raises(UnsupportedError, match="no statement creates"):
        session.run("SHOW CREATE TABLE jobs.board")


# -- options --------------------------------------------------------------------------------------


def test_set_and_reset(session: DdlSession) -> None:
    assert session.run("SET 'table.exec.source.idle-timeout' = '1 min'").message == "OK"
    assert session.config.get("table.exec.source.idle-timeout") == 60_000
    listed = {str(key): value for key, value in session.rows("SET")}
    assert listed["table.exec.source.idle-timeout"] == "1 min"
    assert listed["table.dml-sync"] == "false"
    session.run("RESET 'table.exec.source.idle-timeout'")
    assert session.config.get("table.exec.source.idle-timeout") == 0
    session.run("SET table.dml-sync = true")
    session.run("RESET")
    assert session.config.as_dict() == {}


def test_other_statements_are_left_to_the_session(session: DdlSession) -> None:
    for sql in (
        "SELECT 1",
        "INSERT INTO orders SELECT 1",
        "SHOW JOBS",
        "STOP JOB 'x'",
        "EXPLAIN SELECT 1",
        "END",
    ):
        assert execute(parse_statement(sql), session.context) is None
