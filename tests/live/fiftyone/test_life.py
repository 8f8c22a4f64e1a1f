"""The life of datasets and their indexes, beside a model of what must be there after each step.

``pytest -s`` prints the steps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.live.fiftyone.growing import embedded, held
from vecbridge import InvalidArgumentError

KEY = "similar"
STORES = ("sklearn", "faiss", "torch")


@dataclass
class Kept:
    """An index as it must be: where, under which name, and with which vectors."""

    backend: str
    name: str
    vectors: dict[str, bytes]


@dataclass
class Member:
    """A dataset, and the index that its run reads; the owner alone writes to that."""

    dataset: Any
    index: Kept | None
    owns: bool


@dataclass
class Life:
    """Datasets and stores, and the model of both."""

    folder: Path
    models: Any
    members: dict[str, Member] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    made: int = 0

    def create(self, name: str) -> None:
        """Makes a dataset and its index."""
        import fiftyone as fo
        import fiftyone.brain as fob

        dataset = fo.Dataset()
        dataset.add_samples(self._samples(12))
        index = fob.compute_similarity(
            dataset,
            model=self.models.PatchModel(),
            backend="vecbridge_sklearn",
            metric="euclidean",
            brain_key=KEY,
            path=self._path("sklearn"),
        )
        vectors = embedded(self.models, dataset)
        self.kept.append(Kept("sklearn", index.config.collection_name, vectors))
        self.members[name] = Member(dataset, self.kept[-1], owns=True)

    def grow(self, name: str) -> None:
        """Adds samples."""
        self.members[name].dataset.add_samples(self._samples(5))

    def shrink(self, name: str) -> None:
        """Deletes samples."""
        dataset = self.members[name].dataset
        dataset.delete_samples(dataset.values("id")[1:4])

    def repaint(self, name: str) -> None:
        """Gives samples other pictures."""
        for path in self.members[name].dataset.values("filepath")[:3]:
            self._paint(Path(path))

    def sync(self, name: str) -> None:
        """Syncs, after an interruption in the middle; the index of another is refused."""
        member = self.members[name]
        index, failing = self.index(name), self.models.CountingModel(fail_after=3)
        if not member.owns:
            with pytest.raises(InvalidArgumentError, match="cannot sync"):
                index.sync(model=failing)
            return
        kept = member.index
        assert kept is not None
        plan = index.sync(dry_run=True, model=failing)
        if len(plan.new) + len(plan.changed) > 3:
            with pytest.raises(RuntimeError, match="out of memory"):
                index.sync(model=failing, skip_failures=False)
        model = self.models.CountingModel()
        index.sync(model=model)
        assert model.seen <= len(plan.new) + len(plan.changed)
        kept.vectors = embedded(self.models, member.dataset)
        assert index.sync(model=model).in_step

    def clone(self, name: str, copy: str) -> None:
        """Clones the dataset; the run of the clone reads the original's index."""
        member = self.members[name]
        self.members[copy] = Member(member.dataset.clone(), member.index, owns=False)

    def travel(self, name: str, copy: str) -> None:
        """Exports the dataset and imports it again."""
        import fiftyone as fo

        member, folder = self.members[name], str(self.folder / f"export{self.made}")
        kind = fo.types.FiftyOneDataset
        member.dataset.export(folder, dataset_type=kind, export_media=False)
        arrived = fo.Dataset.from_dir(folder, dataset_type=kind)
        self.members[copy] = Member(arrived, member.index, owns=False)

    def detach(self, name: str) -> None:
        """Gives the run an index of its own, in the same store."""
        member = self.members[name]
        assert member.index is not None
        backend, vectors = member.index.backend, dict(member.index.vectors)
        self._take(member, Kept(backend, self.index(name).detach(), vectors))

    def move(self, name: str, backend: str, *, drop: bool = False) -> None:
        """Moves the run, after an interruption; it may not drop an index that others read."""
        member, index = self.members[name], self.index(name)
        source = member.index
        assert source is not None
        there: dict[str, Any] = {"path": self._path(backend)}
        if source.backend == backend:
            with pytest.raises(InvalidArgumentError, match="already"):
                index.move_to(backend, **there)
            return

        def stop(stage: str, done: int, total: int) -> None:
            raise RuntimeError("the network is gone")

        with pytest.raises(RuntimeError, match="network"):
            index.move_to(backend, progress=stop, **there)
        if drop and (not member.owns or self._readers(source) > 1):
            with pytest.raises(InvalidArgumentError, match="cannot drop the source"):
                index.move_to(backend, drop_source=True, **there)
            drop = False
        done = index.move_to(backend, drop_source=drop, **there)
        assert done.left == (None if drop else source.name)
        self._take(member, Kept(backend, done.collection_name, dict(source.vectors)))
        if drop:
            self.kept.remove(source)

    def forget_run(self, name: str) -> None:
        """Deletes the run, and leaves the index."""
        self.members[name].dataset.delete_brain_run(KEY)
        self.members[name].index = None

    def delete(self, name: str) -> None:
        """Deletes the dataset, and leaves the index."""
        self.members.pop(name).dataset.delete()

    def drop_orphans(self) -> None:
        """Drops what no run has any more."""
        from vecbridge.fiftyone import orphans

        for backend in STORES:
            found = orphans(backend, drop=True, path=self._path(backend)).found
            assert all(each.made_here and each.dropped for each in found)
        self.kept = [each for each in self.kept if self._readers(each)]

    def check(self) -> str:
        """Compares everything with the model, and returns the model in a line."""
        from vecbridge.fiftyone import close_stores, orphans

        for name, member in self.members.items():
            if member.index is None:
                continue
            index = self.index(name)
            assert held(index) == member.index.vectors, name
            living = [each for each in member.dataset.values("id") if each in member.index.vectors]
            for k in (1, 5):
                found = index.sort_by_similarity(living[0], k=k).values("id")
                assert len(found) == min(k, len(living))
                assert set(found) <= set(living)
        close_stores()
        for backend in STORES:
            with vecbridge.get_backend(backend, path=self._path(backend)) as store:
                names = set(store.index_names())
            expected = [each for each in self.kept if each.backend == backend]
            assert names == {each.name for each in expected}
            alone = {each.name for each in expected if not self._readers(each)}
            assert {each.name for each in orphans(backend, path=self._path(backend)).found} == alone
        return "; ".join(self._lines())

    def index(self, name: str) -> Any:
        """The index as a new process would load it."""
        dataset = self.members[name].dataset
        dataset.reload()
        return dataset.load_brain_results(KEY, cache=False)

    def _take(self, member: Member, kept: Kept) -> None:
        self.kept.append(kept)
        member.index, member.owns = kept, True

    def _readers(self, kept: Kept) -> int:
        return sum(each.index is kept for each in self.members.values())

    def _lines(self) -> Iterator[str]:
        for name, member in self.members.items():
            where = "no run"
            if member.index is not None:
                whose = "" if member.owns else ", another's"
                where = f"{len(member.index.vectors)} in {member.index.backend}{whose}"
            yield f"{name}: {len(member.dataset)} samples, {where}"
        yield f"{sum(not self._readers(each) for each in self.kept)} left behind"

    def _path(self, backend: str) -> str:
        return str(self.folder / backend)

    def _samples(self, count: int) -> list[Any]:
        import fiftyone as fo

        paths = [self.folder / f"{self.made + number}.png" for number in range(count)]
        self.made += count
        for path in paths:
            self._paint(path)
        return [fo.Sample(filepath=str(path)) for path in paths]

    def _paint(self, path: Path) -> None:
        from PIL import Image

        self.made += 1
        shades = np.random.default_rng(self.made).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(shades).save(path)


@pytest.fixture
def life(fob: Any, models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A life that begins, whose embeddings are written three at a time."""
    from vecbridge.fiftyone.similarity import BackendSimilarity

    sizes = type(BackendSimilarity.part_sizes)(first=3, largest=3)
    monkeypatch.setattr(BackendSimilarity, "part_sizes", sizes)
    return Life(tmp_path, models)


def test_a_dataset_is_created_grown_cloned_moved_and_dropped(life: Life) -> None:
    steps: list[tuple[Any, ...]] = [
        ("create", "A"),
        ("grow", "A"),
        ("shrink", "A"),
        ("sync", "A"),
        ("clone", "A", "B"),
        ("repaint", "B"),
        ("sync", "B"),
        ("detach", "B"),
        ("sync", "B"),
        ("move", "A", "faiss"),
        ("travel", "A", "C"),
        ("sync", "A"),
        ("move", "C", "torch"),
        ("grow", "C"),
        ("sync", "C"),
        ("drop_orphans",),
        ("move", "A", "sklearn"),
        ("move", "A", "faiss"),
        ("forget_run", "B"),
        ("delete", "C"),
        ("drop_orphans",),
        ("delete", "A"),
        ("drop_orphans",),
    ]
    for step in steps:
        getattr(life, step[0])(*step[1:])
        print(f"{' '.join(step):<18} {life.check()}")
    assert life.kept == []


@pytest.mark.parametrize("seed", range(3))
def test_after_any_steps_there_is_what_must_be(life: Life, seed: int) -> None:
    chance = random.Random(seed)
    life.create("A")
    for number in range(12):
        living = [name for name, member in life.members.items() if member.index is not None]
        if not living:
            break
        name = chance.choice(living)
        step: tuple[Any, ...] = chance.choice(
            [
                *[(each, name) for each in ("grow", "shrink", "repaint", "sync", "sync", "detach")],
                ("clone", name, f"N{number}"),
                ("travel", name, f"N{number}"),
                *[("move", name, chance.choice(STORES))] * 2,
                *[(each, name) for each in ("forget_run", "delete")][: len(living) > 2],
                ("drop_orphans",),
            ]
        )
        drop = {"drop": True} if step[0] == "move" and chance.random() < 0.5 else {}
        getattr(life, step[0])(*step[1:], **drop)
        print(f"{' '.join(step):<18} {life.check()}")
