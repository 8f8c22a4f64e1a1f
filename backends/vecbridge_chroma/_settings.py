"""The settings of the backend: where Chroma is, who asks, and how vectors are indexed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from vecbridge.remote import RemoteSettings
from vecbridge.settings import LocalPath, parse_address


class ChromaSettings(RemoteSettings):
    """Where Chroma is, and how it stores vectors.

    Attributes:
        uri: ``http://host:port`` or ``https://...`` of a server; ``http://localhost:8000`` if no
            ``path`` is given.
        path: folder of a store in this process, as for ``chromadb.PersistentClient``, instead of a
            server.
        token: credential that is sent to the server, or to a proxy in front of it.
        token_scheme: the header that it is sent in: ``bearer`` is ``Authorization: Bearer``.
        ssl_root_cert: the authority that signed the server's certificate.
        tenant: the server's tenant.
        database: the tenant's database.
        recall: share of the true nearest records that a search finds, on average.
        hnsw_m: links per record of a new index.
        hnsw_ef_construction: candidates that are examined when a record of a new index is linked.
        hnsw_ef_search: fixed search effort, instead of one that is tuned for the recall.
    """

    uri: str | None = None
    path: LocalPath | None = None
    token: SecretStr | None = None
    token_scheme: Literal["bearer", "x-chroma-token"] = "bearer"  # noqa: S105 - no token
    ssl_root_cert: LocalPath | None = None
    tenant: str = "default_tenant"
    database: str = "default_database"
    recall: float = Field(default=0.95, gt=0, lt=1)
    hnsw_m: int = Field(default=16, ge=2, le=100)
    hnsw_ef_construction: int = Field(default=100, ge=4, le=1000)
    hnsw_ef_search: int | None = Field(default=None, ge=1, le=10_000)

    @field_validator("uri")
    @classmethod
    def _known_form(cls, uri: str | None) -> str | None:
        if uri is not None:
            address = parse_address(uri)
            plain = address.user is None and address.password is None and address.query is None
            if address.scheme not in {"http", "https"} or not plain:
                raise ValueError("must be http://host:port or https://host:port; give a token")
        return uri

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str | Path | None) -> str | None:
        if path == ":memory:":
            raise ValueError("a path is a folder: nothing is kept in memory alone")
        # A program may change its directory while it has the store.
        return None if path is None else str(Path(path).expanduser().absolute())

    @model_validator(mode="after")
    def _one_place(self) -> ChromaSettings:
        if self.path is not None and (self.uri or self.token):
            raise ValueError("a path is of this process, a uri and a token of a server: give one")
        return self

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting that says where the files are; ``None`` where there are none."""
        return None if self.path is None else "path"

    @property
    def single_writer(self) -> bool:
        """Whether one process at a time writes: the embedded engine's files are that process's."""
        return self.path is not None

    @property
    def place(self) -> str:
        """Where Chroma is, without any credentials."""
        return str(self.path) if self.path else self.uri or "http://localhost:8000"
