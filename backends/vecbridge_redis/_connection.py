"""The boundary to redis-py: connections with deadlines, and what their errors mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    IndexNotFoundError,
    InvalidArgumentError,
    OperationTimeoutError,
)
from vecbridge.remote import Cause, ErrorTable
from vecbridge_redis._settings import RedisSettings

Client: TypeAlias = "redis.Redis"
Command: TypeAlias = Sequence[Any]
UNKNOWN = "unknown index|no such index|index not found"
_OLDEST_SERVER = 7


@dataclass(frozen=True)
class Server:
    """What a server says of itself.

    Attributes:
        version: of Redis.
        fsync: when it writes what it has answered to its disk: ``always``, ``everysec``, ``no``, or
            ``never`` where it keeps no log; ``None`` where it does not say.
        eviction: which keys it removes where memory is short; ``noeviction`` for none.
        replica: it only reads.
    """

    version: str
    fsync: str | None
    eviction: str
    replica: bool


def connected(settings: RedisSettings) -> Client:
    """Return a client of one connection that has reached the server."""
    secret = settings.password
    tls: dict[str, Any] = {}
    if settings.tls:
        files = {"ca_certs": settings.ssl_root_cert, "certfile": settings.ssl_cert}
        files["keyfile"] = settings.ssl_key
        tls = {f"ssl_{name}": str(path) for name, path in files.items() if path is not None}
        tls |= {"ssl": True, "ssl_check_hostname": True}
    client = redis.Redis(
        host=settings.host,
        port=settings.port,
        db=settings.db,
        username=settings.username,
        password=None if secret is None else secret.get_secret_value(),
        socket_timeout=settings.timeout,
        socket_connect_timeout=settings.timeout,
        # A call is made again by the layer above, which knows for how long.
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        max_connections=1,
        **tls,
    )
    try:
        client.ping()
    except BaseException as error:
        client.close()
        if settings.tls and isinstance(error, redis.TimeoutError):
            # It waits for more of what it takes for a command.
            said = f"{error}, as of a server without TLS, for which tls is False"
            raise redis.TimeoutError(said) from None
        raise
    return client


def asked(client: Client, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
    """Return the answers to commands, errors among them, after one round trip."""
    with client.pipeline(transaction=atomic) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            answers: list[Any] = pipe.execute(raise_on_error=False)
        except redis.ResponseError as error:
            # redis-py repeats the command that was refused, with the record in it.
            raise type(error)(str(error).rpartition(" of pipeline caused error: ")[2]) from None
    return answers


def answered(client: Client, *command: Any) -> Any:
    """Return the answer to a command."""
    (answer,) = asked(client, [command])
    if isinstance(answer, Exception):
        raise answer
    return answer


def text_of(value: Any) -> str:
    """Return a word of an answer, which comes as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def described(client: Client, name: str) -> Mapping[str, Any] | None:
    """Return what the server says of an index of searches; ``None`` where there is none."""
    (found,) = asked(client, [("FT.INFO", name)])
    if not isinstance(found, Exception):
        return words(found)
    if re.search(UNKNOWN, str(found), re.IGNORECASE):
        return None
    raise found


def prefixes_of(found: Mapping[str, Any]) -> list[str]:
    """Return the prefixes of the keys that an index is over."""
    definition = words(found.get("index_definition") or {})
    return [text_of(each) for each in definition.get("prefixes", ())]


def algorithms_of(found: Mapping[str, Any]) -> list[str]:
    """Return how the vectors of an index are searched, of each attribute of vectors."""
    attributes = map(words, found.get("attributes", ()))
    return [text_of(each["algorithm"]) for each in attributes if "algorithm" in each]


def server_of(client: Client) -> Server:
    """Return what the server says of itself.

    Raises:
        ConfigurationError: it is too old, or a part of a cluster.
    """
    about, config = asked(client, [("INFO",), ("CONFIG", "GET", "appendfsync")])
    if isinstance(about, Exception):
        raise about
    said = words(about)
    fsync = None if isinstance(config, Exception) else text_of(words(config).get("appendfsync"))
    version = text_of(said.get("redis_version", 0))
    if said.get("cluster_enabled") or int(version.partition(".")[0]) < _OLDEST_SERVER:
        found = "a part of a cluster" if said.get("cluster_enabled") else f"Redis {version}"
        raise ConfigurationError(
            f"this server is {found}; Redis 7 with search or Redis 8 is needed, as a single server"
        )
    return Server(
        version,
        fsync if said.get("aof_enabled") else "never",
        text_of(said.get("maxmemory_policy")),
        is_replica(about),
    )


def is_replica(about: Mapping[Any, Any]) -> bool:
    """Return whether a server only reads, by its answer to ``INFO``."""
    return text_of(words(about).get("role")) == "slave"


def words(found: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an answer with its keys as text."""
    return {text_of(key): value for key, value in found.items()}


def _says(pattern: str) -> Callable[[Exception], bool]:
    matching = re.compile(pattern, re.IGNORECASE)
    return lambda error: (
        isinstance(error, redis.RedisError) and matching.search(str(error)) is not None
    )


ERRORS = ErrorTable(
    "redis",
    "Redis",
    [
        Cause(
            match=redis.TimeoutError,
            kind=OperationTimeoutError,
            retryable=True,
            advice="It may be overloaded or frozen; try again, or raise the setting timeout",
        ),
        Cause(
            match=_says("unknown command|unknown subcommand.*HELLO"),
            kind=ConfigurationError,
            advice="Redis 7 with the search module or Redis 8 is needed",
        ),
        Cause(
            match=_says("LOADING|MASTERDOWN|Link with MASTER|TRYAGAIN"),
            kind=ConnectionFailedError,
            retryable=True,
        ),
        Cause(
            match=_says("max number of clients"),
            kind=ConnectionFailedError,
            retryable=True,
            advice="Lower the setting pool_size, or raise maxclients of the server",
        ),
        Cause(
            match=exceptions.NoPermissionError,
            kind=AuthenticationError,
            advice='Ask the administrator for the rights that "Use Redis" in the documentation '
            "lists, on the keys vecbridge:* and on the name of the index",
        ),
        Cause(
            match=redis.AuthenticationError,
            kind=AuthenticationError,
            advice="Check the settings username and password",
        ),
        Cause(match=_says("NOREPLICAS"), retryable=True),
        Cause(match=redis.ReadOnlyError, advice="Is this a replica? Name the primary"),
        Cause(
            match=redis.OutOfMemoryError,
            advice="Raise maxmemory of the server, or delete what is not needed",
        ),
        Cause(
            match=_says("MISCONF"),
            advice="The server cannot save to its disk; free some, and look into its log",
        ),
        Cause(
            match=_says("LIMIT exceeds maximum"),
            advice="Raise it: FT.CONFIG SET MAXSEARCHRESULTS 10000, or search-max-search-results "
            "of Redis 8",
        ),
        Cause(match=_says("Schema is limited"), kind=InvalidArgumentError),
        Cause(match=_says(UNKNOWN), kind=IndexNotFoundError, advice="It was dropped"),
        Cause(
            match=redis.ConnectionError,
            kind=ConnectionFailedError,
            retryable=True,
            advice="Is the server running?",
        ),
    ],
    packages=["redis"],
)
