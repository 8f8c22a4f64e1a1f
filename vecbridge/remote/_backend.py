"""The backend that every store behind a client builds on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import SecretStr

from vecbridge._contract._capabilities import MAX_DIMENSION
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType, refuse_unknown_types
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo
from vecbridge._contract._scope import Scope
from vecbridge._errors import (
    CorruptStoreError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    SchemaMismatchError,
)
from vecbridge.diagnosis import Finding
from vecbridge.remote._collection import Collection
from vecbridge.remote._failures import ErrorTable
from vecbridge.remote._index import RemoteIndex
from vecbridge.remote._link import Link
from vecbridge.remote._settings import RemoteSettings

ClientT = TypeVar("ClientT")

_LISTED = 20


class RemoteBackend(ABC, Generic[ClientT]):
    """A :class:`vecbridge.Backend` over a :class:`Link`.

    A backend derives from it, names itself and its settings, and says how clients are connected,
    and how collections are made, found, listed and dropped. What of the settings is a ``SecretStr``
    is shown by no message.

    Args:
        settings: of the store.
        errors: what the failures of its clients mean.
        place: where the store is, without any credentials.
        clients: how many clients there may be; ``None`` for one that threads may share.
        secrets: what else no message may show.

    Attributes:
        field_types: the types of fields that the store keeps.
        max_dimension: the largest dimension of a new index.
        settings: of the store; secrets in it are ``SecretStr``.
        link: its connections.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]
    field_types: ClassVar[frozenset[FieldType]]
    max_dimension: int = MAX_DIMENSION

    def __init__(
        self,
        settings: RemoteSettings,
        errors: ErrorTable,
        *,
        place: str,
        clients: int | None = None,
        secrets: Iterable[object] = (),
    ) -> None:
        self.settings = settings
        self.link: Link[ClientT] = Link(
            self,
            errors,
            place=place,
            timeout=settings.timeout,
            retry_timeout=settings.retry_timeout,
            clients=clients,
            secrets=(
                *(value for _, value in settings if isinstance(value, SecretStr)),
                *secrets,
            ),
        )

    @abstractmethod
    def connect(self) -> ClientT:
        """Return a new client that has reached the store, within the timeout of the settings."""

    @staticmethod
    def disconnect(client: Any) -> None:
        """End a client: by its method ``close``, unless this is overridden.

        It is static, so that what is left of a store that was forgotten does not keep the store.
        """
        client.close()

    def is_usable(self, client: ClientT) -> bool:
        """Return whether a client may be lent again: it is connected, and idle."""
        return True

    @abstractmethod
    def make(self, client: ClientT, info: IndexInfo) -> Collection[ClientT] | None:
        """Make an empty collection; ``None`` where the name is taken.

        What the store cannot build is refused before anything is made. A call whose answer was
        lost is made again: a name that only then turns out to be taken is another's.
        """

    @abstractmethod
    def find(self, client: ClientT, name: str) -> Collection[ClientT] | None:
        """Return the collection of an index; ``None`` where there is none."""

    @abstractmethod
    def names(self, client: ClientT) -> list[str]:
        """Return the names of the indexes, in any order."""

    @abstractmethod
    def remove(self, client: ClientT, name: str) -> bool:
        """Drop the collection of an index; ``False`` where there is none."""

    def index_over(self, collection: Collection[ClientT]) -> RemoteIndex[ClientT]:
        """Return the index over a collection; overridden where it takes arguments of its own."""
        return RemoteIndex(self.link, collection)

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> RemoteIndex[ClientT]:
        """Make an empty index.

        Raises:
            IndexExistsError: the name is taken.
            InvalidArgumentError: the dimension is too large; nothing was made.
            UnsupportedError: a field has a type that the store does not keep; nothing was made.
        """
        refuse_unknown_types(fields, self.field_types, self.name)
        if dimension > self.max_dimension:
            raise InvalidArgumentError(
                f"an index of {self.name}, as it is configured, has at most {self.max_dimension} "
                f"dimensions; got {dimension}"
            )
        info = IndexInfo(name, dimension, metric, dict(fields), consistency or "strong")
        made = self.link.run("create_index", lambda client: self.make(client, info))
        if made is None:
            raise IndexExistsError(
                f"an index named {name!r} exists already; open it, or drop it first"
            )
        return self.index_over(made)

    def open_index(self, name: str) -> RemoteIndex[ClientT]:
        """Open an existing index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        found = self.link.run("open_index", lambda client: self.find(client, name))
        if found is None:
            raise self._not_found(name)
        return self.index_over(found)

    def index_names(self) -> list[str]:
        """Return the names of the indexes, sorted."""
        return sorted(self.link.run("index_names", self.names))

    def drop_index(self, name: str) -> None:
        """Remove an index and its records.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        if not self.link.run("drop_index", lambda client: self.remove(client, name)):
            raise self._not_found(name)

    def findings(self) -> Iterator[Finding]:
        """Look at the store for ``vecbridge doctor``, and change nothing; overridden."""
        return iter(())

    def diagnose(self) -> Iterator[Finding]:
        """Look at the store and at every index; change nothing."""
        yield from self.findings()
        for name in self.index_names():
            try:
                index = self.open_index(name)
                info, rows = index.info, index.count(Scope())
            except (SchemaMismatchError, CorruptStoreError) as error:
                yield Finding(f"index {name}", "warning", "it cannot be opened", str(error))
                continue
            found = f"{rows:,} records, {info.dimension} dimensions, {info.metric}"
            yield Finding(f"index {name}", "ok", found)

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self.link.close()

    def _not_found(self, name: str) -> IndexNotFoundError:
        known = self.index_names()
        return IndexNotFoundError(
            f"there is no index named {name!r}; there are: {', '.join(known[:_LISTED]) or 'none'}"
        )
