"""Errors: one tree, builtins beside it, messages that help, and no secret in any of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import vecbridge
from vecbridge import (
    BackendError,
    ConnectionFailedError,
    MissingDependencyError,
    Scope,
    VecbridgeError,
)
from vecbridge_conformance import Deployment, Harness, OtherProcess, clause, vacuous
from vecbridge_conformance.checks import described, raised_by

TIMEOUT_S = 2.0
SLACK_S = 8.0
MARKER = "correct-horse-battery-staple"
ADDRESSES = (
    f"root:{MARKER}@127.0.0.1:1",
    f"http:/root:{MARKER}@127.0.0.1:1",
    f"http:root:{MARKER}@127.0.0.1:1",
    f"http//root:{MARKER}@127.0.0.1:1",
    f"http://root:{MARKER}/@127.0.0.1:1",
    f"http://root:{MARKER}#@127.0.0.1:1",
    f"http://root:{MARKER}:127.0.0.1:1",
    f"http://root:{MARKER}@127.0.0.1:{MARKER}",
    f"https//127.0.0.1:1?token={MARKER}",
    f"unix:root:{MARKER}@/nowhere",
    f"http%3A%2F%2Froot%3A{MARKER}%40127.0.0.1",
    f" http://root:{MARKER}@127.0.0.1:1/\n",
)
"""Addresses with a secret, of which most cannot be parsed."""


@clause("ERR-1", "ERR-2", "ERR-6")
def test_errors_of_usage_are_builtins_too_and_say_what_was_given(harness: Harness) -> None:
    """Look at the classes of errors, and at their messages: asked, found, what to do."""
    index = harness.index(dimension=3)
    name = index.info.name
    store = harness.store
    attempts: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
        "upsert of a vector of two dimensions": (
            lambda: index.upsert(["a"], [[1, 2]]),
            ValueError,
            ("3", "2"),
        ),
        "upsert of an empty id": (lambda: index.upsert([""], [[1, 2, 3]]), ValueError, ("empty",)),
        "upsert of one id twice": (
            lambda: index.upsert(["a", "a"], [[1, 2, 3]] * 2),
            ValueError,
            ("'a'",),
        ),
        "search with k = 0": (lambda: index.search([1, 2, 3], k=0), ValueError, ("k", "0")),
        "open_index of an unknown name": (
            lambda: store.open_index("absent_index"),
            LookupError,
            ("absent_index",),
        ),
        "create_index of a taken name": (
            lambda: store.create_index(name, dimension=3),
            ValueError,
            (name,),
        ),
        "open_index with another dimension": (
            lambda: store.open_index(name, dimension=4),
            ValueError,
            (name, "4", "3"),
        ),
    }
    for attempt, (call, builtin, words) in attempts.items():
        error = raised_by(call)
        found = described(error)
        assert isinstance(error, VecbridgeError), f"{attempt} raises {found}, no VecbridgeError"
        assert isinstance(error, builtin), f"{attempt} raises {found}, no {builtin.__name__}"
        absent = [word for word in words if word not in str(error)]
        assert not absent, f"{attempt} raises {found}, which does not say {absent}"


@clause("ERR-4")
def test_an_error_of_the_store_says_whose_it_is(harness: Harness) -> None:
    """Look at where the store's errors are mapped: backend, operation, retryable."""
    engine = harness.engine(dimension=2)
    engine.close()
    with pytest.raises(BackendError) as caught:
        engine.count(Scope(consistency=engine.info.consistency))
    assert caught.value.backend == harness.store.name
    assert caught.value.operation
    assert caught.value.retryable is False


@clause("ERR-5", "ERR-4")
def test_a_store_that_is_not_there_is_reported_in_time(harness: Harness) -> None:
    """Look at the client's own retries and timeouts."""
    unreachable = harness.deployment.unreachable(TIMEOUT_S)
    if unreachable is None:
        vacuous("the deployment has no server that could be missing")
    start = time.monotonic()
    with unreachable.open() as store, pytest.raises(ConnectionFailedError) as caught:
        store.index_names()
    assert time.monotonic() - start < TIMEOUT_S + SLACK_S
    assert caught.value.backend == harness.store.name
    assert "127.0.0.1" in str(caught.value)


@clause("ERR-7")
def test_no_secret_is_shown(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    """Look at reprs of settings and backends, at messages, at logs."""
    deployment = harness.deployment
    secrets = deployment.secret_settings()
    if not secrets:
        vacuous("no setting of the backend is a secret")
    target = deployment.unreachable(TIMEOUT_S) or deployment
    for name in secrets:
        shown = {"log": "", **_shown(deployment.backend, {**target.options, name: MARKER})}
        _refuse_marker(name, {**shown, "log": caplog.text})


@clause("ERR-7")
def test_no_address_shows_the_secret_in_it(harness: Harness) -> None:
    """Look at validators and at what is listed: show nothing that was not parsed.

    ``vecbridge.settings`` has ``parse_address`` and ``redacted`` for it.
    """
    deployment = harness.deployment
    places = deployment.text_settings()
    if not places:
        vacuous("no setting of the backend takes text")
    for name in places:
        for address in ADDRESSES:
            shown = _shown_of_address(deployment, {name: address})
            _refuse_marker(f"{name}={address.replace(MARKER, 'SECRET')}", shown)


_DAMAGED = 500
_BLOCK_BYTES = 4096


@clause("ERR-8")
@pytest.mark.parametrize("damage", ["overwritten", "cut", "shuffled"])
def test_a_damaged_file_is_never_an_empty_store(harness: Harness, damage: str) -> None:
    """Look at how files are opened: checked before they are used, never replaced or repaired."""
    folder = harness.folder()
    copy = harness.deployment.elsewhere(folder)
    if copy is None:
        vacuous("the deployment keeps no files that this suite knows of")
    OtherProcess(_write, copy.backend, dict(copy.options)).result()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    assert files, "a record was written, and there is no file"
    after = {}
    for path in files:
        content = path.read_bytes()
        changed = _damaged(content, damage)
        if changed != content:
            path.write_bytes(changed)
            after[path] = changed
    outcome = OtherProcess(_read, copy.backend, dict(copy.options)).result()
    refused = outcome.startswith("CorruptStoreError")
    assert refused or outcome == "the records", (
        f"of files that were {damage}, the store makes {outcome}; wanted is CorruptStoreError, or "
        f"the records where nothing was lost"
    )
    if refused:
        touched = [path.name for path, held in after.items() if _bytes(path) != held]
        assert not touched, f"{', '.join(touched)} changed when the damaged store was opened"


@clause("ERR-9")
def test_a_missing_package_is_named_with_what_to_install(harness: Harness) -> None:
    """Look at late imports: vecbridge.settings.dependencies_of turns them into this error."""
    deployment = harness.deployment
    if deployment.opener is not None:
        vacuous("the deployment is opened by a function of its own, not by an installed package")
    message = OtherProcess(_without_packages, deployment.backend, dict(deployment.options)).result()
    if message == "nothing":
        vacuous("the backend needs no package but vecbridge and numpy")
    assert message.startswith(MissingDependencyError.__name__), message
    assert "install" in message


def _shown(backend: str, options: dict[str, Any]) -> dict[str, str]:
    """Return all that is shown where a store is configured and used, by where it is shown."""
    shown: dict[str, str] = {}
    try:
        with vecbridge.get_backend(backend, **options) as store:
            shown |= _reprs(store)
            store.index_names()
    except VecbridgeError as error:
        shown |= {f"{type(error).__name__}, text {n}": text for n, text in enumerate(_texts(error))}
    return shown


def _shown_of_address(deployment: Deployment, options: dict[str, Any]) -> dict[str, str]:
    """Return all that is shown where a store is only configured."""
    with deployment.open() as store:
        kind: type[Any] = type(store.backend)
    shown: dict[str, str] = {}
    try:
        settings = kind.settings_type(**options)
        shown["repr of the settings"] = f"{settings!r} {settings}"
        if deployment.opener is None:
            with vecbridge.get_backend(deployment.backend, **options) as made:
                shown["repr of the backend"] = repr(made.backend)
    except (VecbridgeError, ValidationError) as error:
        shown |= {f"{type(error).__name__}, text {n}": text for n, text in enumerate(_texts(error))}
    return shown


def _reprs(store: vecbridge.Store) -> dict[str, str]:
    return {
        "repr of the store": repr(store),
        "repr of the backend": repr(store.backend),
        "attributes of the backend": str(vars(store.backend)),
    }


def _refuse_marker(given: str, shown: dict[str, str]) -> None:
    where = [place for place, text in shown.items() if MARKER.casefold() in text.casefold()]
    assert not where, f"the secret in {given} is shown in: {', '.join(where)}"


def _texts(error: BaseException) -> list[str]:
    """Return all that an error and those behind it say; some clients make circular chains."""
    chain: list[BaseException] = []
    behind: BaseException | None = error
    while behind is not None and behind not in chain:
        chain.append(behind)
        behind = behind.__cause__ or behind.__context__
    return [text for each in chain for text in (str(each), repr(each), str(vars(each)))]


def _write(backend: str, options: dict[str, Any]) -> None:
    with Deployment(backend, options).open() as store:
        index = store.create_index("damaged", dimension=2, metric="euclidean")
        for first in range(0, _DAMAGED, 100):
            numbers = range(first, first + 100)
            index.upsert([f"n{number}" for number in numbers], [[number, 2] for number in numbers])


def _damaged(content: bytes, damage: str) -> bytes:
    if damage == "cut":
        return content[: len(content) // 2]
    if damage == "overwritten":
        return b"torn" * (len(content) // 4 + 1)
    # Blocks of a disk that came to lie in each other's place; the beginning of the file is right.
    blocks = [content[at : at + _BLOCK_BYTES] for at in range(0, len(content), _BLOCK_BYTES)]
    return b"".join([*blocks[:1], *reversed(blocks[1:])])


def _read(backend: str, options: dict[str, Any]) -> str:
    try:
        with Deployment(backend, options).open() as store:
            index = store.open_index("damaged")
            (hits,) = index.search([0, 2], k=None)
            count = index.count()
            found = [
                (name, vector.tolist())
                for records in index.scan()
                for name, vector in zip(records.ids, records.vectors, strict=True)
            ]
    except Exception as error:  # noqa: BLE001  (it is the answer)
        return described(error)
    if not found:
        return "an empty store"
    written = [(f"n{number}", [float(number), 2.0]) for number in range(_DAMAGED)]
    nearest = tuple(name for name, _ in written)
    if (sorted(found), count) != (sorted(written), _DAMAGED):
        return f"other records: {len(found)} of {_DAMAGED}, and a count of {count}"
    if hits.exact and hits.ids != nearest:
        return "another ranking, and calls it exact"
    return "the records"


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _without_packages(backend: str, options: dict[str, Any]) -> str:
    """Use the backend where only our packages, numpy and Python's own can be imported."""
    import sys
    from importlib.metadata import packages_distributions

    allowed = {"numpy", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
    allowed |= {"typing_inspection", "pytest", "_pytest", "pluggy", "iniconfig", "packaging"}
    blocked = set(packages_distributions()) - allowed - set(sys.stdlib_module_names)
    blocked = {name for name in blocked if not name.startswith("vecbridge")}

    class Absent:
        """Finds nothing, loudly."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name.partition(".")[0] in blocked:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Absent())
    try:
        with Deployment(backend, options).open() as store:
            index = store.create_index("missing_packages", dimension=2)
            index.upsert(["a"], [[1, 2]])
            index.search([1, 2])
            store.drop_index("missing_packages")
    except Exception as error:  # noqa: BLE001  (its class is the answer)
        return f"{type(error).__name__}: {error}"
    return "nothing"
