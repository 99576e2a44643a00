"""The columns of a table, a plan node or a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from .datatypes import DataType

ROWTIME = "rowtime"
PROCTIME = "proctime"


@dataclass(frozen=True)
class Field:
    """A named, typed column. ``time`` is ``"rowtime"`` or ``"proctime"`` for a time attribute, else None."""

    name: str
    type: DataType
    time: str | None = None

    def renamed(self, name: str) -> Field:
        """The field under another name."""
        return replace(self, name=name)

    def describe_type(self) -> str:
        """Type text as DESCRIBE prints it, with ``*ROWTIME*`` or ``*PROCTIME*``."""
        text = self.type.sql(nullability=False)
        return f"{text} *{self.time.upper()}*" if self.time else text


@dataclass(frozen=True)
class Schema:
    """An ordered list of fields. Names may repeat in the result of a join; lookups take the first."""

    fields: tuple[Field, ...]

    @classmethod
    def of(cls, fields: Iterable[Field | tuple[str, DataType]]) -> Schema:
        """A schema of fields, or of names with types."""
        return cls(tuple(f if isinstance(f, Field) else Field(*f) for f in fields))

    @property
    def names(self) -> list[str]:
        """The names in order."""
        return [f.name for f in self.fields]

    @property
    def types(self) -> list[DataType]:
        """The types in order."""
        return [f.type for f in self.fields]

    def index(self, name: str) -> int:
        """Position of the first field with that name. Raises KeyError."""
        for i, f in enumerate(self.fields):
            if f.name == name:
                return i
        raise KeyError(name)

    def get(self, name: str) -> Field | None:
        """The first field with that name; None where there is none."""
        return next((f for f in self.fields if f.name == name), None)

    @property
    def arrow(self) -> pa.Schema:
        """The same as an Arrow schema."""
        return pa.schema([pa.field(f.name, f.type.arrow) for f in self.fields])

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, i: int) -> Field:
        return self.fields[i]

    def __str__(self) -> str:
        return "(" + ", ".join(f"`{f.name}` {f.type}" for f in self.fields) + ")"
