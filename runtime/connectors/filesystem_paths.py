"""Where files are: paths and URIs, listings, and partition directories such as ``day=2024-05-01``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs as pafs

from streamsql.datatypes import DataType
from streamsql.errors import ConnectorError
from streamsql.schema import Schema

from ..formats.json_rows import FieldError, JsonReadOptions, converter

_ESCAPED = re.compile(r'[\x00-\x1f"#%\'*/:=?\\{\[\]^\x7f]')


@dataclass(frozen=True)
class Location:
    """A path in a file system."""

    fs: pafs.FileSystem
    path: str

    @classmethod
    def of(cls, text: str) -> Location:
        """The place a ``path`` option names. Raises ConnectorError for a URI that no file system understands."""
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
            return cls(pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
        try:
            fs, path = pafs.FileSystem.from_uri(text)
        except (pa.ArrowInvalid, OSError, ValueError) as e:
            raise ConnectorError(
                f"path '{text}' cannot be opened: {e}", hint="give a path, or a URI such as file:///data"
            ) from None
        return cls(fs, path.rstrip("/") or "/")

    @property
    def is_local(self) -> bool:
        return isinstance(self.fs, pafs.LocalFileSystem)

    def join(self, *parts: str) -> str:
        return "/".join([self.path.rstrip("/"), *(p for p in parts if p)])

    def exists(self, name: str) -> bool:
        """Whether there is a file or directory of that name below. Raises ConnectorError."""
        try:
            (found,) = self.fs.get_file_info([self.join(name)])
        except OSError as e:
            raise ConnectorError(f"path '{self.join(name)}' cannot be looked at: {e}") from None
        return found.type is not pafs.FileType.NotFound


@dataclass(frozen=True)
class FoundFile:
    """A data file: ``name`` is its path below the table's, which is also the name of its split."""

    name: str
    path: str
    size: int
    modified_ms: int

    @property
    def directories(self) -> Sequence[str]:
        return self.name.split("/")[:-1]


def list_files(location: Location, pattern: re.Pattern[str] | None, *, must_exist: bool) -> list[FoundFile]:
    """Data files by name. Hidden ones (a name that starts with ``.`` or ``_``) are left out, whole directories too.

    Raises ConnectorError if the path is not there and must be.
    """
    found = location.fs.get_file_info(location.path)
    if found.type is pafs.FileType.NotFound:
        if not must_exist:
            return []
        raise ConnectorError(
            f"path '{location.path}' does not exist", hint="check the option 'path' of the table"
        )
    if found.type is pafs.FileType.File:
        infos: Iterable[Any] = [found]
    else:
        infos = location.fs.get_file_info(pafs.FileSelector(location.path, recursive=True))
    files = []
    for info in infos:
        if info.type is not pafs.FileType.File:
            continue
        name = info.path[len(location.path) :].lstrip("/") or info.base_name
        if any(part.startswith((".", "_")) for part in name.split("/")):
            continue
        if pattern is not None and pattern.fullmatch(info.path) is None:
            continue
        modified = int((info.mtime_ns or 0) // 1_000_000)
        files.append(FoundFile(name, info.path, int(info.size or 0), modified))
    return sorted(files, key=lambda f: f.name)


class PartitionReader:
    """The values of partition columns, from the directories of a file."""

    def __init__(self, schema: Schema, default_name: str) -> None:
        """``schema``: the partition columns."""
        self.schema = schema
        self._default = default_name
        self._converters = [converter(f.type, JsonReadOptions()) for f in schema]

    def values(self, file: FoundFile) -> list[Any]:
        """Raises ConnectorError where a directory is missing or its text is no value of the column."""
        given = dict(d.split("=", 1) for d in file.directories if "=" in d)
        out: list[Any] = []
        for field, convert in zip(self.schema, self._converters, strict=True):
            if field.name not in given:
                raise ConnectorError(
                    f"file {file.path} is in no directory '{field.name}=…', which PARTITIONED BY expects",
                    hint="move it, or leave PARTITIONED BY out",
                )
            text = unquote(given[field.name])
            if text == self._default:
                out.append(None)
                continue
            try:
                out.append(convert(text))
            except FieldError as e:
                raise ConnectorError(f"directory '{field.name}={text}' of {file.path}: {e}") from None
        return out


def partition_directory(names: Sequence[str], values: Sequence[str | None], default_name: str) -> str:
    """``day=2024-05-01/hour=10``; NULL and the empty text give the default name.

    >>> partition_directory(["a", "b"], ["x/y", None], "__DEFAULT_PARTITION__")
    'a=x%2Fy/b=__DEFAULT_PARTITION__'
    """
    return "/".join(
        f"{_escape(n)}={_escape(v) if v else default_name}" for n, v in zip(names, values, strict=True)
    )


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda m: f"%{ord(m[0]):02X}", text)


def constant(value: Any, t: DataType, count: int) -> pa.Array:
    """A column of one value."""
    return pa.nulls(count, t.arrow) if value is None else pa.repeat(pa.array([value], t.arrow)[0], count)
