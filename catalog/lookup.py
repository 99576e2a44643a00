"""How a table is asked in a lookup join: its ``lookup.*`` options, typed, with their rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from streamsql.errors import ConfigError, UnsupportedError, ValidationError

from .options import ConfigOption, Options

NONE, PARTIAL, FULL = "NONE", "PARTIAL", "FULL"
PERIODIC, TIMED = "PERIODIC", "TIMED"

_ISO_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?")
_MINUTE_MS = 60_000


def check_positive(value: int) -> None:
    """Raises ValueError for a number that is not above 0."""
    if value <= 0:
        raise ValueError(f"found {value}, expected a number above 0")


def check_not_negative(value: int) -> None:
    """Raises ValueError for a negative number."""
    if value < 0:
        raise ValueError(f"found {value}, expected 0 or more")


PARTIAL_CACHE = (
    ConfigOption(
        "lookup.partial-cache.max-rows",
        "int",
        None,
        "rows in the cache at most: those not used for longest go first; 1,000,000 without it",
        check=check_positive,
    ),
    ConfigOption(
        "lookup.partial-cache.expire-after-write",
        "duration",
        None,
        "a cached key is asked for again after so long",
        check=check_positive,
    ),
    ConfigOption(
        "lookup.partial-cache.expire-after-access",
        "duration",
        None,
        "a cached key that was not used for so long is forgotten",
        check=check_positive,
    ),
    ConfigOption(
        "lookup.partial-cache.cache-missing-key", "bool", True, "remember too that a key has no row"
    ),
)
FULL_CACHE = (
    ConfigOption(
        "lookup.full-cache.reload-strategy",
        "enum",
        PERIODIC,
        "when the table is read again: every so often, or at a time of day",
        choices=(PERIODIC, TIMED),
    ),
    ConfigOption(
        "lookup.full-cache.periodic-reload.interval",
        "duration",
        None,
        "PERIODIC: how often; never without it",
        check=check_positive,
    ),
    ConfigOption(
        "lookup.full-cache.periodic-reload.schedule-mode",
        "enum",
        "FIXED_DELAY",
        "PERIODIC: counted from the end of the last reading, or from its beginning",
        choices=("FIXED_DELAY", "FIXED_RATE"),
    ),
    ConfigOption(
        "lookup.full-cache.timed-reload.iso-time",
        description="TIMED: the time of day, such as 04:30, 04:30:15Z or 04:30+02:00; without a zone the session's",
    ),
    ConfigOption(
        "lookup.full-cache.timed-reload.interval-in-days",
        "int",
        1,
        "TIMED: every so many days",
        check=check_positive,
    ),
)


@dataclass(frozen=True)
class Reload:
    """When a table that is held whole is read again.

    Every ``interval_ms``, from the end of the last reading (or its beginning, with ``fixed_rate``); or, where
    ``time_of_day_ms`` is set, every ``days`` at that time, ``offset_ms`` east of UTC (None: in the session's zone).
    """

    interval_ms: int = 0
    fixed_rate: bool = False
    time_of_day_ms: int | None = None
    offset_ms: int | None = None
    days: int = 1


@dataclass(frozen=True)
class LookupOptions:
    """``cache``: NONE, PARTIAL or FULL; ``max_rows`` and the times to live in ms are of PARTIAL, ``reload`` of FULL."""

    cache: str
    max_rows: int | None = None
    after_write_ms: int | None = None
    after_access_ms: int | None = None
    missing_keys: bool = True
    reload: Reload | None = None


def lookup_options(options: Options) -> LookupOptions | None:
    """The options of a table that can be asked; None for one that declares no ``lookup.cache``.

    Raises ConfigError where an option of another cache is given, or one is missing.
    """
    if not options.declares("lookup.cache"):
        return None
    cache: str = options["lookup.cache"]
    for prefix, kind in (("lookup.partial-cache.", PARTIAL), ("lookup.full-cache.", FULL)):
        other = next((k for k in options.given if k.startswith(prefix)), None)
        if other is not None and cache != kind:
            raise ConfigError(
                f"option '{other}' of {options.owner} needs 'lookup.cache' = '{kind}', found '{cache}'",
                hint=f"set 'lookup.cache' = '{kind}', or leave '{other}' out",
            )
    if cache == PARTIAL:
        prefix = "lookup.partial-cache."
        return LookupOptions(
            cache,
            options[prefix + "max-rows"],
            options[prefix + "expire-after-write"],
            options[prefix + "expire-after-access"],
            options[prefix + "cache-missing-key"],
        )
    return LookupOptions(cache, reload=_reload(options) if cache == FULL else None)


def _reload(options: Options) -> Reload | None:
    prefix = "lookup.full-cache."
    strategy: str = options[prefix + "reload-strategy"]
    others = {PERIODIC: "timed-reload.", TIMED: "periodic-reload."}
    wrong = next((k for k in options.given if k.startswith(prefix + others[strategy])), None)
    if wrong is not None:
        other = TIMED if strategy == PERIODIC else PERIODIC
        raise ConfigError(
            f"option '{wrong}' of {options.owner} needs '{prefix}reload-strategy' = '{other}', found '{strategy}'",
            hint=f"set that, or leave '{wrong}' out",
        )
    if strategy == PERIODIC:
        interval: int | None = options[prefix + "periodic-reload.interval"]
        mode = prefix + "periodic-reload.schedule-mode"
        if interval is None and mode in options:
            raise ConfigError(
                f"option '{mode}' of {options.owner} needs '{prefix}periodic-reload.interval': "
                "without it the table is read once",
                hint=f"set that, or leave '{mode}' out",
            )
        return None if interval is None else Reload(interval, options[mode] == "FIXED_RATE")
    text: str | None = options[prefix + "timed-reload.iso-time"]
    if text is None:
        raise ConfigError(
            f"{options.owner}: '{prefix}reload-strategy' = 'TIMED' needs '{prefix}timed-reload.iso-time'"
        )
    found = _ISO_TIME.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"option '{prefix}timed-reload.iso-time' of {options.owner}: found '{text}', "
            "expected a time such as 04:30, 04:30:15Z or 04:30+02:00"
        )
    hours, minutes, seconds, zone = found.groups()
    of_day = (int(hours) * 60 + int(minutes)) * _MINUTE_MS + int(seconds or 0) * 1000
    days: int = options[prefix + "timed-reload.interval-in-days"]
    return Reload(time_of_day_ms=of_day, offset_ms=_offset_ms(zone), days=days)


def _offset_ms(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return (-minutes if zone[0] == "-" else minutes) * _MINUTE_MS


# -- the hint LOOKUP --------------------------------------------------------------------------------------------------

_ASYNC_ONLY = "it is about asynchronous lookups, and a step looks up all its keys in one query"
LOOKUP_HINT = (
    ConfigOption("table", description="the table, or its alias in FROM"),
    ConfigOption(
        "async",
        "bool",
        False,
        "only false: a step looks up all its keys in one query, and waits for the answer",
    ),
    ConfigOption("output-mode", unsupported=_ASYNC_ONLY),
    ConfigOption("capacity", unsupported=_ASYNC_ONLY),
    ConfigOption("timeout", unsupported=_ASYNC_ONLY),
    ConfigOption(
        "retry-predicate",
        "enum",
        None,
        "'lookup_miss': look again for a key without a row",
        choices=("lookup_miss",),
    ),
    ConfigOption("retry-strategy", "enum", None, "'fixed_delay'", choices=("fixed_delay",)),
    ConfigOption("fixed-delay", "duration", None, "how long after the last look", check=check_positive),
    ConfigOption("max-attempts", "int", None, "how often to look again at most", check=check_positive),
)
_RETRY = ("retry-predicate", "retry-strategy", "fixed-delay", "max-attempts")


@dataclass(frozen=True)
class LookupRetry:
    """Look again for a key without a row, ``delay_ms`` after the last look, ``attempts`` times at most."""

    delay_ms: int
    attempts: int

    def __str__(self) -> str:
        return f"lookup_miss, FIXED_DELAY, {self.delay_ms}ms, {self.attempts}"


def lookup_retry(given: Mapping[str, str]) -> LookupRetry | None:
    """What the options of a hint LOOKUP ask for. Raises ConfigError or ValidationError naming the option."""
    options = Options(LOOKUP_HINT, given, "the hint LOOKUP")
    if "table" not in options:
        raise ValidationError(
            "the hint LOOKUP names no table", hint="add 'table'='…', the table or its alias in FROM"
        )
    if options["async"]:
        raise UnsupportedError(
            "'async'='true' of the hint LOOKUP is not supported: a step looks up all its keys in one query",
            hint="leave 'async' out",
        )
    found = [k for k in _RETRY if k in options]
    if not found:
        return None
    missing = [k for k in _RETRY if k not in options]
    if missing:
        quoted = ", ".join(f"'{k}'" for k in missing)
        raise ValidationError(
            f"the hint LOOKUP has '{found[0]}' and needs {quoted} too",
            hint="'retry-predicate'='lookup_miss', 'retry-strategy'='fixed_delay', 'fixed-delay'='10 s', "
            "'max-attempts'='3'",
        )
    return LookupRetry(options["fixed-delay"], options["max-attempts"])
