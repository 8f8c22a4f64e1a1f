"""The diagnosis of a connection that failed.

pymilvus reports every failure to connect in the same words. So what fails is asked in the order in
which a connection is made: does a server listen, do the certificates hold, does Milvus take the
credentials.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecbridge import (
    AuthenticationError,
    BackendError,
    ConnectionFailedError,
)
from vecbridge_milvus._errors import failure
from vecbridge_milvus._settings import MilvusSettings

if TYPE_CHECKING:
    pass

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
