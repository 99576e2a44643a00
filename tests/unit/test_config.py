"""Session options: types, defaults, refusals."""

import pytest

from streamsql.config import OPTIONS, Configuration
from streamsql.config_options import HONOURED, REFUSED
from streamsql.errors import ConfigError, StreamSqlError, UnsupportedError
from streamsql.job_options import restart_strategy
from streamsql.options import ConfigOption, format_value, parse_value


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("table.local-time-zone", "Europe/Paris", "Europe/Paris"),
        ("table.exec.source.idle-timeout", "1 min", 60_000),
        ("table.exec.state.ttl", "0 ms", 0),
        ("table.exec.state.ttl", "1 h", 3_600_000),
        ("table.exec.mini-batch.enabled", "FALSE", False),
        ("table.exec.mini-batch.size", "5000", 5000),
        ("table.exec.sink.not-null-enforcer", "drop", "DROP"),
        ("table.exec.sink.type-length-enforcer", "trim_pad", "TRIM_PAD"),
        ("table.dml-sync", "true", True),
        ("execution.runtime-mode", "batch", "BATCH"),
        ("parallelism.default", "1", 1),
        ("pipeline.name", " my job ", " my job "),
        ("sql-client.execution.result-mode", "TABLEAU", "tableau"),
        ("streamsql.step.min-interval", "1 s", 1000),
        ("streamsql.duckdb.threads", "3", 3),
    ],
)
def test_honoured_options_are_typed(key: str, text: str, value: object) -> None:
    config = Configuration()
    config.set(key, text)
    assert config.get(key) == value
    assert config.as_dict() == {key: text}
    config.reset(key)
    assert config.get(key) == OPTIONS[key].default
    assert config.as_dict() == {}


@pytest.mark.parametrize(
    ("key", "text", "error", "message"),
    [
        ("table.local-time-zone", "Europe/Pari", ConfigError, "did you mean 'Europe/Paris'"),
        ("table.local-time-zone", "America", ConfigError, "'America' is not a time zone"),
        ("parallelism.default", "4", UnsupportedError, "one process"),
        ("execution.checkpointing.unaligned.enabled", "true", UnsupportedError, "one process"),
        (
            "execution.checkpointing.intervall",
            "1 s",
            ConfigError,
            "did you mean 'execution.checkpointing.interval'",
        ),
        ("execution.checkpointing.create-subdir", "false", UnsupportedError, "one folder per job"),
        (
            "execution.checkpointing.file-merging.max-file-size",
            "1 mb",
            UnsupportedError,
            "one folder per job",
        ),
        ("execution.checkpointing.dir", "", ConfigError, "found '', expected a path"),
        ("execution.checkpointing.dir", "s3://", ConfigError, "found 's3://', expected a path"),
        (
            "execution.checkpointing.dir",
            "s3:///chk",
            ConfigError,
            "such as file:///data/checkpoints or s3://bucket",
        ),
        ("execution.checkpointing.savepoint-dir", " ", ConfigError, "found ' '"),
        ("execution.state-recovery.path", "file://", ConfigError, "found 'file://'"),
        ("execution.checkpointing.tolerable-failed-checkpoints", "-1", ConfigError, "expected at least 0"),
        ("execution.runtime-mode", "automatic", UnsupportedError, "STREAMING or BATCH"),
        ("python.files", "x.py", UnsupportedError, "this process"),
        ("table.exec.statettl", "1", ConfigError, "did you mean 'table.exec.state.ttl'"),
        ("streamsql.step.max-rows", "0", ConfigError, "found 0"),
        ("streamsql.step.max-rows", "many", ConfigError, "found 'many', expected a number"),
        ("table.dml-sync", "yes", ConfigError, "expected true or false"),
        ("table.exec.mini-batch.allow-latency", "5 parsecs", ConfigError, "expected a duration"),
        ("sql-client.execution.result-mode", "pdf", ConfigError, "expected one of table, changelog, tableau"),
    ],
)
def test_what_is_refused_says_why(key: str, text: str, error: type[StreamSqlError], message: str) -> None:
    config = Configuration()
    with pytest.raises(error) as raised:
        config.set(key, text)
    assert message in str(raised.value)
    assert config.as_dict() == {}


@pytest.mark.parametrize("option", [o for o in REFUSED if o.default is not None], ids=lambda o: o.key)
def test_a_refused_option_may_be_set_to_its_default(option: ConfigOption) -> None:

    config = Configuration()
    config.set(option.key, format_value(option.default, option.kind))
    assert config.get(option.key) == option.default


@pytest.mark.parametrize("option", HONOURED, ids=lambda o: o.key)
def test_every_default_is_a_value_the_option_takes(option: ConfigOption) -> None:

    assert option.description
    if option.default is not None:
        text = format_value(option.default, option.kind)
        assert option.parse(text, "a test") == option.default
        assert parse_value(text, option.kind, option.choices) == option.default


def test_keys_are_unique() -> None:
    assert len(OPTIONS) == len(HONOURED) + len(REFUSED)


def test_a_copy_is_independent() -> None:
    config = Configuration({"table.dml-sync": "true"})
    other = config.copy()
    config.reset()
    assert config.get("table.dml-sync") is False
    assert other.get("table.dml-sync") is True


def test_the_first_wait_is_not_longer_than_the_longest() -> None:
    waits = "restart-strategy.exponential-delay"
    config = Configuration(
        {"restart-strategy.type": "exponential-delay", f"{waits}.initial-backoff": "2 min"}
    )
    with pytest.raises(ConfigError, match="= '2 min', expected at most the max-backoff of '1 min'"):
        restart_strategy(config)
    config.set(f"{waits}.max-backoff", "2 min")
    assert restart_strategy(config) is not None


@pytest.mark.parametrize(
    "place", ["s3://bucket", "file:///data", "file:/data", "/data", "data", "C:data", "hdfs:///x"]
)
def test_places_of_checkpoints(place: str) -> None:
    assert Configuration({"execution.checkpointing.dir": place}).get("execution.checkpointing.dir") == place
