"""The diagnosis of a connection that failed, and of what a live one holds.

pymilvus reports every failure to connect in the same words. So what fails is asked in the order in
which a connection is made: does a server listen, do the certificates hold, does Milvus take the
credentials.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecbridge import (
    AuthenticationError,
    BackendError,
    ConnectionFailedError,
    SchemaMismatchError,
)
from vecbridge.diagnosis import Finding
from vecbridge.settings import redacted
from vecbridge_milvus._errors import boundary, failure
from vecbridge_milvus._index_types import needs
from vecbridge_milvus._schema import release_of
from vecbridge_milvus._settings import MilvusSettings

if TYPE_CHECKING:
    from pymilvus import MilvusClient

NOT_EXACT = "not exact"
_LISTED = 20
_OLDEST_TESTED = (2, 3)
_PROBE_S = 2.0
_GUESS_S = 1.0
_SHARE = 0.25
# A server that wants a client's certificate says so after the handshake, at once.
_AFTERTHOUGHT_S = 0.5
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""As gRPC reads them, the first that is set."""

_REFUSED = "not ready"
_LONGEST = 300
_ASKED = "/milvus.proto.milvus.MilvusService/GetVersion"
_IN_PLAIN_TEXT = ("WRONG_VERSION_NUMBER", "UNEXPECTED_EOF", "RECORD_LAYER", "NO_PROTOCOLS")
_SPEAKS_PLAIN_TEXT = "it does not speak TLS: use an http address, without secure and certificates"
_OF_THE_CLIENT = ("CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE")


def cause(settings: MilvusSettings, error: Exception | None = None) -> BackendError:
    """Return the error to raise for a connection to a server that failed."""
    # A caller who gives a call little time does not want to wait longer for the reason.
    seconds = min(_PROBE_S, settings.timeout * _SHARE)
    address = settings.address
    if address is None:
        unheard = _no_server_at_file(settings.uri, seconds)
        return unheard or _refusal(settings, settings.uri, seconds, error)
    place = f"{address[0]}:{address[1]}"
    proxy = _proxy(address[0])
    if proxy:
        # What can be reached without it says nothing of the way that gRPC goes.
        return _refusal(settings, place, seconds, error, proxy)
    try:
        socket.create_connection(address, seconds).close()
    except socket.gaierror:
        return _failed(f"the name {address[0]!r} is not known to this machine: correct the uri")
    except OSError:
        return _failed(
            f"no server answers at {place}. Start a Milvus server there, correct the uri, or use "
            f"the embedded one: uri='vectors.db'",
            passes=True,
        )
    if settings.encrypts:
        trouble = _tls_trouble(settings, address, seconds)
    else:
        trouble = _wants_tls(address, min(_GUESS_S, seconds))
    if trouble:
        return _failed(f"something answers at {place}, but {trouble}")
    return _refusal(settings, place, seconds, error)


def _proxy(host: str) -> str:
    """Return the environment variable that has gRPC go through a proxy to a host, if one does.

    Its value may hold a password, and is not repeated.
    """
    named = [name for name in _PROXIES if os.environ.get(name)]
    spared = os.environ.get("no_grpc_proxy") or os.environ.get("no_proxy") or ""  # noqa: SIM112
    # gRPC goes by how a name ends.
    ends = [part.strip() for part in spared.split(",") if part.strip()]
    return "" if not named or any(host.endswith(end) for end in ends) else named[0]


def _no_server_at_file(uri: str, seconds: float) -> BackendError | None:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(seconds)
        try:
            plain.connect(uri.partition(":")[2].removeprefix("//"))
        except PermissionError:
            return _failed(f"this user may not connect to {uri}: change the file's permissions")
        except FileNotFoundError:
            found = ": there is no such file. Start the server that makes it"
        except OSError as error:
            found = f" ({_reason(error)}). Start the server there"
        else:
            return None
    return _failed(f"no server answers at {uri}{found}, or correct the uri", passes=True)


def _tls_trouble(settings: MilvusSettings, address: tuple[str, int], seconds: float) -> str | None:
    """Return what is wrong between our TLS settings and the server, or ``None``."""
    try:
        context = _context(settings)
    except (ssl.SSLError, OSError) as error:
        files = ", ".join(f"{name} {path}" for name, path in settings.tls_files.items())
        return (
            f"the files given for TLS cannot be used ({_reason(error)}): {files}. A key must be "
            f"that of the certificate beside it, and each file in PEM format"
        )
    host = settings.server_name or address[0]
    authority = settings.server_pem_path or settings.ca_pem_path
    given = authority or "the authorities that this machine trusts"
    try:
        _shake_hands(context, address, host, seconds)
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message or _reason(error)
        return (
            f"its TLS certificate is not to be trusted for {host!r}: {said} (checked against "
            f"{given}). Give the authority that signed it as server_pem_path, or ca_pem_path for "
            f"mutual TLS, and as server_name a name that the certificate holds"
        )
    except ssl.SSLError as error:
        reason = _reason(error)
        if any(words in reason for words in _OF_THE_CLIENT):
            have = "does not take the one given" if settings.client_pem_path else "got none"
            return (
                f"it asks for a certificate of the client (mutual TLS) and {have} ({reason}). Give "
                f"client_pem_path, client_key_path and ca_pem_path, signed by its authority"
            )
        if any(words in reason for words in _IN_PLAIN_TEXT):
            return _SPEAKS_PLAIN_TEXT
        return f"the TLS handshake failed: {reason}"
    except ConnectionError:
        return _SPEAKS_PLAIN_TEXT
    except OSError:
        pass
    return None


def _wants_tls(address: tuple[str, int], seconds: float) -> str | None:
    """Return what to say where a server that was spoken to in plain text expects TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # Nothing is sent: it is only asked whether there is a handshake to be had.
    context.verify_mode = ssl.CERT_NONE
    try:
        _shake_hands(context, address, address[0], seconds)
    except ssl.SSLError as error:
        if not any(words in _reason(error) for words in _OF_THE_CLIENT):
            return None
    except OSError:
        return None
    return (
        "it wants TLS: use an https address (or secure=True), and give the authority of its "
        "certificate as server_pem_path unless this machine trusts it anyway"
    )


def _context(settings: MilvusSettings) -> ssl.SSLContext:
    """Return the settings as Python's TLS understands them, as strict as gRPC's own."""
    authority = settings.server_pem_path or settings.ca_pem_path
    context = ssl.create_default_context(cafile=authority)
    # gRPC takes the server's own certificate for an authority, and knows no stricter rules.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.client_pem_path is not None:
        context.load_cert_chain(settings.client_pem_path, settings.client_key_path)
    return context


def _shake_hands(
    context: ssl.SSLContext, address: tuple[str, int], host: str, seconds: float
) -> None:
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(address, seconds) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        wrapped.settimeout(_AFTERTHOUGHT_S)
        with suppress(TimeoutError):
            wrapped.recv(1)


def _refusal(
    settings: MilvusSettings, place: str, seconds: float, said: Exception | None, proxy: str = ""
) -> BackendError:
    """Return the error for what Milvus itself says to the credentials."""
    import grpc

    token = settings.plain_token
    secret = base64.b64encode(token.encode()).decode()
    identity = [("authorization", secret)] if token else []
    try:
        with closing(_channel(settings, place)) as channel:
            channel.unary_unary(_ASKED)(b"", timeout=seconds, metadata=identity)
    except grpc.RpcError as error:
        status = error.code().name
    else:
        # It works by now, or refuses more than this.
        reason = " ".join(str(getattr(said, "message", "") or "").split())[:_LONGEST]
        if _REFUSED in reason.lower():
            return _failed(f"Milvus at {place} is up and not ready yet: {reason}", passes=True)
        heard = f" ({reason})" if reason else ""
        return _failed(
            f"Milvus at {place} did not answer{heard}, but does so now: try again", passes=True
        )
    if status in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        if token:
            what = "does not accept the credentials given: correct user and password, or token"
        else:
            what = "wants credentials, and none were given: set user and password, or token"
        return failure(AuthenticationError, "connect", f"Milvus at {place} {what}")
    if status == "UNIMPLEMENTED":
        return _failed(f"a gRPC server answers at {place}, but it is no Milvus: correct the uri")
    if proxy:
        return _failed(
            f"the environment variable {proxy} sends the connection to {place} through a proxy, "
            f"and it failed there ({status}). Put the host into no_proxy, or correct {proxy}",
            passes=True,
        )
    return _failed(
        f"something answers at {place}, but refuses to talk ({status}): it is still starting, or "
        f"is no Milvus",
        passes=True,
    )


def _channel(settings: MilvusSettings, place: str) -> Any:
    import grpc

    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    if not settings.encrypts:
        return grpc.insecure_channel(place, options)
    if settings.server_name:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    authority = settings.server_pem_path or settings.ca_pem_path
    files = (authority, settings.client_key_path, settings.client_pem_path)
    read = [None if path is None else Path(path).read_bytes() for path in files]
    return grpc.secure_channel(place, grpc.ssl_channel_credentials(*read), options)


def _failed(text: str, *, passes: bool = False) -> ConnectionFailedError:
    return failure(ConnectionFailedError, "connect", text, passes=passes)


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)


def findings(
    settings: MilvusSettings,
    client: MilvusClient,
    *,
    version: str,
    lite: bool,
    took_s: float,
    exactness: Callable[[str], str],
) -> Iterator[Finding]:
    """Look at the connection, the account, the database and each collection; change nothing.

    Nothing is loaded: a collection that is not in the server's memory stays out of it.

    Args:
        settings: of the store.
        client: the live client.
        version: what the server calls itself.
        lite: whether it is Milvus Lite.
        took_s: how long connecting took, in seconds.
        exactness: tells of a loaded collection that it is exact, or why not.
    """
    timeout = settings.call_timeout
    yield Finding(
        "connection", "ok", f"{settings.place} answers ({1000 * took_s:.0f} ms to connect)"
    )
    yield _version(version)
    if not lite:
        yield _account(settings, client)
    yield _database(settings, client)
    with boundary("diagnose"):
        names = sorted(client.list_collections(timeout=timeout))
    yield Finding("collections", "ok", f"{len(names)}: {', '.join(names[:_LISTED]) or 'none'}")
    for name in names[:_LISTED]:
        check = f"collection {name}"
        try:
            with boundary("diagnose"):
                finding = _collection(client, check, name, timeout, exactness)
        except BackendError as error:
            finding = Finding(check, "warning", str(error))
        yield finding


def _version(version: str) -> Finding:
    release = release_of(version)
    if release is not None and release < _OLDEST_TESTED:
        advice = "vecbridge is tested from 2.3 on: upgrade"
        return Finding("version", "warning", f"Milvus {version}", advice)
    return Finding("version", "ok", f"Milvus {version}")


def _account(settings: MilvusSettings, client: MilvusClient) -> Finding:
    """Say who asks, and whether the server wants to know."""
    named = settings.account
    if not named:
        return Finding(
            "account",
            "warning",
            "none was asked for: every client that reaches this server can read and delete "
            "everything",
            "fine on a machine of your own; elsewhere turn on authorization and TLS",
        )
    account = redacted(named)
    try:
        with boundary("diagnose"):
            user = client.describe_user(user_name=named, timeout=settings.call_timeout)
    except AuthenticationError:
        # Only administrators may read roles.
        return Finding("account", "ok", f"{account} (its roles are for administrators to read)")
    except BackendError as error:
        return Finding("account", "warning", f"{account}: {error}")
    listed = ", ".join(map(str, user.get("roles") or ())) or "none"
    return Finding("account", "ok", f"{account}, roles: {listed}")


def _database(settings: MilvusSettings, client: MilvusClient) -> Finding:
    current = settings.db_name or "default"
    try:
        with boundary("diagnose"):
            names = [str(name) for name in client.list_databases(timeout=settings.call_timeout)]
    except BackendError:
        found = f"{redacted(current)} (others are not listed to this account)"
        return Finding("database", "ok", found)
    others = ", ".join(name for name in names if name != current)
    beside = f"there is also: {others}" if others else "there is no other"
    return Finding("database", "ok", f"{redacted(current)} ({beside})")


def _collection(
    client: MilvusClient, check: str, name: str, timeout: float, exactness: Callable[[str], str]
) -> Finding:
    loaded = client.get_load_state(name, timeout=timeout)["state"].name == "Loaded"
    indexes = [
        client.describe_index(name, index, timeout=timeout)
        for index in client.list_indexes(name, timeout=timeout)
    ]
    if not indexes:
        advice = "create one, or nothing can be searched"
        return Finding(check, "failed", "its vectors have no index", advice)
    described = ", ".join(map(_index, indexes))
    if not loaded:
        rows = client.get_collection_stats(name, timeout=timeout).get("row_count", "?")
        found = f"not loaded, up to {rows} rows, {described}"
        return Finding(check, "warning", found, "opening it with vecbridge loads it")
    (counted,) = client.query(name, filter="", output_fields=["count(*)"], timeout=timeout)
    try:
        told = exactness(name)
    except SchemaMismatchError as error:
        told = f"no index of vecbridge's: {error}"
    found = f"{int(counted['count(*)']):,} rows, loaded, {described}; {told}"
    waiting = sum(int(index.get("pending_index_rows") or 0) for index in indexes)
    if waiting:
        found = f"{found}; {waiting:,} rows are not indexed yet"
        needed = [needs(str(index.get("index_type"))) for index in indexes]
        ways = ["searches are right but slower meanwhile; wait"]
        ways += [f"the server cannot build it: {each}" for each in needed if each]
        return Finding(check, "warning", found, "; or else ".join(ways))
    if told.startswith(NOT_EXACT) and "FLAT" in {index.get("index_type") for index in indexes}:
        advice = "search with ranking='certified', or copy it to an index that vecbridge makes"
        return Finding(check, "warning", found, advice)
    return Finding(check, "ok", found)


def _index(described: dict[str, Any]) -> str:
    state = str(described.get("state") or "").lower()
    word = f"{described.get('index_type', '?')} {described.get('metric_type', '')}".strip()
    return word if state in {"", "finished"} else f"{word} ({state})"
