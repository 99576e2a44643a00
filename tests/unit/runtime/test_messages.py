"""What the engine's messages become for the people who read them."""

from __future__ import annotations

import pytest

from streamsql import StreamSqlError, TableEnvironment


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("CAST(x AS INT)", "cannot cast 'q' to INT"),
        ("CAST(x || '.5' AS BIGINT)", "cannot cast 'q.5' to BIGINT"),
        ("CAST(x AS DOUBLE)", "cannot cast 'q' to DOUBLE"),
        ("CAST(x AS DECIMAL(10, 2))", "cannot cast 'q' to DECIMAL(10,2)"),
        ("CAST(x AS BOOLEAN)", "cannot cast 'q' to BOOLEAN"),
        ("CAST(x AS DATE)", "cannot cast 'q' to DATE"),
        ("CAST(x AS TIME)", "cannot cast 'q' to TIME"),
        ("CAST(x AS TIMESTAMP(3))", "cannot cast 'q' to TIMESTAMP"),
    ],
)
def test_casts(expression: str, message: str) -> None:
    with TableEnvironment() as env, pytest.raises(StreamSqlError) as raised:
        env.execute_sql(f"SELECT {expression} AS y FROM (VALUES ('q')) AS t (x)").print()
    assert message in str(raised.value)
    assert raised.value.hint == "use TRY_CAST, or filter such rows out before"
