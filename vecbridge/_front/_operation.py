"""What all operations of an index have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

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
    """Makes a method refuse calls after the end, be there anything to do or not, and a span."""

    @functools.wraps(method)
    def while_open(self: T, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._lifetime.ended:
            raise self._lifetime.refusal(method.__name__, self.info.name)
        return method(self, *args, **kwargs)

    return traced(while_open)
