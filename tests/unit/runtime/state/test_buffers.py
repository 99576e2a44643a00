"""Different values, against sets."""

from __future__ import annotations

import numpy as np
import pytest

from streamsql.runtime.state.buffers import distinct_count, distinct_values


@pytest.mark.parametrize("values", [[], [3], [3, 3], [1, 2, 5], [5, 1, 1, 2, 5, 0], [2, 2, 1]])
@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_distinct_values(values: list[int], dtype: type[np.int64]) -> None:
    array = np.array(values, dtype)
    assert distinct_values(array).tolist() == sorted(set(values))
    assert distinct_values(array).dtype == dtype
    assert array.tolist() == values


def test_distinct_count() -> None:
    assert distinct_count(np.array([4, 1, 4, 9])) == 3
    assert distinct_count(np.zeros(0, np.int64)) == 0
