"""A run moves to another store under its key; whatever is interrupted is completed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.live.fiftyone.cases import Case, Digits, Elsewhere, make_digits, new_run
from tests.live.fiftyone.growing import held
from vecbridge import CorruptStoreError, InvalidArgumentError, UnsupportedError
from vecbridge.bulk import WorkerPool

KILLED = """
import json, os, signal, sys
import fiftyone as fo
import vecbridge
import vecbridge.fiftyone

def end(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

def move(name, key, path, when):
    def progress(stage, done, total):
        if when == stage or (when == "compared" and stage == "reading" and done == total):
            end()

    drop = vecbridge.Store.drop_index
    if when == "noted":
        vecbridge.Store.open_or_create_index = end
    if when == "switched":
        vecbridge.Store.drop_index = end
    if when == "dropped":
        vecbridge.Store.drop_index = lambda *args: (drop(*args), end())
    vecbridge.fiftyone.move(name, key, "faiss", path=path, drop_source=True, progress=progress)

# Importing FiftyOne takes seconds: one process imports it, and each of its children is killed.
for arguments in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        try:
            move(*arguments)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
WHEN = ["noted", "copying", "reading", "compared", "switched", "dropped"]
NEXT = """
import fiftyone as fo
name, key = arguments
dataset = fo.load_dataset(name)
dataset.reload()
index = dataset.load_brain_results(key, cache=False)
answer = [index.config.method, index.total_index_size, index.config.collection_name]
"""


@pytest.fixture
def own(fob: Any, tmp_path: Path) -> Digits:
    """A dataset that a test may change."""
    (tmp_path / "media").mkdir()
    return make_digits(tmp_path / "media", count=30)


def names(backend: str, path: Path) -> list[str]:
    with vecbridge.get_backend(backend, path=str(path)) as store:
        return list(store.index_names())


@pytest.mark.parametrize("drop_source", [False, True])
def test_it_goes_and_comes_back_and_what_is_left_is_told(
    own: Digits, path_case: Case, tmp_path: Path, elsewhere: Elsewhere, drop_source: bool
) -> None:
    from vecbridge.fiftyone import orphans

    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    key, first, before = index.key, index.config.collection_name, held(index)
    done = index.move_to("faiss", path=str(tmp_path / "there"), drop_source=drop_source)
    assert (done.source, done.target, done.records) == ("sklearn", "faiss", 30)
    assert done.left == (None if drop_source else first)
    assert (done.needed, index.config.method) == ({}, "vecbridge_faiss")
    assert held(index) == before
    assert index.total_index_size == 30
    assert elsewhere.run(NEXT, own.dataset.name, key) == [
        "vecbridge_faiss",
        30,
        done.collection_name,
    ]
    back = index.move_to("sklearn", drop_source=True, **path_case.options)
    assert (back.checksum, back.left) == (done.checksum, None)
    assert held(own.dataset.load_brain_results(key, cache=False)) == before
    assert names("faiss", tmp_path / "there") == []
    found = orphans("sklearn", **path_case.options)
    left = [] if drop_source else [(first, 30, True)]
    assert [(each.name, each.records, each.made_here) for each in found.found] == left
    assert own.dataset.list_runs() == []


def test_workers_copy_it_to_a_server(
    own: Digits, path_case: Case, tmp_path: Path, milvus_server_uri: str
) -> None:
    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    before = held(index)
    with WorkerPool(2) as pool:
        with pytest.raises(UnsupportedError, match="one process at a time writes"):
            index.move_to("faiss", path=str(tmp_path / "there"), executor=pool)
        assert (index.config.method, own.dataset.list_runs()) == ("vecbridge_sklearn", [])
        index.move_to("milvus", uri=milvus_server_uri, executor=pool)
    assert index.config.method == "milvus"
    assert held(index) == before


def test_patches_digests_and_the_model_go_along(
    models: Any, own: Digits, path_case: Case, tmp_path: Path, zoo_model: str
) -> None:
    index = new_run(own, path_case, model=zoo_model, patches_field="halves")
    before = held(index)
    index.move_to("faiss", path=str(tmp_path / "there"))
    assert (index.config.model, index.config.patches_field) == (zoo_model, "halves")
    assert held(index) == before
    assert index.sync().unknown == ()


def test_a_kill_anywhere_loses_nothing_and_the_same_call_completes_it(
    own: Digits, fob: Any, tmp_path: Path
) -> None:
    from vecbridge.fiftyone import move

    before, arguments = {}, []
    for when in WHEN:
        case = Case("vecbridge_sklearn", {"path": str(tmp_path / when / "here")})
        index = new_run(own, case, metric="euclidean", embeddings=own.vectors, brain_key=when)
        before[when] = held(index)
        arguments.append([own.dataset.name, when, str(tmp_path / when / "there"), when])
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.stdout.split() == [str(-signal.SIGKILL)] * len(WHEN), killed.stderr
    own.dataset.reload()
    for when in WHEN:
        there = tmp_path / when / "there"
        assert held(own.dataset.load_brain_results(when, cache=False)) == before[when]
        done = move(own.dataset, when, "faiss", path=str(there), drop_source=True)
        assert (done.source, done.target, done.records, done.left) == ("sklearn", "faiss", 30, None)
        moved = own.dataset.load_brain_results(when, cache=False)
        assert held(moved) == before[when]
        assert names("faiss", there) == [moved.config.collection_name]
        assert names("sklearn", tmp_path / when / "here") == []
    assert own.dataset.list_runs() == []


def test_a_source_that_changed_since_the_kill_is_copied_anew(
    own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "reading":
            raise KeyboardInterrupt

    there = {"path": str(tmp_path / "there")}
    with pytest.raises(KeyboardInterrupt):
        index.move_to("faiss", progress=stop, **there)
    index.remove_from_index(own.ids[:3])
    assert index.move_to("faiss", **there).records == 27
    assert len(names("faiss", tmp_path / "there")) == 1


def test_a_copy_that_differs_is_dropped_and_the_run_stays(
    own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    before = held(index)
    there = vecbridge.get_backend("faiss", path=str(tmp_path / "there"))

    def spoil(stage: str, done: int, total: int) -> None:
        if stage == "copying":
            (name,) = there.index_names()
            there.open_index(name).delete(own.ids[:1])

    with pytest.raises(CorruptStoreError, match="differs from its source"):
        index.move_to("faiss", path=str(tmp_path / "there"), progress=spoil)
    assert names("faiss", tmp_path / "there") == []
    assert held(own.dataset.load_brain_results(index.key, cache=False)) == before
    assert own.dataset.list_runs() == []


def test_what_cannot_move_is_refused_before_anything_is_changed(
    own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    clone = own.dataset.clone()
    there = {"path": str(tmp_path / "there")}
    with pytest.raises(InvalidArgumentError, match="already; nothing"):
        index.move_to("sklearn", **path_case.options)
    with pytest.raises(InvalidArgumentError, match="in memory"):
        index.move_to("faiss", path=":memory:")
    with pytest.raises(InvalidArgumentError, match="cannot drop the source"):
        index.move_to("faiss", drop_source=True, **there)
    of_clone = clone.load_brain_results(index.key, cache=False)
    with pytest.raises(InvalidArgumentError, match="cannot drop the source"):
        of_clone.move_to("faiss", drop_source=True, **there)
    assert not (tmp_path / "there").exists() or names("faiss", tmp_path / "there") == []
    done = of_clone.move_to("faiss", **there)
    assert done.left == index.config.collection_name
    assert done.left_to == (f"run {index.key!r} of dataset {own.dataset.name!r}",)
    of_clone.remove_from_index(own.ids[:1])
    assert (of_clone.total_index_size, index.total_index_size) == (29, 30)
    assert index.move_to("faiss", drop_source=True, **there).left is None


def test_a_server_that_is_not_configured_is_said_and_saved_where_that_is_asked_for(
    own: Digits, path_case: Case, milvus_server_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from vecbridge.fiftyone import close_stores
    from vecbridge.fiftyone.__main__ import main

    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    key, before = index.key, held(index)
    command = ["move", own.dataset.name, key, "--to", "milvus", "-o", f"uri={milvus_server_uri}"]
    assert main([*command, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["needed"] == {"uri": milvus_server_uri}
    assert main([*command, "--dry-run"]) == 0
    variable = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI"
    assert f"  export {variable}={milvus_server_uri}\n" in capsys.readouterr().out
    file = Path(os.environ["FIFTYONE_BRAIN_CONFIG_PATH"])
    assert not file.exists()
    assert main([*command, "--drop-source", "--save", "-o", "timeout=20"]) == 0
    shown = capsys.readouterr().out
    assert f"{key}: sklearn -> milvus\n30 records copied, read back and compared: " in shown
    assert shown.endswith(f"other processes find it through the settings in {file}\n")
    try:
        close_stores()
        own.dataset.reload()
        assert held(own.dataset.load_brain_results(key, cache=False)) == before
        back = ["move", own.dataset.name, key, "--to", "sklearn", "--drop-source"]
        back += ["-o", f"path={path_case.options['path']}"]
        assert main([*back, "--json"]) == 0
        done = json.loads(capsys.readouterr().out)
        assert (done["needed"], done["left"], done["records"]) == ({}, None, 30)
        assert main([*back, "--json"]) == 2
        assert "already" in capsys.readouterr().err
    finally:
        file.unlink()


def test_a_secret_that_is_needed_is_not_shown(own: Digits, path_case: Case) -> None:
    from vecbridge.fiftyone import move

    index = new_run(own, path_case, metric="euclidean", embeddings=own.vectors)
    options: dict[str, Any] = {"uri": "http://somewhere:19530", "user": "me", "password": "hush"}
    plan = move(own.dataset, index.key, "milvus", dry_run=True, **options)
    assert plan.needed == {**options, "password": None}
    plan = move(own.dataset, index.key, "milvus", dry_run=True, uri="http://me:hush@somewhere:1")
    assert "hush" not in str(plan)


def test_orphans_of_this_database_are_dropped_and_no_others(
    own: Digits, path_case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    from vecbridge.fiftyone import orphans
    from vecbridge.fiftyone.__main__ import main

    path = Path(path_case.options["path"])
    kept = new_run(own, path_case, embeddings=own.vectors)
    deleted = new_run(own, path_case, embeddings=own.vectors)
    named = new_run(own, path_case, embeddings=own.vectors, collection_name="photos")
    for run in (deleted, named):
        own.dataset.delete_brain_run(run.key)
    other = make_digits(path / "media", count=5)
    of_deleted_dataset = new_run(other, path_case, embeddings=other.vectors)
    other.dataset.delete()
    with vecbridge.get_backend("sklearn", **path_case.options) as store:
        for theirs in ("fiftyone_photos_similar_0123abcd_4567cdef", "fiftyonephotos", "mine"):
            store.create_index(theirs, dimension=2).upsert(["a"], [[1, 0]])
    expected = {deleted.config.collection_name, of_deleted_dataset.config.collection_name}

    found = orphans("sklearn", **path_case.options).found

    assert {each.name for each in found if each.made_here} == expected
    assert {each.name for each in found if not each.made_here} == {
        "fiftyone_photos_similar_0123abcd_4567cdef"
    }
    command = ["orphans", "sklearn", "-o", f"path={path}"]
    assert main([*command, "--drop", "--json"]) == 2
    assert "give --yes" in capsys.readouterr().err
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "not known to be from this FiftyOne: kept" in shown
    assert shown.endswith(f"searched sklearn in {path}\n")
    assert main([*command, "--drop", "--yes"]) == 0
    assert set(names("sklearn", path)) == {
        kept.config.collection_name,
        "photos",
        "fiftyone_photos_similar_0123abcd_4567cdef",
        "fiftyonephotos",
        "mine",
    }


def test_without_a_backend_the_stores_of_runs_are_looked_into(
    own: Digits, path_case: Case, tmp_path: Path
) -> None:
    from vecbridge.fiftyone import orphans

    new_run(own, path_case, embeddings=own.vectors)
    gone = new_run(own, path_case, embeddings=own.vectors)
    own.dataset.delete_brain_run(gone.key)
    there = {each.name for each in orphans().found}
    assert gone.config.collection_name in there


def test_what_is_being_made_is_no_orphan(
    models: Any, own: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone import orphans
    from vecbridge.fiftyone.similarity import SklearnSimilarity

    sizes = replace(SklearnSimilarity.part_sizes, first=10, largest=10)
    monkeypatch.setattr(SklearnSimilarity, "part_sizes", sizes)
    failing = models.CountingModel(fail_after=25)
    with pytest.raises(RuntimeError, match="memory"):
        new_run(own, path_case, model=failing, skip_failures=False, brain_key="begun")
    assert len(names("sklearn", Path(path_case.options["path"]))) == 1
    assert orphans("sklearn", **path_case.options, drop=True).found == ()
    assert new_run(own, path_case, model=models.CountingModel(), brain_key="begun").index_size == 30
