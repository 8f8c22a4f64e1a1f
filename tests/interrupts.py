"""Exceptions at every moment of a call, as a signal handler may raise them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_ROOT = Path(__file__).parents[1]
_OURS = (str(_ROOT / "vecbridge"), str(_ROOT / "backends"))


class Interrupted(BaseException):
    """What a signal handler raises: a Ctrl-C, the time limit of a test or of a worker."""


@contextmanager
def at(
    moment: int, act: Callable[[], None], *, opcodes: bool = False
) -> Iterator[Callable[[], bool]]:
    """Do something at one moment of what runs here, and tell whether it came.

    Args:
        moment: the number of the line (or instruction) of our code before which it is done.
        act: what to do; it may raise.
        opcodes: count instructions instead of lines.
    """
    left = moment
    wanted = "opcode" if opcodes else "line"

    def local(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == wanted:
            left -= 1
            if left == -1:
                sys.settrace(None)
                act()
        return local

    def begin(frame: FrameType, event: str, _: Any) -> Any:
        if left < 0 or not frame.f_code.co_filename.startswith(_OURS):
            return None
        frame.f_trace_opcodes = opcodes
        return local

    before = sys.gettrace()
    sys.settrace(begin)
    try:
        yield lambda: left < 0
    finally:
        sys.settrace(before)


def interrupted(
    moment: int, call: Callable[[], Any], *, opcodes: bool = False
) -> BaseException | None:
    """Break a call off at a moment; ``None`` where it came to its end before.

    The exception is to be kept for a while: it holds the frames of what it broke off.
    """

    def act() -> None:
        raise Interrupted

    def confined() -> Iterator[None]:
        # CPython 3.11 does not put back what exception is being handled where a trace function
        # raises at the end of a handler. Each later exception would hang on to it, and all that
        # its frames hold; what a generator handles ends with the generator.
        call()
        yield

    with at(moment, act, opcodes=opcodes) as came:
        try:
            next(confined())
        except Interrupted as error:
            return error
        assert not came(), "the exception was swallowed"
    return None
