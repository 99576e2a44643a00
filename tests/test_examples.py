"""The examples run, and say what they are said to say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamsql.repl.runner import placed_statements
from streamsql.session import TableEnvironment
from tests.conftest import TopicFactory
from tests.kafka.client import Cluster
from tests.project import ROOT

EXAMPLES = ROOT / "examples"
PATIENCE_S = 90
CLICKS = 1200


def run(*command: str) -> str:
    """The output of a program that ends well and complains of nothing."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("[INFO] ")]
    assert (done.returncode, complaints) == (0, []), done.stdout + done.stderr
    return done.stdout


def test_the_page_names_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text()
    files = [
        p.relative_to(EXAMPLES).as_posix()
        for p in EXAMPLES.rglob("*.*")
        if p.suffix in (".py", ".sql", ".yaml")
    ]
    assert len(files) > 5
    assert not [f for f in files if f"({f})" not in page]


def test_quickstart() -> None:
    assert run("examples/quickstart.py").splitlines() == [
        "final table: [{'sensor': 's1', 'hottest': 24.1}, {'sensor': 's2', 'hottest': 21.4}]",
        "first window: [('s1', 19.5), ('s2', 21.5)]",
        "second window: [('s1', 23.5), ('s2', 22.5)]",
        "asked live: [{'sensor': 's1', 'celsius': 20.0, 'n': 2}, {'sensor': 's2', 'celsius': 22.0, 'n': 2}]",
    ]


def test_clickstream_windows() -> None:
    """The clicks are random, how many fall into a window of all of them is not."""
    out = run("-m", "streamsql", "run", "examples/clickstream_windows.sql")
    tumbling, hopping, growing, sessions, pages = re.split(r"Received a total of .*\n", out)
    assert sum(counts(tumbling, 2)) == CLICKS
    assert counts(hopping, 2) == [300, 600, 600, 600, 300]
    assert counts(growing, 2) == [200, 400, 600, 200, 400, 600]
    assert all(n >= 20 for n in counts(sessions, 3))
    assert sum(counts(pages, 1)) == CLICKS


def counts(table: str, column: int) -> list[int]:
    """A column of a printed table, ``op`` not counted."""
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line[:2] == "| "
    ]
    body = [row[1:] if row[0] in ("op", "+I") else row for row in rows][1:]
    return [int(row[column]) for row in body]


def test_kafka_to_kafka(kafka: Cluster, topic: TopicFactory) -> None:
    text = (EXAMPLES / "kafka_to_kafka.sql").read_text().replace("localhost:9092", kafka.bootstrap)
    names = {name: topic(name) for name in ("orders", "revenue", "totals")}
    for name, unique in names.items():
        text = text.replace(f"'topic' = '{name}'", f"'topic' = '{unique}'")
    text = text.replace("INTERVAL '1' MINUTE", "INTERVAL '1' SECOND")  # a test does not wait for minutes
    env = TableEnvironment()
    try:
        for statement in placed_statements(text):
            env.execute_sql(statement.text)
        windows = kafka.consume_all(names["revenue"], 3)
        totals = kafka.consume_all(names["totals"], 3)
        assert [job.status for job in env.jobs()] == ["RUNNING", "RUNNING"]
    finally:
        env.close()
    first = [json.loads(m.value or b"") for m in windows]
    start = min(w["window_start"] for w in first)
    orders = [json.loads(m.value or b"") for m in kafka.consume_all(names["orders"])]
    for window in (w for w in first if w["window_start"] == start):
        of_window = [
            o["price"] for o in orders
            if o["product"] == window["product"] and o["ordered_at"][:19] == start[:19]
        ]  # fmt: skip
        assert (window["orders"], window["revenue"]) == (len(of_window), pytest.approx(sum(of_window)))
    assert {m.key for m in totals} <= {b"banana", b"kiwi", b"mango"}


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("*.sql")), ids=lambda p: p.name)
def test_scripts_are_plain_flink_sql(file: Path) -> None:
    """Every statement is read, and none uses an option of ours alone, but the bare JSON scalars of the katas."""
    text = file.read_text()
    assert placed_statements(text)
    ours = re.findall(r"'(streamsql\.[\w.-]+|seed)'", text)
    assert not ours
