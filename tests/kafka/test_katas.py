"""The katas in `examples/katas`, run against a real broker: messages in, exactly the expected messages out."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from streamsql.repl.runner import placed_statements
from streamsql.session import TableEnvironment
from tests.conftest import TopicFactory
from tests.kafka.client import Cluster, Received, Record
from tests.project import ROOT

KATAS = ROOT / "examples" / "katas"
BASE_MS = 1_521_190_800_000  # 2018-03-16 09:00:00 UTC
EXIT_SIGTERM = 143
END_TIMEOUT_S = 30


class Kata:
    """A kata's file with topics of its own."""

    def __init__(self, kafka: Cluster, topic: TopicFactory, file: str, *topics: str) -> None:
        self._kafka = kafka
        self._names = {t: topic(t) for t in topics}
        self.text = (KATAS / file).read_text().replace("localhost:9092", kafka.bootstrap)
        for plain, unique in self._names.items():
            assert f"'topic' = '{plain}'" in self.text
            self.text = self.text.replace(f"'topic' = '{plain}'", f"'topic' = '{unique}'")

    def send(self, topic: str, values: Sequence[Any], keys: Sequence[Any] | None = None) -> None:
        """Sends JSON values, in order."""
        texts = [None] * len(values) if keys is None else [json.dumps(k) for k in keys]
        records = [Record(k, json.dumps(v)) for k, v in zip(texts, values, strict=True)]
        self._kafka.produce(self._names[topic], records)

    def received(self, topic: str, n: int | None = None) -> list[Received]:
        """What the topic holds; waits for ``n`` messages."""
        return self._kafka.consume_all(self._names[topic], n)

    def values(self, topic: str, n: int | None = None) -> list[Any]:
        return [json.loads(m.value or b"null") for m in self.received(topic, n)]

    def run(self, **awaited: int) -> None:
        """Runs the file until each topic (_ for -) has so many messages, and stops its jobs."""
        env = TableEnvironment()
        try:
            for statement in placed_statements(self.text):
                env.execute_sql(statement.text)
            for topic, count in awaited.items():
                self.received(topic.replace("_", "-"), count)
            assert [job.status for job in env.jobs()] == ["RUNNING"]
        finally:
            env.close()


MakeKata = Callable[..., Kata]


@pytest.fixture
def kata(kafka: Cluster, topic: TopicFactory) -> Iterator[MakeKata]:
    yield lambda file, *topics: Kata(kafka, topic, file, *topics)


def iso(time_ms: int) -> str:
    seconds, ms = divmod(time_ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ms:03d}Z"


# -- 1: a pipeline without state -----------------------------------------------------------------------------
GIBBS = [
    "#mktd6 this is ignored",
    "#mktd6 #bananacoins are good!!!",
    "#mktd6 #bananacoins make me sad!!",
    "smile happy good !!! (ignored)",
    "#mktd6 smile! #bananacoins",
]
INFLUENCES = ["UP", "UP", "UP", "DOWN", "DOWN", "UP"]


def gibbs(texts: Sequence[str]) -> list[dict[str, str]]:
    return [{"id": f"{i:03d}", "time": iso(BASE_MS + i), "text": t} for i, t in enumerate(texts, 1)]


def test_price_influences(kata: MakeKata) -> None:
    k1 = kata("k1_price_influences.sql", "gibb-topic", "price-influence-topic")
    k1.send("gibb-topic", gibbs(GIBBS))
    k1.run(price_influence_topic=len(INFLUENCES))
    messages = k1.received("price-influence-topic")
    assert [m.value for m in messages] == [json.dumps(i).encode() for i in INFLUENCES]
    assert {m.key for m in messages} == {None}


def test_whole_words_and_the_first_sentiment_count(kata: MakeKata) -> None:
    k1 = kata("k1_price_influences.sql", "gibb-topic", "price-influence-topic")
    tags = "#mktd6 #bananacoins"
    texts = [
        f"{tags} goodness, nobody!",  # neither "good" nor "no" as a word
        f"{tags} GOOD!",
        f"{tags} sad but good!",  # a happy word goes first
        "#MKTD6 #bananacoins good!",
        f"{tags} good",
        f"first line\n{tags} bad!\nthird line!",
    ]
    k1.send("gibb-topic", gibbs(texts))
    k1.run(price_influence_topic=3)
    assert k1.values("price-influence-topic") == ["UP", "DOWN", "DOWN"]


def test_the_command_line_runs_a_kata(kata: MakeKata, tmp_path: Path) -> None:
    k1 = kata("k1_price_influences.sql", "gibb-topic", "price-influence-topic")
    script = tmp_path / "kata.sql"
    script.write_text(k1.text)
    command = [sys.executable, "-m", "streamsql", "run", str(script)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
    )
    try:
        k1.send("gibb-topic", gibbs(GIBBS))  # while it runs
        assert k1.values("price-influence-topic", len(INFLUENCES)) == INFLUENCES
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=END_TIMEOUT_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == EXIT_SIGTERM, errors
    assert "Traceback" not in out + errors


# -- 2: split, select, unite ---------------------------------------------------------------------------------
ORDERS = [
    "player1 txn01 BUY 5",
    "player2 txn02 BUY 99999",
    "player2 txn03 SELL 8",
    "player3 txn04 INVALID ORDER",
    "player1 txn01 SELL 5",
]
VALID = [("player1", "txn01", "BUY", 5), ("player2", "txn03", "SELL", 8), ("player1", "txn01", "SELL", 5)]


def with_time(lines: Sequence[str]) -> list[str]:
    return [f"{BASE_MS + i} {line}" for i, line in enumerate(lines, 1)]


def keyed(messages: Sequence[Received]) -> list[tuple[Any, Any]]:
    return [(json.loads(m.key or b"null"), json.loads(m.value or b"null")) for m in messages]


def in_any_order(items: Sequence[Any]) -> list[Any]:
    return sorted(items, key=json.dumps)


def k2(kata: MakeKata, file: str) -> Kata:
    return kata(file, "order-texts", "valid-orders", "invalid-orders")


def test_orders_with_time(kata: MakeKata) -> None:
    split = k2(kata, "k2_orders_with_time.sql")
    split.send("order-texts", with_time(ORDERS))
    split.run(valid_orders=len(VALID), invalid_orders=1)
    expected = [
        (player, {"time": f"2018-03-16T09:00:00.00{at}Z", "txnId": txn, "type": side, "shares": shares})
        for at, (player, txn, side, shares) in zip((1, 3, 5), VALID, strict=True)
    ]
    assert in_any_order(keyed(split.received("valid-orders"))) == in_any_order(expected)
    assert split.values("invalid-orders") == [f"{BASE_MS + 4} player3 txn04 INVALID ORDER"]


def test_what_makes_an_order_invalid(kata: MakeKata) -> None:
    split = k2(kata, "k2_orders_with_time.sql")
    invalid = [
        "player1 txn01 buy 5",  # the pattern takes any case, the kind of an order does not
        "player1 txn02 BUY 0",
        "player1 txn03 BUY 2147483648",  # one too many for an INT
        "player1 txn04 BUY 99999999999999999999",
        "player1 txn05 BUY -5",
        "player1 txn06 BUY 5 ",
        "player-1 txn07 BUY 5",
        "player1 txn08 BUY",
    ]
    dropped = ["player1 txn09 BUY 1001", "player1 txn10 SELL 1001"]
    valid = ["PLAYER1 Txn11 BUY 1000", "player1 txn12 SELL 1"]
    split.send("order-texts", with_time([*invalid, *dropped, *valid]))
    split.run(valid_orders=2, invalid_orders=len(invalid))
    assert split.values("invalid-orders") == with_time(invalid)
    orders = keyed(split.received("valid-orders"))
    assert in_any_order([(p, o["txnId"], o["shares"]) for p, o in orders]) == [
        ("PLAYER1", "Txn11", 1000),
        ("player1", "txn12", 1),
    ]


def test_orders_by_player(kata: MakeKata) -> None:
    split = k2(kata, "k2_orders_by_player.sql")
    before = time.time()
    split.send("order-texts", ORDERS)
    split.run(valid_orders=len(VALID), invalid_orders=1)
    orders = keyed(split.received("valid-orders"))
    found = [(player, o["txnId"], o["type"], o["shares"]) for player, o in orders]
    assert in_any_order(found) == in_any_order(VALID)
    for _, order in orders:  # the time of the order is the time of reading it
        assert iso(int(before * 1000))[:17] <= order["time"] <= iso(int(time.time() * 1000) + 1000)
    assert split.values("invalid-orders") == ["player3 txn04 INVALID ORDER"]


# -- 3: windows ----------------------------------------------------------------------------------------------
BATCHES = 20
BATCH = [
    ("player1", "txn01", 1.0),
    ("player1", "txn02", 2.0),
    ("player2", "txn03", 3.0),
    ("player1", "txn04", 4.0),
    ("player2", "txn05", 5.0),
    ("player1", "txn06", 6.0),
    ("player3", "txn06", 100.0),
]
FINAL = [("player1", "txn01", 13.0), ("player2", "txn03", 8.0), ("player3", "txn06", 100.0)]
UPDATES = {"player1": [1.0, 3.0, 7.0, 13.0], "player2": [3.0, 8.0], "player3": [100.0]}


def investments(kata: MakeKata, file: str) -> Kata:
    """The kata with its input: a batch in each of the first windows, and one message that ends the last."""
    k3 = kata(file, "investments", "grouped-investments")
    values = [
        {"time": iso(BASE_MS + 100 * batch + 10 * place), "txnId": txn, "invested": coins}
        for batch in range(BATCHES)
        for place, (_, txn, coins) in enumerate(BATCH)
    ]
    end = {"time": iso(BASE_MS + 100 * BATCHES + 10), "txnId": "end", "invested": 0.5}
    k3.send("investments", [*values, end], [player for player, *_ in BATCH * BATCHES] + ["player4"])
    return k3


def window_times(values: Sequence[Any]) -> list[str]:
    """The times of windows, which are written without zeros at their end."""
    return list(dict.fromkeys(v["time"] for v in values))


def test_grouped_investments(kata: MakeKata) -> None:
    k3 = investments(kata, "k3_grouped_investments.sql")
    k3.run(grouped_investments=BATCHES * len(FINAL))
    found = keyed(k3.received("grouped-investments"))
    expected = [(p, txn, coins) for _ in range(BATCHES) for p, txn, coins in FINAL]
    assert [(p, v["txnId"], v["invested"]) for p, v in found] == expected  # a window after the other
    times = window_times([v for _, v in found])
    assert (times[0], times[1], times[-1], len(times)) == (
        "2018-03-16T09:00:00Z",
        "2018-03-16T09:00:00.1Z",
        "2018-03-16T09:00:01.9Z",
        BATCHES,
    )


def test_updating_investments(kata: MakeKata) -> None:
    k3 = investments(kata, "k3_updating_investments.sql")
    k3.run(grouped_investments=BATCHES * len(BATCH) + 1)
    found = keyed(k3.received("grouped-investments"))
    assert [k["player"] for k, _ in found[: len(BATCH)]] == [p for p, *_ in BATCH]  # one for each that came
    assert found.pop()[0]["player"] == "player4"
    assert len(found) == BATCHES * len(BATCH)
    updates: dict[tuple[str, str], list[float]] = {}
    for key, value in found:
        updates.setdefault((value["time"], key["player"]), []).append(value["invested"])
        assert value["txnId"] == {p: txn for p, txn, _ in FINAL}[key["player"]]
    times = window_times([v for _, v in found])
    assert len(times) == BATCHES
    assert updates == {(t, player): UPDATES[player] for t in times for player in UPDATES}
