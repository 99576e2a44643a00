"""The kit as pytest fixtures. pytest loads this module in every run, so it imports nothing but pytest.

``source_table``, ``sink_table``, ``assert_changelog``, ``assert_rows`` and ``run_every_way`` are the functions of
:mod:`streamsql.testing`; ``streamsql_clock`` is a clock that stands still and ``streamsql_env`` a session in its time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from streamsql.session import TableEnvironment

    from .clock import VirtualClock


def _kit(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module("streamsql.testing"), name)
    return found


@pytest.fixture
def streamsql_clock() -> VirtualClock:
    """A clock that stands still until ``advance_time``."""
    clock: VirtualClock = _kit("VirtualClock")()
    return clock


@pytest.fixture
def streamsql_env(streamsql_clock: VirtualClock) -> Iterator[TableEnvironment]:
    """A streaming session in the time of ``streamsql_clock``, closed after the test."""
    with streamsql_clock.environment() as env:
        yield env


@pytest.fixture
def source_table() -> Callable[..., Any]:
    """:func:`streamsql.testing.source_table`."""
    return _kit("source_table")


@pytest.fixture
def sink_table() -> Callable[..., Any]:
    """:func:`streamsql.testing.sink_table`."""
    return _kit("sink_table")


@pytest.fixture
def assert_changelog() -> Callable[..., Any]:
    """:func:`streamsql.testing.assert_changelog`."""
    return _kit("assert_changelog")


@pytest.fixture
def assert_rows() -> Callable[..., Any]:
    """:func:`streamsql.testing.assert_rows`."""
    return _kit("assert_rows")


@pytest.fixture
def run_every_way() -> Callable[..., Any]:
    """:func:`streamsql.testing.run_every_way`."""
    return _kit("run_every_way")
