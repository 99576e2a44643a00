"""One recorded case: its files, and how its job goes on from the savepoint."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamsql.changelog import python_values
from streamsql.runtime.connectors.in_process import InProcessTable
from streamsql.runtime.job import Job
from streamsql.session import EnvironmentSettings, TableEnvironment
from streamsql.testing import SourceTable, VirtualClock, source_table
from streamsql.testing.clock import START, epoch_ms
from streamsql.testing.tables import create, declared, physical_schema

FOLDER = Path(__file__).parent
TABLES = "tables"
SAVEPOINT = "savepoint.tar.xz"
Rows = dict[str, list[str]]
"""By the name of a query: its rows, each as JSON, sorted."""
Change = tuple[int, str]
"""+1 or -1, and the row; of a table with a key, a row that takes the place of another, or goes."""


@dataclass(frozen=True)
class Query:
    """``key``: so many columns are the key of its sink, 0 for none. ``in_batch``: whether batch mode has the same rows.

    ``conflict``: what its INSERT does with rows of one key.
    """

    name: str
    sql: str
    key: int
    in_batch: bool
    conflict: str = ""

    @property
    def sink(self) -> str:
        """The name of its table."""
        return "to_" + re.sub(r"\W+", "_", self.name)


def parse_queries(text: str) -> list[Query]:
    """Those of a file: each a few comments and a statement."""
    found = []
    for part in re.split(r"^-- name: ", text, flags=re.MULTILINE)[1:]:
        name, rest = part.split("\n", 1)
        comments = dict(re.findall(r"^-- (\w+): (.*)$", rest, flags=re.MULTILINE))
        sql = re.sub(r"^--.*\n", "", rest, flags=re.MULTILINE).strip().rstrip(";")
        found.append(
            Query(
                name, sql, int(comments.get("key", 0)), "batch" not in comments, comments.get("conflict", "")
            )
        )
    return found


@dataclass(frozen=True)
class Input:
    """The rows of a table, kind first; ``first`` of them come before the savepoint."""

    first: int
    rows: list[list[Any]]


@dataclass(frozen=True)
class Case:
    """What a job is: the texts of its statements, its options, and how long after the savepoint it goes on."""

    texts: Mapping[str, str]
    queries: tuple[str, ...]
    settings: Mapping[str, str]
    pause_ms: int
    inputs: Mapping[str, Input]

    @property
    def parsed(self) -> list[Query]:
        """The queries."""
        return [query for name in self.queries for query in parse_queries(self.texts[name])]

    @classmethod
    def read(cls, folder: Path) -> Case:
        """As :meth:`write` wrote it."""
        told = json.loads((folder / "case.json").read_text())
        rows = json.loads((folder.parent / "inputs.json").read_text())
        return cls(
            {name: (folder.parent / f"{name}.sql").read_text() for name in (TABLES, *told["queries"])},
            tuple(told["queries"]),
            told["settings"],
            told["pause_ms"],
            {name: Input(i["first"], i["rows"]) for name, i in rows.items()},
        )

    def write(self, folder: Path) -> None:
        """Into a folder of a version; what its cases have in common lies beside them."""
        for name in (TABLES, *self.queries):
            (folder.parent / f"{name}.sql").write_text(self.texts[name])
        inputs = ",\n".join(
            f' {json.dumps(name)}: {{"first": {i.first}, "rows": [\n  '
            + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in i.rows)
            + "]}"
            for name, i in self.inputs.items()
        )
        (folder.parent / "inputs.json").write_text(f"{{\n{inputs}\n}}\n")
        told = {"queries": self.queries, "settings": dict(self.settings), "pause_ms": self.pause_ms}
        (folder / "case.json").write_text(json.dumps(told, indent=1) + "\n")


class Session:
    """A session with a case's tables. ``whole``: with all rows from the start, as batch mode wants them."""

    def __init__(
        self, case: Case, env: TableEnvironment, clock: VirtualClock, *, whole: bool = False
    ) -> None:
        self.case, self.env, self.clock = case, env, clock
        self.sources: dict[str, SourceTable] = {}
        self.sinks: dict[str, InProcessTable] = {}
        for key, value in case.settings.items():
            env.execute_sql(f"SET '{key}' = '{value}'")
        for statement in re.split(r";\s*$", case.texts[TABLES], flags=re.MULTILINE):
            if statement.strip():
                self._define(statement, whole)

    def _define(self, statement: str, whole: bool) -> None:
        if "CREATE VIEW" in statement:
            self.env.execute_sql(statement)
            return
        found = re.search(r"CREATE TABLE (\w+)", statement)
        assert found is not None
        mode = re.search(r"-- changelog: (\S+)", statement)
        given = self.case.inputs[found[1]]
        self.sources[found[1]] = source_table(
            self.env,
            re.sub(r"^\s*--.*$", "", statement, flags=re.MULTILINE).strip(),
            given.rows if whole else given.rows[: given.first],
            mode[1] if mode else "I",
            step_rows=3,
            bounded=whole,
        )

    def start(self) -> Job:
        """Run the queries over the rows before the savepoint."""
        inserts = []
        for query in self.case.parsed:
            schema = self.env.sql_query(query.sql).schema
            columns = [f"c{i} {field.type}" for i, field in enumerate(schema)]
            if query.key:
                columns.append(f"PRIMARY KEY ({', '.join(f'c{i}' for i in range(query.key))}) NOT ENFORCED")
            mode = "I,UA,D" if query.key else "I,UB,UA,D"
            table = declared(
                self.env, f"CREATE TABLE {query.sink} ({', '.join(columns)})", {"changelog-mode": mode}
            )
            data = self.sinks[query.name] = InProcessTable(physical_schema(table))
            create(self.env, table, data)
            inserts.append(f"INSERT INTO {query.sink} {query.sql} {query.conflict};")
        job = self.env.execute_sql(f"EXECUTE STATEMENT SET BEGIN {' '.join(inserts)} END").job
        assert job is not None
        self.clock.advance_time(0)
        return job

    def feed(self) -> None:
        """The rows after the savepoint, table by table, and the end of each."""
        for name, source in self.sources.items():
            given = self.case.inputs[name]
            source.add(*given.rows[given.first :])
        for source in self.sources.values():
            source.finish()

    def changes(self) -> dict[str, list[Change]]:
        """What was written, by query, in order."""
        return {name: list(_changes(table)) for name, table in self.sinks.items()}


def _changes(table: InProcessTable) -> Iterator[Change]:
    batch, _, _ = table.read(0, sys.maxsize)
    if batch is not None:
        columns = [python_values(column) for column in batch.rows.columns]
        for weight, *values in zip(batch.weight_array().tolist(), *columns, strict=True):
            yield weight, as_text(values)


@contextmanager
def session(case: Case, *, late: bool = False) -> Generator[Session, None, None]:
    """``late``: it begins as long after the savepoint as the case says."""
    clock = VirtualClock(start=epoch_ms(START) + (case.pause_ms if late else 0))
    with clock.environment() as env:
        yield Session(case, env, clock)


def amount_to(before: Rows, changes: Mapping[str, Sequence[Change]], queries: Sequence[Query]) -> Rows:
    """The rows of each query's table once ``changes`` have come to those that were there; ``-…`` if too often gone."""
    found: Rows = {}
    for query in queries:
        if width := query.key:
            rows = {_part(text, width): text for text in before.get(query.name, [])}
            for weight, text in changes[query.name]:
                if weight < 0:
                    rows.pop(_part(text, width), None)
                else:
                    rows[_part(text, width)] = text
            found[query.name] = sorted(rows.values())
            continue
        counts = Counter(before.get(query.name, []))
        for weight, text in changes[query.name]:
            counts[text] += weight
        found[query.name] = sorted(counts.elements()) + sorted(
            f"-{text}" for text, n in counts.items() if n < 0
        )
    return found


def _part(text: str, width: int) -> str:
    return as_text(json.loads(text)[:width])


def as_text(row: Sequence[Any]) -> str:
    """A row as JSON; what JSON does not know as text."""
    return json.dumps(list(row), default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)


def unpacked(folder: Path, into: Path) -> Path:
    """The savepoint of a recorded case, in a folder of its own."""
    with tarfile.open(folder / SAVEPOINT) as packed:
        packed.extractall(into, filter="data")
    return into / "savepoint"


def batch_answer(case: Case) -> Rows:
    """What batch mode says to the queries that it can be asked, over all rows."""
    found: Rows = {}
    with TableEnvironment(EnvironmentSettings.in_batch_mode()) as env:
        Session(case, env, VirtualClock(env), whole=True)
        for query in case.parsed:
            if query.in_batch:
                found[query.name] = sorted(as_text(row) for row in env.execute_sql(query.sql).collect())
    return found


def differences(found: Rows, expected: Rows) -> str:
    """What differs, query by query; empty where nothing does."""
    lines = []
    for name, rows in expected.items():
        extra, missing = Counter(found[name]) - Counter(rows), Counter(rows) - Counter(found[name])
        lines += [f"{name}: too much: {row}" for row in extra.elements()]
        lines += [f"{name}: missing: {row}" for row in missing.elements()]
    return "\n".join(lines)
