"""`streamsql demo` as people meet it: in a pipe, on a terminal, and on a broker of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamsql.repl.app import main
from streamsql.repl.demo.market import Market, Message
from streamsql.repl.demo.playing import SEEDED_START_MS, playing
from streamsql.repl.demo.queries import EXAMPLES
from streamsql.repl.demo.topics import MARKET_TOPICS, partitions
from streamsql.repl.runner import placed_statements
from tests.kafka.client import Cluster
from tests.project import ROOT
from tests.repl.test_pty import CONTROL_C, Program

PATIENCE_S = 90
SEED = 7
TICK_MS = 100
QUICK = ("--seed", str(SEED), "--tick", str(TICK_MS / 1000), "--seconds", "1")
WRITTEN = [
    "market-orders",
    "investment-orders",
    "feed-monkeys",
    "share-price-outside-evolution-meter",
    "share-price",
    "gibber-gibbs",
    "share-hype",
]
UP = "\x1b[A"


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "streamsql", "demo", *arguments]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT,
        env={**os.environ, "COLUMNS": "120"}, check=False,
    )  # fmt: skip


# -- without a terminal --------------------------------------------------------------------------------------
def test_in_a_pipe_it_answers_and_ends() -> None:
    done = demo(*QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    for example in EXAMPLES:
        answer = done.stdout.partition(f"{example.sql};\n")[2].partition("\n\n")[0].splitlines()
        rows = [line for line in answer if line.startswith("| ")]
        assert len(rows) > 1, done.stdout  # the first is the header
        assert re.match(r"\d[\d,]* rows? in ", answer[-1])
    assert f"seed {SEED}." in done.stdout


def test_no_answer_from_the_broker() -> None:
    done = demo("--bootstrap-servers", "127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("[ERROR] no answer from Kafka at 127.0.0.1:1: ")
    assert "brings a Kafka of its own" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tick", "0"), "argument --tick: found 0, expected a number of at least 0.01"),
        (("--tick", "nan"), "argument --tick: found nan"),
        (("--tick", "often"), "argument --tick: invalid"),
        (("--seed", "x"), "argument --seed: invalid int value: 'x'"),
        (("now",), "unrecognized arguments: now"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


# -- on a terminal -------------------------------------------------------------------------------------------
@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    started = Program(tmp_path, "demo", "--seed", str(SEED))
    try:
        started.sees("a market of bananas on Kafka at 127.0.0.1:")
        started.prompt()
        yield started
    finally:
        started.kill()


def test_the_three_queries_on_a_terminal(program: Program) -> None:
    program.type(UP)
    program.sees("SELECT * FROM share_price;")
    program.type("\r")
    program.sees("SQL Query Result (Table)")
    program.sees("GNOU")
    program.type("q")
    program.sees("Query terminated, received a total of")
    program.prompt()
    program.enter(EXAMPLES[1].sql + ";")
    program.sees("2018-03-16 09:00:10.000")
    program.type(CONTROL_C)
    program.sees("Query terminated, received a total of")
    program.prompt()
    program.enter(EXAMPLES[2].sql + ";")
    program.sees(" mktd |")
    program.sees("5 rows in set")
    program.prompt()
    program.enter("SHOW TABLES;")
    program.sees(" txn_results |")
    program.prompt()
    program.enter("QUIT;")
    assert program.ends() == 0
    assert "Traceback" not in program.log()
    assert "WARN" not in program.log()


# -- the tables ----------------------------------------------------------------------------------------------
def test_each_table_shows_its_topic() -> None:
    with playing(None, SEED, repeatable=True, tick_ms=1000) as market:
        for topic in MARKET_TOPICS:
            result = market.env.execute_sql(f"SELECT * FROM {topic.table}")
            assert result.schema.names[0] == ("team" if topic.by_trader else "time")
            if topic.name in WRITTEN:
                row = next(result.collect()).as_dict()
                assert not [name for name, value in row.items() if value is None], topic.name
            result.close()
        result = market.env.execute_sql("SELECT * FROM hype_by_word")
        assert next(result.collect()).as_dict().keys() == {"word", "gibbed", "coins", "last_seen"}
        result.close()


def test_what_the_page_says_to_try() -> None:
    page = (ROOT / "docs" / "demo.md").read_text()
    statements = placed_statements(page.partition("```sql\n")[2].partition("```")[0])
    assert len(statements) == 7
    with playing(None, SEED, repeatable=True, tick_ms=1000) as market:
        for statement in statements:
            result = market.env.execute_sql(statement.text)
            assert len(next(result.collect())) > 0
            result.close()
        told = market.env.execute_sql("SELECT text FROM gibber_gibbs WHERE id = 'me'")
        assert next(told.collect()).as_dict() == {"text": "my banana"}
        told.close()


def test_windows_over_topics_with_idle_partitions_end() -> None:
    with playing(None, SEED, repeatable=True, tick_ms=1000) as market:
        result = market.env.execute_sql(
            "SELECT window_start, COUNT(*) AS orders FROM TABLE("
            "TUMBLE(TABLE market_orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"
        )
        orders = next(result.collect()).as_dict()["orders"]
        result.close()
    before_10_s = [
        m for m in _messages(60) if m.topic == "market-orders" and m.time_ms < SEEDED_START_MS + 10_000
    ]
    assert 0 < orders <= len(before_10_s)


def _messages(ticks: int, tick_ms: int = 1000) -> list[Message]:
    market = Market(SEED, SEEDED_START_MS, tick_ms)
    return [message for _ in range(ticks) for message in market.tick()]


# -- on a real broker ----------------------------------------------------------------------------------------
@pytest.fixture
def topics_removed(kafka: Cluster) -> Iterator[None]:
    """The demo's topics have fixed names: gone before and after."""
    for name in partitions():
        kafka.delete_topic(name)
    yield
    for name in partitions():
        kafka.delete_topic(name)


@pytest.mark.usefixtures("topics_removed")
def test_a_seed_repeats_the_topics_byte_for_byte(kafka: Cluster) -> None:
    """Two runs, on top of each other: each sends what the generator says, and reads only its own."""
    expected = _messages(2_000, TICK_MS)
    sent: dict[str, list[int]] = {name: [] for name in partitions()}
    answers: list[str] = []
    for _ in range(2):
        before = {name: sum(counts) for name, counts in sent.items()}
        done = demo(*QUICK, "--bootstrap-servers", kafka.bootstrap)
        assert (done.returncode, done.stderr) == (0, "")
        answers.append(done.stdout)
        for name in WRITTEN:
            received = kafka.consume_all(name)
            assert {m.partition for m in received} <= set(range(partitions()[name]))
            found = sorted(((m.key, m.value) for m in received), key=str)
            first = [m for m in expected if m.topic == name]
            count = len(found) - before[name]
            sent[name].append(count)
            assert count >= min(5, len(first))
            runs = [m for n in sent[name] for m in first[:n]]
            assert found == sorted(((m.key.encode(), m.value.encode()) for m in runs), key=str)
    rows = re.findall(r"([\d,]+) rows in", answers[1])
    assert int(rows[0].replace(",", "")) <= sent["share-price"][1]
