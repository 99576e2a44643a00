"""The print and blackhole connectors."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import (
    ARRAY,
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DECIMAL,
    DOUBLE,
    INT,
    MAP,
    MULTISET,
    ROW,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_LTZ,
    DataType,
)  # fmt: skip
from streamsql.errors import ConfigError
from streamsql.runtime.connectors import create_sink
from streamsql.runtime.connectors.blackhole import BlackholeSink

from .contexts import batch_of, sink_context, table

MOMENT = datetime(2024, 1, 2, 3, 4)
VALUES: list[tuple[DataType, Any, str]] = [
    (STRING(), "a, b", "a, b"),
    (STRING(), None, "null"),
    (BIGINT(), -5, "-5"),
    (BOOLEAN(), True, "true"),
    (DOUBLE(), 1e7, "1.0E7"),
    (DECIMAL(10, 2), Decimal("1.50"), "1.50"),
    (BYTES(), b"\x01\xff", "[1, -1]"),
    (DATE(), date(2024, 1, 2), "2024-01-02"),
    (TIME(0), time(3, 4), "03:04"),
    (TIME(3), time(3, 4, 5, 60_000), "03:04:05.060"),
    (TIMESTAMP(3), MOMENT, "2024-01-02T03:04"),
    (TIMESTAMP(6), MOMENT.replace(microsecond=1), "2024-01-02T03:04:00.000001"),
    (TIMESTAMP_LTZ(3), MOMENT.replace(tzinfo=UTC), "2024-01-02T03:04:00Z"),
    (ARRAY(INT()), [1, None], "[1, null]"),
    (ARRAY(ARRAY(STRING())), [[], None, ["x"]], "[[], null, [x]]"),
    (MAP(STRING(), DOUBLE()), [("k", 1.5), ("l", None)], "{k=1.5, l=null}"),
    (MULTISET(STRING()), [("k", 2)], "{k=2}"),
    (ROW([("x", INT()), ("y", ARRAY(STRING()))]), {"x": 1, "y": ["a"]}, "+I[1, [a]]"),
]


@pytest.mark.parametrize(("kind", "value", "text"), VALUES, ids=lambda v: str(v))
def test_values_read_as_in_flink(
    capsys: pytest.CaptureFixture[str], kind: DataType, value: Any, text: str
) -> None:
    definition = table({"n": INT(), "v": kind}, {"connector": "print"})
    sink = create_sink(sink_context(definition))
    sink.start()
    sink.write(batch_of(definition, (0, None), (1, value), (2, value)))
    sink.close(finished=True)
    assert capsys.readouterr().out == f"+I[0, null]\n+I[1, {text}]\n+I[2, {text}]\n"


def test_all_kinds_of_change(capsys: pytest.CaptureFixture[str]) -> None:
    definition = table(
        {"k": STRING(), "n": INT()},
        {"connector": "print", "print-identifier": "out", "standard-error": "true"},
    )
    sink = create_sink(sink_context(definition, query_key=(0,)))
    sink.start()
    rows = batch_of(definition, ("a", 1), ("b", 1), ("c", 9), ("a", 2), ("d", 3)).rows
    sink.write(ChangelogBatch(rows, np.array([-1, 1, -1, 1, 2])))
    sink.flush()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "out> -U[a, 1]", "out> +U[a, 2]", "out> +I[b, 1]", "out> -D[c, 9]", "out> +I[d, 3]", "out> +I[d, 3]",
    ]  # fmt: skip


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'print-identifier'"):
        sink_context(table({"n": INT()}, {"connector": "print", "print-identifer": "x"}))


def test_the_blackhole_takes_everything() -> None:
    definition = table({"n": INT()}, {"connector": "blackhole"})
    sink = create_sink(sink_context(definition))
    assert isinstance(sink, BlackholeSink)
    sink.start()
    sink.write(ChangelogBatch(batch_of(definition, (1,), (2,)).rows, np.array([1, -1])))
    sink.flush()
    sink.close(finished=True)
    assert sink.rows == 2
