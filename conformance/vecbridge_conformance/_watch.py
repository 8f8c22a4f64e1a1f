"""A limit of time for each test, so that a store without one cannot hold a run up for ever.

The test is ended where it waits, by a signal; where that does not get through, because the wait is
in code that is not Python's, the process is ended, and says why.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

LIMIT_S = 300.0
"""What a test may take by default; the slowest on a server takes some 60 s."""

OPENING_S = 60.0
"""What opening a store, and dropping all that was made in it, is given at least."""

_AGAIN_S = 10.0
_GRACE_S = 60.0
_EXIT_S = 5.0
_FAILED = 1


class Hung(BaseException):
    """A test took longer than its limit.

    No ``Exception``: neither a backend nor hypothesis is to catch it and go on.
    """


class Watch:
    """Ends what takes too long.

    Args:
        limit_s: seconds; 0 for no limit.
        pending: tells which calls of the store have not come back, for the message.

    Attributes:
        hung: how many times the limit was reached.
    """

    def __init__(self, limit_s: float, pending: Callable[[], list[str]]) -> None:
        self._limit_s = limit_s
        self._pending = pending
        self.hung = 0

    @contextmanager
    def over(self, what: str, *, least_s: float = 0.0) -> Iterator[None]:
        """Watch a block.

        Args:
            what: it is called in the message.
            least_s: so many seconds it is given at least, where there is a limit.

        Raises:
            Hung: it took longer than the limit. The message names the calls that hang.
        """
        if not self._limit_s:
            yield
            return
        limit_s = max(self._limit_s, least_s)
        message = partial(self._message, what, limit_s)
        last = threading.Timer(limit_s + max(limit_s, _GRACE_S), _give_up, [message])
        last.daemon = True
        last.start()
        try:
            with self._alarm(limit_s, message):
                yield
        finally:
            last.cancel()

    def let_the_process_end(self, status: int) -> None:
        """Let the process end, once it wants to, although threads hang.

        Args:
            status: to end with.
        """
        if self.hung:
            threading.Thread(target=_end_after_main, args=(status,), daemon=True).start()

    @contextmanager
    def _alarm(self, limit_s: float, message: Callable[[], str]) -> Iterator[None]:
        if not _has_alarm():
            yield
            return

        def ring(*_: Any) -> None:
            self.hung += 1
            raise Hung(message())

        before = signal.signal(signal.SIGALRM, ring)
        # Once more where what is raised ends in another wait, as for a thread that hangs.
        signal.setitimer(signal.ITIMER_REAL, limit_s, _AGAIN_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)

    def _message(self, what: str, limit_s: float) -> str:
        calls = self._pending()
        waits = f"{', '.join(calls)} did not come back" if calls else "no call of an index is open"
        return (
            f"{what} took more than {limit_s:g} s: {waits}. Give the store's client a time "
            f"limit; raise the suite's own with --limit (--vecbridge-limit in pytest) where the "
            f"store is that slow"
        )


def _give_up(message: Callable[[], str]) -> None:
    # pytest may have put something else in the place of Python's own streams.
    os.write(2, f"\nThe run ends here. {message()}. Where every thread waits:\n".encode())
    faulthandler.dump_traceback(2)
    os._exit(_FAILED)


def _has_alarm() -> bool:
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        return False
    # Another limit of the same test, such as pytest-timeout's, is enough.
    return signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def _end_after_main(status: int) -> None:
    while threading.main_thread().is_alive():
        time.sleep(0.2)
    time.sleep(_EXIT_S)
    os._exit(status)
