"""The session of tests about savepoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql.testing import VirtualClock, sink_table, source_table
from tests.session.market import Market


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    clock = VirtualClock()
    with clock.environment() as env:
        orders = source_table(env, "CREATE TABLE orders (fruit STRING, kilos INT)", bounded=False)
        totals = sink_table(
            env, "CREATE TABLE totals (fruit STRING PRIMARY KEY NOT ENFORCED, kilos BIGINT, label STRING)"
        )
        env.execute_sql("CREATE TABLE log (fruit STRING, kilos BIGINT) WITH ('connector'='blackhole')")
        env.execute_sql(f"SET 'execution.checkpointing.dir' = '{tmp_path}/checkpoints'")
        env.execute_sql("SET 'execution.checkpointing.interval' = '1 s'")
        yield Market(clock, env, orders, totals, tmp_path / "savepoints")
