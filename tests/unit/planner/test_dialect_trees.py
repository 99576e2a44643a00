"""The shape of the trees: what the binder relies on, node by node."""

from __future__ import annotations

from typing import Any

import pytest
from sqlglot import exp

from streamsql.planner.dialect import nodes
from streamsql.planner.parsing import parse_expression, parse_one, parse_type, position_of


def query(text: str) -> exp.Select:
    tree = parse_one(text)
    assert isinstance(tree, exp.Select)
    return tree


def create(text: str) -> exp.Create:
    tree = parse_one(text)
    assert isinstance(tree, exp.Create)
    return tree


def names(table: exp.Expr) -> list[str]:
    assert isinstance(table, exp.Table)
    return [part.name for part in table.parts]


def properties(tree: exp.Create) -> dict[type, Any]:
    found = tree.args.get("properties")
    return {type(node): node for node in found.expressions} if found else {}


def option_map(options: list[exp.Expr]) -> dict[str, str]:
    return {option.this.name: option.args["value"].name for option in options}


# --- statements ---


def test_create_table() -> None:
    tree = create(
        """CREATE TEMPORARY TABLE IF NOT EXISTS c.d.t (
             a INT NOT NULL COMMENT 'first',
             b AS a + 1,
             `offset` BIGINT METADATA VIRTUAL,
             ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
             WATERMARK FOR r.ts AS ts - INTERVAL '5' SECOND,
             CONSTRAINT pk PRIMARY KEY (a) NOT ENFORCED
           ) COMMENT 'x' PARTITIONED BY (a, b) WITH ('k' = 'v', 'l' = 'w') LIKE s (EXCLUDING OPTIONS)"""
    )
    assert (tree.kind, tree.args["exists"], tree.args.get("replace")) == ("TABLE", True, None)
    assert names(tree.this.this) == ["c", "d", "t"]
    a, b, offset, ts, watermark, constraint = tree.this.expressions
    assert [type(c.args["kind"]) for c in a.args["constraints"]] == [
        exp.NotNullColumnConstraint,
        exp.CommentColumnConstraint,
    ]
    assert a.kind.this == exp.DType.INT
    assert b.args.get("kind") is None
    assert isinstance(b.args["constraints"][0].args["kind"], exp.ComputedColumnConstraint)
    metadata = offset.args["constraints"][0].args["kind"]
    assert isinstance(metadata, nodes.MetadataColumnConstraint)
    assert (offset.name, metadata.args["virtual"], metadata.args["from_"]) == ("offset", True, None)
    assert ts.args["constraints"][0].args["kind"].args["from_"].name == "timestamp"
    assert isinstance(watermark.this, exp.Dot)
    assert isinstance(watermark.expression, exp.Sub)
    assert constraint.this.name == "pk"
    assert [column.name for column in constraint.expressions[0].expressions] == ["a"]
    found = properties(tree)
    assert exp.TemporaryProperty in found
    assert option_map(found[nodes.WithOptions].expressions) == {"k": "v", "l": "w"}
    assert [c.name for c in found[exp.PartitionedByProperty].this.expressions] == ["a", "b"]
    [like] = found[nodes.TableLike].expressions
    assert (like.args["this"], like.args["kind"]) == ("EXCLUDING", "OPTIONS")


def test_create_table_as_and_replace() -> None:
    ctas = create("CREATE TABLE t (b, a) WITH ('k' = 'v') AS SELECT a, b FROM s")
    assert [item.name for item in ctas.this.expressions] == ["b", "a"]
    assert isinstance(ctas.expression, exp.Select)
    assert create("CREATE OR REPLACE TABLE t AS SELECT 1").args["replace"] is True
    assert isinstance(create("REPLACE TABLE t AS SELECT 1"), nodes.ReplaceTable)


def test_create_function() -> None:
    tree = create("CREATE TEMPORARY SYSTEM FUNCTION f AS 'm.f' LANGUAGE PYTHON USING JAR '/a.jar'")
    found = properties(tree)
    assert (tree.args["kind"], tree.expression.name) == ("SYSTEM FUNCTION", "m.f")
    assert found[nodes.FunctionLanguage].args["this"] == "PYTHON"
    assert found[nodes.FunctionResources].expressions[0].args["kind"] == "JAR"


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("ALTER TABLE t ADD a INT FIRST", nodes.AlterAdd),
        ("ALTER TABLE t MODIFY (a INT, WATERMARK FOR ts AS ts)", nodes.AlterModify),
        ("ALTER TABLE t DROP WATERMARK", nodes.AlterDrop),
        ("ALTER TABLE t RENAME a TO b", exp.RenameColumn),
        ("ALTER TABLE t RENAME TO u", exp.AlterRename),
        ("ALTER TABLE t SET ('k' = 'v')", nodes.SetOptions),
        ("ALTER TABLE t RESET ('k')", nodes.ResetOptions),
        ("ALTER VIEW v AS SELECT 1", nodes.AlterQuery),
        ("ALTER MATERIALIZED TABLE m SUSPEND", nodes.Suspend),
    ],
)
def test_alter(text: str, action: type[exp.Expr]) -> None:
    tree = parse_one(text)
    assert isinstance(tree, exp.Alter)
    assert [type(node) for node in tree.args["actions"]] == [action]


def test_insert() -> None:
    tree = parse_one(
        "INSERT INTO d.t /*+ OPTIONS('a'='b') */ PARTITION (p = 1, q) (x, r.y) SELECT 1 ON CONFLICT DO NOTHING"
    )
    assert isinstance(tree, exp.Insert)
    assert isinstance(tree.this, exp.Schema)
    assert names(tree.this.this) == ["d", "t"]
    assert [type(column) for column in tree.this.expressions] == [exp.Identifier, exp.Dot]
    assert [type(part) for part in tree.args["partition"].expressions] == [exp.EQ, exp.Identifier]
    assert tree.args["conflict"].args["action"].name == "DO NOTHING"
    assert option_map(tree.this.this.args["hints"][0].expressions[0].expressions) == {"a": "b"}


@pytest.mark.parametrize(
    "text",
    [
        "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END",
        "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END;",
    ],
)
def test_statement_set(text: str) -> None:
    tree = parse_one(text)
    assert isinstance(tree, nodes.StatementSet)
    assert [names(insert.this) for insert in tree.expressions] == [["a"], ["b"]]


def test_session_statements() -> None:
    setting = parse_one("SET table.exec.state.ttl = 1 h")
    assert (setting.this.name, setting.args["value"].name) == ("table.exec.state.ttl", "1 h")
    assert parse_one("SET").args.get("this") is None
    assert parse_one("RESET").args.get("this") is None
    use = parse_one("USE c.d")
    assert (use.args["kind"], names(use.this)) == ("DATABASE", ["c", "d"])
    stop = parse_one("STOP JOB 'j' WITH SAVEPOINT WITH DRAIN")
    assert (stop.this.name, stop.args["savepoint"], stop.args["drain"]) == ("j", True, True)
    show = parse_one("SHOW TABLES IN d NOT LIKE 'a%'")
    assert (show.args["kind"], names(show.args["from_"]), show.args["like"].name) == ("TABLES", ["d"], "a%")
    assert (show.args["negate"], show.args.get("ilike")) == (True, None)
    explain = parse_one("EXPLAIN CHANGELOG_MODE, ESTIMATED_COST SELECT 1")
    assert explain.args["details"] == ["CHANGELOG_MODE", "ESTIMATED_COST"]
    assert isinstance(parse_one("SELECT 1 EMIT CHANGES"), nodes.EmitChanges)
    assert names(parse_one("SUBSCRIBE jobs.x").this) == ["jobs", "x"]


def test_words_of_the_grammar_are_names_elsewhere() -> None:
    tree = query("SELECT catalog, job, jar, `select` AS value FROM databases AS module WHERE extended = 1")
    assert [item.alias_or_name for item in tree.expressions] == ["catalog", "job", "jar", "value"]
    assert names(parse_one("DESCRIBE catalog").this) == ["catalog"]


# --- queries ---


@pytest.mark.parametrize("source", ["TABLE({})", "{}"])
def test_window_table_function(source: str) -> None:
    call = "TUMBLE(DATA => TABLE t PARTITION BY k, TIMECOL => DESCRIPTOR(ts), `OFFSET` => INTERVAL '1' HOUR)"
    tree = query(f"SELECT * FROM {source.format(call)} AS w")
    table = tree.args["from_"].this
    assert isinstance(table, exp.Table)
    assert (table.alias, table.this.name) == ("w", "TUMBLE")
    data, column, offset = table.this.expressions
    assert [argument.this.name for argument in (data, column, offset)] == ["DATA", "TIMECOL", "OFFSET"]
    assert isinstance(data.expression, nodes.TableArgument)
    assert names(data.expression.this) == ["t"]
    assert [key.name for key in data.expression.args["partition_by"]] == ["k"]
    assert [key.name for key in column.expression.expressions] == ["ts"]
    assert isinstance(offset.expression, exp.Interval)


def test_joins() -> None:
    tree = query(
        "SELECT * FROM a LEFT JOIN b FOR SYSTEM_TIME AS OF a.ts AS v ON a.k = v.k CROSS JOIN UNNEST(a.x) WITH "
        "ORDINALITY AS u (e, i), LATERAL TABLE(f(a.x)) AS l (w)"
    )
    temporal, unnest, lateral = tree.args["joins"]
    assert (temporal.side, temporal.this.alias) == ("LEFT", "v")
    assert temporal.this.args["version"].expression.sql() == "a.ts"
    assert [c.name for c in unnest.this.args["alias"].args["columns"]] == ["e", "i"]
    assert unnest.this.args["offset"] is True
    assert isinstance(lateral.this, exp.Lateral)
    assert isinstance(lateral.this.this, exp.Anonymous)
    assert not (lateral.kind or lateral.side or lateral.args.get("on"))


def test_set_operations_and_their_order() -> None:
    tree = parse_one("SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 3 EXCEPT SELECT 4 ORDER BY 1 LIMIT 5")
    assert isinstance(tree, exp.Except)
    assert isinstance(tree.this, exp.Union)
    assert tree.this.args["distinct"] is False
    assert isinstance(tree.this.expression, exp.Intersect)
    assert tree.args["order"] and tree.args["limit"].expression.name == "5"


def test_match_recognize() -> None:
    tree = query(
        "SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES A.x AS y ONE ROW PER MATCH "
        "AFTER MATCH SKIP TO NEXT ROW PATTERN (A B+? C{2,3}) WITHIN INTERVAL '1' HOUR DEFINE B AS B.x > 1) AS m"
    )
    source = tree.args["from_"].this
    assert isinstance(source, nodes.MatchedTable)
    pattern = source.args["match"].args["pattern"]
    first, second, third = pattern.this.expressions
    assert (first.this.name, second.args["reluctant"], third.args["maximum"].name) == ("A", True, "3")
    assert pattern.args["within"].unit.name == "HOUR"
    assert [definition.alias for definition in source.args["match"].args["define"]] == ["B"]


def test_hints_of_a_select() -> None:
    tree = query("SELECT /*+ STATE_TTL('a'='1d'), BROADCAST(b) */ * FROM a, b")
    ttl, broadcast = tree.args["hint"].expressions
    assert (ttl.name, option_map(ttl.expressions)) == ("STATE_TTL", {"a": "1d"})
    assert names(broadcast.expressions[0]) == ["b"]


# --- expressions ---


def test_calls_are_not_rewritten() -> None:
    for name in (
        "IF",
        "IFNULL",
        "NVL",
        "LOG",
        "MOD",
        "CONCAT",
        "LOWER",
        "UUID",
        "LTRIM",
        "DATE_FORMAT",
        "SUM",
        "ABS",
    ):
        call = parse_expression(f"{name}(a, 'b', 3)")
        assert isinstance(call, exp.Anonymous), name
        assert [type(argument) for argument in call.expressions] == [exp.Column, exp.Literal, exp.Literal]
        assert call.name == name


def test_aggregate_calls() -> None:
    window = parse_expression(
        "SUM(DISTINCT a, b) IGNORE NULLS FILTER (WHERE c) OVER (PARTITION BY d ORDER BY e)"
    )
    assert isinstance(window, exp.Window)
    assert isinstance(window.this, exp.Filter)
    assert isinstance(window.this.this, exp.IgnoreNulls)
    [distinct] = window.this.this.this.expressions
    assert isinstance(distinct, exp.Distinct)
    assert len(distinct.expressions) == 2
    ordered = parse_expression("ARRAY_AGG(a ORDER BY b)")
    assert isinstance(ordered.expressions[0], exp.Order)
    within = parse_expression("LISTAGG(a, ',') WITHIN GROUP (ORDER BY b)")
    assert isinstance(within, exp.WithinGroup)


def test_literals() -> None:
    assert parse_expression(r"'a\n''b'").name == r"a\n'b"
    assert parse_expression(r"E'a\n\'\\'").name == "a\n'\\"
    assert parse_expression(r"U&'\263A'").name == "☺"
    assert parse_expression("X'45F0'").name == "45F0"
    timestamp = parse_expression("TIMESTAMP '2024-01-01 00:00:00'")
    assert (timestamp.args["to"].args["kind"], timestamp.this.name) == ("LITERAL", "2024-01-01 00:00:00")
    assert parse_expression("CAST('2024-01-01' AS DATE)").args["to"].args.get("kind") is None
    interval = parse_expression("INTERVAL -'1:30' MINUTES TO SECOND(3)")
    assert isinstance(interval, exp.Interval)
    assert interval.this.name == "-1:30"
    unit = interval.args["unit"]
    assert (unit.this.name, unit.expression.name) == ("MINUTE", "SECOND(3)")


def test_precedence() -> None:
    assert isinstance(parse_expression("a = b IS NULL"), exp.Is)
    assert isinstance(parse_expression("NOT a = b"), exp.Not)
    assert isinstance(parse_expression("a OR b AND c"), exp.Or)
    concat = parse_expression("a + b || c")
    assert isinstance(concat, exp.Add)
    assert isinstance(concat.expression, exp.DPipe)


def test_paths() -> None:
    column = parse_expression("a.b.c.d.e")
    assert isinstance(column, exp.Dot)
    assert [part.name for part in column.this.parts] == ["a", "b", "c", "d"]
    element = parse_expression("a.b[1].c")
    assert isinstance(element, exp.Dot)
    assert element.this.expressions[0].name == "1"
    star = parse_expression("t.r.*")
    assert isinstance(star.this, exp.Star)
    call = parse_expression("cat.db.f(x) OVER w")
    assert isinstance(call, exp.Window)
    assert isinstance(call.this, exp.Dot)
    assert isinstance(call.this.expression, exp.Anonymous)


def test_names_need_back_ticks_or_not() -> None:
    for text, quoted in (
        ("`price`", False),
        ("price", False),
        ("`offset`", True),
        ("offset", True),
        ("`a b`", True),
    ):
        assert parse_expression(text).this.args["quoted"] is quoted


def test_types() -> None:
    row = parse_type("ROW<a INT NOT NULL 'note', b MULTISET<STRING>>")
    assert row.this == exp.DType.STRUCT
    a, b = row.expressions
    assert a.kind.args["nullable"] is False
    assert (b.kind.this, b.kind.args["kind"]) == (exp.DType.USERDEFINED, "MULTISET")
    assert parse_type("TIMESTAMP(3) WITH LOCAL TIME ZONE") == parse_type("TIMESTAMP_LTZ(3)")
    assert parse_type("BYTES") != parse_type("VARBINARY")
    assert isinstance(parse_type("INTERVAL DAY TO SECOND(3)").this, exp.Interval)


# --- positions ---


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (exp.Anonymous, "my_udf(\n a.b, 1)"),
        (exp.Column, "a.b"),
        (exp.Literal, "1"),
        (exp.Cast, "CAST(c AS INT)"),
        (exp.DataType, "INT"),
        (exp.Interval, "INTERVAL '1' DAY"),
        (exp.Case, "CASE WHEN d THEN e END"),
        (exp.Table, "db.t"),
        (exp.Property, "'k' = 'v'"),
        (exp.Between, "x BETWEEN 1 AND 2"),
        (exp.Where, "x BETWEEN 1 AND 2"),
    ],
)
def test_positions(kind: type[exp.Expr], expected: str) -> None:
    sql = (
        "-- first line\nSELECT my_udf(\n a.b, 1), CAST(c AS INT), INTERVAL '1' DAY, CASE WHEN d THEN e END "
        "FROM db.t /*+ OPTIONS('k' = 'v') */ WHERE x BETWEEN 1 AND 2"
    )
    node = parse_one(sql).find(kind)
    assert node is not None
    position = position_of(node, sql)
    assert position is not None
    start = sum(len(line) + 1 for line in sql.split("\n")[: position.line - 1]) + position.column - 1
    assert sql[start : start + position.length] == expected


def test_position_of_a_generated_node_is_unknown() -> None:
    assert position_of(exp.column("a"), "SELECT a") is None
