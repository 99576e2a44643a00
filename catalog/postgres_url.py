"""``jdbc:postgresql://host:port/database?…`` as what libpq, PostgreSQL's own client library, understands."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamsql.errors import ConfigError, UnsupportedError

_PREFIX = "jdbc:postgresql:"
_PARAMETERS = {
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "ApplicationName": "application_name",
    "connectTimeout": "connect_timeout",
    "targetServerType": "target_session_attrs",
    "options": "options",
}
"""Parameters of PostgreSQL's JDBC driver that libpq has under another name or the same one."""
_SERVER_TYPES = {
    "any": "any",
    "primary": "primary",
    "secondary": "standby",
    "preferSecondary": "prefer-standby",
}


@dataclass(frozen=True)
class PostgresUrl:
    """``hosts`` as written (``a:5432,b:5433``); ``parameters``: libpq's names and values."""

    hosts: str
    database: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        """For messages: without users and passwords."""
        return f"{self.hosts}/{self.database}"


def parse_postgres_url(text: str, owner: str) -> PostgresUrl:
    """The parts of a URL. Raises UnsupportedError for another database, ConfigError for what cannot be read."""
    kind = re.match(r"jdbc:([\w.-]+):", text)
    if kind is not None and kind[1] != "postgresql":
        raise UnsupportedError(
            f"option 'url' of {owner}: '{kind[1]}' is not supported, only PostgreSQL is",
            hint="use jdbc:postgresql://host:port/database",
        )
    rest, _, query = text.removeprefix(_PREFIX).partition("?")
    found = re.fullmatch(r"//([^/?#@]*)/([^/]+)", rest) or re.fullmatch(r"()([^/]+)", rest)
    if kind is None or found is None:
        raise ConfigError(
            f"option 'url' of {owner}: found '{text}', expected jdbc:postgresql://host:port/database",
            hint="user and password are options of their own: 'username' and 'password'",
        )
    hosts = found[1] or "localhost"
    pairs = [(_plain(k), _plain(v)) for k, _, v in (part.partition("=") for part in query.split("&") if part)]
    return PostgresUrl(hosts, _plain(found[2]), tuple(_parameter(k, v, owner) for k, v in pairs))


def _plain(text: str) -> str:
    """Without the percent signs of a URL."""
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())
    return raw.decode(errors="replace")


def _parameter(key: str, value: str, owner: str) -> tuple[str, str]:
    if key in ("user", "password"):
        raise ConfigError(
            f"option 'url' of {owner}: '{key}' does not belong there",
            hint="use the options 'username' and 'password'",
        )
    if key == "ssl":
        return "sslmode", "prefer" if value.lower() == "false" else "verify-full"
    if key == "currentSchema":
        return "options", "-csearch_path=" + re.sub(r"([\\ ])", r"\\\1", value)
    if key == "targetServerType" and value not in _SERVER_TYPES:
        known = ", ".join(_SERVER_TYPES)
        raise ConfigError(f"option 'url' of {owner}: targetServerType is '{value}', expected one of {known}")
    if key not in _PARAMETERS:
        known = ", ".join(sorted([*_PARAMETERS, "ssl", "currentSchema"]))
        raise UnsupportedError(
            f"option 'url' of {owner}: the parameter '{key}' is not supported", hint=f"supported: {known}"
        )
    return _PARAMETERS[key], _SERVER_TYPES[value] if key == "targetServerType" else value
