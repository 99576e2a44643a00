"""The ``filesystem`` connector: a directory of files as a table.

Read in this order: ``filesystem_paths.py`` (where files are), ``filesystem_source.py`` (reading),
``filesystem_sink.py`` (writing, and the commit of partitions).
"""

from __future__ import annotations

from .base import Sink, SinkContext, Source, SourceContext
from .filesystem_sink import FilesystemSink
from .filesystem_source import FilesystemSource


def create_source(context: SourceContext) -> Source:
    return FilesystemSource(context)


def create_sink(context: SinkContext) -> Sink:
    return FilesystemSink(context)
