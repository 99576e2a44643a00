"""Session options of checkpoints, restarts and recovery, and what they mean for a job. Key names are Flink's."""

from __future__ import annotations

import re
from typing import Any

from .errors import UnsupportedError
from .options import ConfigOption


def _positive(value: Any) -> None:
    if value <= 0:
        raise ValueError(f"found {value}, expected more than 0")


def _fraction(value: Any) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"found {value}, expected a number from 0 to 1")


def _growing(value: Any) -> None:
    if value < 1:
        raise ValueError(f"found {value}, expected a number of at least 1")


def _not_negative(value: Any) -> None:
    if value < 0:
        raise ValueError(f"found {value}, expected at least 0")


def _folder(value: Any) -> None:
    """A path, or a URI that names a place: an empty one would be the working directory, or the root of a store."""
    if not value.strip() or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:/{0,2}|(s3|gs|gcs|abfss?):/{3}.*", value):
        raise ValueError(
            f"found '{value}', expected a path, or a URI such as file:///data/checkpoints or s3://bucket/checkpoints"
        )


def _one_at_a_time(value: Any) -> None:
    if value != 1:
        raise UnsupportedError(
            f"'execution.checkpointing.max-concurrent-checkpoints'='{value}' is not supported: "
            "one checkpoint is under way at a time",
            hint="leave it at 1",
        )


_CHECKPOINTING = "execution.checkpointing."
_EXPONENTIAL = "restart-strategy.exponential-delay."

CHECKPOINT_OPTIONS: tuple[ConfigOption, ...] = (
    ConfigOption(
        _CHECKPOINTING + "interval",
        "duration",
        None,
        "how often a job of INSERT statements takes a checkpoint; without it there are none",
        check=_positive,
    ),
    ConfigOption(
        _CHECKPOINTING + "mode",
        "enum",
        "EXACTLY_ONCE",
        "EXACTLY_ONCE: sinks that can show their output when a checkpoint is complete. AT_LEAST_ONCE: at once",
        choices=("EXACTLY_ONCE", "AT_LEAST_ONCE"),
    ),
    ConfigOption(
        _CHECKPOINTING + "dir",
        "string",
        None,
        "directory or URI (file, s3, gs, hdfs) of checkpoints, a folder per job; "
        "without it they last as long as the process",
        check=_folder,
    ),
    ConfigOption(
        _CHECKPOINTING + "savepoint-dir",
        "string",
        None,
        "directory or URI where STOP JOB … WITH SAVEPOINT writes",
        check=_folder,
    ),
    ConfigOption(
        _CHECKPOINTING + "min-pause", "duration", 0, "least time from the end of a checkpoint to the next"
    ),
    ConfigOption(
        _CHECKPOINTING + "timeout",
        "duration",
        600_000,
        "how long writing a checkpoint is retried (full disk, store away) before the attempt fails",
        check=_positive,
    ),
    ConfigOption(_CHECKPOINTING + "max-concurrent-checkpoints", "int", 1, "only 1", check=_one_at_a_time),
    ConfigOption(
        _CHECKPOINTING + "tolerable-failed-checkpoints",
        "int",
        0,
        "checkpoints in a row that may fail without the job beginning again; "
        "where output waits for the checkpoint it begins again at once",
        check=_not_negative,
    ),
    ConfigOption(
        _CHECKPOINTING + "num-retained", "int", 1, "complete checkpoints that are kept", check=_positive
    ),
    ConfigOption(
        _CHECKPOINTING + "externalized-checkpoint-retention",
        "enum",
        "RETAIN_ON_CANCELLATION",
        "whether the checkpoints of a job that is stopped stay, for --resume; Flink's default is not to keep them",
        choices=("RETAIN_ON_CANCELLATION", "DELETE_ON_CANCELLATION", "NO_EXTERNALIZED_CHECKPOINTS"),
    ),
    ConfigOption(
        _CHECKPOINTING + "snapshot-compression", "bool", False, "compress the files of checkpoints (LZ4)"
    ),
    ConfigOption(
        "execution.state-recovery.path",
        "string",
        None,
        "savepoint or checkpoint that the next jobs of the session begin with",
        check=_folder,
    ),
    ConfigOption(
        "execution.state-recovery.ignore-unclaimed-state",
        "bool",
        False,
        "begin although state of the savepoint fits no operator of the job and is lost",
    ),
    ConfigOption(
        "restart-strategy.type",
        "enum",
        None,
        "whether a failed job begins again from its last checkpoint",
        choices=(
            "none",
            "disable",
            "off",
            "fixed-delay",
            "fixeddelay",
            "exponential-delay",
            "exponentialdelay",
            "failure-rate",
            "failurerate",
        ),
        default_text="exponential-delay with checkpoints, none without",
    ),
    ConfigOption(
        "restart-strategy.fixed-delay.attempts", "int", 1, "attempts after the first", check=_positive
    ),
    ConfigOption("restart-strategy.fixed-delay.delay", "duration", 1000, "the wait before each"),
    ConfigOption(_EXPONENTIAL + "initial-backoff", "duration", 1000, "the first wait", check=_positive),
    ConfigOption(_EXPONENTIAL + "max-backoff", "duration", 60_000, "the longest wait", check=_positive),
    ConfigOption(_EXPONENTIAL + "backoff-multiplier", "float", 1.5, "how the wait grows", check=_growing),
    ConfigOption(
        _EXPONENTIAL + "reset-backoff-threshold",
        "duration",
        3_600_000,
        "after so long without a failure the wait is the first again",
    ),
    ConfigOption(
        _EXPONENTIAL + "jitter-factor", "float", 0.1, "the wait is off by up to this part", check=_fraction
    ),
    ConfigOption(
        _EXPONENTIAL + "attempts-before-reset-backoff",
        "int",
        None,
        "failures that end the job, unless it ran as long as reset-backoff-threshold between them",
        check=_positive,
    ),
    ConfigOption("restart-strategy.failure-rate.delay", "duration", 1000, "the wait before each attempt"),
    ConfigOption(
        "restart-strategy.failure-rate.failure-rate-interval",
        "duration",
        60_000,
        "the time over which failures are counted",
        check=_positive,
    ),
    ConfigOption(
        "restart-strategy.failure-rate.max-failures-per-interval",
        "int",
        1,
        "more failures than these within the interval end the job",
        check=_positive,
    ),
)

REFUSED_CHECKPOINT_OPTIONS: tuple[tuple[str, str], ...] = (
    (
        "a job runs in one process: a checkpoint is a cut between two steps, without barriers",
        """
        execution.checkpointing.unaligned.enabled bool false
        execution.checkpointing.unaligned.forced bool false
        execution.checkpointing.unaligned.* string -
        execution.checkpointing.aligned-checkpoint-timeout duration 0 ms
        execution.checkpointing.interval-during-backlog duration -
        execution.checkpointing.local-backup.enabled bool false
        execution.checkpointing.local-backup.dirs string -
        execution.state-recovery.from-local bool false
        state.backend.local-recovery bool false
        """,
    ),
    (
        "checkpoints always are incremental files in one folder per job",
        """
        execution.checkpointing.incremental bool true
        execution.checkpointing.storage string filesystem
        execution.checkpointing.checkpoints-after-tasks-finish bool true
        execution.checkpointing.data-inline-threshold memory 20 kb
        execution.checkpointing.write-buffer-size int 4096
        execution.checkpointing.file-merging.enabled bool false
        execution.checkpointing.file-merging.* string -
        execution.checkpointing.cleaner.* string -
        execution.checkpointing.create-subdir bool true
        state.backend.incremental bool true
        state.checkpoint-storage string filesystem
        state.storage.fs.memory-threshold memory 20 kb
        state.storage.fs.write-buffer-size int 4096
        """,
    ),
    (
        "a savepoint stays its owner's; the job copies nothing into it and deletes nothing of it",
        """
        execution.state-recovery.claim-mode string NO_CLAIM
        """,
    ),
    ("its name is 'execution.checkpointing.dir'", "state.checkpoints.dir string -"),
    ("its name is 'execution.checkpointing.savepoint-dir'", "state.savepoints.dir string -"),
    ("its name is 'execution.checkpointing.num-retained'", "state.checkpoints.num-retained int 1"),
    ("its name is 'restart-strategy.type'", "restart-strategy string -"),
)
