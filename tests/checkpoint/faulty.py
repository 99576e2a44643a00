"""Stores that fail when told to: at the n-th thing that they are asked to do."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs


class Faults:
    """Counts what is done, and fails where ``when(count)`` says so."""

    def __init__(self, when: Callable[[int], bool] = lambda count: False, code: int = errno.ENOSPC) -> None:
        self.when = when
        self.code = code
        self.count = 0
        self.failed = 0

    def hit(self) -> None:
        """Something is about to be done."""
        self.count += 1
        if self.when(self.count):
            self.failed += 1
            raise OSError(self.code, os.strerror(self.code))


class FaultyFile(io.RawIOBase):
    """A file that is written; a write that fails leaves half of it."""

    def __init__(self, path: str, faults: Faults) -> None:
        super().__init__()
        self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115
        self._faults = faults

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: Any) -> int:
        try:
            self._faults.hit()
        except OSError:
            self._file.write(bytes(data)[: len(data) // 2])
            raise
        return self._file.write(data)

    def close(self) -> None:
        if not self.closed:
            try:
                self._faults.hit()
            finally:
                self._file.close()
                super().close()


class FaultyHandler(pafs.FileSystemHandler):  # type: ignore[misc]
    """A file system that fails; its files are those of this machine."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.fs = pafs.LocalFileSystem()

    def get_type_name(self) -> str:
        return "faulty"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        self.faults.hit()
        return list(self.fs.get_file_info(paths))

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        self.faults.hit()
        return list(self.fs.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        self.faults.hit()
        self.fs.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self.faults.hit()
        self.fs.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self.faults.hit()
        self.fs.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        raise AssertionError("an object store cannot rename")

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError

    def open_input_stream(self, path: str) -> pa.NativeFile:
        raise NotImplementedError

    def open_input_file(self, path: str) -> pa.NativeFile:
        self.faults.hit()
        return self.fs.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        self.faults.hit()
        return pa.PythonFile(FaultyFile(path, self.faults), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        raise NotImplementedError


@contextmanager
def owner_unreadable(job: Path) -> Generator[None]:
    """Until the block ends a store cannot see who writes in the folder of its job, so every checkpoint fails."""
    path = job / "owner.json"
    owner = path.read_text()
    path.write_text("")
    yield
    path.write_text(owner)


def faulty_fs(faults: Faults) -> pafs.FileSystem:
    return pafs.PyFileSystem(FaultyHandler(faults))
