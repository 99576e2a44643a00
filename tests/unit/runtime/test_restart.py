"""Restart strategies: how long to wait after which failure, and when to give up."""

from __future__ import annotations

import random

import pytest

from streamsql.config import Configuration
from streamsql.errors import ConfigError, ConnectorError, DataError, FencedError, JobError, StateError
from streamsql.job_options import restart_strategy
from streamsql.runtime.restart import ExponentialDelay, FailureRate, FixedDelay, NoRestart


def test_fixed_delay_gives_up_after_its_attempts() -> None:
    strategy = FixedDelay(attempts=2, wait_ms=500)
    assert [strategy.delay_ms(now) for now in (0, 1000, 2000)] == [500, 500, None]


def test_exponential_delay_grows_to_its_maximum() -> None:
    strategy = ExponentialDelay(initial_ms=100, max_ms=1000, multiplier=3.0, jitter=0.0)
    assert [strategy.delay_ms(now) for now in range(0, 5000, 1000)] == [100, 300, 900, 1000, 1000]


def test_exponential_delay_begins_anew_after_a_quiet_time() -> None:
    strategy = ExponentialDelay(initial_ms=100, multiplier=2.0, reset_ms=10_000, jitter=0.0)
    assert [strategy.delay_ms(now) for now in (0, 1000, 2000)] == [100, 200, 400]
    assert strategy.delay_ms(2000 + 400 + 10_000) == 100


def test_exponential_delay_counts_attempts_without_a_quiet_time() -> None:
    strategy = ExponentialDelay(initial_ms=1, reset_ms=10_000, jitter=0.0, attempts=2)
    assert [strategy.delay_ms(now) is None for now in (0, 10, 20)] == [False, False, True]


def waits(failure: int, **bounds: int) -> set[int]:
    """How long 50 jobs wait after so many failures within a minute, without jitter 2,000 ms after the second."""
    strategies = [
        ExponentialDelay(jitter=0.1, multiplier=2.0, chance=random.Random(s), **bounds) for s in range(50)
    ]
    delays = [[strategy.delay_ms(n) for n in range(failure)][-1] for strategy in strategies]
    return {delay for delay in delays if delay is not None}


def test_jitter_stays_within_its_part() -> None:
    found = waits(2, initial_ms=1000)
    assert len(found) > 10
    assert all(1800 <= wait <= 2200 for wait in found)
    assert min(found) < 2000 < max(found)


def test_jitter_stays_within_the_bounds() -> None:
    first, last = waits(1, initial_ms=1000), waits(2, initial_ms=1000, max_ms=2000)
    assert min(first) == 1000 and len(first) > 10
    assert max(last) == 2000 and len(last) > 10


def test_failure_rate_forgets_old_failures() -> None:
    strategy = FailureRate(most=2, interval_ms=1000, wait_ms=7)
    assert [strategy.delay_ms(now) for now in (0, 500, 1400)] == [7, 7, 7]
    assert strategy.delay_ms(1450) is None


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (ConnectorError("away"), True),
        (JobError("a defect"), True),
        (OSError("disk"), True),
        (DataError("a bad row"), False),
        (ConfigError("an option"), False),
        (FencedError("another run"), False),
        (StateError("does not fit"), False),
    ],
)
def test_what_would_come_again_ends_the_job(error: Exception, again: bool) -> None:
    assert FixedDelay().worth_it(error) is again


def test_options_choose_the_strategy() -> None:
    config = Configuration()
    assert isinstance(restart_strategy(config), NoRestart)
    config.set("execution.checkpointing.interval", "1 s")
    assert isinstance(restart_strategy(config), ExponentialDelay)
    config.set("restart-strategy.type", "fixed-delay")
    config.set("restart-strategy.fixed-delay.attempts", "3")
    config.set("restart-strategy.fixed-delay.delay", "2 s")
    assert restart_strategy(config) == FixedDelay(attempts=3, wait_ms=2000)
    config.set("restart-strategy.type", "failurerate")
    assert isinstance(restart_strategy(config), FailureRate)
    config.set("restart-strategy.type", "off")
    assert isinstance(restart_strategy(config), NoRestart)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("restart-strategy.type", "sometimes"),
        ("restart-strategy.fixed-delay.attempts", "0"),
        ("restart-strategy.exponential-delay.backoff-multiplier", "0.5"),
        ("restart-strategy.exponential-delay.jitter-factor", "2"),
        ("execution.checkpointing.interval", "0 s"),
        ("execution.checkpointing.num-retained", "0"),
    ],
)
def test_bad_values_are_refused(key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=key):
        Configuration().set(key, text)
