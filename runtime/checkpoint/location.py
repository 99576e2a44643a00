"""Where checkpoints are kept: a folder on this machine, or one that a pyarrow file system reaches (S3 and others).

A file appears whole or not at all where the store allows it: locally it is written beside its place, made durable and
renamed. Object stores have no rename, but show an object only when its upload is complete.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from streamsql.errors import ConfigError

PARTIAL = ".tmp"
"""Ends the name of a file that is being written."""

# A store that answers a question about a file that is not there by one of these errors.
_ABSENT = (FileNotFoundError, NotADirectoryError)
# Stores whose folders are nothing but names of objects.
_WITHOUT_FOLDERS = ("s3", "gcs", "abfs")


class Writer(Protocol):
    """Takes bytes, in order."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class Location(ABC):
    """A folder. Paths are relative to it, with ``/``; what fails raises OSError."""

    local: bool

    @abstractmethod
    def text(self, path: str = "") -> str:
        """The place for people, without what is secret."""

    @abstractmethod
    def below(self, path: str) -> Location:
        """A folder inside this one; it need not exist."""

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Of the files and folders directly inside, sorted; none where there is no such folder."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""

    @abstractmethod
    def open(self, path: str) -> pa.NativeFile:
        """A file for reading at any place; locally mapped into memory, so reading copies nothing."""

    @abstractmethod
    def create(self, path: str) -> AbstractContextManager[Writer]:
        """A new file, which is durable when the block ends and not there when it raises; replaces an older one."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file, if it is there."""

    @abstractmethod
    def remove_folder(self, path: str = "") -> None:
        """Removes a folder with all that is in it, if it is there."""

    def read(self, path: str) -> bytes:
        """The content of a file; FileNotFoundError where there is none."""
        with self.open(path) as file:
            return bytes(file.read())

    def put(self, path: str, data: bytes) -> None:
        """Writes a whole file as :meth:`create` does."""
        with self.create(path) as out:
            out.write(data)


class LocalLocation(Location):
    """A folder of this machine, or one that is mounted here."""

    local = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def text(self, path: str = "") -> str:
        return str(self.root / path) if path else str(self.root)

    def below(self, path: str) -> LocalLocation:
        """``..`` leads out of the folder that a link names, not of the one that the link is in."""
        joined = self.root / path
        return LocalLocation(Path(os.path.realpath(joined)) if ".." in joined.parts else joined)

    def names(self, folder: str = "") -> list[str]:
        try:
            return sorted(p.name for p in (self.root / folder).iterdir())
        except _ABSENT:
            return []

    def size(self, path: str) -> int | None:
        try:
            return (self.root / path).stat().st_size
        except _ABSENT:
            return None

    def open(self, path: str) -> pa.NativeFile:
        return pa.memory_map(str(self.root / path))

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    @contextlib.contextmanager
    def create(self, path: str) -> Generator[Writer]:
        final = self.root / path
        make_folders(final.parent)
        partial = final.with_name(final.name + PARTIAL)
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(final)
            sync_folder(final.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    def remove(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def remove_folder(self, path: str = "") -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.root / path)


def make_folders(folder: Path) -> None:
    """As ``mkdir -p``, durable."""
    if not folder.is_dir():
        make_folders(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Makes durable which names a folder holds."""
    if sys.platform == "win32":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RemoteLocation(Location):
    """A folder of a pyarrow file system. A file that is being written may be seen half: check what was read."""

    local = False

    def __init__(self, fs: pafs.FileSystem, root: str, shown: str) -> None:
        self.fs = fs
        self.root = root.rstrip("/")
        self.shown = shown.rstrip("/")

    def _at(self, path: str) -> str:
        joined = f"{self.root}/{path}" if path else self.root
        return joined if ".." not in path else os.path.normpath(joined).replace(os.sep, "/")

    def text(self, path: str = "") -> str:
        return f"{self.shown}/{path}" if path else self.shown

    def below(self, path: str) -> RemoteLocation:
        return RemoteLocation(self.fs, self._at(path), self.text(path))

    def names(self, folder: str = "") -> list[str]:
        selector = pafs.FileSelector(self._at(folder), allow_not_found=True)
        # A store that marks folders by an empty object lists the folder itself, too.
        return sorted({info.base_name for info in self.fs.get_file_info(selector)} - {""})

    def size(self, path: str) -> int | None:
        info = self.fs.get_file_info(self._at(path))
        return int(info.size) if info.type is pafs.FileType.File else None

    def open(self, path: str) -> pa.NativeFile:
        return self.fs.open_input_file(self._at(path))

    @contextlib.contextmanager
    def create(self, path: str) -> Generator[Writer]:
        place = self._at(path)
        if self.fs.type_name not in _WITHOUT_FOLDERS:
            self.fs.create_dir(place.rpartition("/")[0], recursive=True)
        stream = self.fs.open_output_stream(place)
        try:
            yield stream
            stream.close()
        except BaseException:
            with contextlib.suppress(OSError, pa.ArrowException):
                stream.close()  # the only way to end an upload; what it shows then is removed
            with contextlib.suppress(OSError, pa.ArrowException):
                self.fs.delete_file(place)
            raise

    def remove(self, path: str) -> None:
        with contextlib.suppress(*_ABSENT):
            self.fs.delete_file(self._at(path))

    def remove_folder(self, path: str = "") -> None:
        with contextlib.suppress(*_ABSENT):
            self.fs.delete_dir(self._at(path))


def open_location(directory: str, option: str) -> Location:
    """The folder that ``directory`` names: a path, or a URI of a file system of pyarrow.

    Raises ConfigError, naming ``option``, for a URI that no file system understands.
    """
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", directory):
        return LocalLocation(Path(directory).expanduser().absolute())
    try:
        fs, path = pafs.FileSystem.from_uri(directory)
    except (pa.ArrowException, OSError, ValueError) as error:
        shown = _public(directory)
        raise ConfigError(
            f"'{option}' = '{shown}' cannot be opened: {str(error).replace(directory, shown)}",
            hint="give a path, or a URI such as file:///data/checkpoints or s3://bucket/checkpoints",
        ) from None
    if isinstance(fs, pafs.LocalFileSystem):
        return LocalLocation(Path(path))
    return RemoteLocation(fs, path, _public(directory))


def _public(uri: str) -> str:
    """A URI without user, password and query, which may hold keys."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
