"""The settings of the backend: where the server is, who asks, and how vectors are indexed."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from vecbridge.remote import GivenNames, RemoteSettings
from vecbridge.settings import LocalPath, parse_address

Algorithm = Annotated[
    Literal["flat", "hnsw"],
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
]
_SCHEMES = ("redis", "rediss")


class RedisSettings(RemoteSettings):
    """Where Redis is, and how vectors are indexed there.

    The parameters of FiftyOne's own ``redis`` backend are settings of the same names here.

    Attributes:
        uri: ``redis://user:password@host:port/db``, or ``rediss://`` for TLS; its parts become
            settings of their own.
        host: host of the server.
        port: port of the server.
        db: number of the database; must be 0, the only one that Redis can search.
        username: user to connect as; Redis's default user if left out.
        password: the user's password.
        tls: encrypt the connection, and check the server's certificate.
        ssl_root_cert: the authority that signed the server's certificate.
        ssl_cert: the client's certificate, for mutual TLS.
        ssl_key: the client's private key, for mutual TLS.
        index_names: search indexes in Redis of those indexes whose search index has another name.
        algorithm: ``flat`` searches exactly; ``hnsw`` approximately, for a given recall.
        recall: share of the true nearest records that an approximate search finds, on average.
        hnsw_m: links per record of an HNSW index.
        hnsw_ef_construction: candidates that are examined when a record is linked.
        hnsw_ef_runtime: fixed search effort, instead of one that is tuned for the recall.
        pool_size: maximum number of connections of a store.
    """

    uri: SecretStr | None = Field(default=None, exclude=True)
    host: str = "localhost"
    port: int = Field(default=6379, ge=1, le=65535)
    db: int = 0
    username: str | None = None
    password: SecretStr | None = None
    tls: bool = False
    ssl_root_cert: LocalPath | None = None
    ssl_cert: LocalPath | None = None
    ssl_key: LocalPath | None = None
    index_names: GivenNames = Field(default_factory=dict)
    algorithm: Algorithm = "flat"
    recall: float = Field(default=0.95, gt=0, lt=1)
    hnsw_m: int = Field(default=16, ge=2, le=512)
    hnsw_ef_construction: int = Field(default=200, ge=4, le=4096)
    hnsw_ef_runtime: int | None = Field(default=None, ge=1, le=4096)
    pool_size: int = Field(default=8, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _taken_apart(cls, given: Any) -> Any:
        """Move what an address holds into settings of its own."""
        if not isinstance(given, dict) or given.get("uri") is None:
            return given
        uri = given["uri"]
        address = parse_address(uri.get_secret_value() if isinstance(uri, SecretStr) else str(uri))
        if address.scheme not in _SCHEMES or not re.fullmatch(r"(/\d*)?", address.path):
            raise ValueError("the uri is redis://host:port/db, or rediss:// for TLS")
        if address.query is not None:
            raise ValueError("the uri holds parameters: give them as settings")
        inside = {
            "host": address.host.strip("[]"),
            "port": address.port,
            "db": address.path[1:] or None,
            "username": address.user or None,
            "password": address.password,
            "tls": True if address.scheme == "rediss" else None,
        }
        found = {key: value for key, value in inside.items() if value is not None}
        if twice := sorted(key for key in found if given.get(key) is not None):
            raise ValueError(f"the uri holds {', '.join(twice)}, given as a setting too: give one")
        return {**given, **found, "uri": None}

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str) -> str:
        if not re.fullmatch(r"[\w.:-]+", host):
            raise ValueError("the host is a name or an address, without a scheme or a port")
        return host

    @model_validator(mode="after")
    def _is_searched(self) -> RedisSettings:
        # Records of another database would be kept there, and found by no search.
        if self.db != 0:
            raise ValueError("Redis searches in database 0 alone, so the setting db is 0")
        return self

    @model_validator(mode="after")
    def _is_used(self) -> RedisSettings:
        # Without an algorithm, what a search is worth is that of indexes that are there already.
        sought = {"recall", "hnsw_ef_runtime"} if "algorithm" in self.model_fields_set else set()
        unused = self.model_fields_set & {"hnsw_m", "hnsw_ef_construction", *sought}
        if self.algorithm == "flat" and unused:
            raise ValueError(f"{', '.join(sorted(unused))} is of algorithm='hnsw' alone")
        return self

    @property
    def place(self) -> str:
        """Where the server is, without any credentials."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
