"""Keeps numpy's floating-point warnings from the caller: what overflows or vanishes is expected."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function without warnings of numpy, and without errors where the caller asks for those.

    ``np.errstate`` as a decorator keeps its state between threads before numpy 2.
    """

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return quiet
