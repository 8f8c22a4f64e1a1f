from __future__ import annotations

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import vecbridge
from vecbridge import Budgets, InvalidArgumentError, Metric, Store
from vecbridge.report import Distribution, Survey, html_page, survey

RANDOM = np.random.default_rng(11)
CLOUD: NDArray[np.float32] = RANDOM.normal(size=(200, 16)).astype(np.float32)

Fill = Callable[..., Store]


@pytest.fixture
def fill() -> Iterator[Fill]:
    """A store with one index, which is read in several batches."""
    backend = vecbridge.get_backend("sklearn").backend
    with Store(backend, budgets=Budgets(scan_bytes=37 * 4 * 16)) as store:

        def filled(vectors: NDArray[np.float32], metric: Metric = "euclidean") -> Store:
            index = store.create_index("points", dimension=vectors.shape[1], metric=metric)
            index.upsert([f"<{number:03}>" for number in range(len(vectors))], vectors)
            return store

        yield filled


def test_the_figures_are_those_of_the_definition(fill: Fill) -> None:
    seen = survey(fill(CLOUD), "points", k=3, write=False)

    table = np.linalg.norm(CLOUD[:, None].astype(np.float64) - CLOUD[None], axis=2)
    np.fill_diagonal(table, np.inf)
    near = np.argsort(table, axis=1)[:, :3]
    occurrences = np.bincount(near.ravel(), minlength=200)
    assert seen.neighborhoods is not None
    assert seen.norms is not None
    assert (seen.records, seen.sampled, seen.whole, seen.lags) == (200, 200, True, {})
    assert seen.norms.median == pytest.approx(np.median(np.linalg.norm(CLOUD, axis=1)))
    assert seen.neighborhoods.nearest.median == pytest.approx(np.median(table.min(axis=1)))
    assert seen.neighborhoods.kth.mean == pytest.approx(np.sort(table, axis=1)[:, 2].mean())
    assert seen.neighborhoods.hubs[0][1] == occurrences.max()
    assert seen.neighborhoods.orphans == (occurrences == 0).sum()


def test_copies_and_near_copies_are_told_apart(fill: Fill) -> None:
    vectors = CLOUD.copy()
    vectors[10:13] = vectors[9]
    vectors[20] = vectors[19] + np.float32(1e-4)

    near = survey(fill(vectors), "points", write=False).neighborhoods

    assert near is not None
    assert (near.identical, near.near) == (4, 6)
    assert [(pair.first, pair.second) for pair in near.twins][-1] == ("<019>", "<020>")
    named = [name for pair in near.twins for name in (pair.first, pair.second)]
    assert len(named) == len(set(named)) == 4


def test_a_small_dot_product_does_not_make_a_duplicate(fill: Fill) -> None:
    near = survey(fill(CLOUD, "dotproduct"), "points", write=False).neighborhoods
    assert near is not None
    assert (near.near, near.twins) == (None, ())


def test_a_sample_is_bounded_and_repeats(fill: Fill) -> None:
    store = fill(CLOUD)
    small = survey(store, "points", sample=50, scan=120, seed=5, write=False)
    again = survey(store, "points", sample=50, scan=120, seed=5, write=False)
    other = survey(store, "points", sample=50, scan=120, seed=6, write=False)
    assert (small.sampled, small.scanned, small.whole) == (50, 120, False)
    assert small.neighborhoods == again.neighborhoods != other.neighborhoods
    assert "50 of its 200 records were looked at, drawn from the first 120" in html_page(small)


def test_a_draw_is_even(fill: Fill) -> None:
    """Every record has the same chance, wherever in the scan it stands."""
    store = fill(np.arange(1, 201, dtype=np.float32)[:, None])
    drawn = [
        survey(store, "points", sample=20, queries=0, seed=seed, write=False).norms
        for seed in range(100)
    ]
    lengths = [spread for spread in drawn if spread is not None]
    assert {spread.count for spread in lengths} == {20}
    assert abs(np.mean([spread.mean for spread in lengths]) - 100.5) < 5
    assert min(spread.quantiles[0] for spread in lengths) <= 2
    assert max(spread.quantiles[-1] for spread in lengths) >= 199


def test_an_approximate_index_is_measured_against_exact_answers(tmp_path: Path) -> None:
    cloud = RANDOM.normal(size=(3000, 48)).astype(np.float32)
    with vecbridge.get_backend("faiss", path=tmp_path, index="hnsw", ef=10) as store:
        store.create_index("points", dimension=48, metric="euclidean").upsert(
            [str(number) for number in range(3000)], cloud
        )
        asked = survey(store, "points", write=False).recall
        unaffordable = survey(store, "points", scan=2999, write=False).recall
    assert asked is not None
    assert asked.certified == 0
    assert 0.2 < asked.share.mean < 1
    assert asked.complete < asked.queries == 100
    assert unaffordable is None


def test_a_certified_answer_needs_no_comparison(fill: Fill) -> None:
    seen = survey(fill(CLOUD), "points", queries=30, write=False)
    asked = seen.recall
    assert asked is not None
    assert (asked.certified, asked.complete, asked.share.mean) == (30, 30, 1.0)
    assert "All 30 answers came with a proof that they are exact." in html_page(seen)


def test_lags_are_measured_and_nothing_stays(fill: Fill) -> None:
    store = fill(CLOUD)
    assert list(survey(store, "points").lags) == ["strong", "session", "bounded", "eventual"]
    assert store.index_names() == ["points"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_indexes_have_pages_too(fill: Fill, count: int) -> None:
    seen = survey(fill(CLOUD[:count]), "points", write=False)
    assert (seen.norms is None) == (count == 0)
    assert (seen.neighborhoods is None) == (count < 2)
    Parsed().check(html_page(seen))


@pytest.mark.parametrize("given", [{"sample": 0}, {"scan": -1}, {"k": 0}, {"queries": -1}])
def test_unusable_numbers_are_refused(fill: Fill, given: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(given))):
        survey(fill(CLOUD), "points", write=False, **given)  # type: ignore[arg-type]


def test_progress_is_told_to_the_end(fill: Fill) -> None:
    told: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        told[stage] = (done, total)

    survey(fill(CLOUD), "points", queries=30, write=False, progress=progress)
    assert told == {"reading": (200, 200), "comparing": (200, 200), "asking": (30, 30)}


def test_a_page_stands_alone_and_escapes_ids(fill: Fill) -> None:
    vectors = CLOUD.copy()
    vectors[1] = vectors[0]
    seen: Survey = survey(fill(vectors), "points", write=False)
    page = html_page(seen)
    parsed = Parsed()
    parsed.check(page)
    assert "<000>" not in page
    assert "&lt;000&gt;" in page
    assert parsed.seen >= {"svg", "figure", "table"}
    assert not parsed.seen & {"script", "link", "img", "iframe"}
    assert "http" not in page


@pytest.mark.parametrize(
    "numbers",
    [
        [0.0],
        [1e300, 1e300],
        [3.0, 3.0 + 1e-12],
        [-5.0, 0.0, 5.0],
        list(range(1000)),
        [0.0] * 500 + [1e6],
        [1e-40, 2e-40, 5e-40],
        CLOUD.ravel(),
    ],
    ids=["one", "huge", "near", "signs", "whole", "far", "tiny", "cloud"],
)
def test_every_number_is_in_a_bin(numbers: list[float]) -> None:
    spread = Distribution.of(numbers)
    assert sum(spread.counts) == spread.count == len(numbers)
    assert len(spread.edges) == len(spread.counts) + 1
    assert (np.diff(spread.edges) > 0).all()


class Parsed(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def check(self, page: str) -> None:
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
