"""The table of session options: what SET takes, with defaults, and what it knows but refuses.

Read by ``config.py`` and by ``docs/options.md``, which is generated from it. Key names, defaults and value
texts are Flink's; those that begin with ``streamsql.`` are ours.
"""

from __future__ import annotations

import os
import zoneinfo
from typing import Any

from .config_checkpoints import CHECKPOINT_OPTIONS, REFUSED_CHECKPOINT_OPTIONS
from .errors import ConfigError, UnsupportedError, did_you_mean
from .options import ConfigOption, parse_value


def _zone(name: Any) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ConfigError(
            f"option 'table.local-time-zone': '{name}' is not a time zone",
            hint=did_you_mean(name, zoneinfo.available_timezones()) or "use a name such as 'Europe/Paris'",
        ) from None


def _one_process(value: Any) -> None:
    if value != 1:
        raise UnsupportedError(
            f"'parallelism.default'='{value}' is not supported: a job runs in one process",
            hint="leave it at 1; threads inside the process use the cores",
        )


def _positive(value: Any) -> None:
    if value <= 0:
        raise ValueError(f"found {value}, expected a number above 0")


def _batch_size(value: Any) -> None:
    if value != -1 and value <= 0:
        raise ValueError(f"found {value}, expected -1 (no limit) or a number above 0")


CORES = os.cpu_count() or 1

HONOURED: tuple[ConfigOption, ...] = (
    ConfigOption(
        "table.local-time-zone",
        "string",
        "UTC",
        check=_zone,
        description="zone of TIMESTAMP_LTZ texts, of CURRENT_DATE and the like, and of windows over "
        "TIMESTAMP_LTZ; Flink's default is the zone of the machine",
    ),
    ConfigOption(
        "table.exec.source.idle-timeout",
        "duration",
        0,
        "a source split without rows for so long is left out of the watermark; 0 never",
    ),
    ConfigOption(
        "table.exec.state.ttl",
        "duration",
        0,
        "state that was not written for so long, by the clock, is dropped; 0 never. Not that of windows, interval and "
        "temporal joins and MATCH_RECOGNIZE, which event time frees",
    ),
    ConfigOption(
        "table.exec.mini-batch.enabled",
        "bool",
        True,
        "one consolidated change per key and step; false emits every intermediate value in arrival "
        "order; Flink's default is false",
    ),
    ConfigOption(
        "table.exec.mini-batch.allow-latency",
        "duration",
        0,
        "how long rows may wait to be processed together: the least time between two steps, where it is "
        "longer than 'streamsql.step.min-interval'",
    ),
    ConfigOption(
        "table.exec.mini-batch.size",
        "int",
        -1,
        "a step takes at most so many rows from a source, where it is fewer than 'streamsql.step.max-rows'; "
        "-1 no limit",
        check=_batch_size,
    ),
    ConfigOption(
        "table.exec.emit.early-fire.enabled",
        "bool",
        False,
        "emit a window's value before it closes, then its updates",
    ),
    ConfigOption(
        "table.exec.emit.early-fire.delay",
        "duration",
        0,
        "with early firing: a window shows its changes so long after its first row, and at this interval from "
        "then on, by the clock; 0 at every step that changes it",
    ),
    ConfigOption(
        "table.exec.emit.late-fire.enabled",
        "bool",
        False,
        "show the value of a window that is complete again when late rows change it",
    ),
    ConfigOption(
        "table.exec.emit.late-fire.delay",
        "duration",
        0,
        "with late firing: so long after the first late row, and at this interval from then on, by the clock; "
        "0 at every step that changes it; at most 'table.exec.emit.allow-lateness'",
    ),
    ConfigOption(
        "table.exec.emit.allow-lateness",
        "duration",
        None,
        "with late firing: how long after its end a window is kept and takes rows; where it is not set, "
        "'table.exec.state.ttl'",
    ),
    ConfigOption(
        "table.exec.sink.not-null-enforcer",
        "enum",
        "ERROR",
        choices=("ERROR", "DROP"),
        description="what a NULL for a sink's NOT NULL column does: fail the job, or leave the row out",
    ),
    ConfigOption(
        "table.exec.sink.type-length-enforcer",
        "enum",
        "IGNORE",
        choices=("IGNORE", "TRIM_PAD", "ERROR"),
        description="what a value too long or too short for CHAR(n), VARCHAR(n), BINARY(n) or "
        "VARBINARY(n) does at a sink",
    ),
    ConfigOption(
        "table.exec.sink.upsert-materialize",
        "enum",
        "AUTO",
        choices=("AUTO", "NONE", "FORCE"),
        description="whether rows with the same primary key of a sink are kept apart before it: where the query's "
        "key is another one, never, or always",
    ),
    ConfigOption(
        "table.dml-sync",
        "bool",
        False,
        "INSERT returns when its job has ended instead of when it has started",
    ),
    ConfigOption(
        "table.dynamic-table-options.enabled",
        "bool",
        True,
        "allows the hint /*+ OPTIONS('key'='value') */ after a table",
    ),
    ConfigOption(
        "table.display.max-column-width",
        "int",
        30,
        "columns of unbounded width are cut to so many characters in printed results",
        check=_positive,
    ),
    ConfigOption(
        "sql-client.execution.result-mode",
        "enum",
        "table",
        "how the shell shows a query's result",
        choices=("table", "changelog", "tableau"),
    ),
    ConfigOption(
        "sql-client.execution.max-table-result.rows",
        "int",
        1_000_000,
        "rows the shell keeps of one result",
        check=_positive,
    ),
    ConfigOption("sql-client.verbose", "bool", False, "errors in the shell show the stack"),
    ConfigOption(
        "sql-client.display.print-time-cost", "bool", True, "the shell prints how long a finite result took"
    ),
    ConfigOption(
        "execution.runtime-mode",
        "enum",
        "STREAMING",
        choices=("STREAMING", "BATCH", "AUTOMATIC"),
        refused={"AUTOMATIC": "choose STREAMING or BATCH"},
        description="continuous queries, or one finite answer over bounded tables",
    ),
    ConfigOption(
        "parallelism.default", "int", 1, "a job runs in one process: 1 is the only value", check=_one_process
    ),
    ConfigOption("pipeline.name", "string", None, "the name of the next jobs"),
    ConfigOption(
        "streamsql.step.min-interval",
        "duration",
        10,
        "a step starts no sooner than so long after the last one started",
    ),
    ConfigOption(
        "streamsql.step.max-rows",
        "int",
        262_144,
        "a step takes at most so many rows from a source",
        check=_positive,
    ),
    ConfigOption(
        "streamsql.duckdb.threads",
        "int",
        CORES,
        "threads DuckDB may use for one query",
        check=_positive,
        default_text="number of cores",
    ),
    ConfigOption(
        "state.backend.memory.limit",
        "memory",
        None,
        "bytes of a job's state that are held in memory; what is more lies in files; no limit by default",
    ),
    ConfigOption(
        "io.tmp.dirs",
        "string",
        None,
        "folders for files of state beyond the limit, separated by commas; they have no names and go with the process",
        default_text="the system's folder for temporary files",
    ),
    *CHECKPOINT_OPTIONS,
)

# Reason, then one option a line: key, kind, default ("-" for none).
_KNOWN: tuple[tuple[str, str], ...] = (
    *REFUSED_CHECKPOINT_OPTIONS,
    (
        "watermarks advance at the end of a step",
        """
        pipeline.auto-watermark-interval duration 200 ms
        """,
    ),
    (
        "state is held by the job's own process, in memory and in files beyond state.backend.memory.limit",
        """
        state.backend.type string hashmap
        state.backend.rocksdb.* string -
        state.backend.forst.* string -
        state.changelog.* string -
        state.latency-track.* string -
        table.exec.async-state.enabled bool false
        """,
    ),
    (
        "a job runs in one process, without a cluster",
        """
        table.exec.resource.default-parallelism int -1
        pipeline.max-parallelism int -1
        pipeline.jobvertex-parallelism-overrides string -
        pipeline.operator-chaining.enabled bool true
        pipeline.operator-chaining.chain-operators-with-different-max-parallelism bool true
        pipeline.object-reuse bool false
        pipeline.vertex-description-mode string TREE
        pipeline.vertex-name-include-index-prefix bool false
        pipeline.auto-generate-uids bool true
        pipeline.watermark-alignment.allow-unaligned-source-splits bool false
        execution.target string -
        execution.attached bool false
        execution.shutdown-on-attached-exit bool false
        execution.job-listeners list -
        execution.job-status-changed-listeners list -
        execution.buffer-timeout.enabled bool true
        execution.buffer-timeout.interval duration 100 ms
        execution.batch-shuffle-mode string ALL_EXCHANGES_BLOCKING
        execution.sorted-inputs.enabled bool true
        execution.sorted-inputs.memory memory 128 mb
        execution.sort.partition.memory memory 128 mb
        execution.sort.keyed.partition.memory memory 128 mb
        execution.batch-state-backend.enabled bool true
        execution.batch.* string -
        table.exec.uid.format string <id>_<transformation>
        table.exec.uid.generation string PLAN_ONLY
        table.exec.simplify-operator-name-enabled bool true
        table.exec.sink.keyed-shuffle string AUTO
        jobmanager.* string -
        taskmanager.* string -
        rest.* string -
        cluster.* string -
        kubernetes.* string -
        yarn.* string -
        high-availability.* string -
        metrics.* string -
        security.* string -
        sql-gateway.* string -
        """,
    ),
    (
        "no Java code runs here",
        """
        pipeline.jars list -
        pipeline.classpaths list -
        pipeline.cached-files list -
        pipeline.closure-cleaner-level string RECURSIVE
        pipeline.force-avro bool false
        pipeline.force-kryo bool false
        pipeline.force-kryo-avro bool false
        pipeline.generic-types bool true
        pipeline.global-job-parameters string -
        pipeline.serialization-config string -
        classloader.* string -
        env.* string -
        table.generated-code.max-length int 4000
        table.resources.download-dir string -
        table.exec.operator-fusion-codegen.enabled bool false
        """,
    ),
    (
        "Python functions run in this process",
        """
        python.execution-mode string process
        python.* string -
        """,
    ),
    (
        "a lookup join asks for all keys of a step at once, and waits for the answer",
        """
        table.exec.async-lookup.buffer-capacity int 100
        table.exec.async-lookup.key-ordered-enabled bool false
        table.exec.async-lookup.output-mode string ORDERED
        table.exec.async-lookup.timeout duration 3 min
        """,
    ),
    (
        "remote models and asynchronous functions are not built yet",
        """
        table.exec.async-ml-predict.max-concurrent-operations int 10
        table.exec.async-ml-predict.output-mode string ORDERED
        table.exec.async-ml-predict.timeout duration 3 min
        table.exec.async-scalar.max-attempts int 3
        table.exec.async-scalar.max-concurrent-operations int 10
        table.exec.async-scalar.retry-delay duration 100 ms
        table.exec.async-scalar.retry-strategy string FIXED_DELAY
        table.exec.async-scalar.timeout duration 3 min
        table.exec.async-table.max-concurrent-operations int 10
        table.exec.async-table.max-retries int 3
        table.exec.async-table.retry-delay duration 100 ms
        table.exec.async-table.retry-strategy string FIXED_DELAY
        table.exec.async-table.timeout duration 3 min
        table.exec.async-vector-search.max-concurrent-operations int 10
        table.exec.async-vector-search.output-mode string ORDERED
        table.exec.async-vector-search.timeout duration 3 min
        """,
    ),
    (
        "a join keeps the rows of its two sides; the answer is the same",
        """
        table.exec.delta-join.cache-enabled bool true
        table.exec.delta-join.left.cache-size int 10000
        table.exec.delta-join.right.cache-size int 10000
        table.optimizer.delta-join.strategy string AUTO
        table.optimizer.multi-join.enabled bool false
        """,
    ),
    (
        "rows of an interval join are freed as soon as the watermark allows",
        """
        table.exec.interval-join.min-cleanup-interval duration 0 ms
        """,
    ),
    (
        "this version has one way to do it, the one of the default",
        """
        table.exec.deduplicate.insert-update-after-sensitive-enabled bool true
        table.exec.deduplicate.mini-batch.compact-changes-enabled bool false
        table.exec.legacy-bytes-to-string-cast bool false
        table.exec.legacy-cast-behaviour string DISABLED
        table.exec.rank.topn-cache-size int 10000
        table.exec.sink.nested-constraint-enforcer string IGNORE
        table.exec.sink.require-on-conflict bool true
        table.exec.sink.rowtime-inserter string ENABLED
        table.exec.sink.upsert-materialize-strategy.adaptive.threshold.high int -
        table.exec.sink.upsert-materialize-strategy.adaptive.threshold.low int -
        table.exec.sink.upsert-materialize-strategy.type string LEGACY
        table.exec.source.cdc-events-duplicate bool false
        table.exec.unbounded-over.version int 2
        table.column-expansion-strategy list -
        table.legacy-nested-row-nullability bool false
        table.rtas-ctas.atomicity-enabled bool false
        table.sql-dialect string default
        table.builtin-catalog-name string default_catalog
        table.builtin-database-name string default_database
        table.catalog-store.kind string generic_in_memory
        table.catalog-store.file.path string -
        table.catalog-modification.listeners list -
        table.plan.compile.catalog-objects string ALL
        table.plan.force-recompile bool false
        table.plan.restore.catalog-objects string ALL
        table.materialized-table.conversion-from-table.enabled bool false
        materialized-table.* string -
        table.optimizer.agg-phase-strategy string AUTO
        table.optimizer.distinct-agg.split.bucket-num int 1024
        table.optimizer.distinct-agg.split.enabled bool false
        table.optimizer.dynamic-filtering.enabled bool true
        table.optimizer.incremental-agg-enabled bool true
        table.optimizer.join-reorder-enabled bool false
        table.optimizer.non-deterministic-update.strategy string IGNORE
        table.optimizer.ptf.max-tables int 20
        table.optimizer.reuse-optimize-block-with-digest-enabled bool false
        table.optimizer.reuse-sink-enabled bool true
        table.optimizer.reuse-source-enabled bool true
        table.optimizer.reuse-sub-plan-enabled bool true
        table.optimizer.source.report-statistics-enabled bool true
        table.optimizer.sql2rel.project-merge.enabled bool false
        table.optimizer.union-all-as-breakpoint-enabled bool true
        sql-client.display.color-schema string DEFAULT
        sql-client.display.show-line-numbers bool false
        """,
    ),
    (
        "DuckDB plans and runs batch queries",
        """
        table.exec.disabled-operators string -
        table.exec.local-hash-agg.adaptive.distinct-value-rate-threshold float 0.5
        table.exec.local-hash-agg.adaptive.enabled bool true
        table.exec.local-hash-agg.adaptive.sampling-threshold int 500000
        table.exec.sort.async-merge-enabled bool true
        table.exec.sort.default-limit int -1
        table.exec.sort.max-num-file-handles int 128
        table.exec.spill-compression.block-size memory 64 kb
        table.exec.spill-compression.enabled bool true
        table.exec.window-agg.buffer-size-limit int 100000
        table.optimizer.adaptive-broadcast-join.strategy string auto
        table.optimizer.bushy-join-reorder-threshold int 12
        table.optimizer.join.broadcast-threshold int 1048576
        table.optimizer.multiple-input-enabled bool true
        table.optimizer.runtime-filter.enabled bool false
        table.optimizer.runtime-filter.max-build-data-size memory 150 mb
        table.optimizer.runtime-filter.min-filter-ratio float 0.5
        table.optimizer.runtime-filter.min-probe-data-size memory 10 gb
        table.optimizer.skewed-join-optimization.skewed-factor float 4.0
        table.optimizer.skewed-join-optimization.skewed-threshold memory 256 mb
        table.optimizer.skewed-join-optimization.strategy string auto
        """,
    ),
)


def _refused() -> tuple[ConfigOption, ...]:
    options: list[ConfigOption] = []
    for reason, lines in _KNOWN:
        for line in lines.strip().splitlines():
            key, kind, default = line.split(None, 2)
            value = None if default == "-" else parse_value(default, kind)
            options.append(ConfigOption(key, kind, value, unsupported=reason))
    return tuple(options)


REFUSED: tuple[ConfigOption, ...] = _refused()
