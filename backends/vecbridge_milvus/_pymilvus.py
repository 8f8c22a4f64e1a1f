"""pymilvus, imported on first use, and kept from writing to the user's terminal."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from vecbridge import MissingDependencyError
from vecbridge.locks import reentrant_lock

_LOGGERS = ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "milvus_lite.server_manager")


class _Quiet(threading.local, logging.Filter):
    """Drops log records of a thread that is inside :func:`quietly`, and remembers their causes.

    pymilvus logs a traceback for each error that it raises, of which ours says all there is to say.
    """

    def __init__(self) -> None:
        logging.Filter.__init__(self)
        self.depth = 0
        self.causes: list[BaseException] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if self.depth and record.exc_info and record.exc_info[1] is not None:
            self.causes.append(record.exc_info[1])
        return not self.depth


_QUIET = _Quiet()
_loading = reentrant_lock()


def load() -> ModuleType:
    """The package ``pymilvus``.

    Raises:
        MissingDependencyError: it is not installed.
    """
    with _loading:
        try:
            import pymilvus
        except ModuleNotFoundError as error:
            if error.name != "pymilvus":
                raise
            raise MissingDependencyError(
                "the milvus backend needs pymilvus, which is not installed: "
                "pip install 'vecbridge[milvus]'"
            ) from error
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            # A logger's own filters see what is logged to it, a handler's also its children's.
            for target in (logger, *logger.handlers):
                target.addFilter(_QUIET)
        package: ModuleType = pymilvus
    return package


@contextmanager
def quietly() -> Iterator[list[BaseException]]:
    """Keeps what pymilvus and Milvus Lite log in this thread off the terminal.

    Yields:
        The exceptions that they log meanwhile; some causes are told nowhere else.
    """
    _QUIET.depth += 1
    try:
        yield _QUIET.causes
    finally:
        _QUIET.depth -= 1
        if not _QUIET.depth:
            _QUIET.causes = []


def forget_inherited() -> None:
    """Makes pymilvus start without connections in a forked child.

    Its registry may have been locked, for good, by a thread that only the parent has.
    """
    manager = sys.modules.get("pymilvus.client.connection_manager")
    if manager is not None and hasattr(manager.ConnectionManager, "_instance"):
        manager.ConnectionManager._instance = None  # noqa: SLF001 - nothing public does it
        manager.ConnectionManager._instance_lock = threading.Lock()  # noqa: SLF001
