"""SIGKILL at random moments and at every named one, against real Kafka: what is committed is the batch answer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from streamsql.runtime.checkpoint.points import POINTS
from tests.conftest import TopicFactory, unique_name
from tests.kafka.client import Cluster

from .market import Market
from .runner import forker

KILLS = 56
ORDERS = 60_000
ATTEMPTS_MAX = 400
SMALL_STEPS = {"streamsql.step.max-rows": "400", "streamsql.step.min-interval": "5 ms"}
"""The job must not be through before it has been killed often enough."""


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_again_and_again_each_row_is_written_once(
    kafka: Cluster, topic: TopicFactory, tmp_path: Path
) -> None:
    market = Market.open(kafka, topic, unique_name("market"))
    market.fill(ORDERS)
    rng = random.Random(20240101)
    kills, code = 0, -1
    with forker(market, tmp_path / "job", options=SMALL_STEPS) as runner:
        for _ in range(ATTEMPTS_MAX):
            last = kills >= KILLS
            at_a_point = kills % 2 == 0
            death = f"{POINTS[kills // 2 % len(POINTS)]} {rng.randrange(1, 4)}" if at_a_point else "-"
            code = runner.attempt("-" if last else death, None if last or at_a_point else rng.uniform(0, 0.6))
            if code == 0:
                break
            # Any death by a signal counts: a client library may die of the fork, too.
            assert code < 0, f"an attempt ended with {code}:\n{runner.tail()}"
            kills += 1
        assert code == 0, "it never came to its end"
        assert kills >= KILLS, f"the job was through after {kills} kills: give it more rows"
        assert runner.attempt() == 0, "a job that has finished is left alone"
    assert market.differences() == ""
