"""The life of one dataset from Milvus Lite to PostgreSQL to scikit-learn, killed in each step.

``pytest -s`` prints the steps.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.live.fiftyone.cases import make_digits
from tests.live.fiftyone.growing import embedded, held
from vecbridge import InvalidArgumentError

KEY = "similar"
KILLED = """
import json, os, signal, sys
import fiftyone as fo
import vecbridge
import vecbridge.fiftyone
from tests.live.fiftyone.models import CountingModel

vecbridge.fiftyone.enable()
import fiftyone.brain as fob
from vecbridge.fiftyone.similarity import BackendSimilarity

BackendSimilarity.part_sizes = type(BackendSimilarity.part_sizes)(first=3, largest=3)
name, step, key, options = json.loads(sys.argv[1])
dataset = fo.load_dataset(name)

def end(*args, **given):
    os.kill(os.getpid(), signal.SIGKILL)

if step == "create":
    model = CountingModel(kill_after=8)
    fob.compute_similarity(dataset, model=model, brain_key=key, **options)
index = dataset.load_brain_results(key)
if step == "sync":
    index.sync(model=CountingModel(kill_after=3))
if step == "move":
    index.move_to(**options, drop_source=True, progress=end)
if step == "drop":
    drop = vecbridge.Store.drop_index
    vecbridge.Store.drop_index = lambda *args: (drop(*args), end())
    index.delete()
"""


@dataclass
class World:
    """A dataset, the stores that it passes through, and what must be in each."""

    folder: Path
    models: Any
    dataset: Any
    stores: dict[str, dict[str, Any]]
    expected: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """By dataset: what its index holds."""
    foreign: dict[str, set[str]] = field(default_factory=dict)
    """By store: the indexes of other tests."""

    def killed(self, step: str, **options: Any) -> None:
        """Takes a step in another process, which is killed in the middle of it."""
        from vecbridge.fiftyone import close_stores

        close_stores()
        arguments = json.dumps([self.dataset.name, step, KEY, options])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", KILLED, arguments],
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        self.dataset.reload()

    def index(self, dataset: Any) -> Any:
        """The index as a new process would load it."""
        dataset.reload()
        return dataset.load_brain_results(KEY, cache=False)

    def check(self, step: str, *datasets: Any, **indexes: int) -> None:
        """Compares what there is with what must be: records of datasets, indexes in stores."""
        from vecbridge.fiftyone import close_stores

        told = []
        for dataset in datasets:
            index = self.index(dataset)
            assert held(index) == self.expected[dataset.name]
            living = [each for each in dataset.values("id") if each in held(index)]
            assert index.sort_by_similarity(living[2], k=3).first().id == living[2]
            told.append(f"{len(held(index))} in {index.config.backend_name}")
        close_stores()
        assert {name: len(self.names(name)) for name in self.stores} == {
            **dict.fromkeys(self.stores, 0),
            **indexes,
        }
        print(f"{step:<34} {', '.join(told)}; indexes: {indexes}")

    def names(self, store: str) -> set[str]:
        """The indexes of this test in a store."""
        with vecbridge.get_backend(store, **self.stores[store]) as opened:
            return set(opened.index_names()) - self.foreign.get(store, set())


@pytest.fixture
def world(
    fob: Any, models: Any, tmp_path: Path, pgvector_uri: str, monkeypatch: pytest.MonkeyPatch
) -> World:
    from vecbridge.fiftyone.similarity import BackendSimilarity

    sizes = type(BackendSimilarity.part_sizes)(first=3, largest=3)
    monkeypatch.setattr(BackendSimilarity, "part_sizes", sizes)
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_PGVECTOR_CONNECTION_STRING", pgvector_uri)
    (tmp_path / "media").mkdir()
    stores = {
        "milvus": {"uri": str(tmp_path / "vectors.db")},
        "pgvector": {"connection_string": pgvector_uri},
        "sklearn": {"path": str(tmp_path / "sklearn")},
    }
    made = World(tmp_path, models, make_digits(tmp_path / "media", count=14).dataset, stores)
    made.foreign["pgvector"] = made.names("pgvector")
    return made


def test_what_must_be_there_is_there_after_each_step(world: World, fob: Any) -> None:
    import fiftyone as fo

    models, dataset = world.models, world.dataset
    lite = {"backend": "milvus", "metric": "euclidean", **world.stores["milvus"]}
    world.killed("create", **lite)
    assert not dataset.has_brain_run(KEY)
    fob.compute_similarity(dataset, model=models.CountingModel(), brain_key=KEY, **lite)
    world.expected[dataset.name] = embedded(models, dataset)
    world.check("created in Milvus Lite", dataset, milvus=1)

    (world.folder / "more").mkdir()
    more = make_digits(world.folder / "more", count=7).dataset
    dataset.add_samples([sample.copy() for sample in more])
    gone = dataset.values("id")[3:6]
    dataset.delete_samples(gone)
    world.check("grown and shrunk", dataset, milvus=1)
    world.killed("sync")
    plan = world.index(dataset).sync(model=models.CountingModel())
    assert (len(plan.new), len(plan.gone)) in {(7 - done, 3) for done in (0, 3)}
    world.expected[dataset.name] = embedded(models, dataset)
    world.check("synced", dataset, milvus=1)

    clone = dataset.clone()
    world.expected[clone.name] = dict(world.expected[dataset.name])
    clone.delete_samples(clone.values("id")[:2])
    with pytest.raises(InvalidArgumentError, match="cannot sync"):
        world.index(clone).sync(model=models.CountingModel())
    world.check("cloned, the clone changed", dataset, clone, milvus=1)
    world.index(clone).detach()
    world.index(clone).sync(model=models.CountingModel())
    world.expected[clone.name] = embedded(models, clone)
    world.check("the clone detached and synced", dataset, clone, milvus=2)

    folder, kind = str(world.folder / "export"), fo.types.FiftyOneDataset
    dataset.export(folder, dataset_type=kind, export_media=False)
    arrived = fo.Dataset.from_dir(folder, dataset_type=kind)
    world.expected[arrived.name] = dict(world.expected[dataset.name])
    world.check("exported and imported", dataset, clone, arrived, milvus=2)
    arrived.delete()

    there = {"backend": "pgvector", **world.stores["pgvector"]}
    world.killed("move", **there)
    world.check("killed on the way to PostgreSQL", dataset, clone, milvus=2, pgvector=1)
    assert world.index(dataset).move_to(**there, drop_source=True).left is None
    world.check("moved to PostgreSQL", dataset, clone, milvus=1, pgvector=1)
    there = {"backend": "sklearn", **world.stores["sklearn"]}
    world.killed("move", **there)
    assert world.index(dataset).move_to(**there, drop_source=True).left is None
    world.check("moved to scikit-learn", dataset, clone, milvus=1, sklearn=1)

    world.killed("drop")
    world.index(dataset).delete()
    assert not dataset.has_brain_run(KEY)
    world.check("dropped", clone, milvus=1)
    world.index(clone).delete()
    world.check("the clone's dropped")
