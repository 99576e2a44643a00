"""Every script of an operator runs twice: straight, and with a snapshot restored before each action."""

import pytest


@pytest.fixture(params=[False, True], ids=["straight", "restored"])
def restored(request: pytest.FixtureRequest) -> bool:
    """Whether the harness snapshots and restores all the time."""
    return bool(request.param)
