"""TLS, credentials and databases on real servers: what works, and what each mistake is told."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.servers.certificates import Authority
from tests.servers.given_milvus import needs_own
from tests.servers.milvus import MilvusServer, running_milvus
from vecbridge import AuthenticationError, ConfigurationError, ConnectionFailedError, VecbridgeError
from vecbridge.diagnosis import diagnose

SECRET = "Pl4nted-s3cret"
PASSWORD = "Milvus"  # which the server's root begins with
UNTRUSTED = "certificate is not to be trusted"
UNASKED = r"asks for a certificate of the client \(mutual TLS\)"
PLAIN = "wants TLS: use an https address"
UNUSABLE = "files given for TLS cannot be used"

READING = [
    ("Global", "ShowCollections"),
    ("Global", "DescribeCollection"),
    ("Collection", "IndexDetail"),
    ("Collection", "Load"),
    ("Collection", "Search"),
    ("Collection", "Query"),
]
WRITING = [
    ("Collection", "Upsert"),
    ("Collection", "Delete"),
    ("Global", "CreateCollection"),
    ("Global", "DropCollection"),
    ("Collection", "CreateIndex"),
]
"""What docs/how-to/secure-milvus.md says that an account needs."""

Files = dict[str, str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Two authorities, and what they have signed."""
    folder = tmp_path_factory.mktemp("certificates")
    ours, other = Authority(folder, "ours"), Authority(folder, "other")
    found = {"ca": ours.pem, "other_ca": other.pem}
    for name, signer in (("server", ours), ("client", ours), ("stranger", other)):
        found[name], found[f"{name}_key"] = signer.certificate(name)
    return {name: str(path) for name, path in found.items()}


def tls_server(folder: Path, files: Files, mode: int) -> Iterator[int]:
    shown = {
        "serverPemPath": files["server"],
        "serverKeyPath": files["server_key"],
        "caPemPath": files["ca"],
    }
    with running_milvus(
        folder, {"tls": shown, "common": {"security": {"tlsMode": mode}}}
    ) as server:
        yield server.port
        # Its data are of no use any more, so no test waits for its end.
        server.kill()


@pytest.fixture(scope="module")
def one_way(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[int]:
    """Port of a server that shows a certificate."""
    yield from tls_server(tmp_path_factory.mktemp("one-way"), files, 1)


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[int]:
    """Port of a server that wants to see one as well."""
    yield from tls_server(tmp_path_factory.mktemp("mutual"), files, 2)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A server with accounts, bob among them, who may do nothing."""
    from pymilvus import MilvusClient

    switched_on = {"common": {"security": {"authorizationEnabled": True}}}
    with running_milvus(tmp_path_factory.mktemp("guarded"), switched_on) as server:
        with vecbridge.get_backend("milvus", uri=server.uri, token=f"root:{PASSWORD}") as store:
            store.create_index("photos", dimension=2).upsert(["a"], [[1, 2]])
            client: MilvusClient = store.backend.client  # type: ignore[attr-defined]
            client.create_user("bob", SECRET)
        yield server
        server.kill()


def answer(**options: Any) -> VecbridgeError | None:
    """The error of connecting, or none."""
    with vecbridge.get_backend("milvus", timeout=5, retry_timeout=0, **options) as store:
        try:
            store.index_names()
        except VecbridgeError as error:
            return error
    return None


def told(action: Callable[[], object]) -> list[str]:
    """All that an error shows, its causes included."""
    with pytest.raises(VecbridgeError) as caught:
        action()
    return traceback.format_exception(caught.value)


def mutually(files: Files, ca: str = "ca", pem: str = "client", key: str = "client_key") -> Files:
    return {
        "ca_pem_path": files[ca],
        "client_pem_path": files[pem],
        "client_key_path": files[key],
    }


Row = tuple[str, Callable[[Files], dict[str, Any]], str | None, str | None]
ROWS: list[Row] = [
    ("http", lambda _: {}, PLAIN, PLAIN),
    ("https", lambda _: {}, UNTRUSTED, UNTRUSTED),
    ("https", lambda f: {"server_pem_path": f["ca"]}, None, UNASKED),
    ("https", lambda f: {"server_pem_path": f["server"]}, None, UNASKED),
    (
        "https",
        lambda f: {"server_pem_path": f["ca"], "server_name": "server.example"},
        None,
        UNASKED,
    ),
    (
        "https",
        lambda f: {"server_pem_path": f["ca"], "server_name": "wrong.name"},
        UNTRUSTED,
        UNTRUSTED,
    ),
    ("https", lambda f: {"server_pem_path": f["other_ca"]}, UNTRUSTED, UNTRUSTED),
    ("https", lambda f: {"server_pem_path": f["server_key"]}, UNUSABLE, UNUSABLE),
    ("http", lambda f: {"server_pem_path": f["ca"], "secure": True}, None, UNASKED),
    ("https", mutually, None, None),
    ("https", lambda f: mutually(f, ca="other_ca"), UNTRUSTED, UNTRUSTED),
    (
        "https",
        lambda f: mutually(f, pem="stranger", key="stranger_key"),
        None,
        f"{UNASKED} and does not take the one given",
    ),
    ("https", lambda f: mutually(f, key="stranger_key"), UNUSABLE, UNUSABLE),
]
NAMES = [
    "plain-text",
    "roots-of-the-machine",
    "authority",
    "own-certificate",
    "right-name",
    "wrong-name",
    "wrong-authority",
    "no-certificate",
    "http-and-secure",
    "mutual",
    "mutual-wrong-authority",
    "mutual-strangers-certificate",
    "mutual-wrong-key",
]


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_tls(row: Row, mode: int, request: pytest.FixtureRequest, files: Files) -> None:
    scheme, options, *expectations = row
    port = request.getfixturevalue("one_way" if mode == 1 else "mutual")
    error = answer(uri=f"{scheme}://127.0.0.1:{port}", **options(files))
    expected = expectations[mode - 1]
    print(f"mode {mode}: {error}")
    if expected is None:
        assert error is None
    else:
        assert isinstance(error, ConnectionFailedError)
        assert re.search(expected, str(error))
        assert not error.retryable


def test_a_good_certificate_opens_no_door_to_a_wrong_one(one_way: int, files: Files) -> None:
    uri = f"https://127.0.0.1:{one_way}"
    with vecbridge.get_backend("milvus", uri=uri, server_pem_path=files["ca"]) as good:
        good.index_names()
        assert UNTRUSTED in str(answer(uri=uri, server_pem_path=files["other_ca"]))
        assert PLAIN in str(answer(uri=f"http://127.0.0.1:{one_way}"))
        good.index_names()


def test_tls_where_the_server_speaks_plain_text(milvus_server_uri: str, files: Files) -> None:
    uri = milvus_server_uri.replace("http:", "https:")
    error = answer(uri=uri, server_pem_path=files["ca"])
    assert isinstance(error, ConnectionFailedError)
    assert "does not speak TLS: use an http address" in str(error)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"token": f"root:{PASSWORD}"}, None),
        ({"user": "root", "password": PASSWORD}, None),
        ({}, "none were given"),
        ({"user": "root", "password": SECRET}, "does not accept the credentials"),
        ({"user": "unknown", "password": SECRET}, "does not accept the credentials"),
        ({"token": SECRET}, "does not accept the credentials"),
    ],
)
def test_credentials(guarded: MilvusServer, options: dict[str, str], told: str | None) -> None:
    error = answer(uri=guarded.uri, **options)
    if told is None:
        assert error is None
    else:
        assert isinstance(error, AuthenticationError)
        assert told in str(error)
        assert f"127.0.0.1:{guarded.port}" in str(error)
        assert SECRET not in str(error)


def test_credentials_in_the_address(guarded: MilvusServer) -> None:
    assert answer(uri=f"http://root:{PASSWORD}@127.0.0.1:{guarded.port}") is None
    refused = answer(uri=f"http://root:{SECRET}@127.0.0.1:{guarded.port}")
    assert isinstance(refused, AuthenticationError)
    assert SECRET not in str(refused)


def test_what_an_account_may_not_do_is_named(guarded: MilvusServer) -> None:
    options = {"uri": guarded.uri, "user": "bob", "password": SECRET}
    with vecbridge.get_backend("milvus", **options) as store:
        with pytest.raises(AuthenticationError, match="create_index") as making:
            store.create_index("mine", dimension=2)
        with pytest.raises(AuthenticationError, match="drop_index") as dropping:
            store.drop_index("photos")
        for caught in (making, dropping):
            assert "PERMISSION_DENIED" in str(caught.value)
            assert not caught.value.retryable
    with vecbridge.get_backend("milvus", uri=guarded.uri, token=f"root:{PASSWORD}") as store:
        assert store.open_index("photos").count() == 1


def test_an_account_does_what_its_role_may_and_no_more(guarded: MilvusServer) -> None:
    options = {"uri": guarded.uri, "user": "rita", "password": SECRET}
    with (
        vecbridge.get_backend("milvus", uri=guarded.uri, token=f"root:{PASSWORD}") as root,
        vecbridge.get_backend("milvus", **options) as store,
    ):
        client: Any = root.backend.client  # type: ignore[attr-defined]
        client.create_role("rising")
        client.create_user("rita", SECRET)
        client.grant_role("rita", "rising")
        for kind, privilege in READING:
            client.grant_privilege("rising", kind, privilege, "*")

        index = store.open_index("photos", consistency="strong")
        assert index.count() == 1
        assert index.fetch(["a"]).vectors.tolist() == [[1, 2]]
        (hits,) = index.search([1, 2], 1)
        assert (hits.ids, hits.exact) == (("a",), True)
        writes: dict[str, Callable[[], object]] = {
            "Upsert": lambda: index.upsert(["b"], [[1, 2]]),
            "Delete": lambda: index.delete(["b"]),
            "CreateCollection": lambda: store.create_index("hers", dimension=2),
            "DropCollection": lambda: store.drop_index("hers"),
        }
        for privilege, call in writes.items():
            if privilege == "DropCollection":
                root.create_index("hers", dimension=2)
            with pytest.raises(AuthenticationError, match=f"{privilege}.* a role that") as refused:
                call()
            print(refused.value)
            assert not refused.value.retryable
        root.drop_index("hers")
        assert index.fetch(["b"]).missing == ("b",)

        for kind, privilege in WRITING:
            client.grant_privilege("rising", kind, privilege, "*")
        for call in writes.values():
            call()
        assert "hers" not in root.index_names()


def test_a_password_that_is_changed_meanwhile(guarded: MilvusServer) -> None:
    with vecbridge.get_backend("milvus", uri=guarded.uri, token=f"root:{PASSWORD}") as root:
        client: Any = root.backend.client  # type: ignore[attr-defined]
        client.create_user("eve", "before")
        with vecbridge.get_backend("milvus", uri=guarded.uri, user="eve", password="before") as eve:
            eve.index_names()
            client.update_password("eve", "before", "afterwards")
            with pytest.raises(AuthenticationError, match="index_names"):
                eve.index_names()


@needs_own
def test_a_database_that_does_not_exist(milvus_server_uri: str) -> None:
    for options in ({"db_name": "films"}, {"uri": f"{milvus_server_uri}/films"}):
        error = answer(**{"uri": milvus_server_uri, **options})
        assert isinstance(error, ConfigurationError)
        assert "db_name" in str(error)
        assert "films" in str(error)


@needs_own
def test_databases_are_apart(milvus_server_uri: str) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        client: Any = store.backend.client  # type: ignore[attr-defined]
        client.create_database("paintings")
        with vecbridge.get_backend("milvus", uri=f"{milvus_server_uri}/paintings") as inner:
            inner.create_index("only_here", dimension=2)
            assert inner.index_names() == ["only_here"]
            assert "only_here" not in store.index_names()
            inner.drop_index("only_here")
        client.drop_database("paintings")


def test_the_doctor_tells_each_mistake_from_the_others(
    guarded: MilvusServer, one_way: int, milvus_server_uri: str, files: Files
) -> None:
    tls = f"https://127.0.0.1:{one_way}"
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"uri": "http://127.0.0.1:1"}, "Start a Milvus server"),
        ({"uri": guarded.uri}, "none were given"),
        ({"uri": guarded.uri, "user": "root", "password": SECRET}, "does not accept"),
        ({"uri": milvus_server_uri, "db_name": "films"}, "no such database"),
        ({"uri": f"http://127.0.0.1:{one_way}"}, PLAIN),
        ({"uri": tls, "server_pem_path": files["other_ca"]}, UNTRUSTED),
        (
            {"uri": tls, "server_pem_path": files["ca"], "server_name": "wrong.name"},
            "Hostname mismatch",
        ),
        ({"uri": tls, "ca_pem_path": files["ca"]}, "client_pem_path"),
    ]
    for options, said in mistakes:
        *_, last = diagnose("milvus", timeout=5, **options)
        print(f"{last.check}: {last.found}")
        assert last.status == "failed"
        assert re.search(said, last.found)
        assert SECRET not in last.found + last.advice


def test_no_secret_is_in_errors_logs_or_settings(
    guarded: MilvusServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    written = []
    with caplog.at_level(logging.DEBUG):
        for number in (logging.root, *map(logging.getLogger, logging.root.manager.loggerDict)):
            number.setLevel(logging.DEBUG)
        for place in (f"127.0.0.1:{guarded.port}", "127.0.0.1:1"):
            for options in (
                {"uri": f"http://{place}", "user": "root", "password": SECRET},
                {"uri": f"http://{place}", "token": SECRET},
                {"uri": f"http://root:{SECRET}@{place}"},
            ):
                store = vecbridge.get_backend("milvus", timeout=2, retry_timeout=1, **options)
                written += [repr(store), repr(store.backend), repr(vars(store.backend))]
                with suppress(VecbridgeError):
                    store.drop_index("photos")
                written += told(store.index_names)
                store.close()
    output = capfd.readouterr()
    written += [record.getMessage() + str(record.exc_text) for record in caplog.records]
    everything = "\n".join([*written, caplog.text, output.out, output.err])
    assert "does not accept the credentials" in everything
    assert SECRET not in everything
