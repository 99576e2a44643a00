"""What a job tells of its checkpoints."""

from __future__ import annotations

from streamsql.testing import VirtualClock, source_table


def test_the_last_checkpoint_and_what_it_wrote() -> None:
    clock = VirtualClock()
    with clock.environment() as env:
        env.execute_sql("SET 'execution.checkpointing.interval' = '10 s'")
        rows = source_table(env, "CREATE TABLE t (k INT)", bounded=False)
        env.execute_sql(
            "CREATE TABLE s (k INT PRIMARY KEY NOT ENFORCED, n BIGINT) WITH ('connector' = 'blackhole')"
        )
        job = env.execute_sql("INSERT INTO s SELECT k, COUNT(*) FROM t GROUP BY k").job
        assert job is not None
        clock.advance_time(0)
        first = job.metrics()
        assert first.checkpoint_bytes is None or first.checkpoint == 1
        written = []
        for count in (1, 500):
            rows.add(*(("+I", k) for k in range(count)))
            clock.advance_time(10_000)
            metrics = job.metrics()
            assert metrics.checkpoint_ms is not None and metrics.checkpoint_bytes is not None
            written.append((metrics.checkpoint, metrics.checkpoint_bytes))
        (one, small), (two, large) = written
        assert one is not None and two == one + 1
        assert 0 < 2 * small < large
        job.stop()
