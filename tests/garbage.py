"""Every job collects garbage as it ends. That looks at all objects there are, which for a test is most of its time."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def frozen_modules() -> Iterator[None]:
    """Takes what is there before the tests of a module out of the collector's sight. Import it into a conftest."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
