"""An exception at any moment of a call leaves the records before it or those after it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interrupts import STEP, at, interrupted, moments
from tests.unit.local.helpers import run
from vecbridge import BackendError, IndexNotFoundError
from vecbridge.local import LocalStore, LocalTable

# Interrupted between opening a file and the statement that closes it, it is closed by its end.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

Model = dict[str, tuple[float, ...]]
Call = Callable[[LocalTable], None]


def vectors(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, 2)).astype(np.float32)


def ids(start: int, stop: int) -> list[str]:
    return [f"r{number:05}" for number in range(start, stop)]


def put(table: LocalTable, start: int, stop: int, seed: int = 0) -> None:
    table.upsert(ids(start, stop), vectors(stop - start, seed), {"n": list(range(start, stop))})


def fill(table: LocalTable) -> None:
    put(table, 0, 12)


def created(store: LocalStore, name: str = "t") -> LocalTable:
    return store.create(name, dimension=2, metric="euclidean", fields={"n": "integer"})


def model_of(table: LocalTable) -> Model:
    """Every record once, and found by its id."""
    view = table.snapshot()
    everything = view.part(0, len(view))
    found = {
        name: (*vector, n)
        for name, vector, n in zip(
            everything.ids, everything.vectors.tolist(), everything.fields["n"], strict=True
        )
    }
    assert len(found) == len(everything.ids) == table.count(), "a record comes twice"
    again = table.fetch(list(found))
    assert (again.ids, again.missing) == (everything.ids, ())
    assert again.vectors.tobytes() == everything.vectors.tobytes()
    assert view.norms == pytest.approx(np.linalg.norm(everything.vectors, axis=1), abs=1e-6)
    return found


def upsert(table: LocalTable) -> None:
    put(table, 8, 16, seed=1)


def append(table: LocalTable) -> None:
    put(table, 20, 24, seed=1)


def delete(table: LocalTable) -> None:
    table.delete([*ids(1, 4), *ids(9, 11), "unknown", *ids(1, 2)])


def delete_all(table: LocalTable) -> None:
    table.delete(ids(0, 12))


WRITES: dict[str, Call] = {"upsert": upsert, "append": append, "delete": delete, "all": delete_all}


def expected(write: Call, prepare: Call = fill) -> tuple[Model, Model]:
    """The records before a write and those after it."""
    table = created(LocalStore(None, "test"))
    prepare(table)
    before = model_of(table)
    write(table)
    return before, model_of(table)


def next_write(table: LocalTable) -> None:
    table.upsert(["next"], np.full((1, 2), 9, np.float32), {"n": [9]})


def and_next(found: Model) -> Model:
    return {**found, "next": (9.0, 9.0, 9)}


@pytest.mark.parametrize("opcodes", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("viewed", [False, True])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_in_memory(write: str, *, viewed: bool, opcodes: bool) -> None:
    before, after = expected(WRITES[write])
    kept: list[Any] = []
    for moment in range(100_000):
        table = created(LocalStore(None, "test"))
        fill(table)
        view = table.snapshot() if viewed else None
        error = interrupted(moment, lambda: WRITES[write](table), opcodes=opcodes)  # noqa: B023
        kept = [*kept[-3:], error, view]
        found = model_of(table)
        assert found in ((before, after) if error else (after,))
        if view is not None:
            assert view.vectors.tolist() == [list(row[:2]) for row in before.values()]
        next_write(table)
        assert model_of(table) == and_next(found)
        if error is None:
            assert moment > (300 if opcodes else 40)
            return


def test_a_write_in_memory_that_is_taken_back_with_interrupts() -> None:
    """What makes the records whole again may itself be broken off, and again."""
    for write in (upsert, delete):
        before, _ = expected(write)
        for moment in range(0, 10_000, 3):
            table = created(LocalStore(None, "test"))
            fill(table)
            if interrupted(moment, lambda: write(table)) is None:  # noqa: B023
                break
            for second in range(0, 60, 7):
                interrupted(second, table.count)
            found = model_of(table)
            assert len(found) in (len(before), table.count())


def nearly_dead(table: LocalTable) -> None:
    """One more write makes the log so dead that it is rewritten."""
    fill(table)
    for _ in range(2):
        put(table, 100, 2200)
    table.delete(ids(100, 2200))


def long_tailed(table: LocalTable) -> None:
    """The next write is the one that merges a run of small ones."""
    fill(table)
    for number in range(78):
        put(table, number % 12, number % 12 + 1, seed=number)


ON_DISK: dict[str, tuple[Call, Call]] = {
    **{name: (fill, write) for name, write in WRITES.items()},
    "rewrite": (nearly_dead, append),
    "merge": (long_tailed, upsert),
}


def template(folder: Path, prepare: Call) -> Path:
    """A store on disk, closed, to be copied."""
    store = LocalStore(folder / "made", "test")
    prepare(created(store))
    store.close()
    return folder / "made"


@pytest.mark.slow
@pytest.mark.parametrize("case", ON_DISK)
def test_a_write_on_disk(tmp_path: Path, case: str) -> None:
    prepare, write = ON_DISK[case]
    before, after = expected(write, prepare)
    made, folder = template(tmp_path, prepare), tmp_path / "store"
    kept: list[Any] = []
    for moment in moments():
        shutil.copytree(made, folder)
        store, other = LocalStore(folder, "test"), LocalStore(folder, "test")
        table = store.open("t")
        table.count()
        error = interrupted(moment, lambda: write(table))  # noqa: B023
        kept = [*kept[-3:], error]
        found = model_of(table)
        assert found in ((before, after) if error else (after,))
        beside = other.open("t")
        assert model_of(beside) == found
        next_write(beside)
        assert model_of(table) == and_next(found)
        put(table, 50, 51)
        wanted = model_of(table)
        assert len(wanted) == len(found) + 2
        assert model_of(beside) == wanted
        if 100 <= moment < 100 + STEP:
            code = (
                "import sys; from vecbridge.local import LocalStore; import numpy as np; "
                "table = LocalStore(sys.argv[1], 'test').open('t'); print(table.count()); "
                "table.upsert(['x'], np.zeros((1, 2), np.float32), {'n': [1]})"
            )
            assert run(code, folder) == str(len(wanted))
            assert table.count() == len(wanted) + 1
        store.close()
        other.close()
        shutil.rmtree(folder)
        if error is None:
            assert moment > 100
            return


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("case", ["create", "drop", "open"])
def test_the_life_of_an_index(tmp_path: Path, case: str, *, on_disk: bool) -> None:
    made, folder = template(tmp_path, fill), tmp_path / "store"
    kept: list[Any] = []
    for moment in moments():
        shutil.copytree(made, folder)
        store = LocalStore(folder if on_disk else None, "test")
        if not on_disk:
            fill(created(store))
        calls: dict[str, Callable[[], Any]] = {
            "create": lambda: created(store, "new"),  # noqa: B023
            "drop": lambda: store.drop("t"),  # noqa: B023
            "open": lambda: store.open("t").count(),  # noqa: B023
        }
        error = interrupted(moment, calls[case])
        kept = [*kept[-3:], error]
        names = store.names()
        change = {"create": ["new", "t"], "drop": [], "open": ["t"]}[case]
        assert names in ((["t"], change) if error else (change,))
        if on_disk:
            other = LocalStore(folder, "test")
            assert other.names() == names
            other.close()
        if "t" in names:
            assert model_of(store.open("t")) == expected(append)[0]
        else:
            with pytest.raises(IndexNotFoundError):
                store.open("t")
        for name in {"t", "new"} - set(names):
            fill(created(store, name))
            assert store.open(name).count() == 12
        assert store.names() == ["new", "t"]
        store.close()
        shutil.rmtree(folder)
        if error is None:
            assert moment > 5
            return


@pytest.mark.parametrize("on_disk", [False, True])
def test_the_first_store_of_a_folder(tmp_path: Path, *, on_disk: bool) -> None:
    for moment in moments():
        folder = tmp_path / str(moment)
        store = LocalStore(folder if on_disk else None, "test")
        error = interrupted(moment, lambda: fill(created(store)))  # noqa: B023
        names = store.names()
        if names:
            assert store.open("t").count() in ((0, 12) if error else (12,))
            store.drop("t")
        fill(created(store))
        assert LocalStore(folder, "test").open("t").count() == 12 if on_disk else True
        store.close()
        if error is None:
            return


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("write", ["upsert", "delete"])
def test_a_handler_reads_the_records_before_or_after_or_is_refused(
    tmp_path: Path, write: str, *, on_disk: bool
) -> None:
    before, after = expected(WRITES[write])
    table = created(LocalStore(tmp_path if on_disk else None, "test"))
    answers = {"answered": 0, "refused": 0}

    def handle() -> None:
        refusals: list[BackendError] = []
        found: Model | None = None
        try:
            found = model_of(table)
            next_write(table)
            table.delete(["next"])
        except BackendError as error:
            refusals.append(error)
        assert all("signal handler" in str(error) and error.retryable for error in refusals)
        assert found in (before, after, None)
        answers["refused" if refusals else "answered"] += 1

    for moment in range(100_000):
        table.delete(list(model_of(table)))
        fill(table)
        with at(moment, handle) as came:
            WRITES[write](table)
        assert model_of(table) == after
        if not came():
            break
    assert all(answers.values()), answers
