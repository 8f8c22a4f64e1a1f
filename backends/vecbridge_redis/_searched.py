"""What is asked of the index of searches of one index, and what its answers are worth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vecbridge import (
    BackendError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexInfo,
    IndexNotFoundError,
    Scope,
)
from vecbridge_redis._connection import (
    UNKNOWN,
    Client,
    Command,
    Server,
    asked,
    is_replica,
    prefixes_of,
    text_of,
    words,
)

KEYS = "vecbridge:"
"""What all keys and prefixes of vecbridge's begin with, so that one right of a user is enough."""

MOST_KEYS, SCANNED = 1_000, 10_000


class Layout(NamedTuple):
    """How an index is kept.

    Attributes:
        info: the schema.
        search: name of its index of searches.
        prefix: of the keys of its records.
        recall: that searches by HNSW are tuned for; ``None`` where they look at everything.
        server: what it is kept on.
    """

    info: IndexInfo
    search: str
    prefix: str
    recall: float | None
    server: Server


class Searched:
    """Asks the server of one index, and refuses answers that are not whole.

    Args:
        layout: how the index is kept.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.info = layout.info
        self._seen = (0, "")

    def _ask(
        self, client: Client, commands: Sequence[Command], *, indexed: bool = False
    ) -> list[Any]:
        """Return the answers to commands, none of which failed."""
        answers = self._answers(client, commands, indexed=indexed)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _answers(
        self,
        client: Client,
        commands: Sequence[Command],
        *,
        atomic: bool = False,
        indexed: bool = False,
    ) -> list[Any]:
        """Return the answers to commands, from the index that this one is, and whole.

        Args:
            client: a live one.
            commands: what is asked.
            atomic: in one transaction.
            indexed: the answers are whole only where the server has indexed every record.
        """
        given = [("FT.INFO", self._layout.search), *commands, ("INFO", "replication")]
        info, *answers, about = asked(client, given, atomic=atomic)
        found = self._check(info)
        if int(found["indexing"]):
            raise self._error("the server has not yet indexed all records since it started")
        if isinstance(about, Exception):
            raise about
        if is_replica(about) and not self._layout.server.replica:
            # With this error, the connection is not used again: an address may move to another one.
            raise ConnectionFailedError(
                f"the server of index {self.info.name!r} has become a replica, which lags: name "
                f"the primary, or open the index again for reads that are only eventual",
                backend="redis",
                operation="read",
            )
        failures = int(found["hash_indexing_failures"])
        # A server that was started again counts from 0, and has another word of its own.
        seen = failures, text_of(words(about).get("master_replid"))
        if indexed and failures and seen != self._seen:
            # This counts up alone, also where what failed has since been written again.
            self._refuse_unindexed(client)
            self._seen = seen
            return self._answers(client, commands, atomic=atomic, indexed=True)
        return answers

    def _refuse_unindexed(self, client: Client) -> None:
        """Raise an error where searches do not find a record that is there."""
        keys = self._all_keys(client, Scope())
        for start in range(0, len(keys), MOST_KEYS):
            part = keys[start : start + MOST_KEYS]
            among = Scope(within=self._ids(part))
            listed = self._search("*", among, len(part), "NOCONTENT")
            exists = [("EXISTS", key) for key in part]
            # Before and after, since a user who only reads may have no right to a transaction.
            answers = asked(client, [*exists, listed, *exists])
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            found = answers.pop(len(part))
            known = {text_of(words(each)["id"]) for each in words(found)["results"]}
            for key, before, after in zip(part, answers, answers[len(part) :], strict=False):
                if before and after and key not in known:
                    raise self._spoilt(key, "could not be indexed, so that no search finds it")

    def _check(self, info: Any) -> dict[str, Any]:
        """Return what the server says of the index; one of its name that was made later is none."""
        if isinstance(info, Exception) and not re.search(UNKNOWN, str(info), re.IGNORECASE):
            raise info
        found = {} if isinstance(info, Exception) else words(info)
        name = text_of(found.get("index_name"))
        if name != self._layout.search or self._layout.prefix not in prefixes_of(found):
            raise self._gone()
        return found

    def _keys(self, ids: Iterable[str]) -> list[str]:
        return [self._layout.prefix + name for name in ids]

    def _all_keys(self, client: Client, scope: Scope) -> list[str]:
        """Return the keys of all records in scope, sorted; a walk may come by one twice."""
        if scope.within is not None:
            return sorted({*self._keys(scope.within)})
        prefix = re.sub(r"([*?\[\]\\^])", r"\\\1", self._layout.prefix)
        found = {text_of(key) for key in client.scan_iter(match=f"{prefix}*", count=SCANNED)}
        # No key is what an index that was dropped has, too.
        self._ask(client, [])
        return sorted(found)

    def _search(self, query: str, scope: Scope, limit: int, *more: Any) -> Command:
        """Return a search without a limit of time: the server's would make it return less."""
        among = () if scope.within is None else ("INKEYS", len(scope.within))
        keys = self._keys(scope.within or ())
        limits = ("LIMIT", 0, limit, "TIMEOUT", 0, "DIALECT", 2)
        return ("FT.SEARCH", self._layout.search, query, *among, *keys, *more, *limits)

    def _ids(self, keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(key.removeprefix(self._layout.prefix) for key in keys)

    def _spoilt(self, key: str, problem: str) -> CorruptStoreError:
        return CorruptStoreError(
            f"the key {key!r} of index {self.info.name!r} {problem}; another program wrote it: "
            f"delete the record, or write it again",
            backend="redis",
            operation="read",
        )

    def _gone(self) -> IndexNotFoundError:
        return IndexNotFoundError(
            f"index {self.info.name!r} was dropped; open it again, if it was created again"
        )

    def _error(self, problem: str) -> BackendError:
        return BackendError(
            f"index {self.info.name!r} of Redis gave no whole answer: {problem}; try again",
            backend="redis",
            operation="read",
            retryable=True,
        )


def document_of(found: Mapping[str, Any]) -> str | None:
    """Return the schema that stands among the prefixes; ``None`` of another program's index."""
    documents = (each.removeprefix(KEYS) for each in prefixes_of(found) if each.startswith(KEYS))
    return next((each for each in documents if each.startswith('{"vecbridge":')), None)
