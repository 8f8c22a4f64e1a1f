"""A run of FiftyOne's sklearn keeps its neighbours, where that is asked for; else it is said."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Digits, ranked
from vecbridge import DimensionError, InvalidArgumentError

# FiftyOne's own backends use what their libraries deprecate.
pytestmark = pytest.mark.filterwarnings("ignore")

_numbers = itertools.count()


def theirs(digits: Digits, **options: Any) -> str:
    """The key of a run in FiftyOne's own sklearn."""
    import fiftyone.brain as fob
    from fiftyone.brain.internal.core.sklearn import SklearnSimilarityConfig

    key = f"centered_{next(_numbers)}"
    about = {"metric": "cosine", "embeddings": digits.vectors, **options}
    fob.compute_similarity(digits.dataset, backend=SklearnSimilarityConfig, brain_key=key, **about)
    digits.dataset.reload()
    return key


def loaded(digits: Digits, key: str) -> Any:
    digits.dataset.reload()
    return digits.dataset.load_brain_results(key, cache=False)


def neighbours(index: Any, ids: list[str], **options: Any) -> list[Any]:
    """The ids of all records by their distance to each, and the distances."""
    found = [index._kneighbors(n, aggregation="mean", return_dists=True, **options) for n in ids]
    return [(names, dists) for names, _, dists in found]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_are_fiftyones_own_in_their_order(
    fob: Any, digits: Digits, tmp_path: Path, dtype: Any
) -> None:
    from vecbridge.fiftyone import adopt

    digits = replace(digits, vectors=digits.vectors.astype(dtype) / 16 + 3)
    key, asked = theirs(digits), digits.ids[:40]
    before = neighbours(loaded(digits, key), asked)
    farthest = neighbours(loaded(digits, key), asked, reverse=True, k=9)
    view = digits.dataset.select(digits.ids[20:90])
    theirs_again = loaded(digits, key)
    with theirs_again.use_view(view):
        in_view = neighbours(theirs_again, digits.ids[20:40])
    plan = adopt(digits.dataset, key, center=True, dry_run=True, path=str(tmp_path))
    done = adopt(digits.dataset, key, center=True, path=str(tmp_path))
    assert (plan.changes, done.changes) == ("", "")
    index = loaded(digits, key)
    for found, wanted in zip(neighbours(index, asked), before, strict=True):
        assert found[0] == wanted[0]
        assert np.allclose(found[1], wanted[1], atol=1e-5)
    assert [names for names, _ in neighbours(index, asked, reverse=True, k=9)] == [
        names for names, _ in farthest
    ]
    with index.use_view(view):
        found = neighbours(index, digits.ids[20:40])
    assert [names for names, _ in found] == [names for names, _ in in_view]
    back = adopt(digits.dataset, key, back=True)
    assert back.records == len(digits.ids)
    again = neighbours(loaded(digits, key), asked)
    assert [names for names, _ in again] == [names for names, _ in before]
    digits.dataset.delete_brain_run(key)


def test_without_it_the_change_is_said_and_the_vectors_are_ranked_as_they_were_given(
    fob: Any, digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vecbridge.fiftyone.__main__ import main

    digits = replace(digits, vectors=digits.vectors + 30)
    key = theirs(digits)
    before = neighbours(loaded(digits, key), digits.ids[:9])
    command = ["adopt", digits.dataset.name, key, "-o", f"path={tmp_path}"]
    assert main([*command, "--dry-run"]) == 0
    assert "neighbours change" in capsys.readouterr().out
    assert main(command) == 0
    assert "--center" in capsys.readouterr().out
    index = loaded(digits, key)
    after = [names for names, _ in neighbours(index, digits.ids[:9])]
    assert after == [
        [name for name, _ in ranked("cosine", digits.ids, digits.vectors, digits.vectors[row])]
        for row in range(9)
    ]
    assert after != [names for names, _ in before]
    index.delete()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_what_fiftyone_does_not_center_is_refused(
    fob: Any, digits: Digits, tmp_path: Path, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import vecbridge.fiftyone._adopt as adopting
    from vecbridge.fiftyone import _center, adopt

    key = theirs(digits, metric=metric)
    if metric == "cosine":
        monkeypatch.setattr(_center, "CENTERED_AT_MOST", 100)
        monkeypatch.setattr(adopting, "CENTERED_AT_MOST", 100)
    with pytest.raises(InvalidArgumentError, match="does not center"):
        adopt(digits.dataset, key, center=True, path=str(tmp_path))
    assert adopt(digits.dataset, key, path=str(tmp_path)).changes == ""
    with pytest.raises(InvalidArgumentError, match="not for back"):
        adopt(digits.dataset, key, back=True, center=True)
    loaded(digits, key).delete()


def test_what_is_added_asked_for_and_moved_later_is_centered_alike(
    fob: Any, digits: Digits, tmp_path: Path
) -> None:
    from vecbridge.fiftyone import adopt

    rows = digits.vectors / 16 + 3
    own = replace(digits, vectors=rows[:100], ids=digits.ids[:100])
    digits.dataset.select(own.ids).set_values("emb", list(own.vectors))
    key = theirs(digits, embeddings="emb")
    adopt(digits.dataset, key, center=True, path=str(tmp_path))
    index, mean = loaded(digits, key), own.vectors.mean(axis=0, dtype=np.float64)
    assert index.sync().in_step
    digits.dataset.select(digits.ids[100:]).set_values("emb", list(rows[100:]))
    assert len(index.sync().new) == 50
    expected = ranked("cosine", digits.ids, np.float32(rows - mean), np.float32(rows[120] - mean))
    for query in (digits.ids[120], rows[120]):
        ids, _, dists = index._kneighbors(query, k=20, return_dists=True)
        assert list(zip(ids, dists, strict=True)) == expected[:20]
    vectors, samples, _ = index.get_embeddings()
    given = rows[[digits.row(name) for name in samples]]
    assert np.allclose(vectors, given, rtol=0, atol=1e-6)
    index.move_to("faiss", path=str(tmp_path / "there"), drop_source=True)
    ids, _, dists = loaded(digits, key)._kneighbors(rows[120], k=20, return_dists=True)
    assert list(zip(ids, dists, strict=True)) == expected[:20]
    with pytest.raises(DimensionError, match="have 64 values"):
        index.add_to_index(np.ones((1, 9)), digits.ids[:1])
    index.delete()
    digits.dataset.delete_sample_field("emb")
