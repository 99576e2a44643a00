"""A file system on this machine's disk whose operations can be made to fail, and to move as object stores do."""

from __future__ import annotations

import errno
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs


class FullDisk(io.RawIOBase):
    """A file that takes nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class FaultyHandler(pafs.FileSystemHandler):  # type: ignore[misc]
    """``fail``: called with the operation and its path before each; what it raises, the caller gets.

    ``copies``: a move is a copy and a deletion, with ``("between", path)`` told in between.
    """

    def __init__(self, *, copies: bool = False) -> None:
        self.disk = pafs.LocalFileSystem()
        self.copies = copies
        self.full = False
        self.failing: list[tuple[str, str]] = []
        """Operation and a part of the path: each makes one call fail."""

    def check(self, operation: str, path: str) -> None:
        for fault in self.failing:
            if fault[0] == operation and fault[1] in path:
                self.failing.remove(fault)
                raise OSError(f"{operation} of {path}: the network is away")

    def move(self, src: str, dest: str) -> None:
        self.check("move", src)
        if self.copies:
            self.disk.copy_file(src, dest)
            self.check("between", src)
            self.disk.delete_file(src)
        else:
            self.disk.move(src, dest)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        self.check("write", path)
        if self.full:
            return pa.PythonFile(FullDisk(), mode="w")
        return self.disk.open_output_stream(path, compression=None)

    def get_type_name(self) -> str:
        return "faulty"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> Any:
        return self.disk.get_file_info(list(paths))

    def get_file_info_selector(self, selector: Any) -> Any:
        self.check("list", selector.base_dir)
        return self.disk.get_file_info(selector)

    def create_dir(self, path: str, recursive: bool) -> None:
        self.disk.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self.disk.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        self.disk.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        self.check("delete", path)
        self.disk.delete_file(path)

    def copy_file(self, src: str, dest: str) -> None:
        self.disk.copy_file(src, dest)

    def open_input_stream(self, path: str) -> Any:
        return self.disk.open_input_stream(path, compression=None)

    def open_input_file(self, path: str) -> Any:
        return self.disk.open_input_file(path)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError
