"""Every public error and value survives pickle, copy, and the way back from another process."""

from __future__ import annotations

import copy
import copyreg
import dataclasses
import importlib
import inspect
import multiprocessing
import pickle
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from types import MappingProxyType, UnionType
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest

import vecbridge
from tests.meta.source import exported, is_public, modules
from vecbridge import (
    BackendError,
    Candidates,
    FieldLimits,
    Hits,
    IndexInfo,
    MissingDependencyError,
    PartialWriteError,
    Records,
    UnsupportedError,
    VecbridgeError,
)
from vecbridge.bulk import Partition

# Importing these opens FiftyOne's database.
WITH_DATABASE = ("vecbridge.fiftyone", "vecbridge.demo")
HANDLES = ("LocalStore", "LocalTable", "Scoped", "Snapshot", "Pairs", "Float32Keys", "Mutant")
"""Classes of what is open, or at work, in this process: they are no values."""

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def public_classes() -> Iterator[type[Any]]:
    """Every class that a public module lists, once."""
    seen: set[type[Any]] = set()
    for module, path in modules():
        if is_public(module) and not module.startswith(WITH_DATABASE):
            for name in exported(path):
                found = getattr(importlib.import_module(module), name)
                if inspect.isclass(found) and found not in seen:
                    seen.add(found)
                    yield found


def is_value(kind: type[Any]) -> bool:
    made_of_fields = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")
    return made_of_fields and kind.__name__ not in HANDLES


ERRORS = [kind for kind in public_classes() if issubclass(kind, VecbridgeError)]
VALUES = [kind for kind in public_classes() if is_value(kind)]


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


WAYS: Sequence[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *(pickled(protocol) for protocol in PROTOCOLS),
]
DETAILS: dict[str, Any] = {
    "failed": {1: "why"},
    "backend": "milvus",
    "operation": "upsert",
    "retryable": True,
    "written": ("a", "b"),
    "unknown": ("c",),
    "capability": "filters",
    "name": "faiss",
    "path": "/somewhere",
    "text": "label = 1",
    "position": 6,
}


def error_of(kind: type[VecbridgeError]) -> VecbridgeError:
    taken = set(inspect.signature(kind).parameters) if "__init__" in own_names(kind) else set()
    if issubclass(kind, ImportError):
        taken = {"name", "path"}
    details = {name: value for name, value in DETAILS.items() if name in taken}
    error = kind("what was wrong, and what to do", **details)
    error.note = "an attribute of its own"  # type: ignore[attr-defined]
    return error


def own_names(kind: type[VecbridgeError]) -> set[str]:
    """What the class and its bases of ours define."""
    return {
        name for base in kind.__mro__ if issubclass(base, VecbridgeError) for name in vars(base)
    }


def value_of(hint: Any) -> Any:
    """Something of a type: an instance of a class, filled in the same way."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {typing.Union, UnionType}:
        return value_of(parts[0])
    if origin is Literal:
        return parts[0]
    if origin is tuple:
        listed = [part for part in parts if part is not Ellipsis]
        return tuple(value_of(part) for part in listed)
    kind = origin or hint
    if kind is Partition:
        # The only one of its plan, and so of all ids.
        return Partition(0, None, None, 7)
    if kind is np.ndarray:
        return np.array([[0.5, -0.0], [1.0, 2.0]], dtype=np.float32)
    if inspect.isclass(kind) and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")):
        hints = typing.get_type_hints(kind)
        return kind(**{name: value_of(each) for name, each in hints.items() if name in names(kind)})
    if kind is dict or (inspect.isclass(kind) and issubclass(kind, Mapping)):
        return {"label": "string"}
    simple: dict[Any, Any] = {str: "x", int: 7, float: 0.25, bool: True, Any: 1, type(None): None}
    if kind in simple:
        return simple[kind]
    return frozenset({"strong"}) if kind is frozenset else ["x"]


def names(kind: type[Any]) -> set[str]:
    listed = getattr(kind, "_fields", ())
    return {*listed} or {field.name for field in dataclasses.fields(kind) if field.init}


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
        assert other.flags.writeable
    elif dataclasses.is_dataclass(one) and not isinstance(one, type):
        for name in vars(one):
            assert_same(getattr(one, name), getattr(other, name))
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_same(mine, its)
    elif isinstance(one, Mapping):
        assert_same(list(one.items()), list(other.items()))
    elif not inspect.isroutine(one):
        assert one == other


def test_nothing_public_is_left_out() -> None:
    assert len(ERRORS) >= 23
    assert {IndexInfo, Records, Hits, Candidates, vecbridge.Hit, vecbridge.Capabilities} <= {
        *VALUES
    }
    assert {kind.__name__ for kind in VALUES} >= {"And", "Comparison", "Finding", "Checksum"}


@pytest.fixture(params=["alone", "beside Dask"])
def around(request: pytest.FixtureRequest) -> Iterator[None]:
    """Dask has tblib register a reducer for every class of exceptions."""
    from tblib import pickling_support

    before = dict(copyreg.dispatch_table)
    for kind in (each for each in before if issubclass(each, BaseException)):
        del copyreg.dispatch_table[kind]
    if request.param == "beside Dask":
        pickling_support.install()
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)


@pytest.mark.usefixtures("around")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_itself(kind: type[VecbridgeError], way: Callable[[Any], Any]) -> None:
    error = error_of(kind)
    arrived = way(error)
    assert type(arrived) is kind
    assert (str(arrived), repr(arrived), arrived.args) == (str(error), repr(error), error.args)
    assert vars(arrived) == vars(error)
    for name in ("name", "path", "note", *DETAILS):
        assert getattr(arrived, name, None) == getattr(error, name, None)


@pytest.mark.usefixtures("around")
@pytest.mark.parametrize("way", WAYS)
def test_its_causes_come_along(way: Callable[[Any], Any]) -> None:
    first = MissingDependencyError("m", name="faiss")
    second = BackendError("b", backend="x", operation="o")
    second.__cause__ = first
    error = PartialWriteError("p", backend="x", operation="o", written=["a"], unknown=["b"])
    error.__cause__ = second
    arrived = way(error)
    assert isinstance(arrived.__cause__, BackendError)
    assert isinstance(arrived.__cause__.__cause__, MissingDependencyError)
    assert arrived.__cause__.__cause__.name == "faiss"


@pytest.mark.parametrize("around", ["alone"], indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_a_cause_that_cannot_come_along_is_left_behind(
    way: Callable[[Any], Any], around: None
) -> None:
    class LocalError(Exception):
        """Cannot be pickled: no other process could find its class."""

    error = PartialWriteError("p", backend="x", operation="o", written=["a"], unknown=["b"])
    for odd in (LocalError("l"), UnicodeDecodeError("utf-8", b"x", 0, 1, "r")):
        error.__cause__ = odd
        assert type(way(error)) is PartialWriteError


@pytest.mark.usefixtures("around")
@pytest.mark.timeout(30)
def test_a_long_chain_of_causes_takes_no_long_time() -> None:
    error: VecbridgeError | None = None
    for number in range(30):
        made = VecbridgeError(str(number))
        made.__cause__ = error
        error = made
    arrived = pickle.loads(pickle.dumps(error))
    depth = 0
    while arrived is not None:
        arrived, depth = arrived.__cause__, depth + 1
    assert depth == 30


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_a_value_arrives_as_itself(kind: type[Any], way: Callable[[Any], Any]) -> None:
    value = value_of(kind)
    arrived = way(value)
    assert_same(value, arrived)
    if dataclasses.is_dataclass(kind) and kind.__eq__ is not object.__eq__:
        assert arrived == value


@pytest.mark.parametrize("way", WAYS)
def test_a_read_only_mapping_stays_one(way: Callable[[Any], Any]) -> None:
    fields: Any = MappingProxyType({"label": "string"})
    for value in (
        IndexInfo("photos", 3, "cosine", fields),
        IndexInfo("photos", 3, "cosine"),
        IndexInfo(
            "photos",
            3,
            "cosine",
            fields,
            required=frozenset({"note"}),
            limits=MappingProxyType({"size": FieldLimits(largest=127)}),
            max_id_bytes=64,
        ),
        Records((), np.empty((0, 3), dtype=np.float32), MappingProxyType({"label": ["x"]})),
        Records((), np.empty((0, 3), dtype=np.float32)),
    ):
        assert_same(value, way(value))


def test_what_an_index_is_can_be_a_key() -> None:
    fields: Any = {"label": "string", "score": "float"}
    one = IndexInfo("photos", 3, "cosine", fields)
    other = IndexInfo("photos", 3, "cosine", MappingProxyType(dict(reversed(fields.items()))))
    assert one == other
    assert hash(one) == hash(other) == hash(pickle.loads(pickle.dumps(other)))
    assert one != IndexInfo("photos", 3, "cosine")


@pytest.mark.parametrize(
    "value",
    [
        Records(("a",), np.ones((1, 3), dtype=np.float32)),
        Candidates(("a",), np.ones((1, 3), dtype=np.float32), 0.5),
        Hits(("a",), np.ones(1)),
    ],
)
def test_what_came_through_an_object_store_is_the_receivers_own(value: Any) -> None:
    """Object stores hand arrays over out of band, in memory that may not be written."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    assert buffers
    held = [bytes(buffer) for buffer in buffers]
    arrived = pickle.loads(data, buffers=held)
    for array in (each for each in vars(arrived).values() if isinstance(each, np.ndarray)):
        array[:] = 7
    again = pickle.loads(data, buffers=held)
    assert_same(value, again)


def fail(number: int) -> None:
    kind = ERRORS[number]
    raise error_of(kind) from BackendError("behind", backend="x", operation="o")


def ask(path: str) -> tuple[IndexInfo, Records, list[Hits]]:
    with vecbridge.get_backend("sklearn", path=path) as store:
        index = store.open_index("photos")
        return index.info, index.fetch(["b", "a", "z"]), index.search([1, 0])


def refuse(capability: str) -> None:
    raise UnsupportedError("no", capability=capability)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn"])
def test_errors_and_answers_come_back_from_workers(method: str, tmp_path: Any) -> None:
    with vecbridge.get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=2, fields={"label": "string"})
        index.upsert(["a", "b"], [[1, 0], [0, 1]], {"label": ["x", "y"]})
        expected = index.info, index.fetch(["b", "a", "z"]), index.search([1, 0])
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        for number, kind in enumerate(ERRORS):
            with pytest.raises(VecbridgeError) as caught:
                pool.apply_async(fail, (number,)).get(timeout=60)
            assert type(caught.value) is kind
            assert vars(caught.value).items() >= vars(error_of(kind)).items()
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        with pytest.raises(UnsupportedError) as refused:
            executor.submit(refuse, "filters").result(timeout=60)
        assert refused.value.capability == "filters"
        assert_same(expected, executor.submit(ask, str(tmp_path)).result(timeout=60))
