"""The time of a partition, from the texts of its keys: ``day=2024-05-01/hour=10`` is 2024-05-01 10:00."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from streamsql.catalog.options import Options
from streamsql.errors import ConfigError, ConnectorError

_JAVA = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_DEFAULT_FORM = "yyyy-MM-dd HH:mm:ss"


class PartitionTime:
    """Reads the option ``partition.time-extractor.timestamp-pattern`` and its formatter."""

    def __init__(self, keys: Sequence[str], options: Options) -> None:
        """Raises ConfigError for a key that is none, a letter that is not known, or an unknown zone."""
        self._keys = list(keys)
        self._pattern: str = options["partition.time-extractor.timestamp-pattern"] or f"${keys[0]}"
        for name in re.findall(r"\$(\w+)", self._pattern):
            if name not in keys:
                raise ConfigError(
                    f"option 'partition.time-extractor.timestamp-pattern' of {options.owner}: "
                    f"found '${name}', expected one of " + ", ".join(f"${k}" for k in keys)
                )
        form: str = options["partition.time-extractor.timestamp-formatter"]
        self._forms = [_strptime(form, options)]
        if form == _DEFAULT_FORM:
            self._forms.append("%Y-%m-%d")
        zone: str = options["sink.partition-commit.watermark-time-zone"]
        try:
            self._zone = UTC if zone == "UTC" else ZoneInfo(zone)
        except (KeyError, ValueError):
            raise ConfigError(
                f"option 'sink.partition-commit.watermark-time-zone' of {options.owner}: found '{zone}', "
                "expected a zone such as Europe/Berlin"
            ) from None

    def of(self, values: Sequence[str | None]) -> int:
        """Epoch milliseconds. Raises ConnectorError for values that are no time."""
        given = dict(zip(self._keys, values, strict=True))
        text = re.sub(r"\$(\w+)", lambda m: given[m[1]] or "", self._pattern)
        for form in self._forms:
            try:
                return int(datetime.strptime(text, form).replace(tzinfo=self._zone).timestamp() * 1000)
            except ValueError:
                continue
        raise ConnectorError(
            f"the partition {given} gives the text '{text}', which is not a time",
            hint="set 'partition.time-extractor.timestamp-pattern' and '.timestamp-formatter'",
        )


def _strptime(form: str, options: Options) -> str:
    parts = re.findall(r"([A-Za-z])(\1*)|([^A-Za-z]+)", form)
    out = ""
    for letter, more, other in parts:
        if other:
            out += other.replace("%", "%%")
        elif letter + more in _JAVA:
            out += _JAVA[letter + more]
        else:
            raise ConfigError(
                f"option 'partition.time-extractor.timestamp-formatter' of {options.owner}: "
                f"'{letter + more}' is not supported",
                hint="use " + ", ".join(_JAVA),
            )
    return out
