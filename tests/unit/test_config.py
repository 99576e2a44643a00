"""Session options: types, defaults, refusals."""

import pytest

from streamsql.config import OPTIONS, Configuration
from streamsql.config_options import HONOURED, REFUSED
from streamsql.errors import ConfigError, StreamSqlError, UnsupportedError
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
