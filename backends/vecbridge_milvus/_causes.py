"""What the words and codes of a server mean: an error, whether it passes by itself, what to do.

The codes and words are those of Milvus 2.3 to 3.0; of newer ones only their sources were read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vecbridge import (
    AuthenticationError,
    BackendError,
    CorruptStoreError,
    OperationTimeoutError,
)
from vecbridge.remote import TooLargeError


class NotLoadedError(BackendError):
    """The collection is not in the server's memory: load it."""


class StillLoadingError(OperationTimeoutError):
    """The server goes on bringing the collection into its memory: wait."""


class ColumnsChangedError(BackendError):
    """The collection was changed since it was described: look at what changed."""


class Cause(NamedTuple):
    """A failure that is known.

    Attributes:
        codes: of Milvus's that say it.
        words: a pattern of what else says it, in lower case.
        kind: the error that it is.
        passes: whether the same call may succeed later; ``None`` where only the server can tell.
        advice: what a person can do.
    """

    codes: tuple[int, ...]
    words: str
    kind: type[BackendError] = BackendError
    passes: bool | None = None
    advice: str = ""


_TIMED_OUT = "retry timeout"
"""What pymilvus puts before the words of a server that it has asked again for all of its time."""

_FULL = "delete records, or have its administrator allot more"

_CAUSES = (
    Cause(
        (),
        r"top ?k.* in range \[",
        passes=False,
        advice="This server gives fewer hits of a search: ask for a smaller k.",
    ),
    # An answer, or a message, that is longer than a server or gRPC sends; a server reports some in
    # the words of a failure that passes.
    Cause(
        (1102,),
        r"exceed the limit size|maxoutputsize|larger than max|\(offset\+limit\).* in range \["
        r"|\bnq\b.* in range \[",
        TooLargeError,
        passes=False,
    ),
    Cause((101, 201), "not loaded", NotLoadedError, passes=True),
    # A delete came between a search and the reading of what it had found.
    Cause((), "incomplete query result|inconsistent requery", passes=True),
    Cause((), "loading collection timeout", StillLoadingError, passes=True),
    Cause(
        (),
        "memory quota",
        passes=False,
        advice=f"The memory that the server may use is full: {_FULL}.",
    ),
    Cause(
        (7,),
        "disk quota|disk limit exceeded|no space left on device",
        passes=False,
        advice=f"The disk that the server may use is full: {_FULL}.",
    ),
    Cause(
        (),
        "disabled by the administrator|force ?deny",
        passes=False,
        advice="Its administrator has turned this kind of call off, and can turn it on again.",
    ),
    Cause(
        (9,),
        "quota exceeded",
        passes=False,
        advice="A quota of the server is used up (quotaAndLimits in milvus.yaml, or the plan).",
    ),
    Cause(
        (8, 1807),
        "rate limit|ratelimit|too many requests|rejected by.* limiter",
        passes=True,
        advice="The server limits the rate of calls: make fewer of them, with more records each, "
        "or have quotaAndLimits raised.",
    ),
    Cause(
        (3,),
        r"memory limit exceeded|\boom\b|out of memory|insufficient memory|memory insufficient",
        advice="Its query nodes have too little memory: release other collections, create indexes "
        "with mmap=True, or add memory or query nodes.",
    ),
    Cause(
        (11,),
        "time ?tick long delay",
        advice="The server is behind with its log, and takes no writes until it has caught up.",
    ),
    Cause(
        (109,),
        "schema.?mismatch|schema.?version.?mismatch|no corresponding fielddata",
        ColumnsChangedError,
        advice="Another program has changed the columns since this index was opened: open it "
        "again.",
    ),
    Cause(
        (),
        "replicate_violation|secondary role",
        passes=False,
        advice="This cluster is a standby, which takes no writes: give the primary's address as "
        "uri.",
    ),
    Cause(
        (6,),
        "cross cluster routing",
        advice="Another cluster answers than the one that was connected to: correct what leads to "
        "them, such as a load balancer, or the uri.",
    ),
    Cause(
        (),
        "not ready|not healthy|notready",
        passes=True,
        advice="Part of the server is still starting, or has failed: its log says which, and "
        "/healthz on port 9091.",
    ),
    Cause(
        (12, 305),
        "resource insufficient|resource group node not enough",
        passes=True,
        advice="There are too few query nodes for what is loaded: add some, or ask for fewer "
        "replicas.",
    ),
    Cause(
        (1400, 1401),
        "permission deny|privilege not permitted|not authenticated",
        AuthenticationError,
        passes=False,
        advice="Have its administrator give the account a role that may do this.",
    ),
    Cause(
        (102, 801),
        "exceeded the limit number of",
        passes=False,
        advice="Drop what is not needed any more, or have the limit raised.",
    ),
    Cause((), _TIMED_OUT + "|deadline exceeded|index timeout", OperationTimeoutError, passes=True),
    # A full queue, a collection that is not loaded in full or is recovering, no leader of a shard
    # yet, a channel that stalls or goes elsewhere.
    Cause(
        (4, 103, 106, 202, 503, 505, 507),
        "timestamp lag too large|no available|not available|try again|retry later|node offline"
        "|node not found|channel unavailable|shard delegator|query delegator",
        passes=True,
    ),
    # All that is said of a load which counts on a query node that is gone; why, only the log tells.
    Cause((), "^unrecoverable error$", passes=True),
    # Milvus Lite's readers of files, of one that is not as it was written.
    Cause(
        (),
        "not valid json|magic bytes|not fully written|pickled|corrupt|invalid: parquet",
        CorruptStoreError,
        passes=False,
    ),
    Cause(
        (),
        r"^protocol message \w+ has no ",
        advice="Milvus Lite is newer than the pymilvus that is installed: upgrade pymilvus.",
    ),
)
_UNKNOWN = Cause((), "")
_RANGE = re.compile(r"in range \[\d+, ?(\d+)\]")


def cause_of(code: object, said: str) -> Cause:
    """Return what a code and words of a server mean.

    Words go before codes: servers give many failures one code, 65535.
    """
    lowered = said.lower()
    by_words = (each for each in _CAUSES if re.search(each.words, lowered))
    by_code = (each for each in _CAUSES if code in each.codes)
    found = next(by_words, None) or next(by_code, _UNKNOWN)
    if _TIMED_OUT in lowered and found.kind is BackendError:
        return found._replace(kind=OperationTimeoutError)
    return found


def admitted(said: str) -> int | None:
    """Return the limit of its own that a server names in an error."""
    found = _RANGE.search(said)
    return None if found is None else int(found[1])
