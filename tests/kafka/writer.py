"""A job's output side alone, in a process of its own that a test kills: rows, a transaction, checkpoint files.

Run as ``python -m tests.kafka.writer bootstrap topics prefix folder run``. It reads commands from its input, one a
line, and answers each with a line:

- ``open``: opens the transaction with the newest checkpoint of the folder, and goes on from the one that holds,
- ``write n``: writes the next n ids into every topic,
- ``prepare``: settles and draws the line; then the checkpoint is on disk,
- ``commit``: commits it,
- ``close``: ends as a job does that fails.

An answer is ``ok`` with what was found, or the class of an error with its message. The checkpoints are JSON files
``<number>.json`` with the next id.
"""

import json
import sys
from pathlib import Path

import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.errors import StreamSqlError
from tests.kafka.tables import exactly_once, sink_of, transaction_for

SETTLE_S = 30.0


class Writer:
    """The state of the little job: which id comes next."""

    def __init__(self, bootstrap: str, topics: str, prefix: str, folder: str, run: str) -> None:
        tables = [exactly_once(bootstrap, topic, prefix) for topic in topics.split(",")]
        self._transaction = transaction_for(*tables)
        self._sinks = [sink_of(table, transaction=self._transaction) for table in tables]
        self._folder, self._run = Path(folder), run
        self._number = self._next = 0

    def do(self, command: str, *arguments: str) -> str:
        """Carry out a command; returns what to answer."""
        match command:
            case "open":
                return self._open()
            case "write":
                self._write(int(arguments[0]))
            case "prepare":
                self._prepare()
            case "commit":
                self._transaction.commit(self._number, self._run)
            case "close":
                self._transaction.close()
            case _:
                raise ValueError(command)
        return str(self._number)

    def _open(self) -> str:
        kept = sorted(
            (json.loads(p.read_text()) for p in self._folder.glob("*.json")), key=lambda c: int(c["number"])
        )
        decision = self._transaction.open(kept[-1]["record"] if kept else None)
        while kept and decision != (kept[-1]["number"], kept[-1]["run"]):
            kept.pop()  # prepared, and not committed
        if kept:
            self._number, self._next = kept[-1]["number"], kept[-1]["next"]
        for sink in self._sinks:
            sink.start()
        return f"{self._number} {self._next}"

    def _write(self, count: int) -> None:
        ids = list(range(self._next, self._next + count))
        rows = pa.RecordBatch.from_pydict({"id": ids, "name": [self._run] * count})
        for sink in self._sinks:
            sink.write(ChangelogBatch(rows))
            sink.flush()
        self._next += count

    def _prepare(self) -> None:
        if not all(sink.settle(SETTLE_S) for sink in self._sinks):
            raise TimeoutError("a sink does not settle")
        self._transaction.prepare(self._number + 1)
        self._number += 1
        kept = {
            "number": self._number,
            "run": self._run,
            "next": self._next,
            "record": dict(self._transaction.record()),
        }
        path = self._folder / f"{self._number}.json"
        path.with_suffix(".tmp").write_text(json.dumps(kept))
        path.with_suffix(".tmp").rename(path)


def main() -> None:
    """Answer commands until the input ends."""
    writer = Writer(*sys.argv[1:])
    for line in sys.stdin:
        try:
            answer = f"ok {writer.do(*line.split())}"
        except StreamSqlError as e:
            answer = f"{type(e).__name__} {e.message}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
