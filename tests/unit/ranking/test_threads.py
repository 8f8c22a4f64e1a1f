"""Products have one thread each for as long as anyone asks for it, and theirs again afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from vecbridge.ranking._threads import single_products


def _blas() -> list[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


def test_whoever_ends_last_gives_the_threads_back() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = _blas()
        if 2 not in before:
            pytest.skip("this BLAS has one thread, or does not say how many")
        first, second = single_products(), single_products()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert set(_blas()) == {1}
        second.__exit__(None, None, None)
        assert _blas() == before


def test_a_failure_gives_the_threads_back() -> None:
    before = _blas()
    with pytest.raises(ValueError, match="fault"), single_products():
        raise ValueError("fault")
    assert _blas() == before
