"""Embeddings are written as they are computed, and an interrupted step goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.live.fiftyone.cases import Case, Digits, new_run

KILLED = """
import json, sys
import fiftyone as fo
import vecbridge.fiftyone
from tests.live.fiftyone.models import CountingModel

vecbridge.fiftyone.enable()
import fiftyone.brain as fob
from vecbridge.fiftyone.similarity import SklearnSimilarity
SklearnSimilarity.part_sizes = type(SklearnSimilarity.part_sizes)(first=20, largest=20)
name, options = json.loads(sys.argv[1])
fob.compute_similarity(fo.load_dataset(name), model=CountingModel(kill_after=90), **options)
"""


@pytest.fixture
def small_parts(fob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vecbridge.fiftyone.similarity import SklearnSimilarity

    sizes = replace(SklearnSimilarity.part_sizes, first=20, largest=20)
    monkeypatch.setattr(SklearnSimilarity, "part_sizes", sizes)


def embedded(models: Any, digits: Digits) -> Any:
    return models.CountingModel().embed_all([image.reshape(8, 8) * 15 for image in digits.vectors])


@pytest.mark.usefixtures("small_parts")
def test_records_are_in_the_store_while_the_rest_is_embedded(
    models: Any, digits: Digits, path_case: Case
) -> None:
    from vecbridge.fiftyone.similarity import SklearnSimilarityConfig

    counts = []

    class Watching(models.CountingModel):  # type: ignore[misc]
        def embed(self, arg: Any) -> Any:
            store = SklearnSimilarityConfig(**path_case.options).connect()
            counts.append(sum(store.open_index(name).count() for name in store.index_names()))
            return super().embed(arg)

    index = new_run(digits, path_case, model=Watching())
    assert counts == [20 * (number // 20) for number in range(150)]
    vectors, _, _ = index.get_embeddings(sample_ids=digits.ids)
    assert np.array_equal(vectors, embedded(models, digits))
    assert index.index_size == 150


@pytest.mark.usefixtures("small_parts")
def test_one_progress_bar_tells_every_sample(models: Any, digits: Digits, path_case: Case) -> None:
    seen: dict[int, list[int]] = {}

    def told(bar: Any) -> None:
        seen.setdefault(id(bar), []).append(bar.iteration)

    new_run(digits, path_case, model=models.CountingModel(), progress=told)
    (iterations,) = seen.values()
    assert iterations == sorted(iterations)
    assert set(range(1, 151)) <= set(iterations)


@pytest.mark.usefixtures("small_parts")
def test_bar_tells_rate_and_time_left(
    models: Any, digits: Digits, path_case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    class Slow(models.CountingModel):  # type: ignore[misc]
        def embed(self, arg: Any) -> Any:
            time.sleep(0.005)
            return super().embed(arg)

    new_run(digits, path_case, model=Slow(), progress=True)
    drawn = capsys.readouterr().out.replace("\r", "\n")
    assert re.search(r"\d+/150 .*elapsed, .*remaining, [0-9.]+ samples/s", drawn)
    assert " 20/20 " not in drawn


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("patches_field", [None, "halves"])
def test_failed_step_goes_on_where_it_stopped(
    models: Any, digits: Digits, path_case: Case, patches_field: str | None
) -> None:
    options = {"brain_key": "going_on", "patches_field": patches_field}
    with pytest.raises(RuntimeError, match="out of memory"):
        new_run(
            digits,
            path_case,
            model=models.CountingModel(fail_after=90),
            skip_failures=False,
            **options,
        )
    assert not digits.dataset.has_brain_run("going_on")
    assert digits.dataset.list_runs() == ["vecbridge_unfinished_going_on"]
    again = models.CountingModel()
    index = new_run(digits, path_case, model=again, **options)
    assert again.seen == 70 if patches_field is None else again.seen < 80
    assert digits.dataset.list_runs() == []
    assert index.store.index_names() == [index.config.collection_name]
    whole = new_run(digits, path_case, model=models.CountingModel(), patches_field=patches_field)
    expected, _, labels = whole.get_embeddings()
    vectors, _, found = index.get_embeddings()
    assert np.array_equal(vectors, expected)
    assert labels is None or labels.tolist() == found.tolist()
    index.delete()


def test_killed_process_loses_nothing_that_it_wrote(
    models: Any, digits: Digits, path_case: Case
) -> None:
    options = {"backend": path_case.backend, "brain_key": "killed", **path_case.options}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, json.dumps([digits.dataset.name, options])],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    digits.dataset.reload()
    assert not digits.dataset.has_brain_run("killed")
    model = models.CountingModel()
    index = new_run(digits, path_case, model=model, brain_key="killed")
    assert model.seen == 150 - 80
    vectors, _, _ = index.get_embeddings(sample_ids=digits.ids)
    assert np.array_equal(vectors, embedded(models, digits))
    index.delete()


@pytest.mark.usefixtures("small_parts")
def test_step_with_other_facts_starts_afresh_and_leaves_nothing_behind(
    models: Any, digits: Digits, path_case: Case
) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        new_run(
            digits,
            path_case,
            model=models.CountingModel(fail_after=90),
            skip_failures=False,
            brain_key="afresh",
        )
    model = models.CountingModel()
    index = new_run(digits, path_case, model=model, metric="euclidean", brain_key="afresh")
    assert model.seen == 150
    assert index.store.index_names() == [index.config.collection_name]
    assert digits.dataset.list_runs() == []
    index.delete()


@pytest.mark.usefixtures("small_parts")
def test_failure_before_anything_was_written_leaves_nothing(
    models: Any, digits: Digits, path_case: Case
) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        new_run(
            digits,
            path_case,
            model=models.CountingModel(fail_after=3),
            skip_failures=False,
            brain_key="early",
        )
    assert digits.dataset.list_runs() == []
    assert not digits.dataset.has_brain_run("early")


@pytest.mark.usefixtures("small_parts")
def test_samples_that_cannot_be_embedded_are_skipped(
    models: Any, digits: Digits, path_case: Case
) -> None:
    class Picky(models.CountingModel):  # type: ignore[misc]
        def embed(self, arg: Any) -> Any:
            vector = super().embed(arg)
            if self.seen % 10 == 0 or self.seen <= 25:
                raise ValueError("unreadable")
            return vector

    index = new_run(digits, path_case, model=Picky())
    assert index.total_index_size == 150 - 25 - 12 - 1


@pytest.mark.usefixtures("small_parts")
def test_field_that_exists_is_read_in_parts(
    models: Any, digits: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits.dataset.set_values("stored", list(digits.vectors[:140]) + [None] * 10)
    sizes = _sizes_of_writes(monkeypatch)
    index = new_run(digits, path_case, embeddings="stored")
    assert (index.total_index_size, max(sizes), len(sizes)) == (140, 20, 7)
    vectors, _, _ = index.get_embeddings(sample_ids=digits.ids[:140])
    assert np.array_equal(vectors, digits.vectors[:140])
    digits.dataset.delete_sample_field("stored")


KILLED_ARRAY = """
import json, os, signal, sys
import numpy as np
import fiftyone as fo
import vecbridge
import vecbridge.fiftyone

vecbridge.fiftyone.enable()
import fiftyone.brain as fob
from vecbridge.fiftyone.similarity import SklearnSimilarity
SklearnSimilarity.part_sizes = type(SklearnSimilarity.part_sizes)(first=20, largest=20)
name, path, options = json.loads(sys.argv[1])
upsert, written = vecbridge.Index.upsert, []

def last(*args, **kwargs):
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(upsert(*args, **kwargs))

vecbridge.Index.upsert = last
fob.compute_similarity(fo.load_dataset(name), embeddings=np.load(path, mmap_mode="r"), **options)
"""


def test_array_on_disk_goes_on_after_two_kills(
    digits: Digits, path_case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = str(tmp_path / "vectors.npy"), "mapped"
    np.save(path, digits.vectors)
    options = {"backend": path_case.backend, "brain_key": key, **path_case.options}
    arguments = json.dumps([digits.dataset.name, path, options])
    for written in (60, 120):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", KILLED_ARRAY, arguments],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == -9, done.stderr
        digits.dataset.reload()
        assert not digits.dataset.has_brain_run(key)
        with vecbridge.get_backend("sklearn", **path_case.options) as store:
            (name,) = store.index_names()
            assert store.open_index(name).count() == written
    sizes = _sizes_of_writes(monkeypatch)
    index = new_run(digits, path_case, embeddings=np.load(path, mmap_mode="r"), brain_key=key)
    assert sum(sizes) == 150 - 120
    vectors, _, _ = index.get_embeddings(sample_ids=digits.ids)
    assert np.array_equal(vectors, digits.vectors)
    assert digits.dataset.list_runs() == []
    index.delete()


def _broken_off(
    digits: Digits, case: Case, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> None:
    """Begins a run with an array, whose third part cannot be written."""
    with monkeypatch.context() as patch:
        upsert = vecbridge.Index.upsert
        written: list[int] = []

        def failing(*args: Any, **given: Any) -> None:
            if len(written) == 2:
                raise OSError("the disk is gone")
            upsert(*args, **given)
            written.append(len(args))

        patch.setattr(vecbridge.Index, "upsert", failing)
        with pytest.raises(OSError, match="gone"):
            new_run(digits, case, embeddings=digits.vectors, **options)


@pytest.mark.usefixtures("small_parts")
def test_array_that_changed_since_the_kill_replaces_what_was_written(
    digits: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _broken_off(digits, path_case, monkeypatch, brain_key="other")
    other = digits.vectors.copy()
    other[:30] += 1
    sizes = _sizes_of_writes(monkeypatch)
    index = new_run(digits, path_case, embeddings=other, brain_key="other")
    assert sum(sizes) == 150 - 10
    assert np.array_equal(index.get_embeddings(sample_ids=digits.ids)[0], other)
    index.delete()


@pytest.mark.usefixtures("small_parts")
def test_array_of_another_length_starts_afresh(
    digits: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _broken_off(digits, path_case, monkeypatch, brain_key="shorter")
    index = new_run(digits, path_case, embeddings=digits.vectors[:, :8], brain_key="shorter")
    assert index.index.info.dimension == 8
    assert index.store.index_names() == [index.config.collection_name]
    index.delete()


@pytest.mark.usefixtures("small_parts")
def test_array_with_a_field_is_in_both_after_an_interruption(
    digits: Digits, path_case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"brain_key": "in_field", "embeddings_field": "fresh"}
    _broken_off(digits, path_case, monkeypatch, **options)
    digits.dataset.set_values("fresh", [None] * 150)
    index = new_run(digits, path_case, embeddings=digits.vectors, **options)
    assert np.array_equal(np.float32(digits.dataset.values("fresh")), digits.vectors)
    index.delete()
    digits.dataset.delete_sample_field("fresh")


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("wrong", [np.nan, 1e300])
def test_array_is_refused_whole_before_anything_is_written(
    digits: Digits, path_case: Case, wrong: float
) -> None:
    vectors = digits.vectors.astype(float)
    vectors[-1, 0] = wrong
    with pytest.raises(vecbridge.InvalidVectorError, match=digits.ids[-1]):
        new_run(digits, path_case, embeddings=vectors, brain_key="refused")
    with pytest.raises(ValueError, match="149"):
        new_run(digits, path_case, embeddings=digits.vectors[:-1], brain_key="refused")
    assert digits.dataset.list_runs() == []
    with vecbridge.get_backend("sklearn", **path_case.options) as store:
        assert store.index_names() == []


def test_other_similarity_indexes_compute_as_before(
    fob: Any, models: Any, digits: Digits, path_case: Case
) -> None:
    ours = new_run(digits, path_case, model=models.CountingModel())
    theirs = fob.compute_similarity(digits.dataset, backend="sklearn", model=models.CountingModel())
    assert theirs.total_index_size == 150
    vectors, ids, _ = ours.compute_embeddings(digits.dataset[:5], model=models.CountingModel())
    assert (len(vectors), ids.tolist()) == (5, digits.ids[:5])


def _sizes_of_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    upsert = vecbridge.Index.upsert

    def noted(self: Any, ids: Any, *args: Any, **options: Any) -> None:
        sizes.append(len(ids))
        upsert(self, ids, *args, **options)

    monkeypatch.setattr(vecbridge.Index, "upsert", noted)
    return sizes
