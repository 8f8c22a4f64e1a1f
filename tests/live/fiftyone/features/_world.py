"""A store, a dataset, and what every feature needs of both."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, ranked

METRIC = "euclidean"
_CLOSE = """
import vecbridge.fiftyone
vecbridge.fiftyone.close_stores()
"""
_keys = itertools.count()


@dataclass
class World:
    """One column of the table.

    Attributes:
        case: how FiftyOne names the store, and its settings.
        ours: vecbridge answers, so that distances have to be right to the last bit.
        digits: images with patches.
        elsewhere: another process.
        models: the module of the tests' models.
        zoo: the name of one of them in a zoo.
        media: videos and groups.
        method: the store's name in FiftyOne.
        pooled: collections are emptied and used again, where making one takes seconds.
        alone: one process at a time has the store.
    """

    case: Case
    ours: bool
    digits: Digits
    elsewhere: Elsewhere
    models: Any
    zoo: str
    media: Any
    method: str
    pooled: bool = False
    alone: bool = False
    _made: list[Any] = field(default_factory=list)
    _pool: list[str] = field(default_factory=list)

    @property
    def dataset(self) -> Any:
        return self.digits.dataset

    @property
    def ids(self) -> list[str]:
        return self.digits.ids

    def make(self, samples: Any = None, **options: Any) -> Any:
        """Computes a similarity index, which is deleted at the end."""
        import fiftyone.brain as fob

        everything = {
            "backend": self.case.backend,
            "brain_key": f"feature_{next(_keys)}",
            "metric": METRIC,
            **self.case.options,
            **options,
        }
        plain = "collection_name" not in options and everything["metric"] == METRIC
        narrow = "patches_field" in options or "brain_key" in options
        if plain and not narrow and self._pool:
            everything["collection_name"] = self._pool.pop()
        chosen = {name: value for name, value in everything.items() if value is not None}
        made = fob.compute_similarity(self.dataset if samples is None else samples, **chosen)
        self._made.append(made)
        return made

    @cached_property
    def images(self) -> Any:
        """An index of every image, which nothing changes."""
        return self.make(embeddings=self.digits.vectors)

    @cached_property
    def patches(self) -> Any:
        """An index of every patch, which nothing changes."""
        return self.make(patches_field="halves", embeddings=self.digits.patches)

    @property
    def first_twenty(self) -> Any:
        """An index of the first twenty images, to be changed."""
        index = self._emptied("_changing", {})
        index.add_to_index(self.digits.vectors[:20], self.ids[:20])
        return index

    @property
    def all_patches(self) -> Any:
        """An index of every patch, to be changed."""
        index = self._emptied("_changing_patches", {"patches_field": "halves"})
        digits = self.digits
        index.add_to_index(digits.patch_vectors, digits.label_samples, digits.label_ids)
        return index

    def _emptied(self, name: str, options: dict[str, Any]) -> Any:
        """One index for all tests: a server takes seconds to make one."""
        if not self.ours or name not in vars(self):
            vars(self)[name] = self.make(embeddings=False, **options)
        index = vars(self)[name]
        index.clear_view()
        if index.total_index_size:
            if options:
                index.remove_from_index(label_ids=self.digits.label_ids)
            else:
                index.remove_from_index(sample_ids=self.ids)
        return index

    def run_elsewhere(self, script: str, *arguments: Any) -> Any:
        """Runs a script in another process, while this one uses the store or, alone, does not."""
        import vecbridge.fiftyone

        if not self.alone:
            return self.elsewhere.run(script, *arguments)
        vecbridge.fiftyone.close_stores()
        return self.elsewhere.run(f"{script}{_CLOSE}", *arguments)

    def ranked(self, queries: Any, *args: Any, **options: Any) -> list[tuple[str, float]]:
        """The right ranking of every image."""
        return ranked(METRIC, self.ids, self.digits.vectors, queries, *args, **options)

    def ranked_patches(self, queries: Any, **options: Any) -> list[tuple[str, float]]:
        """The right ranking of every patch."""
        digits = self.digits
        return ranked(METRIC, digits.label_ids, digits.patch_vectors, queries, **options)

    def check(
        self, found: list[Any], dists: list[float] | None, expected: list[tuple[str, float]]
    ) -> None:
        """Checks a ranking: ids, and distances where there are some."""
        wanted = dict(expected)
        assert len(found) == len(expected)
        assert len(set(found)) == len(found)
        if self.ours:
            assert list(found) == [name for name, _ in expected]
            assert dists is None or list(dists) == [distance for _, distance in expected]
            return
        # Others may break ties as they like, and are as precise as float32 is.
        assert set(found) <= set(wanted)
        order = [wanted[name] for name in found]
        assert order == pytest.approx([distance for _, distance in expected], rel=1e-4, abs=1e-4)
        if dists is not None:
            assert list(dists) == pytest.approx(order, rel=1e-4, abs=1e-3)

    def tidy(self) -> None:
        """Empty what one feature has made and no other uses, for others to use."""
        plt.close("all")
        if not self.pooled:
            return
        shared = [kept for kept in vars(self).values() if kept in self._made]
        for index in [made for made in self._made if made not in shared]:
            name = index.config.collection_name
            found = index.index if name in index.store.index_names() else None
            others = {kept.config.collection_name for kept in shared}
            if found is None or found.info.dimension != 64 or name in others:
                continue
            if index.config.metric == METRIC and name not in self._pool:
                found.delete([key for records in found.scan() for key in records.ids])
                self._pool.append(name)
            # Of videos and groups it is another dataset's run, which would go on owning the index.
            dataset = index._samples._root_dataset
            if not dataset.deleted and dataset.has_brain_run(index.key):
                dataset.delete_brain_run(index.key)
            self._made.remove(index)

    def close(self) -> None:
        """Deletes what was made."""
        # Several runs may have one index, which is deleted when none refers to it.
        for index in self._made:
            if index.key is not None and self.dataset.has_brain_run(index.key):
                self.dataset.delete_brain_run(index.key)
        for index in self._made:
            index.cleanup()

    def same_vectors(self, vectors: Any, expected: Any) -> None:
        """Vectors come back as they went in."""
        assert np.asarray(vectors).shape == np.asarray(expected).shape
        assert np.array_equal(np.asarray(vectors, np.float32), np.asarray(expected, np.float32))
