"""Exceptions and forks at every moment of a call.

A signal handler may raise an exception at any of them, and another thread may fork.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_ROOT = Path(__file__).parents[1]
_OURS = (str(_ROOT / "vecbridge"), str(_ROOT / "backends"))


EXHAUSTIVE = bool(os.environ.get("VECBRIDGE_TEST_EXHAUSTIVE"))
"""Whether searches that take minutes look everywhere, as ``make test-exhaustive`` has it."""

STEP = 1 if EXHAUSTIVE else 4


def moments() -> Iterator[int]:
    """Count the moments at which to break something off: each, or one in four, by chance which."""
    return itertools.count(random.randrange(STEP), STEP)


class Interrupted(BaseException):
    """What a signal handler raises: a Ctrl-C, the time limit of a test or of a worker."""


@contextmanager
def at(
    moment: int, act: Callable[[], None], *, opcodes: bool = False, inside: str = ""
) -> Iterator[Callable[[], bool]]:
    """Do something at one moment of what runs here, and tell whether it came.

    Args:
        moment: the number of the line (or instruction) of our code before which it is done.
        act: what to do; it may raise.
        opcodes: count instructions instead of lines.
        inside: count only in this folder of ours.
    """
    ours = str(_ROOT / inside) if inside else _OURS
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
        if left < 0 or not frame.f_code.co_filename.startswith(ours):
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
    moment: int, call: Callable[[], Any], *, opcodes: bool = False, inside: str = ""
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

    with at(moment, act, opcodes=opcodes, inside=inside) as came:
        try:
            next(confined())
        except Interrupted as error:
            return error
        assert not came(), "the exception was swallowed"
    return None


@contextmanager
def stopped(moment: int, call: Callable[[], Any], *, inside: str = "") -> Iterator[bool]:
    """Let another thread make a call up to a moment, and let it go on afterwards.

    Yields:
        Whether it stands there; otherwise the call has come to its end before.
    """
    here, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def stop() -> None:
        here.set()
        go_on.wait()

    def run() -> None:
        try:
            with at(moment, stop, inside=inside):
                call()
        except BaseException as error:  # noqa: BLE001  (told below)
            failed.append(error)
        ended.set()
        here.set()

    thread = threading.Thread(target=run)
    thread.start()
    here.wait()
    try:
        yield not ended.is_set()
    finally:
        go_on.set()
        thread.join()
    assert not failed, failed


def in_child(check: Callable[[], object], seconds: int = 30) -> None:
    """Fork, and let the child check something; one that waits for ever is ended."""
    with warnings.catch_warnings():
        # Newer Pythons warn of forking while there are threads, which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        try:
            passed = check() is not False
        except BaseException:  # noqa: BLE001  (of a process of its own)
            traceback.print_exc()
            passed = False
        os._exit(not passed)
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status), f"the child did not end within {seconds} s"
    assert os.WEXITSTATUS(status) == 0, "the child failed; see its traceback"
