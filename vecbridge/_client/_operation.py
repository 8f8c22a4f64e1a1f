"""What all operations of an index have in common: they end with it, and are traced.

Spans are for OpenTelemetry, in a program that uses it. Nothing is imported and nothing is
configured here: a program that traces has imported ``opentelemetry.trace`` itself, and one that
does not pays for one look into ``sys.modules``. A span shows counts, sizes and names of indexes;
never a vector, an id, a value of a field, or what an error says. Attributes are named after
OpenTelemetry's conventions for databases, where it has a name:
https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from vecbridge._client._scanned import Scan
from vecbridge._contract._hits import Hits
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import ClosedError

_SHOWN = ("k", "radius", "consistency", "ranking", "aggregation", "dimension", "metric")
"""Arguments that are shown as they are."""


class Traced(Protocol):
    """An object with operations that can be traced."""

    def _span_attributes(self) -> Mapping[str, str | int]:
        """Return what every span says of the object."""
        ...


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=Traced)
Owner = TypeVar("Owner", bound="Operated")


def traced(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Make each call of a method a span, where the program traces."""

    @functools.wraps(method)
    def with_span(self: T, /, *args: P.args, **kwargs: P.kwargs) -> R:
        tracing = sys.modules.get("opentelemetry.trace")
        if tracing is None:
            return method(self, *args, **kwargs)
        return _spanned(tracing, method, self, args, kwargs)

    return with_span


def _spanned(
    tracing: Any,
    method: Callable[..., R],
    owner: Traced,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> R:
    own = dict(owner._span_attributes())  # noqa: SLF001  (the protocol's)
    name = f"{method.__name__} {own.get('db.collection.name', '')}".rstrip()
    started = tracing.get_tracer("vecbridge").start_as_current_span(
        name,
        kind=tracing.SpanKind.CLIENT,
        record_exception=False,
        set_status_on_exception=False,
        end_on_exit=False,
    )
    with started as span:
        if not span.is_recording():
            return method(owner, *args, **kwargs)
        span.set_attributes(
            {"db.operation.name": method.__name__, **own, **_asked(method, (owner, *args), kwargs)}
        )
        try:
            answer = method(owner, *args, **kwargs)
        except BaseException as error:
            _fail(tracing, span, error)
            span.end()
            raise
    if isinstance(answer, Iterator):
        return cast(R, _over(answer, _followed(tracing, span, answer)))
    span.set_attributes(_returned(answer))
    span.end()
    return answer


def _over(answers: Iterator[Any], followed: Iterator[Any]) -> Iterator[Any]:
    """Return answers as what they were, which ``followed`` gives one by one."""
    return answers.over(followed) if isinstance(answers, Scan) else followed


def _followed(tracing: Any, span: Any, answers: Iterator[Any]) -> Iterator[Any]:
    """Yield the answers; end the span after the last one that is asked for."""
    returned = 0
    try:
        for answer in answers:
            returned += len(answer) if isinstance(answer, Records) else 1
            yield answer
    except Exception as error:
        _fail(tracing, span, error)
        raise
    finally:
        span.set_attribute("db.response.returned_rows", returned)
        span.end()


def _asked(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, str | int | float | bool]:
    """Return what was asked for, in numbers and words of the contract."""
    try:
        given = _signature(method).bind(*args, **kwargs).arguments
    except TypeError:
        # The call itself says what is wrong with it.
        return {}
    asked = {
        f"vecbridge.{name}": given[name]
        for name in _SHOWN
        if isinstance(given.get(name), str | int | float)
    }
    for name, key in (("ids", "db.operation.batch.size"), ("within", "vecbridge.within")):
        if isinstance(given.get(name), Sized):
            asked[key] = len(given[name])
    if "queries" in given and (rows := _rows(given["queries"])) is not None:
        asked["vecbridge.queries"] = rows
    if given.get("where") is not None:
        asked["vecbridge.filtered"] = True
    return asked


def _returned(answer: Any) -> dict[str, int | bool]:
    """Return how much came back."""
    if isinstance(answer, Records):
        return {"db.response.returned_rows": len(answer)}
    answers = [answer] if isinstance(answer, Hits) else answer
    if isinstance(answers, list) and answers and all(isinstance(one, Hits) for one in answers):
        return {
            "db.response.returned_rows": sum(map(len, answers)),
            "vecbridge.certified": all(one.exact for one in answers),
        }
    return {"vecbridge.count": answer} if type(answer) is int else {}


def _fail(tracing: Any, span: Any, error: BaseException) -> None:
    """Name the kind of the error only: its words may quote an id."""
    kind = type(error)
    module = "vecbridge" if kind.__module__ == "vecbridge._errors" else kind.__module__
    span.set_attribute("error.type", f"{module}.{kind.__qualname__}")
    span.set_status(tracing.Status(tracing.StatusCode.ERROR))


def _rows(queries: Any) -> int | None:
    shape = getattr(queries, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) == 2 else 1
    if not isinstance(queries, Sequence):
        return None
    return len(queries) if queries and isinstance(queries[0], Sized) else 1


@functools.cache
def _signature(method: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(method)


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


def operation(method: Callable[Concatenate[Owner, P], R]) -> Callable[Concatenate[Owner, P], R]:
    """Reject calls on a closed index, even calls with nothing to do, and trace the others.

    Vectors may be as large or small as float32 allows, so overflow and underflow on the way to an
    answer are expected: numpy neither warns nor raises, whatever the caller has set for itself.
    An iterator that a method returns ends with the index too, however far it was read.
    """

    @functools.wraps(method)
    def while_open(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._lifetime.ended:
            raise self._lifetime.refusal(method.__name__, self.info.name)
        with np.errstate(all="ignore"):
            answer = method(self, *args, **kwargs)
        if isinstance(answer, Iterator):
            ending = _until_the_end(answer, self._lifetime, method.__name__, self.info.name)
            return cast(R, _over(answer, ending))
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
