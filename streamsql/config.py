"""The session's options: ``SET 'key' = 'value'`` with types, defaults and refusals."""

from __future__ import annotations

from typing import Any

from .config_options import HONOURED, REFUSED
from .errors import ConfigError, UnsupportedError, did_you_mean
from .options import ConfigOption, format_value, parse_value

OPTIONS: dict[str, ConfigOption] = {o.key: o for o in (*HONOURED, *REFUSED)}
_PREFIXES = [o for o in REFUSED if o.key.endswith(".*")]
_NAMES = [k for k in OPTIONS if not k.endswith(".*")]


class Configuration:
    """What a session has set, over the defaults.

    An option that is known but not supported may be set to its default, which changes nothing; any other
    value is refused with the reason.

    >>> c = Configuration()
    >>> c.set("streamsql.step.min-interval", "1 s")
    >>> c.get("streamsql.step.min-interval"), c.as_dict()
    (1000, {'streamsql.step.min-interval': '1 s'})
    """

    def __init__(self, given: dict[str, str] | None = None) -> None:
        self._texts: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        for key, text in (given or {}).items():
            self.set(key, text)

    def option(self, key: str) -> ConfigOption:
        """The declaration of ``key``. Raises ConfigError with did-you-mean for an unknown one."""
        found = OPTIONS.get(key) or next((o for o in _PREFIXES if o.matches(key)), None)
        if found is None:
            raise ConfigError(
                f"unknown option '{key}'",
                hint=did_you_mean(key, _NAMES) or "docs/options.md lists every option",
            )
        return found

    def get(self, key: str) -> Any:
        """The typed value: durations in milliseconds, sizes in bytes, None where there is no default."""
        if key in self._values:
            return self._values[key]
        return self.option(key).default

    def set(self, key: str, text: str) -> None:
        """Raises ConfigError for an unknown key or a bad value, UnsupportedError for what is refused."""
        option = self.option(key)
        value = option.default if option.unsupported is not None else option.parse(text, "the session")
        if option.unsupported is not None and not _is_default(option, text):
            hint = f"its only value is the default, '{format_value(option.default, option.kind)}'"
            raise UnsupportedError(
                f"option '{key}' is not supported: {option.unsupported}",
                hint=hint if option.default is not None else "leave it out",
            )
        self._texts[key] = text
        self._values[key] = value

    def reset(self, key: str | None = None) -> None:
        """Back to the default of one option, or of all. Raises ConfigError for an unknown key."""
        if key is None:
            self._texts.clear()
            self._values.clear()
            return
        self.option(key)
        self._texts.pop(key, None)
        self._values.pop(key, None)

    def as_dict(self) -> dict[str, str]:
        """What was set explicitly, as text, by key."""
        return dict(sorted(self._texts.items()))

    def all_options(self) -> list[ConfigOption]:
        """The options that have an effect, by key."""
        return sorted(HONOURED, key=lambda o: o.key)

    def copy(self) -> Configuration:
        """An independent copy; a job keeps the one it started with."""
        other = Configuration()
        other._texts = dict(self._texts)
        other._values = dict(self._values)
        return other


def _is_default(option: ConfigOption, text: str) -> bool:
    if option.default is None:
        return False
    try:
        value = parse_value(text, option.kind)
    except ValueError:
        return False
    if isinstance(value, str):
        return value.lower() == str(option.default).lower()
    return bool(value == option.default)
