"""What the session's options mean for the plan of a job and for how it runs."""

from __future__ import annotations

from collections.abc import Callable

from streamsql.catalog.table import TableDefinition

from .config import Configuration
from .planner.convert import PhysicalOptions
from .runtime.boundedness import is_bounded
from .runtime.build import BuildOptions
from .runtime.engine import Engine


def physical_options(config: Configuration) -> PhysicalOptions:
    """What chooses operators."""
    return PhysicalOptions(
        early_fire=bool(config.get("table.exec.emit.early-fire.enabled")),
        time_zone=config.get("table.local-time-zone"),
        ends=lambda scan: is_bounded(scan.table, scan.options),
        upsert_materialize=config.get("table.exec.sink.upsert-materialize"),
    )


def build_options(
    config: Configuration,
    *,
    bounded: bool,
    find_table: Callable[[str], TableDefinition],
    register_functions: Callable[[Engine], None],
) -> BuildOptions:
    """What operators, sources and sinks are made with. ``bounded``: sources end with what is there now."""
    return BuildOptions(
        time_zone=config.get("table.local-time-zone"),
        threads=config.get("streamsql.duckdb.threads") or 2,
        state_ttl_ms=config.get("table.exec.state.ttl") or 0,
        idle_timeout_ms=config.get("table.exec.source.idle-timeout") or 0,
        not_null=config.get("table.exec.sink.not-null-enforcer"),
        length=config.get("table.exec.sink.type-length-enforcer"),
        batch_rows_max=min(step_rows_max(config), 131_072),
        bounded=bounded,
        find_table=find_table,
        register_functions=register_functions,
    )


def step_rows_max(config: Configuration) -> int:
    """Rows a step: one where every intermediate change is wanted (mini-batch off)."""
    if not config.get("table.exec.mini-batch.enabled"):
        return 1
    most, batch = config.get("streamsql.step.max-rows"), config.get("table.exec.mini-batch.size")
    return int(most if batch == -1 else min(most, batch))


def step_interval_ms(config: Configuration) -> int:
    """The least time between two steps."""
    least = int(config.get("streamsql.step.min-interval"))
    if not config.get("table.exec.mini-batch.enabled"):
        return least
    return max(least, int(config.get("table.exec.mini-batch.allow-latency")))
