"""What Milvus Lite needs after a write that failed half-way, as on a full disk.

It clears what it holds in memory before it puts it into a segment, and does not take it back where
that fails: reads find the records no more, and the next segment that can be written removes the log
that still has them. A record that was cut short in the log hides all that are written behind it.
Opened again, a collection has everything from its log, and begins a new one.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milvus_lite.db import MilvusLite

_FAILED = 1
"""The code of what nobody foresaw; what Lite refuses on purpose has others, and changes nothing."""

_TOO_LATE = "cannot schedule new futures"
"""What Lite says where the interpreter is at its end, and what it would tidy up later stays so."""

_log = logging.getLogger("vecbridge.milvus")


class Mending:
    """Has collections opened again on which a write has failed.

    Args:
        engine: whose they are.
    """

    def __init__(self, engine: MilvusLite) -> None:
        self._engine = engine

    def mended(self, reply: Any, request: Any, context: Any) -> bool:
        """Looks at the reply to a write. Needs a writer's turn.

        Args:
            reply: of Lite's.
            request: what it replies to.
            context: of the call.

        Returns:
            Whether it had failed half-way.
        """
        status = getattr(reply, "status", reply)
        if getattr(status, "code", 0) != _FAILED or _TOO_LATE in status.reason:
            return False
        for name in _named(request):
            _log.debug("Milvus Lite opens %r again: %s", name, status.reason)
            self._open_again(name, _database(request, context))
        return True

    def _open_again(self, name: str, database: str) -> None:
        opened: dict[tuple[str, str], Any] = self._engine._collections  # noqa: SLF001 - no other way
        known = self._engine.resolve_collection_name(name, database_name=database)
        before = opened.pop((database, known), None)
        if before is None:
            return
        # What it still does behind the scenes must not meet what its successor does.
        before._bg_executor.shutdown(wait=True)  # noqa: SLF001
        # Where this fails too, it is opened by the next call.
        with suppress(Exception):
            again = self._engine.get_collection(known, database_name=database)
            if before.load_state == "loaded":
                again.load()


def _named(request: Any) -> list[str]:
    names = getattr(request, "collection_names", None)
    one = getattr(request, "collection_name", "")
    return [one] if one else list(names or ())


def _database(request: Any, context: Any) -> str:
    """As Lite reads it: from the request, else from what comes with the call."""
    from milvus_lite.db import DEFAULT_DATABASE_NAME

    if request.db_name:
        return str(request.db_name)
    told = dict(context.invocation_metadata())
    return str(told.get("dbname") or DEFAULT_DATABASE_NAME)
