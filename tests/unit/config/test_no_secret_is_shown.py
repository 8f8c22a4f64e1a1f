"""ERR-7: whatever is given in whatever place, nothing that is shown holds a secret."""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.addresses import SECRET, malformed, shows
from vecbridge import VecbridgeError
from vecbridge.settings import (
    Settings,
    describe_settings,
    parse_address,
    redacted,
    redacted_message,
)

SEED = int(os.environ.get("VECBRIDGE_SEED", "1"))
MANY = int(os.environ.get("VECBRIDGE_ADDRESSES", "1500"))
ADDRESSES = list(malformed(SEED, MANY))
BACKENDS = ("milvus", "sklearn", "faiss", "torch")
PLAIN: dict[str, Any] = {"user": "root", "password": "p"}


def chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    behind: BaseException | None = error
    while behind is not None and behind not in seen:
        seen.append(behind)
        yield behind
        behind = behind.__cause__ or behind.__context__


def said_of(error: BaseException) -> dict[str, str]:
    """All that an error says, by where it says it; the test's own frame is left out."""
    said: dict[str, str] = {}
    for number, each in enumerate(chain(error)):
        said[f"message {number}"] = str(each)
        said[f"repr {number}"] = repr(each)
        said[f"args {number}"] = repr(each.args)
        said[f"attributes {number}"] = repr(vars(each))
    trace = error.__traceback__
    while trace is not None:
        for name, value in trace.tb_frame.f_locals.items():
            if "tests" not in trace.tb_frame.f_code.co_filename:
                said[f"local {name} of {trace.tb_frame.f_code.co_name}"] = repr(value)
        trace = trace.tb_next
    said["traceback"] = "".join(traceback.format_exception_only(error))
    return said


def outcome(backend: str | None, options: dict[str, Any]) -> dict[str, str]:
    """All that is shown where a store is configured, by where."""
    said: dict[str, str] = {}
    try:
        described = describe_settings(backend, **options)
        said["settings"] = repr(described)
        said["values"] = str([(each.name, each.value) for each in described])
        said["json"] = json.dumps([each.value for each in described], default=str)
        with vecbridge.get_backend(backend, **options) as store:
            said["store"] = f"{store!r} {store} {store.backend!r} {vars(store.backend)}"
    except VecbridgeError as error:
        said.update(said_of(error))
    return said


def leaks(said: dict[str, str]) -> list[str]:
    return [where for where, text in said.items() if shows(text)]


def told(said: dict[str, str]) -> dict[str, str]:
    """What is told, without local variables: they hold names that a caller gave."""
    return {where: text for where, text in said.items() if not where.startswith("local")}


def settings_of(backend: str) -> list[str]:
    return [each.name for each in describe_settings(backend)]


def test_there_are_thousands_of_addresses() -> None:
    assert len(ADDRESSES) > 2000
    assert all(SECRET.casefold() in each.casefold() or "%" in each for each in ADDRESSES)


EVERY_SETTING = [(backend, name) for backend in BACKENDS for name in settings_of(backend)]


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "name"), EVERY_SETTING)
def test_no_setting_shows_the_secret_of_an_address(
    backend: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # Every setting gets a share of them; an address is most likely given as one.
    step = {"uri": 1, "path": 4}.get(name, 40)
    found = [
        (address, places)
        for address in ADDRESSES[::step]
        if (places := leaks(outcome(backend, {name: address})))
    ]
    assert not found, f"{len(found)}, such as {found[:3]}"
    assert not shows(caplog.text)


WRAPS = [lambda text: {text: 1}, lambda text: {"M": text}, lambda text: [[text]], json.dumps]


@pytest.mark.parametrize("wrap", WRAPS)
def test_no_container_shows_it(wrap: Callable[[str], Any]) -> None:
    for address in ADDRESSES[::25]:
        for name in ("index_params", "search_params", "resource_groups", "timeout"):
            assert not leaks(outcome("milvus", {name: wrap(address), "index_type": "HNSW"}))


@pytest.mark.parametrize("wrap", [*WRAPS, lambda text: {"k": {"k": [text]}}, str.encode])
def test_no_value_of_the_wrong_kind_shows_it(wrap: Callable[[str], Any]) -> None:
    for address in ADDRESSES[::25]:
        if "\ud800" not in address:
            for backend, name in (("sklearn", "path"), ("milvus", "uri"), ("milvus", "metric")):
                assert not leaks(outcome(backend, {name: wrap(address)}))


# The unusual ones, of which nothing that is shown as a name may be a path.
IN_A_PATH = ["/{}@h", "//{}@h", "//h/{}=x", "~/a={}", "./a:{}", "C:/x:{}", "unix:/{}"]


def test_what_is_shown_as_a_name_is_no_path() -> None:
    with vecbridge.get_backend("sklearn") as store:
        for form in IN_A_PATH:
            text = form.format(SECRET)
            assert not leaks(told(outcome(text, {})))
            assert not leaks(told(outcome("sklearn", {text: "x"})))
            assert not leaks(told(outcome("milvus", {"timeout": text})))
            with pytest.raises(VecbridgeError) as caught:
                store.open_index(text)
            assert not leaks(told(said_of(caught.value)))


def test_neither_environment_nor_file_shows_it(
    monkeypatch: pytest.MonkeyPatch, brain_config: Callable[[Any], Path]
) -> None:
    for address in ADDRESSES[::40]:
        if "\0" not in address and "\ud800" not in address:
            monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI", address)
            assert not leaks(outcome("milvus", {}))
            monkeypatch.delenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI")
        brain_config(json.dumps({"similarity_backends": {"milvus": {"uri": address}}}))
        assert not leaks(outcome("milvus", {}))
        brain_config(json.dumps({"similarity_backends": {"milvus": {address: "x"}}}))
        assert not leaks(told(outcome("milvus", {})))
        brain_config(json.dumps({"default_similarity_backend": address}))
        assert not leaks(told(outcome(None, {})))
        brain_config("{}")


def test_nor_does_the_name_of_a_backend_a_setting_or_an_index() -> None:
    with vecbridge.get_backend("sklearn") as store:
        for address in ADDRESSES[::10]:
            assert not leaks(told(outcome(address, {})))
            assert not leaks(told(outcome("milvus", {address: "x"})))
            with pytest.raises(VecbridgeError) as caught:
                store.open_index(address)
            assert not leaks(told(said_of(caught.value)))


QUOTING = """
from typing import Any, ClassVar
from urllib.parse import urlsplit
from pydantic import field_validator
from vecbridge.settings import Settings

class ProbeSettings(Settings):
    uri: str | None = None
    plain: str | None = None

    @field_validator("uri")
    @classmethod
    def _quoting(cls, uri):
        raise ValueError(f"no host in {uri!r}, that is in {urlsplit(uri)}")

    @field_validator("plain")
    @classmethod
    def _port(cls, plain):
        return plain and f"{urlsplit(plain).port}"

class ProbeBackend:
    name: ClassVar[str] = "probe"
    settings_type: ClassVar[type[Any]] = ProbeSettings

    def __init__(self, settings):
        self.settings = settings

    def close(self):
        pass
"""
"""A third party's backend, whose validators quote their input whole and in parts."""


def test_no_validator_of_a_strangers_shows_it(install: Any) -> None:
    install(source=QUOTING)
    for address in ADDRESSES[::5]:
        for name in ("uri", "plain"):
            assert not leaks(outcome("probe", {name: address})), address


def test_settings_that_take_any_text_show_none_that_may_be_an_address() -> None:
    class Lenient(Settings):
        uri: str
        extra: dict[str, Any]

    for address in ADDRESSES:
        settings = Lenient(uri=address, extra={address: [address]})
        assert not shows(f"{settings!r} {settings} {redacted(address)} {redacted([address])}")
        assert not shows(redacted_message(f"cannot reach it: {address}", [address]))


def test_what_was_parsed_is_shown_without_its_credentials() -> None:
    assert redacted(f"https://u:{SECRET}@host:1/db?x={SECRET}") == (
        "https://**********@host:1/db?**********"
    )
    assert (parse_address(f"http://u:{SECRET}%40@h").password) == f"{SECRET}@"
    assert not shows(repr(parse_address(f"http://{SECRET}:{SECRET}@h?{SECRET}")))


@pytest.mark.parametrize("before", ["", "uri="])
def test_what_an_address_shows_is_left_in_a_message(before: str) -> None:
    said = 'PostgreSQL at 127.0.0.1:5432: FATAL: database "photos" does not exist for postgres'
    for credentials in ("postgres@", f"postgres:{SECRET}@", ""):
        address = f"{before}postgresql://{credentials}127.0.0.1:5432/photos"
        assert redacted_message(said, [address]) == said
        assert not shows(redacted_message(f"{said} {address}", [address]))
    address = f"{before}postgresql://postgres:{SECRET}@127.0.0.1/photos"
    assert not shows(redacted_message(f"{said} {SECRET}", [address]))
    address = f"{before}http://{SECRET}@127.0.0.1:5432/photos?x={SECRET}"
    assert redacted_message(said, [address]) == said
    assert not shows(redacted_message(f"{said} {SECRET}", [address]))
    assert "photos" not in redacted_message(said, [f"{before}http://h/photos%40x"])


ORDINARY = [
    "http://localhost:19530",
    "https://[::1]:443/films",
    "/data/me@work/x:y",
    "/data/12:30/x",
    "/data/date=2024-05-01/part=3/x.db",
    "/var/jenkins/workspace/job@2/store",
    "/data/monkey=1/tokens/keys",
    "unix:/run/milvus.sock",
    "vectors.db",
    "2024",
    "~/v.db",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_path_or_address_is_shown_as_it_is(text: str) -> None:
    assert redacted(text) == text
    assert redacted([text]) == [text]


AMBIGUOUS = [
    "https://host:443;token=p@{}",
    "https://host:443,x@{}",
    "https://host:443:x@{}",
    "https://host:443?token=p@{}",
    "https://host:443@x@{}",
    "https://host:99999@x:{}",
    "https://u:p%zz@{}",
    "https://[::1]:443;p@{}",
]


@pytest.mark.parametrize("form", AMBIGUOUS)
def test_an_address_with_two_readings_is_none(form: str) -> None:
    text = form.format(SECRET)
    with pytest.raises(vecbridge.ConfigurationError) as caught:
        parse_address(text)
    assert not leaks(told(said_of(caught.value)))
    assert not shows(str(redacted(text)))
    assert not leaks(outcome("milvus", {"uri": text}))


@pytest.mark.parametrize("user", ["root", "root:12345", "a.b-c:p~!$'()*+x", "me%40corp:p%3A%2F%40"])
def test_an_address_with_one_reading_is_taken(user: str) -> None:
    assert parse_address(f"https://{user}@host:1/db").bare == "https://host:1"
