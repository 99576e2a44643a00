"""One connection to a PostgreSQL database through ADBC, made anew when it breaks.

A failure is either *away* (refused, closed, starting up, too many clients, a deadlock): tried again, with growing waits
and a line of status; or an answer (no such table, a bad value): an error at once, in the database's words.
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import quote

import pyarrow as pa

from streamsql.catalog.connectors import TableOptions
from streamsql.catalog.postgres_url import PostgresUrl, parse_postgres_url
from streamsql.errors import ConfigError, ConnectorError

from .jdbc_types import DbColumn, literal
from .waiting import AwayError, Waiting

log = logging.getLogger("streamsql.jdbc")
T = TypeVar("T")

RETRY_STEP_MS = 1000
"""The n-th wait is n times as long, up to ``connection.max-retry-timeout``: Flink's waits."""

CONNECT_TIMEOUT_S = 10
"""A server that does not answer for so long is away; ``connectTimeout`` in the URL says otherwise."""

WATCH_S = 0.25
"""How often a database that is watched looks whether its job is to end."""

_AWAY = ("08", "53", "57P", "40001", "40P01", "25006", "55P03")
"""SQLSTATEs of a server that may do better in a moment."""
_NO_STATE_ANSWERS = ("does not exist", "password authentication failed", "no pg_hba.conf entry", "is not permitted",
                     "no password supplied", "could not translate host name", "certificate", "SSL",
                     "invalid ", "unrecognized ", "forbidden value")  # fmt: skip
"""What a failed connection says that waiting does not mend."""

_COLUMNS = """
WITH RECURSIVE below(top, n, type, typmod) AS (
  SELECT attnum, 0, atttypid, atttypmod FROM pg_attribute
  WHERE attrelid = {table}::regclass AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT top, n + 1, t.typbasetype, t.typtypmod FROM below JOIN pg_type t ON t.oid = type WHERE t.typtype = 'd'
)
SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname, e.typname, format_type(t.oid, -1), typmod
FROM below JOIN pg_attribute a ON a.attrelid = {table}::regclass AND a.attnum = top
JOIN pg_type t ON t.oid = type AND t.typtype <> 'd'
LEFT JOIN pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem
ORDER BY a.attnum
"""
"""Of a domain also the type it is made of."""
_UNIQUE = """
SELECT array_agg(a.attname::text) FROM pg_index i, unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(n)
JOIN pg_attribute a ON a.attnum = k.n
WHERE i.indrelid = {table}::regclass AND a.attrelid = i.indrelid
  AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL
GROUP BY i.indexrelid, i.indnkeyatts HAVING count(*) = i.indnkeyatts
"""


class Database:
    """See the module's text. Belongs to one thread, but for :meth:`status` and :meth:`cancel`.

    What it does in a job's own thread is *watched*, so that a query that hangs does not keep the job from ending.
    """

    def __init__(self, options: TableOptions, retries: int, option: str, waiting: Waiting) -> None:
        """``option`` names the option ``retries`` comes from. Raises ConfigError where the driver is not installed."""
        own = options.options
        self.owner = own.owner
        self._url = parse_postgres_url(own["url"], own.owner)
        self._uri = _uri(self._url, own["username"], own["password"])
        self.table: str = own["table-name"]
        self._dbapi = driver(own.owner)
        self._retries = retries
        self._option = option
        self._wait_max_ms: int = own["connection.max-retry-timeout"]
        self._waiting = waiting
        self._connection: Any = None
        self._status: str | None = None
        self._failures = 0
        self._since_ms = 0
        self._using = threading.Lock()
        self._cancelled = False
        self._begun_s: float | None = None
        self._ended = threading.Event()
        self.place = f"table {self.table} of {self._url.place}"

    def run(self, action: Callable[[Any], T]) -> T:
        """``action`` with the connection; while the database is away it waits and begins again.

        Raises ConnectorError for its answer, or when it has been away for too long.
        """
        while True:
            try:
                return self.attempt(action)
            except AwayError as e:
                self._waiting.wait_ms(e.wait_ms)

    def attempt(self, action: Callable[[Any], T]) -> T:
        """``action`` with the connection, once. Raises AwayError where it is to be called again after a while."""
        self._cancelled, self._begun_s = False, time.monotonic()
        try:
            result = action(self._connected())
        except (self._dbapi.Error, OSError, pa.ArrowException) as e:  # while rows stream, Arrow's
            self.drop()
            if self._cancelled:
                what = f"{self.owner}: a query of {self._url.place} was cancelled, because the job is to end"
                raise AwayError(what, RETRY_STEP_MS) from None
            if not _is_away(e):
                raise self._answer(e) from None
            raise self._away(tidy(str(e))) from None
        finally:
            self._begun_s = None
        self.progress()
        return result

    def progress(self) -> None:
        """The database is there: failures are counted anew."""
        self._failures, self._status = 0, None

    def cancel(self) -> None:
        """End the query under way: its action raises AwayError. Any thread."""
        with self._using:
            if self._connection is not None:
                self._cancelled = True
                try:
                    self._connection.adbc_cancel()
                except Exception as e:  # the other end may be gone
                    log.debug("cancelling a query of %s: %s", self._url.place, e)

    def watch(self, limit_s: float) -> None:
        """From now on cancel an action that goes on for ``limit_s`` while the job is to end; until :meth:`close`."""
        threading.Thread(target=self._watched, args=[limit_s], name="jdbc-watch", daemon=True).start()

    def _watched(self, limit_s: float) -> None:
        since: float | None = None
        while not self._ended.wait(WATCH_S):
            begun = self._begun_s
            if begun is None or not self._waiting.stopping():
                since = None
                continue
            since = time.monotonic() if since is None else max(since, begun)
            if time.monotonic() - since >= limit_s:
                self.cancel()

    def _away(self, reason: str) -> ConnectorError:
        if not self._failures:
            self._since_ms = self._waiting.now_ms()
        self._failures += 1
        text = f"{self.owner}: the database {self._url.place} is away"
        if self._failures > self._retries:
            times = f"{self._failures} attempts" if self._failures > 1 else "one attempt"
            return ConnectorError(
                f"{text}: {reason} ({times})",
                hint=f"start it again, or raise '{self._option}' to wait longer",
            )
        away_s = (self._waiting.now_ms() - self._since_ms) // 1000
        self._status = f"{text} since {away_s} s: {reason}; retry {self._failures} of {self._retries} follows"
        log.warning("%s", self._status)
        return AwayError(self._status, min(self._failures * RETRY_STEP_MS, self._wait_max_ms))

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._dbapi.connect(self._uri, autocommit=True)
        return self._connection

    def _answer(self, error: Exception) -> ConnectorError:
        state = getattr(error, "sqlstate", None) or ""
        hint = None
        if state.startswith("42501"):
            hint = "GRANT that to the user, or connect with another 'username'"
        elif state.startswith("28") or "password" in str(error):
            hint = "look at 'username' and 'password'"
        return ConnectorError(f"{self.owner}: {self._url.place} says: {tidy(str(error))}", hint=hint)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a small query."""

        def ask(connection: Any) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return [tuple(row) for row in cursor.fetchall()]

        return self.run(ask)

    def columns(self) -> dict[str, DbColumn]:
        """The columns of the table by name. Raises ConnectorError where there is no such table."""
        name = literal(self.table)
        found = self.query(f"SELECT to_regclass({name})::text")
        if found[0][0] is None:
            raise ConnectorError(
                f"{self.owner}: {self._url.place} has no table {self.table}",
                hint="create it there, or set 'table-name' to the table's name, with its schema: schema.table",
            )
        rows = self.query(_COLUMNS.format(table=name))
        return {row[0]: DbColumn(*row) for row in rows}

    def unique_keys(self) -> list[set[str]]:
        """The sets of columns that the database keeps unique."""
        return [set(row[0]) for row in self.query(_UNIQUE.format(table=literal(self.table)))]

    def status(self) -> str | None:
        """What is wrong while it is retried; any thread."""
        return self._status

    def drop(self) -> None:
        """Close the connection, which rolls back; the next action makes another."""
        with self._using:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    connection.close()
                except Exception as e:  # the other end may be gone
                    log.debug("closing %s: %s", self._url.place, e)

    def close(self) -> None:
        """The end; idempotent."""
        self._ended.set()
        self.drop()


def _uri(url: PostgresUrl, user: str | None, password: str | None) -> str:
    """What libpq connects to."""
    given = dict(url.parameters)
    given.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
    given |= {k: v for k, v in (("user", user), ("password", password)) if v is not None}
    query = "&".join(f"{k}={quote(v, safe='')}" for k, v in given.items())
    return f"postgresql://{url.hosts}/{quote(url.database, safe='')}?{query}"


def column_of(columns: dict[str, DbColumn], name: str, place: str) -> DbColumn:
    """The column of that name, or of its lower-case form, as SQL of the database has it. Raises ConnectorError."""
    found = columns.get(name) or columns.get(name.lower())
    if found is None:
        raise ConnectorError(
            f"column '{name}' is not in {place}", hint=f"its columns are {', '.join(columns)}"
        )
    return found


def driver(owner: str) -> ModuleType:
    """ADBC's driver for PostgreSQL. Raises ConfigError naming what to install."""
    try:
        return importlib.import_module("adbc_driver_postgresql.dbapi")
    except ImportError:
        raise ConfigError(
            f"{owner} needs the ADBC driver for PostgreSQL, which is not installed",
            hint="pip install 'streamsql[postgres]'",
        ) from None


def _is_away(error: Exception) -> bool:
    state = getattr(error, "sqlstate", None)
    if state:
        return bool(state.startswith(_AWAY))
    text = str(error)
    if "Failed to connect" in text:
        return not any(part in text for part in _NO_STATE_ANSWERS)
    lost = text.startswith("IO") or isinstance(error, OSError) or "no connection to the server" in text
    return lost and "ERROR:" not in text


def tidy(text: str) -> str:
    """The server's own words: its message with what it says further, without the driver's."""
    first = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*)", text)
    if first is not None:
        detail = re.search(r"DETAIL:\s+(.*)", text)
        return first[1].strip() + (f" ({detail[1].strip()})" if detail else "")
    return re.sub(r"^([A-Z_]+: )?(\[libpq\] )?", "", text.strip()).split("\n")[0]
