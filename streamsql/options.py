"""Typed options: ``'scan.startup.mode'='earliest-offset'`` checked against what is declared.

Durations are held in milliseconds, sizes in bytes. Key names, defaults and value texts are Flink's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigError, UnsupportedError, did_you_mean

_DURATION_MS = {
    "d": 86_400_000, "day": 86_400_000, "days": 86_400_000,
    "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
    "m": 60_000, "min": 60_000, "minute": 60_000, "minutes": 60_000,
    "s": 1000, "sec": 1000, "second": 1000, "seconds": 1000, "secs": 1000,
    "ms": 1, "milli": 1, "millis": 1, "millisecond": 1, "milliseconds": 1,
}  # fmt: skip
_SIZE = {
    "": 1, "b": 1, "bytes": 1, "k": 2**10, "kb": 2**10, "kibibytes": 2**10, "m": 2**20, "mb": 2**20,
    "g": 2**30, "gb": 2**30, "t": 2**40, "tb": 2**40,
}  # fmt: skip


@dataclass(frozen=True)
class ConfigOption:
    """One option: its key, kind of value, default and meaning.

    ``kind`` is ``string``, ``int``, ``float``, ``bool``, ``duration`` (milliseconds), ``memory`` (bytes),
    ``list`` (``;``-separated) or ``enum`` (one of ``choices``). A key ending in ``.*`` stands for every key
    with that prefix; a ``#`` in the key stands for a column name. ``unsupported`` holds the reason why an
    option is refused. ``refused`` lists single values that are refused. ``check`` gets the typed value and
    raises ValueError for a bad one. ``default_text`` is shown where the default depends on the machine.
    """

    key: str
    kind: str = "string"
    default: Any = None
    description: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False
    unsupported: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    check: Callable[[Any], None] | None = None
    default_text: str | None = None

    def matches(self, key: str) -> bool:
        if self.key.endswith(".*"):
            return key.startswith(self.key[:-1])
        if "#" in self.key:
            return re.fullmatch(re.escape(self.key).replace(r"\#", ".+").replace("#", ".+"), key) is not None
        return key == self.key

    def parse(self, text: str, owner: str) -> Any:
        """The typed value of ``text``. Raises ConfigError: the option, the value, what was expected."""
        if self.unsupported is not None:
            raise UnsupportedError(f"option '{self.key}' of {owner} is not supported: {self.unsupported}")
        try:
            value = parse_value(text, self.kind, self.choices)
            if self.check is not None:
                self.check(value)
        except ValueError as e:
            raise ConfigError(f"option '{self.key}' of {owner}: {e}", hint=self.description or None) from None
        if isinstance(value, str) and value in self.refused:
            raise UnsupportedError(
                f"'{self.key}'='{value}' of {owner} is not supported: {self.refused[value]}"
            )
        return value


def parse_value(text: str, kind: str, choices: tuple[str, ...] = ()) -> Any:
    """Text to typed value. Raises ValueError with what was found and expected."""
    text = text.strip() if kind != "string" else text
    match kind:
        case "string":
            return text
        case "int":
            return _number(text, int)
        case "float":
            return _number(text, float)
        case "bool":
            if text.lower() not in ("true", "false"):
                raise ValueError(f"found '{text}', expected true or false")
            return text.lower() == "true"
        case "duration":
            return parse_duration(text)
        case "memory":
            return parse_memory(text)
        case "list":
            return [part for part in text.split(";") if part]
        case "enum":
            for choice in choices:
                if choice.lower() == text.lower():
                    return choice
            raise ValueError(f"found '{text}', expected one of {', '.join(choices)}")
        case _:
            raise AssertionError(kind)


def format_value(value: Any, kind: str) -> str:
    """The text of a typed value, as one would write it in SET or WITH.

    >>> format_value(60000, "duration"), format_value(131072, "memory"), format_value(True, "bool")
    ('1 min', '128 kb', 'true')
    """
    match kind:
        case _ if value is None:
            return "(none)"
        case "bool":
            return "true" if value else "false"
        case "duration":
            return _with_unit(
                value, (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)), "ms"
            )
        case "memory":
            return _with_unit(value, (("tb", 2**40), ("gb", 2**30), ("mb", 2**20), ("kb", 2**10)), "bytes")
        case "list":
            return ";".join(value)
        case _:
            return str(value)


def _with_unit(value: int, units: tuple[tuple[str, int], ...], smallest: str) -> str:
    unit, size = next(((u, n) for u, n in units if value and value % n == 0), (smallest, 1))
    return f"{value // size} {unit}"


def _number(text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"found '{text}', expected a number") from None


def parse_duration(text: str) -> int:
    """Milliseconds of a duration.

    >>> parse_duration("1 min"), parse_duration("500ms"), parse_duration("5 s"), parse_duration("0")
    (60000, 500, 5000, 0)
    """
    match = re.fullmatch(r"(\d+)\s*([a-zA-Z]*)", text.strip())
    unit = match[2].lower() or "ms" if match else ""
    if match is None or unit not in _DURATION_MS:
        raise ValueError(f"found '{text}', expected a duration such as '10 s', '5 min' or '200 ms'")
    return int(match[1]) * _DURATION_MS[unit]


def parse_memory(text: str) -> int:
    """Bytes of a size.

    >>> parse_memory("128MB"), parse_memory("1 kb")
    (134217728, 1024)
    """
    match = re.fullmatch(r"(\d+)\s*([a-zA-Z]*)", text.strip())
    if match is None or match[2].lower() not in _SIZE:
        raise ValueError(f"found '{text}', expected a size such as '128 mb'")
    return int(match[1]) * _SIZE[match[2].lower()]


class Options:
    """The typed values of one owner's options: read with ``options["key"]``; defaults are filled in.

    ``with_prefix("properties.")`` gives the pass-through options without their prefix, as text.
    """

    def __init__(self, declared: Iterable[ConfigOption], given: Mapping[str, str], owner: str) -> None:
        """Raises ConfigError for an unknown key, a bad value or a missing required option."""
        self._declared = {o.key: o for o in declared}
        self.given = dict(given)
        self.owner = owner
        self._values: dict[str, Any] = {}
        for key, text in given.items():
            option = self._find(key)
            if option is None:
                known = [k for k in self._declared if not k.endswith(".*")]
                raise ConfigError(
                    f"unknown option '{key}' of {owner}",
                    hint=did_you_mean(key, known) or "options: " + ", ".join(sorted(self._declared)),
                )
            self._values[key] = option.parse(text, owner)
        missing = [o.key for o in self._declared.values() if o.required and o.key not in given]
        if missing:
            quoted = ", ".join(f"'{k}'" for k in missing)
            hint = f"add it to WITH (…) or with ALTER TABLE … SET ({quoted}='…')"
            raise ConfigError(f"{owner} needs the option {quoted}", hint=hint)

    def _find(self, key: str) -> ConfigOption | None:
        if key in self._declared:
            return self._declared[key]
        return next((o for o in self._declared.values() if o.matches(key)), None)

    def __getitem__(self, key: str) -> Any:
        """The value, or the default. KeyError for a key that was never declared (a programmer's error)."""
        if key in self._values:
            return self._values[key]
        option = self._find(key)
        if option is None:
            raise KeyError(key)
        return option.default

    def declares(self, key: str) -> bool:
        """Whether the owner has such an option."""
        return self._find(key) is not None

    def __contains__(self, key: str) -> bool:
        """Whether the user gave the option."""
        return key in self.given

    def with_prefix(self, prefix: str) -> dict[str, str]:
        return {k[len(prefix) :]: v for k, v in self.given.items() if k.startswith(prefix)}
