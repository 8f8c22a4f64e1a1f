"""Runs of FiftyOne's own backends become vecbridge's under their key, and go back."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bson import json_util

from tests.live.fiftyone.cases import Digits, ranked
from tests.servers.given_milvus import needs_own

# FiftyOne's own backends use what their libraries deprecate.
pytestmark = pytest.mark.filterwarnings("ignore")

_numbers = itertools.count()
SKLEARN = "fiftyone.brain.internal.core.sklearn.SklearnSimilarityConfig"
MILVUS = "fiftyone.brain.internal.core.milvus.MilvusSimilarityConfig"
KILLED = """
import os, signal, sys
import fiftyone as fo
import vecbridge.fiftyone
name, key, path = sys.argv[1:]

def end(stage, done, total):
    os.kill(os.getpid(), signal.SIGKILL)

vecbridge.fiftyone.adopt(fo.load_dataset(name), key, path=path, progress=end)
"""


def theirs(digits: Digits, cls: str, **options: Any) -> Any:
    """A run in one of FiftyOne's own backends."""
    import eta.core.utils as etau
    import fiftyone.brain as fob

    return fob.compute_similarity(
        digits.dataset,
        backend=etau.get_class(cls),
        brain_key=f"moving_{next(_numbers)}",
        metric="euclidean",
        **options,
    )


def record(digits: Digits, key: str) -> str:
    """Everything that MongoDB holds of a run."""
    digits.dataset.reload()
    run = digits.dataset._doc.brain_methods[key]
    return json_util.dumps([run.to_mongo(), len(run.results.read() or b"")])


def loaded(digits: Digits, key: str, **options: Any) -> Any:
    """The run as a new process would load it."""
    digits.dataset.reload()
    return digits.dataset.load_brain_results(key, cache=False, **options)


def check(index: Any, digits: Digits) -> None:
    """The index holds the digits' vectors, bit for bit, and ranks by them."""
    ids, _, dists = index._kneighbors(digits.ids[3], k=9, return_dists=True)
    expected = ranked("euclidean", digits.ids, digits.vectors, digits.vectors[3])[:9]
    assert list(zip(ids, dists, strict=True)) == expected
    vectors, samples, _ = index.get_embeddings()
    assert sorted(samples.tolist()) == sorted(digits.ids)
    assert np.array_equal(vectors, digits.vectors[[digits.row(name) for name in samples]])


def test_run_of_fiftyones_sklearn_goes_over_and_back(
    fob: Any, digits: Digits, tmp_path: Path
) -> None:
    from vecbridge.fiftyone import adopt

    key = theirs(digits, SKLEARN, embeddings=digits.vectors).key
    digits.dataset.reload()
    made = digits.dataset.get_brain_info(key).timestamp
    plan = adopt(digits.dataset, key, dry_run=True, path=str(tmp_path))
    assert (plan.records, plan.in_place, plan.done) == (len(digits.ids), False, False)
    assert digits.dataset.get_brain_info(key).config.cls == SKLEARN
    assert not list(tmp_path.iterdir())
    done = adopt(digits.dataset.name, key, path=str(tmp_path))
    assert (done.source, done.target) == ("FiftyOne's sklearn", "vecbridge's sklearn")
    index = loaded(digits, key)
    assert index.config.method == "vecbridge_sklearn"
    assert digits.dataset.get_brain_info(key).timestamp == made
    check(index, digits)
    undone = adopt(digits.dataset, key, back=True)
    assert undone.left == done.collection_name
    again = loaded(digits, key)
    assert again.config.cls == SKLEARN
    assert again.config.metric == "euclidean"
    assert sorted(again.sample_ids) == sorted(digits.ids)
    assert again.sort_by_similarity(digits.ids[3], k=9).first().id == digits.ids[3]
    digits.dataset.delete_brain_run(key)


def test_patches_and_their_model_stay(
    fob: Any, digits: Digits, tmp_path: Path, zoo_model: str
) -> None:
    from vecbridge.fiftyone import adopt

    key = theirs(digits, SKLEARN, model=zoo_model, patches_field="halves").key
    before = digits.dataset.get_brain_info(key).config
    there = loaded(digits, key).get_embeddings()
    adopt(digits.dataset, key, to="faiss", path=str(tmp_path))
    index = loaded(digits, key)
    assert index.config.method == "vecbridge_faiss"
    for name in ("patches_field", "model", "supports_prompts", "metric"):
        assert getattr(index.config, name) == getattr(before, name)
    vectors, samples, labels = index.get_embeddings(label_ids=there[2].tolist())
    assert labels.tolist() == there[2].tolist()
    assert samples.tolist() == there[1].tolist()
    assert np.array_equal(vectors, np.float32(there[0]))
    index.delete()


@needs_own
def test_collection_of_fiftyones_milvus_is_adopted_in_place_and_mended(
    fob: Any, digits: Digits, milvus_server_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from vecbridge.fiftyone.__main__ import main

    index = theirs(digits, MILVUS, embeddings=digits.vectors, uri=milvus_server_uri)
    index.add_to_index(digits.vectors[:5], digits.ids[:5])
    key, collection = index.key, index.config.collection_name
    command = ["adopt", digits.dataset.name, key, "--option", f"uri={milvus_server_uri}"]
    before = record(digits, key)
    assert main([*command, "--dry-run"]) == 0
    assert "in place" in capsys.readouterr().out
    assert record(digits, key) == before
    assert main([*command, "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["in_place"], done["mended"], done["records"]) == (True, 5, len(digits.ids))
    assert milvus_server_uri not in record(digits, key)
    ours = loaded(digits, key, uri=milvus_server_uri)
    assert ours.config.collection_name == collection
    assert ours.client.query(collection, "", output_fields=["count(*)"])[0] == {
        "count(*)": len(digits.ids)
    }
    check(ours, digits)
    assert main([*command, "--back"]) == 0
    again = loaded(digits, key, uri=milvus_server_uri)
    assert (again.config.cls, again.config.collection_name) == (MILVUS, collection)
    assert again._kneighbors(digits.ids[3], k=1)[0] == [digits.ids[3]]
    again.cleanup()
    digits.dataset.delete_brain_run(key)


@needs_own
def test_index_of_vecbridges_milvus_goes_back_as_a_copy(
    fob: Any, digits: Digits, milvus_server_uri: str
) -> None:
    from vecbridge.fiftyone import adopt

    place: dict[str, Any] = {"uri": milvus_server_uri}
    key = "ours_first"
    index = fob.compute_similarity(
        digits.dataset, backend="milvus", brain_key=key, embeddings=digits.vectors, **place
    )
    done = adopt(digits.dataset, key, back=True, **place)
    assert (done.in_place, done.left) == (False, index.config.collection_name)
    again = loaded(digits, key, **place)
    assert again.config.cls == MILVUS
    assert again.total_index_size == len(digits.ids)
    again.cleanup()
    digits.dataset.delete_brain_run(key)
    index.cleanup()


def test_killed_copy_leaves_the_run_and_the_next_one_leaves_no_trace_of_it(
    fob: Any, digits: Digits, tmp_path: Path
) -> None:
    import vecbridge
    from vecbridge.fiftyone import adopt

    key = theirs(digits, SKLEARN, embeddings=digits.vectors).key
    before = record(digits, key)
    script = [sys.executable, "-W", "ignore", "-c", KILLED, digits.dataset.name, key, str(tmp_path)]
    assert subprocess.run(script, timeout=120, check=False).returncode == -signal.SIGKILL
    assert record(digits, key) == before
    assert loaded(digits, key).total_index_size == len(digits.ids)
    done = adopt(digits.dataset, key, path=str(tmp_path))
    with vecbridge.get_backend("sklearn", path=str(tmp_path)) as store:
        assert store.index_names() == [done.collection_name]
    assert not digits.dataset.list_runs()
    check(loaded(digits, key), digits)
    digits.dataset.load_brain_results(key).delete()


def test_failed_copy_leaves_the_run_and_nothing_else(
    fob: Any, digits: Digits, tmp_path: Path
) -> None:
    import vecbridge
    from vecbridge.fiftyone import adopt

    def fail(stage: str, done: int, total: int) -> None:
        raise RuntimeError("the disk is full")

    key = theirs(digits, SKLEARN, embeddings=digits.vectors).key
    before = record(digits, key)
    with pytest.raises(RuntimeError, match="disk"):
        adopt(digits.dataset, key, path=str(tmp_path), progress=fail)
    assert record(digits, key) == before
    with vecbridge.get_backend("sklearn", path=str(tmp_path)) as store:
        assert store.index_names() == []
    digits.dataset.delete_brain_run(key)


def test_what_cannot_be_adopted_is_refused(fob: Any, digits: Digits, tmp_path: Path) -> None:
    from vecbridge.fiftyone import adopt

    with pytest.raises(ValueError, match="no dataset 'nowhere'; FiftyOne has"):
        adopt("nowhere", "nothing")
    with pytest.raises(ValueError, match="no brain run 'nothing'"):
        adopt(digits.dataset, "nothing")
    key = theirs(digits, SKLEARN, embeddings=digits.vectors).key
    with pytest.raises(ValueError, match="not vecbridge's"):
        adopt(digits.dataset, key, back=True)
    with pytest.raises(LookupError, match="did you mean 'faiss'"):
        adopt(digits.dataset, key, to="fais")
    adopt(digits.dataset, key, path=str(tmp_path))
    with pytest.raises(ValueError, match="vecbridge fiftyone move"):
        adopt(digits.dataset, key)
    digits.dataset.load_brain_results(key).delete()


def test_each_stage_has_a_bar_and_json_is_alone_on_stdout(
    fob: Any, digits: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vecbridge.fiftyone.__main__ import main

    key = theirs(digits, SKLEARN, embeddings=digits.vectors).key
    command = ["adopt", digits.dataset.name, key, "--option", f"path={tmp_path}"]
    assert main(command) == 0
    copying, reading = capsys.readouterr().out.split("reading\n")
    assert copying.startswith("copying\n")
    assert all("150/150" in bar for bar in (copying, reading))
    assert main([*command, "--back", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == len(digits.ids)
    digits.dataset.reload()
    loaded(digits, key).delete()
