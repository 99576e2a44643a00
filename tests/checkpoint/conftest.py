"""Fixtures of the tests of checkpoints."""

import os

import pytest


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk, as no test can cut the power."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
