"""streamsql inside a program: rows in from Python, a continuous query, rows out to Python.

python examples/quickstart.py
"""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from streamsql import TableEnvironment

START = dt.datetime(2026, 3, 16, 9, 0)
READINGS = pa.schema([("sensor", pa.string()), ("celsius", pa.float64()), ("at", pa.timestamp("ms"))])


def readings(first_second: int, *celsius: float) -> pa.Table:
    """A reading of each of two sensors every five seconds."""
    rows = [
        {
            "sensor": f"s{n % 2 + 1}",
            "celsius": c,
            "at": START + dt.timedelta(seconds=first_second + 5 * (n // 2)),
        }
        for n, c in enumerate(celsius)
    ]
    return pa.Table.from_pylist(rows, READINGS)


def finite() -> None:
    """A table that is all there: the query ends, and its answer is an Arrow table."""
    with TableEnvironment() as env:
        env.from_arrow(readings(0, 19.5, 21.0, 19.9, 21.4, 24.1, 21.2), "readings")
        hottest = env.execute_sql("SELECT sensor, MAX(celsius) AS hottest FROM readings GROUP BY sensor")
        print("final table:", hottest.to_arrow().to_pylist())


def continuous() -> None:
    """A table that grows: the query goes on, and each window comes out when it is complete."""
    with TableEnvironment() as env:
        table = env.create_in_process_table(
            "readings", READINGS, watermark="`at` AS `at` - INTERVAL '2' SECOND"
        )
        averages = env.execute_sql("""
            SELECT sensor, window_start, AVG(celsius) AS average
            FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(`at`), INTERVAL '10' SECOND))
            GROUP BY sensor, window_start, window_end
        """)
        rows = averages.collect()
        table.append(readings(0, 19.0, 21.0, 20.0, 22.0))  # seconds 0 and 5: the first window is not over
        table.append(readings(10, 23.0, 22.5, 24.0, 22.5))  # seconds 10 and 15: now it is
        print("first window:", sorted((row.sensor, row.average) for row in (next(rows), next(rows))))
        table.finish()  # no more rows: the last window ends too
        print("second window:", sorted((row.sensor, row.average) for row in rows))


def live() -> None:
    """A job in the background, whose state answers queries while it runs."""
    with TableEnvironment() as env:
        table = env.create_in_process_table("readings", READINGS)
        env.execute_sql("CREATE VIEW newest AS SELECT sensor, LAST_VALUE(celsius) AS celsius, COUNT(*) AS n "
                        "FROM readings GROUP BY sensor")  # fmt: skip
        env.execute_sql("CREATE TABLE nowhere (sensor STRING, celsius DOUBLE, n BIGINT) "
                        "WITH ('connector' = 'blackhole')")  # fmt: skip
        job = env.execute_sql("INSERT INTO nowhere SELECT * FROM newest").job
        assert job is not None
        table.append(readings(0, 19.0, 21.0, 20.0, 22.0))
        while job.metrics().records_in < table.num_rows:
            job.wait(0.01)
        print(
            "asked live:", env.execute_sql("SELECT * FROM jobs.newest ORDER BY sensor").to_arrow().to_pylist()
        )


if __name__ == "__main__":
    finite()
    continuous()
    live()
