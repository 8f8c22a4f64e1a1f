"""Settings of a store: the address of the server, the account, and TLS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from vecbridge import ConfigurationError
from vecbridge.remote import RemoteSettings
from vecbridge.settings import Address, local_path, parse_address, redacted
from vecbridge_milvus._index_types import IndexSettings

_SCHEMES = ("http", "https", "tcp")
_SOCKET = "unix:"
_CREDENTIALS = ("user", "password", "token")
_PORT, _HTTPS_PORT = 19530, 443
_HOST = r"^[\w.*:-]+$"
_FORMS = (
    "must be http://host:port, https://, tcp:// or unix: of a Milvus server, or a path that ends "
    "in .db for Milvus Lite"
)


def _is_lite(uri: str) -> bool:
    return uri.endswith(".db") and "://" not in uri and not uri.startswith(_SOCKET)


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


FilePath = Annotated[str, BeforeValidator(_plain), BeforeValidator(local_path)]


class MilvusSettings(IndexSettings, RemoteSettings):
    """Settings of the Milvus backend. The names are FiftyOne's.

    They include :class:`vecbridge_milvus.IndexSettings`: how indexes are built and searched.

    Attributes:
        uri: ``http://host:19530``, ``https://...``, ``tcp://...`` or ``unix:...`` of a server; or a
            path that ends in ``.db``, for Milvus Lite, served by the processes that use it.
            Credentials and a database in the address (``http://user:password@host:19530/db``) are
            taken out of it and mean the same as the settings ``user``, ``password`` and
            ``db_name``.
        user: name of the account, together with ``password``.
        password: the account's password.
        token: an API key, or ``user:password``, instead of ``user`` and ``password``.
        secure: encrypt the connection; an ``https`` address always does.
        db_name: database of the server.
        client_key_path: the client's private key, for mutual TLS.
        client_pem_path: the client's certificate, for mutual TLS.
        ca_pem_path: the authority that signed the server's certificate, for mutual TLS.
        server_pem_path: the server's certificate or its authority, for one-way TLS.
        server_name: name in the server's certificate, if it differs from the address.
        timeout: seconds that one call may take, connecting included.
        retry_timeout: seconds for which a call is retried while the server is away, starting,
            loading or busy; 0 to try once. The first connection is tried once in any case.
    """

    uri: Annotated[str, BeforeValidator(_plain)] = "http://localhost:19530"
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    secure: bool = False
    db_name: str | None = None
    client_key_path: FilePath | None = None
    client_pem_path: FilePath | None = None
    ca_pem_path: FilePath | None = None
    server_pem_path: FilePath | None = None
    server_name: Annotated[str, Field(pattern=_HOST)] | None = None
    _lite_path: Path | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _taken_apart(cls, given: Any) -> Any:
        """Move credentials and a database out of the address, into settings of their own."""
        uri = given.get("uri") if isinstance(given, dict) else None
        if not isinstance(uri, str) or "://" not in uri or uri.startswith(_SOCKET):
            return given
        address = _parsed(uri)
        inside = _inside(address)
        if any(key in inside and given.get(key) is not None for key in inside) or (
            inside.keys() & _CREDENTIALS and any(given.get(key) is not None for key in _CREDENTIALS)
        ):
            raise ValueError(
                "the uri holds credentials or a database that are given as settings too: give "
                "them in one place"
            )
        return {**given, **inside, "uri": address.bare}

    @field_validator("uri")
    @classmethod
    def _known_form(cls, uri: str) -> str:
        if _is_lite(uri) or uri.startswith(_SOCKET):
            local_path(uri.removeprefix(_SOCKET))
            if redacted(uri) != uri:
                raise ValueError(f"{_FORMS}; begin a path with ./ or / where its name is unusual")
            # Made absolute once: a program may change its directory while it has the store, and
            # what is kept of the settings may be read in another one.
            return uri if uri.startswith(_SOCKET) else str(Path(uri).expanduser().absolute())
        if "://" not in uri or _parsed(uri).scheme not in _SCHEMES:
            raise ValueError(_FORMS)
        return uri

    @model_validator(mode="after")
    def _consistent(self) -> MilvusSettings:
        if _is_lite(self.uri):
            self._lite_path = Path(self.uri)
        problems = [
            *self._credential_problems(),
            *self._tls_problems(),
            *self.index_problems(lite=self.lite_path is not None),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def lite_path(self) -> Path | None:
        """Directory of Milvus Lite; ``None`` where a server is meant."""
        return self._lite_path

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting that says where the files are; ``None`` where there are none."""
        return None if self.lite_path is None else "uri"

    @property
    def single_writer(self) -> bool:
        """Whether one process at a time writes: Milvus Lite is one engine, in one process."""
        return self.lite_path is not None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the server; ``None`` for Milvus Lite and for a socket file."""
        if "://" not in self.uri or self.uri.startswith(_SOCKET):
            return None
        address = parse_address(self.uri)
        default = _HTTPS_PORT if address.scheme == "https" else _PORT
        return address.host.strip("[]"), address.port or default

    @property
    def place(self) -> str:
        """Where the server is, without any credentials; or Milvus Lite's directory."""
        if self.lite_path is not None:
            return str(self.lite_path)
        if self.address is None:
            return self.uri
        # The versions of pymilvus disagree on the port that stands for none.
        scheme, _, rest = self.uri.partition("://")
        written = rest.rpartition("]")[2]
        return self.uri if ":" in written else f"{scheme}://{rest}:{self.address[1]}"

    @property
    def call_timeout(self) -> float:
        """Seconds that one call may take, as pymilvus understands them."""
        # Before 2.6, only a whole number ends its own retries, of which it has 75.
        return int(self.timeout) if self.timeout.is_integer() else self.timeout

    @property
    def account(self) -> str | None:
        """Name of the account that is asked for; ``None`` where none is, or a key stands for it."""
        name, colon, _ = self.plain_token.partition(":")
        return name if colon else None

    @property
    def encrypts(self) -> bool:
        """Return whether the connection is encrypted."""
        return self.secure or self.uri.lower().startswith("https:")

    @property
    def tls_files(self) -> dict[str, str]:
        """The files of TLS that are given, by setting."""
        names = ("client_key_path", "client_pem_path", "ca_pem_path", "server_pem_path")
        return {name: path for name in names if (path := getattr(self, name)) is not None}

    @property
    def plain_token(self) -> str:
        """The token that the server is shown; a secret, never to be put into a message."""
        if self.token is not None:
            return self.token.get_secret_value()
        if self.user is not None and self.password is not None:
            return f"{self.user}:{self.password.get_secret_value()}"
        return ""

    def _credential_problems(self) -> list[str]:
        problems = []
        if self.token is not None and (self.user is not None or self.password is not None):
            problems.append("token stands for user and password: give one or the other")
        if (self.user is None) != (self.password is None):
            problems.append("user and password go together")
        if self.lite_path is not None and self.plain_token:
            problems.append("Milvus Lite has no accounts: it would ignore the credentials")
        return problems

    def _tls_problems(self) -> list[str]:
        problems = []
        mutual = [self.client_key_path, self.client_pem_path, self.ca_pem_path]
        if any(mutual) and not all(mutual):
            problems.append(
                "client_key_path, client_pem_path and ca_pem_path go together (mutual TLS); to "
                "check only the server's certificate, give server_pem_path"
            )
        if self.server_pem_path is not None and any(mutual):
            problems.append(
                "server_pem_path is for one-way TLS and would be ignored beside the client's files"
            )
        if (self.tls_files or self.server_name) and not self.encrypts:
            problems.append(
                "certificates and server_name need an encrypted connection: an https address or "
                "secure=True"
            )
        if self.lite_path is not None and (self.secure or self.tls_files or self.server_name):
            problems.append("Milvus Lite is on no network: it would ignore TLS settings")
        return problems


def _parsed(uri: str) -> Address:
    """Return the parts of an address; an error does not repeat it."""
    try:
        address = parse_address(uri)
    except ConfigurationError:
        raise ValueError(f"{_FORMS}; percent-encode a user and a password in it") from None
    if address.query is not None:
        raise ValueError("the address ends with the database: what follows ? or # means nothing")
    if address.password is not None and not (address.user and address.password):
        raise ValueError("an address that holds a user or a password must hold both")
    return address


def _inside(address: Address) -> dict[str, str]:
    """Return the settings that an address holds."""
    found: dict[str, str] = {}
    if address.user and address.password:
        found.update(user=address.user, password=address.password)
    elif address.user:
        found["token"] = address.user
    database = address.path.strip("/")
    if database:
        found["db_name"] = unquote(database)
    return found
