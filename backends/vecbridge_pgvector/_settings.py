"""The settings of the backend: where the server is, who asks, and how vectors are indexed."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, field_validator, model_validator

from vecbridge.remote import GivenNames, RemoteSettings
from vecbridge.settings import LocalPath

IndexType = Literal["none", "hnsw", "ivfflat"]

_FORMS = (
    "the uri is postgresql://host:port/database, or libpq's form host=... dbname=...; "
    "percent-encode a user and a password in an address"
)
# Narrower than libpq: where an address can be read in two ways, what one takes for a host may be a
# part of a password, and hosts are shown.
_ADDRESS = re.compile(
    r"postgres(ql)?://"
    r"(([\w.~!$'()*+-]|%[0-9A-Fa-f]{2})*(:([\w.~!$'()*+-]|%[0-9A-Fa-f]{2})*)?@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[\w.%-])*(:[0-9]*)?(,(\[[0-9A-Fa-f:.]+\]|[\w.%-]*)(:[0-9]*)?)*"
    r"(/[^\s?#@:]*)?(\?[^\s#@]*)?"
)
_HOST = r"([/@][\w./+~-]*|[\w.:-]*)"
_PLACES = re.compile(rf"{_HOST}(,{_HOST})* [0-9,]*")
_SOCKET = "the default socket"
_OURS = {
    "user": "user",
    "password": "password",
    "dbname": "dbname",
    "sslmode": "sslmode",
    "sslrootcert": "ssl_root_cert",
    "sslcert": "ssl_cert",
    "sslkey": "ssl_key",
}
_LIBPQ = frozenset(
    {"host", "hostaddr", "port", "passfile", "options", "application_name", "gssencmode"}
    | {"service", "servicefile"}
    | {"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "sslsni"}
    | {"tcp_user_timeout", "channel_binding", "require_auth", "sslcrl", "krbsrvname"}
    | {"ssl_min_protocol_version", "target_session_attrs", "load_balance_hosts", "connect_timeout"}
)


class PgvectorSettings(RemoteSettings):
    """Where PostgreSQL is, and how it stores vectors.

    The parameters of FiftyOne's own ``pgvector`` backend are settings of the same names here. libpq
    reads whatever is not set from its own variables (``PGHOST``, ``PGPASSWORD``) and files.

    Attributes:
        uri: ``postgresql://host:port/database``, or libpq's ``host=... dbname=...``. Credentials
            and TLS parameters in it become settings of their own; if it names no host, libpq
            chooses one.
        connection_string: the same, under FiftyOne's name.
        user: role to connect as.
        password: the role's password.
        dbname: database of the server.
        parameters: further connection parameters of libpq.
        sslmode: how the connection is encrypted and the server's certificate is checked.
        ssl_root_cert: the authority that signed the server's certificate.
        ssl_cert: the client's certificate, for mutual TLS.
        ssl_key: the client's private key, for mutual TLS.
        schema_name: schema of the tables.
        table_names: tables of indexes whose table has another name than the index.
        id_column: column of the ids in a table that another program created; its primary key by
            default.
        vector_column: column of the vectors in such a table; the only one of its kind by default.
        index_type: ``none`` searches exactly; ``hnsw`` and ``ivfflat`` approximately, for a given
            recall.
        recall: share of the true nearest records that an approximate search finds, on average.
        hnsw_m: links per record of an HNSW index.
        hnsw_ef_construction: candidates that are examined when a record is linked.
        hnsw_ef_search: fixed search effort, instead of one that is tuned for the recall.
        ivfflat_lists: lists of an IVFFlat index; by default the number grows with the records.
        ivfflat_probes: fixed search effort, instead of one that is tuned for the recall.
        vector_type: only ``vector``. FiftyOne's other type, ``halfvec``, would round vectors.
        work_mem: memory for sorting, in PostgreSQL's notation; the server's own by default.
        maintenance_work_mem: memory for building an index; the server's own by default.
        pool_size: maximum number of connections of this store.
    """

    uri: str | None = None
    connection_string: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None
    dbname: str | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = (
        None
    )
    ssl_root_cert: LocalPath | None = None
    ssl_cert: LocalPath | None = None
    ssl_key: LocalPath | None = None
    schema_name: str = Field(default="public", min_length=1, max_length=63)
    table_names: GivenNames = Field(default_factory=dict)
    id_column: str | None = None
    vector_column: str | None = None
    index_type: IndexType = "none"
    recall: float = Field(default=0.95, gt=0, lt=1)
    hnsw_m: int = Field(default=16, ge=2, le=100)
    hnsw_ef_construction: int = Field(default=64, ge=4, le=1000)
    hnsw_ef_search: int | None = Field(default=None, ge=1, le=1000)
    ivfflat_lists: int | None = Field(default=None, ge=1, le=32768)
    ivfflat_probes: int | None = Field(default=None, ge=1, le=32768)
    vector_type: Literal["vector"] = "vector"
    work_mem: str | None = Field(default=None, pattern=r"^\d+ *(B|kB|MB|GB|TB)?$")
    maintenance_work_mem: str | None = Field(default=None, pattern=r"^\d+ *(B|kB|MB|GB|TB)?$")
    pool_size: int = Field(default=8, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _taken_apart(cls, given: Any) -> Any:
        """Move what an address holds into settings of its own."""
        if not isinstance(given, dict):
            return given
        alias = given.get("connection_string")
        if alias is not None and given.get("uri") is not None:
            raise ValueError("uri and connection_string are two names of one setting: give one")
        revealed = getattr(alias, "get_secret_value", None)
        text = given.get("uri") if alias is None else revealed() if revealed else alias
        if not isinstance(text, str):
            return given
        inside = _parsed(text)
        found = {_OURS[key]: value for key, value in inside.items() if key in _OURS}
        if twice := sorted(key for key in found if given.get(key) is not None):
            raise ValueError(f"the uri holds {', '.join(twice)}, given as a setting too: give one")
        further = {key: value for key, value in inside.items() if key in _LIBPQ}
        uri = _uri(further)
        if uri is not None:
            further = {key: each for key, each in further.items() if key not in {"host", "port"}}
        rest = {key: each for key, each in given.items() if key != "connection_string"}
        parameters = {**further, **(given.get("parameters") or {})}
        return {**rest, **found, "uri": uri, "parameters": parameters}

    @field_validator("parameters")
    @classmethod
    def _of_libpq(cls, parameters: dict[str, str]) -> dict[str, str]:
        if unknown := parameters.keys() - _LIBPQ:
            raise ValueError(f"{len(unknown)} of the parameters are none that may be given here")
        return parameters

    @property
    def place(self) -> str:
        """Where the server is, without any credentials."""
        given = self.conninfo()
        host = given.get("host") or given.get("hostaddr")
        # What is said nowhere, libpq reads from the environment: a service before a host.
        service = given.get("service") or os.environ.get("PGSERVICE")
        if not host and service:
            return f"service {service}"
        host = host or os.environ.get("PGHOST") or os.environ.get("PGHOSTADDR") or _SOCKET
        port = given.get("port") or os.environ.get("PGPORT")
        shown = f"[{host}]" if ":" in host else host
        return f"{shown}:{port}" if port else shown

    def conninfo(self) -> dict[str, Any]:
        """Return the parameters of a connection, the password among them."""
        given = {
            **(_parsed(self.uri) if self.uri else {}),
            "dbname": self.dbname,
            "user": self.user,
            "password": self.password.get_secret_value() if self.password else None,
            "sslmode": self.sslmode,
            "sslrootcert": self.ssl_root_cert and str(self.ssl_root_cert),
            "sslcert": self.ssl_cert and str(self.ssl_cert),
            "sslkey": self.ssl_key and str(self.ssl_key),
            "application_name": "vecbridge",
            **self.parameters,
        }
        return {key: value for key, value in given.items() if value is not None}


def _uri(parameters: dict[str, str]) -> str | None:
    """Return the address of a single host; ``None`` of a socket, of several, and where none is."""
    host = parameters.get("host", "")
    if not re.fullmatch(r"[\w.:-]+", host):
        return None
    shown = f"[{host}]" if ":" in host else host
    port = parameters.get("port")
    return f"postgresql://{shown}" + (f":{port}" if port else "")


def _parsed(text: str) -> dict[str, str]:
    """Return the parameters in an address or in libpq's own form; an error does not repeat it."""
    found: dict[str, Any] | None = None
    if "://" not in text or _ADDRESS.fullmatch(text):
        with suppress(psycopg.ProgrammingError):
            found = conninfo_to_dict(text)
    if found is None or not _PLACES.fullmatch(f"{found.get('host', '')} {found.get('port', '')}"):
        raise ValueError(_FORMS)
    if found.keys() - _OURS.keys() - _LIBPQ:
        raise ValueError(
            "the uri holds parameters that libpq does not have, or that do not belong in it"
        )
    return {key: str(value) for key, value in found.items() if value}
