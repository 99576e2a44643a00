"""What the session's options mean for the plan of a job and for how it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from streamsql.catalog.table import TableDefinition

from .config import Configuration
from .errors import ConfigError
from .options import format_value
from .planner.convert import PhysicalOptions
from .planner.emit import EmitStrategy
from .runtime.boundedness import is_bounded
from .runtime.build import BuildOptions
from .runtime.checkpoint.options import CheckpointOptions
from .runtime.checkpoint.recovery import CheckpointSetup
from .runtime.engine import Engine
from .runtime.restart import ExponentialDelay, FailureRate, FixedDelay, NoRestart, RestartStrategy


def physical_options(config: Configuration) -> PhysicalOptions:
    """What chooses operators."""
    return PhysicalOptions(
        emit=_emit(config),
        time_zone=config.get("table.local-time-zone"),
        ends=lambda scan: is_bounded(scan.table, scan.options),
        upsert_materialize=config.get("table.exec.sink.upsert-materialize"),
    )


def _emit(config: Configuration) -> EmitStrategy:
    def delay(when: str) -> int | None:
        enabled = config.get(f"table.exec.emit.{when}-fire.enabled")
        return int(config.get(f"table.exec.emit.{when}-fire.delay")) if enabled else None

    lateness = config.get("table.exec.emit.allow-lateness")
    ttl = config.get("table.exec.state.ttl") or 0
    return EmitStrategy(delay("early"), delay("late"), lateness, ttl)


def build_options(
    config: Configuration,
    *,
    bounded: bool,
    find_table: Callable[[str], TableDefinition],
    register_functions: Callable[[Engine], None],
    checkpoints: CheckpointSetup | None = None,
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
        checkpoints=checkpoints,
        memory_limit=config.get("state.backend.memory.limit"),
        tmp_dirs=tuple(d for d in re.split(f"[,|{os.pathsep}]", config.get("io.tmp.dirs") or "") if d),
    )


def checkpoint_setup(
    config: Configuration, definition: Mapping[str, Any], *, resume: bool = False
) -> CheckpointSetup:
    """How a job of INSERT statements keeps checkpoints. ``definition``: what is kept with them of the job."""

    def of(key: str) -> Any:
        return config.get(f"execution.checkpointing.{key}")

    options = CheckpointOptions(
        interval_ms=of("interval"),
        min_pause_ms=of("min-pause"),
        timeout_ms=of("timeout"),
        tolerable_failures=of("tolerable-failed-checkpoints"),
        definition=definition,
        delete_at_end=of("externalized-checkpoint-retention") != "RETAIN_ON_CANCELLATION",
        compression=of("snapshot-compression"),
    )
    return CheckpointSetup(
        options=options,
        directory=of("dir"),
        resume=resume,
        path=config.get("execution.state-recovery.path"),
        ignore_unclaimed=bool(config.get("execution.state-recovery.ignore-unclaimed-state")),
        exactly_once=of("mode") == "EXACTLY_ONCE",
        retained=of("num-retained"),
    )


def restart_strategy(config: Configuration) -> RestartStrategy:
    """``restart-strategy.*``; without a type: exponential-delay for jobs with checkpoints, else none.

    Raises ConfigError where the first wait would be longer than the longest.
    """
    kind = config.get("restart-strategy.type")
    if kind is None:
        kind = "none" if config.get("execution.checkpointing.interval") is None else "exponential-delay"

    def of(key: str) -> Any:
        return config.get(f"restart-strategy.{key}")

    match kind.replace("-", ""):
        case "fixeddelay":
            return FixedDelay(of("fixed-delay.attempts"), of("fixed-delay.delay"))
        case "exponentialdelay":
            first, longest = of("exponential-delay.initial-backoff"), of("exponential-delay.max-backoff")
            if first > longest:
                raise ConfigError(
                    f"'restart-strategy.exponential-delay.initial-backoff' = '{format_value(first, 'duration')}', "
                    f"expected at most the max-backoff of '{format_value(longest, 'duration')}'",
                    hint="SET 'restart-strategy.exponential-delay.max-backoff' to at least as much",
                )
            return ExponentialDelay(
                first,
                longest,
                of("exponential-delay.backoff-multiplier"),
                of("exponential-delay.reset-backoff-threshold"),
                of("exponential-delay.jitter-factor"),
                of("exponential-delay.attempts-before-reset-backoff"),
            )
        case "failurerate":
            return FailureRate(
                of("failure-rate.max-failures-per-interval"),
                of("failure-rate.failure-rate-interval"),
                of("failure-rate.delay"),
            )
        case _:
            return NoRestart()


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
