"""Plans of statements over a few tables, for tests of fingerprints."""

from __future__ import annotations

from collections.abc import Mapping

from streamsql import TableEnvironment
from streamsql.job_options import physical_options
from streamsql.planner import logical as l
from streamsql.planner import physical as p
from streamsql.planner import pipeline
from streamsql.planner import statements as stmt
from streamsql.planner.parsing import split_statements

WATERMARK = "WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND"
ORDERS = "(id BIGINT, fruit STRING, kilos {kilos}, price DOUBLE, `time` TIMESTAMP(3), pt AS PROCTIME(), {watermark})"
KAFKA = "'connector'='kafka', 'topic'='t', 'properties.bootstrap.servers'='{servers}', 'format'='json'"
UPSERT = (
    "'connector'='upsert-kafka', 'topic'='u', 'properties.bootstrap.servers'='{servers}', "
    "'key.format'='json', 'value.format'='json'"
)
TABLES = {
    "orders": f"{ORDERS} WITH ({KAFKA})",
    "others": f"{ORDERS} WITH ({KAFKA})",
    "fruits": f"(name STRING, colour STRING, rank INT, PRIMARY KEY (name) NOT ENFORCED) WITH ({UPSERT})",
    "log": "(a STRING, b STRING) WITH ('connector'='blackhole')",
}
SETTINGS = {"watermark": WATERMARK, "servers": "one:9092", "kilos": "DOUBLE"}


def planned(sql: str, settings: Mapping[str, str] | None = None) -> p.PhysicalPlan:
    """The plan of one job of all queries and INSERTs in ``sql``; other statements are run before."""
    with TableEnvironment() as env:
        for name, text in TABLES.items():
            env.execute_sql(f"CREATE TABLE {name} {text.format(**(SETTINGS | dict(settings or {})))}")
        return plan_of(env, sql)


def plan_of(env: TableEnvironment, sql: str) -> p.PhysicalPlan:
    """The plan of all queries and INSERTs in ``sql``, in a session that runs its other statements."""
    roots: list[l.LogicalNode] = []
    for text, _ in split_statements(sql):
        statement = stmt.parse_statement(text)
        members = statement.statements if isinstance(statement, stmt.StatementSet) else [statement]
        for member in members:
            if isinstance(member, stmt.Query | stmt.Insert):
                roots.append(pipeline.bind_root(member, env.bind_context()))
            else:
                env.execute_sql(text)
    return pipeline.plan(roots, physical_options(env.config))
