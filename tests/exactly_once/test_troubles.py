"""What may go wrong around a job while it runs: brokers, disks, a second copy. Each row is written once."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BrokerFactory, TopicFactory, unique_name
from tests.kafka.broker import Broker
from tests.kafka.client import Cluster

from .market import Market
from .runner import checkpoints_in, forker, wait_for_checkpoint

ORDERS = 20_000
pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
SMALL_STEPS = {"streamsql.step.max-rows": "100", "streamsql.step.min-interval": "50 ms"}


@pytest.fixture
def market(kafka: Cluster, topic: TopicFactory) -> Market:
    found = Market.open(kafka, topic, unique_name("market"))
    found.fill(ORDERS)
    return found


def on_its_own_broker(broker: Broker) -> Market:
    """A market on a broker that the test may mistreat."""

    def topic(name: str, partitions: int = 1, config: dict[str, str] | None = None) -> str:
        broker.create_topic(name, partitions, config or {})
        return name

    found = Market.open(broker, topic, "market")
    found.fill(ORDERS)
    return found


@pytest.mark.parametrize("trouble", [Broker.restart, lambda b: _paused(b, 5.0)], ids=["killed", "paused"])
def test_the_broker_goes_away_for_a_while(
    kafka_broker_factory: BrokerFactory, tmp_path: Path, trouble: Callable[[Broker], None]
) -> None:
    broker = kafka_broker_factory()
    market = on_its_own_broker(broker)
    with forker(market, tmp_path / "job", options=SMALL_STEPS) as runner:
        runner.begin()
        runner.wait_running()
        wait_for_checkpoint(tmp_path / "job" / "checkpoints", 2)
        trouble(broker)
        if runner.goes_on_for(2):  # it may be through by now: it reads ahead while the broker is away
            trouble(broker)
        assert runner.wait() == 0, runner.tail()
    assert market.differences() == ""


def _paused(broker: Broker, seconds: float) -> None:
    with broker.paused():
        time.sleep(seconds)


def test_the_disk_of_the_checkpoints_is_full_for_a_while(market: Market, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    directory.mkdir()
    with forker(market, tmp_path / "job", directory, options=SMALL_STEPS) as runner:
        runner.begin()
        runner.wait_running()
        wait_for_checkpoint(directory, 2)
        full = directory / "full"
        full.touch()  # see forker.py: as long as this file is there, nothing can be written
        time.sleep(0.3)
        before = checkpoints_in(directory)
        time.sleep(3)
        assert checkpoints_in(directory) == before, "it was written after all"
        full.unlink()
        assert runner.wait() == 0, runner.tail()
        assert "No space left on device" in runner.log.read_text(), "the user is not told"
    assert market.differences() == ""


def test_a_second_copy_on_the_same_machine_does_not_start(market: Market, tmp_path: Path) -> None:
    directory = tmp_path / "checkpoints"
    with forker(market, tmp_path / "a", directory, options=SMALL_STEPS) as first:
        first.begin()
        first.wait_running()
        wait_for_checkpoint(directory, 1)
        with forker(market, tmp_path / "b", directory) as second:
            assert second.attempt() == 1
            assert "already running" in second.log.read_text(), second.tail()
        assert first.wait() == 0, first.tail()
    assert market.differences() == ""


def test_a_copy_on_another_machine_fences_the_first(market: Market, tmp_path: Path) -> None:
    """The first hangs, its checkpoints are copied, the job goes on elsewhere; then the first wakes up."""
    with forker(market, tmp_path / "a", options=SMALL_STEPS) as first:
        first.begin()
        first.wait_running()
        wait_for_checkpoint(tmp_path / "a" / "checkpoints", 3)
        first.kill(signal.SIGSTOP)
        copied = tmp_path / "copied"
        shutil.copytree(tmp_path / "a" / "checkpoints", copied)
        for owner in copied.glob("*/owner.json"):
            owner.unlink()
        with forker(market, tmp_path / "b", copied) as second:
            second.begin()
            second.wait_running()
            first.kill(signal.SIGCONT)
            assert first.wait() == 1, first.tail()
            assert "another run" in first.log.read_text(), first.tail()
            assert second.wait() == 0, second.tail()
    assert market.differences() == ""
