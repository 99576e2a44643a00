"""streamsql: Flink SQL over Kafka in one Python process.

    from streamsql import TableEnvironment

    env = TableEnvironment()
    env.execute_sql("CREATE TABLE …")
    for row in env.execute_sql("SELECT …").collect(): ...

Names are imported when first used, so that ``import streamsql`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .changelog import ChangelogMode, Row, RowKind
    from .config import Configuration
    from .errors import (
        CatalogError,
        ConfigError,
        ConnectorError,
        DataError,
        JobError,
        SqlSyntaxError,
        StreamSqlError,
        UnsupportedError,
        ValidationError,
    )
    from .python_functions import udf, udtf
    from .result import TableResult
    from .runtime.connectors.in_process import InProcessTable
    from .runtime.job import Job
    from .schema import Field, Schema
    from .session import EnvironmentSettings, TableEnvironment
    from .table_api import StatementSet, Table

__version__ = "0.1.0"

_HOMES = {
    "CatalogError": "errors",
    "ChangelogMode": "changelog",
    "ConfigError": "errors",
    "Configuration": "config",
    "ConnectorError": "errors",
    "DataError": "errors",
    "EnvironmentSettings": "session",
    "Field": "schema",
    "InProcessTable": "runtime.connectors.in_process",
    "Job": "runtime.job",
    "JobError": "errors",
    "Row": "changelog",
    "RowKind": "changelog",
    "Schema": "schema",
    "SqlSyntaxError": "errors",
    "StatementSet": "table_api",
    "StreamSqlError": "errors",
    "Table": "table_api",
    "TableEnvironment": "session",
    "TableResult": "result",
    "UnsupportedError": "errors",
    "ValidationError": "errors",
    "udf": "python_functions",
    "udtf": "python_functions",
}

__all__ = [
    "CatalogError",
    "ChangelogMode",
    "ConfigError",
    "Configuration",
    "ConnectorError",
    "DataError",
    "EnvironmentSettings",
    "Field",
    "InProcessTable",
    "Job",
    "JobError",
    "Row",
    "RowKind",
    "Schema",
    "SqlSyntaxError",
    "StatementSet",
    "StreamSqlError",
    "Table",
    "TableEnvironment",
    "TableResult",
    "UnsupportedError",
    "ValidationError",
    "udf",
    "udtf",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamsql' has no attribute '{name}'")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
