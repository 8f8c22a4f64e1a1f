"""Work on pairs gives each product one thread, and gives the threads back when the last ends."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from vecbridge.ranking import Pairs


def _blas() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}


def _pairs() -> Pairs:
    vectors = np.random.default_rng(0).standard_normal((50, 4), dtype=np.float32)
    return Pairs("euclidean", [str(row) for row in range(50)], vectors)


def test_the_last_to_end_gives_the_threads_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = _blas()
        if 2 not in before:
            pytest.skip("this BLAS has one thread, or does not say how many")
        seen: list[set[int]] = []

        def work_inside(*_: int) -> None:
            seen.append(_blas())
            list(_pairs().neighbors(1, progress=lambda *_: seen.append(_blas())))
            seen.append(_blas())

        list(_pairs().neighbors(1, progress=work_inside))
        assert seen == [{1}] * 3
        assert _blas() == before


def test_a_failure_gives_the_threads_back() -> None:
    def fail(*_: int) -> None:
        assert _blas() == {1}
        raise ValueError("fault")

    before = _blas()
    with pytest.raises(ValueError, match="fault"):
        list(_pairs().neighbors(1, progress=fail))
    assert _blas() == before
