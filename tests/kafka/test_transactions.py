"""Exactly-once output against a real broker: whatever dies when, a topic holds each row once."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Producer

from streamsql.changelog import ChangelogBatch
from streamsql.errors import ConfigError, ConnectorError, FencedError
from streamsql.runtime.connectors.kafka_decision import Decision
from streamsql.runtime.connectors.kafka_transactions import KafkaTransaction, _Lane
from tests.conftest import TopicFactory, unique_name
from tests.kafka.client import Cluster
from tests.kafka.tables import exactly_once, sink_of, transaction_for

ROOT = Path(__file__).parents[2]


def rows(*ids: int) -> ChangelogBatch:
    return ChangelogBatch(pa.RecordBatch.from_pydict({"id": list(ids), "name": ["x"] * len(ids)}))


def ids(kafka: Cluster, topic: str, *, read_committed: bool = True) -> list[int]:
    """The ids in the topic, in the order of the log."""
    found = kafka.consume_all(topic, read_committed=read_committed)
    return [json.loads(m.value or b"")["id"] for m in found]


class Process:
    """A writer in a process of its own (see ``tests.kafka.writer``)."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.kafka.writer", *arguments]
        self.child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def ask(self, command: str) -> str:
        """Its answer, errors included."""
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().strip()

    def do(self, *commands: str) -> str:
        """The last answer; all must be good."""
        answer = ""
        for command in commands:
            answer = self.ask(command)
            assert answer.startswith("ok "), f"{command}: {answer}"
        return answer.removeprefix("ok ")

    def kill(self) -> None:
        self.child.kill()
        self.child.communicate()


@pytest.fixture
def start(kafka: Cluster, tmp_path: Path) -> Iterator[Callable[[str, str, str], Process]]:
    """``start(topics, prefix, run)`` -> a writer over the test's folder of checkpoints."""
    started: list[Process] = []

    def factory(topics: str, prefix: str, run: str) -> Process:
        started.append(Process(kafka.bootstrap, topics, prefix, str(tmp_path), run))
        return started[-1]

    yield factory
    for process in started:
        process.kill()


class TestEpochs:
    def test_nothing_shows_before_the_commit_and_all_sinks_show_together(
        self, kafka: Cluster, topic: TopicFactory
    ) -> None:
        a, b, prefix = topic("a"), topic("b", partitions=3), unique_name("p")
        upsert = {"connector": "upsert-kafka", "key_format": "json"}
        tables = (
            exactly_once(kafka.bootstrap, a, prefix),
            exactly_once(kafka.bootstrap, b, prefix, ("id",), **upsert),
        )
        transaction = transaction_for(*tables)
        assert transaction.open(None) is None
        appending, upserting = (
            sink_of(tables[0], transaction=transaction),
            sink_of(tables[1], upsert=True, transaction=transaction),
        )
        for sink in (appending, upserting):
            sink.start()
            sink.write(rows(1, 2))
            sink.flush()
            assert sink.settle(30)
        transaction.prepare(1)
        appending.write(rows(3))  # belongs to the next checkpoint
        assert appending.settle(30)
        assert (ids(kafka, a), ids(kafka, b)) == ([], [])
        transaction.commit(1, "r")
        assert (ids(kafka, a), sorted(ids(kafka, b))) == ([1, 2], [1, 2])
        transaction.prepare(2)
        transaction.commit(2, "r")
        assert ids(kafka, a) == [1, 2, 3]
        appending.write(rows(4))
        assert appending.settle(30)
        for sink in (appending, upserting):
            sink.close(finished=False)
        transaction.close()
        assert ids(kafka, a) == [1, 2, 3]
        assert ids(kafka, a, read_committed=False) == [1, 2, 3, 4]

    def test_an_epoch_without_rows_is_decided_too(self, kafka: Cluster, topic: TopicFactory) -> None:
        table = exactly_once(kafka.bootstrap, topic(), unique_name("p"))
        for run, expected in (("a", None), ("b", (2, "a")), ("c", (2, "b"))):
            transaction = transaction_for(table)
            assert transaction.open(None) == expected
            for number in (1, 2):
                transaction.prepare(number)
                transaction.commit(number, run)
            transaction.close()

    def test_one_checkpoint_at_a_time(self, kafka: Cluster, topic: TopicFactory) -> None:
        transaction = transaction_for(exactly_once(kafka.bootstrap, topic(), unique_name("p")))
        with pytest.raises(ConnectorError, match="its transaction is not open yet"):
            transaction.prepare(1)
        transaction.open(None)
        transaction.prepare(1)
        with pytest.raises(ConnectorError, match="up to checkpoint 1 is not committed yet"):
            transaction.prepare(2)
        with pytest.raises(ConnectorError, match="checkpoint 2 is not the one"):
            transaction.commit(2, "r")
        transaction.close()
        transaction.close()
        with pytest.raises(ConnectorError, match="closed"):
            transaction.commit(1, "r")


class TestDeath:
    @pytest.mark.parametrize("last", ["write 5", "prepare", "commit"])
    def test_killed_after(
        self, kafka: Cluster, topic: TopicFactory, start: Callable[[str, str, str], Process], last: str
    ) -> None:
        """Between any two calls; the next run writes again exactly what did not count."""
        a, b = topic("a"), topic("b")
        prefix = unique_name("p")
        first = start(f"{a},{b}", prefix, "r1")
        first.do(
            "open", "write 10", "prepare", "commit", "write 10", "prepare", "write 3", "commit", "write 7"
        )
        rest = {
            "write 5": ["write 5"],
            "prepare": ["prepare", "write 4"],
            "commit": ["prepare", "write 4", "commit", "write 2"],
        }
        first.do(*rest[last])
        first.kill()
        second = start(f"{a},{b}", prefix, "r2")
        number, following = map(int, second.do("open").split())
        assert (number, following) == ((3, 30) if last == "commit" else (2, 20))
        assert ids(kafka, a) == ids(kafka, b) == list(range(following))
        second.do("write 10", "prepare", "commit")
        assert ids(kafka, a) == ids(kafka, b) == list(range(following + 10))

    def test_killed_in_the_middle_of_a_commit(
        self, kafka: Cluster, topic: TopicFactory, start: Callable[[str, str, str], Process]
    ) -> None:
        """Whether it counted or not is found out, and either way nothing is lost or doubled."""
        name, prefix = topic(), unique_name("p")
        for attempt in range(6):
            process = start(name, prefix, f"r{attempt}")
            _, following = map(int, process.do("open").split())
            assert ids(kafka, name) == list(range(following))
            process.do("write 20", "prepare")
            assert process.child.stdin is not None
            process.child.stdin.write("commit\n")
            process.child.stdin.flush()
            time.sleep(0.004 * attempt)
            process.kill()
        _, following = map(int, start(name, prefix, "last").do("open").split())
        assert ids(kafka, name) == list(range(following))


class TestTwoRuns:
    @pytest.mark.parametrize("late", ["write 5", "prepare", "commit"])
    def test_the_older_one_is_fenced(
        self, kafka: Cluster, topic: TopicFactory, start: Callable[[str, str, str], Process], late: str
    ) -> None:
        name, prefix = topic(), unique_name("p")
        older = start(name, prefix, "old")
        before = {"write 5": ["write 1"], "prepare": ["write 1"], "commit": ["write 1", "prepare", "write 1"]}
        older.do("open", "write 10", "prepare", "commit", *before[late])
        newer = start(name, prefix, "new")
        assert newer.do("open") == "1 10"
        calls = ["write 5", "prepare", "commit"]
        answers = [older.ask(call) for call in calls[calls.index(late) :]]
        refused = next(a for a in answers if not a.startswith("ok"))
        expected = f"FencedError job 'test': another run with 'sink.transactional-id-prefix' = '{prefix}'"
        assert refused.startswith(expected)
        newer.do("write 5", "prepare", "commit")
        assert older.ask("commit").startswith("FencedError")
        assert older.ask("close").startswith("ok")
        newer.do("write 5", "prepare", "commit")
        assert ids(kafka, name) == list(range(20))

    def test_within_a_process(self, kafka: Cluster, topic: TopicFactory) -> None:
        """A write is enough for the older one to hear of it."""
        table = exactly_once(kafka.bootstrap, topic(), unique_name("p"))
        older, newer = transaction_for(table), transaction_for(table)
        older.open(None)
        sink = sink_of(table, transaction=older)
        sink.write(rows(1))
        assert sink.settle(30)
        newer.open(None)
        with pytest.raises(FencedError, match="has taken over"):
            sink.write(rows(2))
            sink.settle(30)
        with pytest.raises(FencedError):
            sink.flush()
        assert sink.status() is None
        older.close()
        newer.close()

    def test_of_two_that_open_together_one_goes_on(
        self, kafka: Cluster, topic: TopicFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The other one takes the second transactional id last, and can then not decide."""
        name, prefix = topic(), unique_name("p")
        table = exactly_once(kafka.bootstrap, name, prefix)
        winner = transaction_for(table)
        assert isinstance(winner, KafkaTransaction)
        decide = winner._decide

        def late(lane: _Lane, decision: Decision) -> None:
            take_second_id(kafka, prefix)
            decide(lane, decision)

        monkeypatch.setattr(winner, "_decide", late)
        winner.open(None)
        sink = sink_of(table, transaction=winner)
        for checkpoint in range(1, 4):
            sink.write(rows(checkpoint))
            assert sink.settle(30)
            winner.prepare(checkpoint)
            winner.commit(checkpoint, "r")
        winner.close()
        assert ids(kafka, name) == [1, 2, 3]

    def test_one_that_lost_and_fences_the_other_still(self, kafka: Cluster, topic: TopicFactory) -> None:
        """The one that goes on begins again: it is no error that a further attempt would meet."""
        name, prefix = topic(), unique_name("p")
        table = exactly_once(kafka.bootstrap, name, prefix)
        first = transaction_for(table)
        first.open(None)
        take_second_id(kafka, prefix)
        sink = sink_of(table, transaction=first)
        sink.write(rows(1))
        assert sink.settle(30)
        first.prepare(1)
        first.commit(1, "r")
        with pytest.raises(ConnectorError, match="began at the same time and gave up") as e:
            sink.write(rows(2))
            sink.settle(30)
        assert not isinstance(e.value, FencedError)
        first.close()
        again = transaction_for(table)
        assert again.open(first.record()) == (1, "r")
        again.close()
        assert ids(kafka, name) == [1]

    def test_the_older_one_hears_of_it_in_a_long_flush(self, kafka: Cluster, topic: TopicFactory) -> None:
        name, prefix = topic(), unique_name("p")
        table = exactly_once(kafka.bootstrap, name, prefix)
        older, newer = transaction_for(table), transaction_for(table)
        assert isinstance(older, KafkaTransaction)
        older.open(None)
        older.producer.produce(name, value=b"1")
        older.flush(5)
        newer.open(None)
        older.producer.produce(name, value=b"2")
        with pytest.raises(FencedError):
            older.flush(5)
            older.raise_failure()
        older.close()
        newer.close()


def take_second_id(kafka: Cluster, prefix: str) -> None:
    """As a run does that begins and comes no further."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": f"{prefix}-1"})
    producer.init_transactions(30)


class TestDecision:
    def test_a_job_that_begins_afresh(self, kafka: Cluster, topic: TopicFactory) -> None:
        """An earlier job's decision stands until it writes; then nothing is committed of it."""
        table = exactly_once(kafka.bootstrap, topic(), unique_name("p"))
        earlier = transaction_for(table)
        earlier.open(None)
        earlier.prepare(17)
        earlier.commit(17, "old")
        earlier.close()
        for _ in range(2):
            refused = transaction_for(table)
            assert refused.open(None) == (17, "old")
            refused.close()
        afresh = transaction_for(table)
        assert afresh.open(None) == (17, "old")
        afresh.prepare(1)
        afresh.close()
        resumed = transaction_for(table)
        assert resumed.open(afresh.record()) == (0, "")
        resumed.close()

    def test_the_topics_of_a_job_change(self, kafka: Cluster, topic: TopicFactory) -> None:
        """The checkpoint says where its decision is; the next ones are decided with the new topic."""
        a, b, prefix = topic("a"), topic("b"), unique_name("p")
        first = transaction_for(exactly_once(kafka.bootstrap, a, prefix))
        first.open(None)
        first.prepare(1)
        first.commit(1, "r1")
        first.close()
        second = transaction_for(exactly_once(kafka.bootstrap, b, prefix))
        assert second.open(first.record()) == (1, "r1")
        second.close()
        third = transaction_for(exactly_once(kafka.bootstrap, b, prefix))
        assert third.open(second.record()) == (1, "r1")
        third.close()

    def test_the_prefix_changes(self, kafka: Cluster, topic: TopicFactory) -> None:
        """A run with the old one is fenced as well."""
        name = topic()
        old = exactly_once(kafka.bootstrap, name, unique_name("old"))
        first = transaction_for(old)
        first.open(None)
        first.prepare(1)
        first.commit(1, "r1")
        sink = sink_of(old, transaction=first)
        sink.write(rows(1))
        assert sink.settle(30)
        first.prepare(2)
        second = transaction_for(exactly_once(kafka.bootstrap, name, unique_name("new")))
        assert second.open(first.record()) == (1, "r1")
        with pytest.raises(FencedError):
            first.commit(2, "r1")
        assert ids(kafka, name) == []
        first.close()
        second.close()

    def test_kafka_has_forgotten_it(self, kafka: Cluster, topic: TopicFactory) -> None:
        """Offsets of a group expire; then it is not known, also not at the next look, until a checkpoint is decided."""
        name, prefix = topic(), unique_name("p")
        table = exactly_once(kafka.bootstrap, name, prefix)
        first = transaction_for(table)
        first.open(None)
        first.close()
        admin = kafka.admin()
        [done] = admin.delete_consumer_groups([prefix]).values()
        done.result(30)
        for _ in range(2):
            again = transaction_for(table)
            assert again.open(first.record()) is None
            again.close()
        going_on = transaction_for(table)
        assert going_on.open(first.record()) is None
        going_on.prepare(8)
        going_on.close()
        last = transaction_for(table)
        assert last.open(first.record()) == (0, "")  # what was prepared after that was not committed
        last.close()


class TestErrors:
    def test_a_timeout_that_the_broker_does_not_allow(self, kafka: Cluster, topic: TopicFactory) -> None:
        table = exactly_once(
            kafka.bootstrap, topic(), unique_name("p"), properties_transaction_timeout_ms="900001"
        )
        transaction = transaction_for(table)
        with pytest.raises(
            ConfigError, match=r"does not allow transactions of 900001 ms\n.*transaction\.max\.timeout"
        ):
            transaction.open(None)
        transaction.close()

    def test_a_message_that_the_broker_refuses(self, kafka: Cluster, topic: TopicFactory) -> None:
        name = topic(config={"max.message.bytes": "1000"})
        table = exactly_once(kafka.bootstrap, name, unique_name("p"))
        transaction = transaction_for(table)
        transaction.open(None)
        sink = sink_of(table, transaction=transaction)
        sink.write(ChangelogBatch(pa.RecordBatch.from_pydict({"id": [1], "name": ["x" * 5_000]})))
        with pytest.raises(ConnectorError, match=f"topic {name} partition 0 was not delivered"):
            sink.settle(30)
        with pytest.raises(ConnectorError, match="was not delivered"):
            transaction.prepare(1)
        sink.close(finished=False)
        transaction.close()

    def test_closing_ends_the_waiting_for_a_broker(self, kafka: Cluster) -> None:
        transaction = transaction_for(exactly_once("127.0.0.1:1", "t", "p"))
        caught: list[BaseException] = []

        def open_it() -> None:
            try:
                transaction.open(None)
            except ConnectorError as e:
                caught.append(e)

        opening = threading.Thread(target=open_it)
        opening.start()
        deadline = time.monotonic() + 20
        while transaction.status() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "broker 127.0.0.1:1 is away since" in str(transaction.status())
        transaction.close()
        opening.join(20)
        assert "was closed while opening" in str(caught[0])
