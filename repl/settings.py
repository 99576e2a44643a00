"""The session options that the shell obeys."""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol
from zoneinfo import ZoneInfo

RESULT_MODE = "sql-client.execution.result-mode"


class Config(Protocol):
    """What the shell needs of the session's configuration."""

    def get(self, key: str) -> Any: ...
    def set(self, key: str, text: str) -> None: ...
    def as_dict(self) -> dict[str, str]: ...


class Settings:
    """Typed reading of the ``sql-client.*`` and display options; each read sees the latest SET."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def result_mode(self) -> str:
        return str(self._config.get(RESULT_MODE)).lower()

    @property
    def result_mode_is_set(self) -> bool:
        return RESULT_MODE in self._config.as_dict()

    @property
    def batch(self) -> bool:
        return str(self._config.get("execution.runtime-mode")).upper() == "BATCH"

    @property
    def rows_max(self) -> int:
        return int(self._config.get("sql-client.execution.max-table-result.rows"))

    @property
    def verbose(self) -> bool:
        return bool(self._config.get("sql-client.verbose"))

    @property
    def print_time_cost(self) -> bool:
        return bool(self._config.get("sql-client.display.print-time-cost"))

    @property
    def column_width_max(self) -> int:
        return int(self._config.get("table.display.max-column-width"))

    @property
    def zone(self) -> dt.tzinfo:
        return ZoneInfo(str(self._config.get("table.local-time-zone")))
