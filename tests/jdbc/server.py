"""One PostgreSQL server as a child process, that a test may stop, kill and start again."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from functools import cache
from pathlib import Path

START_TIMEOUT_S = 60  # 1 s on a free core; many times that when the machine is busy
STOP_TIMEOUT_S = 30
# Below the usual ephemeral range (32768+), so that no outgoing connection takes the port of a stopped server.
PORTS = range(20000, 32000)
USER = "postgres"
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
max_connections = 40
"""
_FOLDERS = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")


class PostgresUnavailableError(Exception):
    """No server can run here; the text says what is missing."""


@cache
def programs() -> Path:
    """The folder of initdb and postgres. Raises PostgresUnavailableError."""
    candidates = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    for folder in _FOLDERS:
        candidates += sorted(Path(folder).glob("**/bin"), reverse=True)
    for candidate in candidates:
        if all((candidate / name).exists() for name in ("initdb", "postgres", "psql")):
            return candidate
    raise PostgresUnavailableError(
        "a PostgreSQL server needs initdb, postgres and psql, and they are not installed"
    )


def account() -> str | None:
    """Whom the server runs as: it refuses root. None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PostgresUnavailableError(
        "a PostgreSQL server does not run as root, and there is no user postgres or nobody"
    )


class Server:
    """A server with its own folder and port, the same port after every start. Not started by the constructor."""

    def __init__(self) -> None:
        """Raises PostgresUnavailableError where no server can run."""
        self._programs = programs()
        self._account = account()
        self._folder = Path(tempfile.mkdtemp(prefix="streamsql-postgres-", dir=_place(self._account)))
        if self._account is not None:
            shutil.chown(self._folder, self._account)
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        """For 'url' of the connector."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def with_options(self, table: str, **more: str) -> str:
        """WITH (…) of a table; ``lookup_cache`` stands for lookup.cache, ``lookup_max__retries`` for max-retries."""
        options = {
            "connector": "jdbc",
            "url": self.url,
            "table-name": table,
            "username": USER,
            "password": "",
        }
        options |= {key.replace("__", "-").replace("_", "."): value for key, value in more.items()}
        return "WITH (" + ", ".join(f"'{k}' = '{v}'" for k, v in options.items()) + ")"

    def start(self) -> None:
        """Returns when the server answers; the first start makes its data."""
        assert self._process is None, "the server runs already"
        if not self._data.exists():
            made = self._popen(
                "initdb",
                "-D",
                str(self._data),
                "-U",
                USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            )
            assert made.wait(START_TIMEOUT_S) == 0, self._log()
            with (self._data / "postgresql.conf").open("a") as settings:
                settings.write(SETTINGS.format(port=self.port))
        self._process = self._popen("postgres", "-D", str(self._data))
        self._watchdog = _quit_when_we_die(self._process.pid)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, f"the PostgreSQL server ended:\n{self._log()}"
            assert time.monotonic() < deadline, f"no PostgreSQL after {START_TIMEOUT_S} s:\n{self._log()}"
            time.sleep(0.05)

    def stop(self) -> None:
        """An orderly stop that closes all connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGQUIT: no orderly end, the next start recovers; what a power cut leaves behind."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """Stop the server if it runs, and delete its data."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None and self._watchdog is not None, "the server is not running"
        # First the watchdog: once the server is reaped, its process id may be another's.
        self._watchdog.kill()
        self._watchdog.communicate()
        self._process.send_signal(how)
        self._process.wait(STOP_TIMEOUT_S)
        self._process = self._watchdog = None

    def sql(self, *statements: str) -> list[str]:
        """Run statements, each in a transaction of its own; the rows as lines, columns parted by ``|``."""
        done = self._psql(*(part for statement in statements for part in ("-c", statement)))
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def table(self, columns: str, *rows: str) -> str:
        """A new table with a name that never repeats; ``rows`` are texts as after VALUES."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        inserts = [f"INSERT INTO {name} VALUES {', '.join(rows)}"] if rows else []
        self.sql(f"CREATE TABLE {name} ({columns})", *inserts)
        return name

    def _psql(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        command = [str(self._programs / "psql"), *place, *arguments, "postgres"]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def _answers(self) -> bool:
        return self._psql("-c", "SELECT 1").returncode == 0

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / program), *arguments],
                user=self._account,
                group=None if self._account is None else pwd.getpwnam(self._account).pw_gid,
                extra_groups=None if self._account is None else [],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for pytest alone
            )

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-3000:]


def _place(account: str | None) -> str | None:
    """Where its folder is made; another account may not see into ours."""
    return None if account is None else "/tmp"


def _quit_when_we_die(pid: int) -> subprocess.Popen[bytes]:
    """A shell that ends `pid` when our end of its input closes, that is even when we are killed."""
    script = f"read -r _; kill -QUIT {pid}"
    return subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True)


def _free_port() -> int:
    """A port nobody listens on; chosen at random, because several test runs may share the machine."""
    choose = random.SystemRandom()
    while True:
        port = choose.choice(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
