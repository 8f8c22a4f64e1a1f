"""What all operations of an index have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from vecbridge._contract._records import IndexInfo
from vecbridge._front._lifetime import Lifetime
from vecbridge._front._tracing import Traced, traced


class Operated(Traced, Protocol):
    """What has operations, and an end."""

    _lifetime: Lifetime

    @property
    def info(self) -> IndexInfo:
        """What it is."""
        ...


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=Operated)


def operation(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Makes a method refuse calls after the end, be there anything to do or not, and a span.

    Vectors may be as large or small as float32 allows, so what overflows or vanishes on the way to
    an answer is expected: numpy does not warn of it nor raise, whatever the caller asks of it.
    What a method gives bit by bit ends with the owner too, however far it was read.
    """

    @functools.wraps(method)
    def while_open(self: T, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._lifetime.ended:
            raise self._lifetime.refusal(method.__name__, self.info.name)
        with np.errstate(all="ignore"):
            answer = method(self, *args, **kwargs)
        if isinstance(answer, Iterator):
            return cast(R, _until_the_end(answer, self._lifetime, method.__name__, self.info.name))
        return answer

    return traced(while_open)


def _until_the_end(
    answers: Iterator[Any], lifetime: Lifetime, operation: str, index: str
) -> Iterator[Any]:
    nothing = object()
    while not lifetime.ended:
        # Not around the whole loop: between two answers the caller's own code runs.
        with np.errstate(all="ignore"):
            answer = next(answers, nothing)
        if answer is nothing:
            return
        yield answer
    raise lifetime.refusal(operation, index)
