"""A method that is written once, for callers that wait and for callers that await.

A plan is a generator. It yields what it asks of a side, an index or a model of embeddings, and gets
the answer; between two questions it only computes. :func:`plain` asks a side whose methods return,
:func:`awaited` the same of one whose methods are awaited.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

Plan: TypeAlias = Generator[Callable[[Any], Any], Any, R]
"""Asks a side, step by step, and returns what the method does."""


class TwoSided(Protocol):
    """What has methods that are plans."""

    def _waiting(self) -> Any:
        """Return the side whose methods return."""

    async def _awaiting(self) -> Any:
        """Return the side whose methods are awaited."""


S = TypeVar("S", bound=TwoSided)


def plain(plan: Callable[Concatenate[S, P], Plan[R]]) -> Callable[Concatenate[S, P], R]:
    """Make a method of a plan; what it iterates over comes to it as a list."""

    @functools.wraps(plan)
    def method(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        steps, side, answer = plan(self, *args, **kwargs), self._waiting(), None
        while True:
            try:
                ask = steps.send(answer)
            except StopIteration as done:
                returned: R = done.value
                return returned
            answer = ask(side)
            if isinstance(answer, Iterator):
                answer = list(answer)

    return method


def awaited(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Make the awaited method of the same plan as that of a plain one."""
    plan: Callable[Concatenate[S, P], Plan[R]] = method.__wrapped__  # type: ignore[attr-defined]

    @functools.wraps(plan)
    async def made(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        steps, side, answer = plan(self, *args, **kwargs), await self._awaiting(), None
        while True:
            try:
                ask = steps.send(answer)
            except StopIteration as done:
                returned: R = done.value
                return returned
            answer = ask(side)
            if hasattr(answer, "__aiter__"):
                answer = [each async for each in answer]
            else:
                answer = await answer

    return made
