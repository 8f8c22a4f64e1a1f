"""What all operations of an index have in common: they end with it, and are traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from vecbridge._client._tracing import Traced, traced
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import ClosedError


class Lifetime:
    """The time until its owner is closed, or what the owner was opened over.

    Args:
        backend: the backend's name, for errors.
        over: the lifetime of what the owner was opened over.
    """

    def __init__(self, backend: str, over: Lifetime | None = None) -> None:
        self.backend = backend
        self._over = over
        self._ended = False

    @property
    def ended(self) -> bool:
        """Return whether the owner, or what it was opened over, is closed."""
        return self._ended or (self._over is not None and self._over.ended)

    def end(self) -> None:
        """End it. May be called twice."""
        self._ended = True

    def refusal(self, operation: str, index: str) -> ClosedError:
        """Return the error for an operation on an index after the end."""
        if self._ended:
            return ClosedError(
                f"{operation}: index {index!r} was closed; open it again with open_index()",
                backend=self.backend,
                operation=operation,
            )
        return ClosedError(
            f"{operation}: the store of index {index!r} was closed; get another one from "
            f"vecbridge.get_backend({self.backend!r}, ...)",
            backend=self.backend,
            operation=operation,
        )


class Operated(Traced, Protocol):
    """An object with operations and a lifetime."""

    _lifetime: Lifetime

    @property
    def info(self) -> IndexInfo:
        """Name and schema, for errors."""
        ...


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=Operated)


def operation(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Reject calls on a closed index, even calls with nothing to do, and trace the others.

    Vectors may be as large or small as float32 allows, so overflow and underflow on the way to an
    answer are expected: numpy neither warns nor raises, whatever the caller has set for itself.
    An iterator that a method returns ends with the index too, however far it was read.
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
