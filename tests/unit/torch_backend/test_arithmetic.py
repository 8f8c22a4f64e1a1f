"""The device, its precision, and what the bounds rest on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.adversarial import make
from tests.oracle import oracle
from tests.unit.torch_backend.helpers import PRECISIONS, index_of
from vecbridge import METRICS, ConfigurationError, Metric, get_backend
from vecbridge.local import LocalStore
from vecbridge_torch import TorchBackend, TorchSettings
from vecbridge_torch._best import best
from vecbridge_torch._device import Arithmetic, arithmetic_of, float32_accumulation
from vecbridge_torch._resident import Resident, ResidentScoring


def on_cpu(precision: Any) -> Arithmetic:
    return Arithmetic(torch.device("cpu"), precision, 1 << 30)


@pytest.fixture
def rounding_allowed() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.fixture
def float16_sums_allowed() -> Iterator[None]:
    switch: Any = torch.backends.cuda.matmul
    switch.allow_fp16_accumulation = True
    yield
    switch.allow_fp16_accumulation = False


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "CPU", "cuda:", ""])
def test_a_device_that_torch_has_no_word_for_is_refused(device: str) -> None:
    with pytest.raises(ValidationError):
        TorchSettings(device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{device}'.*finds: .*cpu.*'auto'"):
        get_backend("torch", device=device)


def test_a_precision_that_the_device_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'tf32' on 'cpu'"):
        TorchBackend(TorchSettings(device="cpu", precision="tf32"))


def test_auto_takes_what_is_there() -> None:
    found = arithmetic_of(TorchSettings())
    assert found.device.type in ("cpu", "cuda", "mps")
    assert found.precision in PRECISIONS
    assert found.budget > 1 << 28


def test_memory_is_given_in_megabytes() -> None:
    assert arithmetic_of(TorchSettings(device="cpu", memory_mb=3)).budget == 3 * 2**20
    with pytest.raises(ValidationError):
        TorchSettings(memory_mb=-1)


def test_values_in_tf32_have_eleven_significant_bits_and_are_the_nearest() -> None:
    values = torch.from_numpy(np.random.default_rng(0).standard_normal(5000) * 1e3)
    rounded = on_cpu("tf32").rounded(values)
    assert rounded.dtype == torch.float32
    mantissas, _ = np.frexp(rounded.numpy())
    assert np.array_equal(mantissas * 2**11, np.round(mantissas * 2**11))
    assert float(((rounded.double() - values) / values).abs().max()) <= 2.0**-11


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32", "float32"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["gaussian", "offset_1000", "mixed_norms", "integers"])
def test_scores_are_within_their_errors_and_floors_below_the_distances(
    kind: str, metric: Metric, precision: str
) -> None:
    data = make(kind, 64, count=300)
    table = LocalStore(None, backend="test").create("t", dimension=64, metric=metric)
    table.upsert(data.ids, data.vectors)
    snapshot = table.snapshot()
    resident = Resident(on_cpu(precision), metric, snapshot)
    scoring = ResidentScoring(resident, data.queries, 300, None)
    assert scoring.usable.all()
    ((start, scores),) = scoring.blocks()
    assert start == 0
    records = resident.frame.records(snapshot.vectors, snapshot.norms).numpy()
    true = resident.frame.queries(data.queries).values @ records.T
    if metric == "euclidean":
        true -= 0.5 * np.sum(records**2, axis=1)
    computed = scores.numpy().astype(np.float64)
    errors = scoring.errors(computed)
    assert (np.abs(computed - true) <= errors).all()
    if precision == "bfloat16" and kind == "gaussian":
        # A bound that was never tight would prove little of how it is made.
        assert (np.abs(computed - true) > errors / 50).any()
    for query in range(len(data.queries)):
        floors = scoring.floors(np.full(len(data.queries), true[query].max()))
        _, (nearest,) = oracle(metric, data.ids, data.vectors, data.queries[query], 1)
        assert floors[query] <= nearest
        if kind != "mixed_norms":  # where float64 itself is coarse
            assert floors[query] == pytest.approx(nearest, rel=1e-5, abs=1e-5)


@pytest.mark.usefixtures("rounding_allowed")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_program_that_lets_torch_round_float32_still_gets_true_rankings(precision: str) -> None:
    data = make("one_ulp_apart", 64, count=400)
    index = index_of(data, "cosine", precision=precision)
    for query, hits in zip(data.queries, index.search(data.queries, 10), strict=True):
        assert hits.ids == oracle("cosine", data.ids, data.vectors, query, 10)[0]
    products: Any = torch.backends.mkldnn
    assert products.matmul.fp32_precision == "bf16"


@pytest.mark.usefixtures("float16_sums_allowed")
def test_sums_in_float16_that_a_program_has_allowed_are_not_ours() -> None:
    switch: Any = torch.backends.cuda.matmul
    with float32_accumulation():
        assert not switch.allow_fp16_accumulation
    assert switch.allow_fp16_accumulation


@pytest.mark.parametrize("gigabytes", [1, 8, 80])
def test_blocks_of_scores_are_larger_on_a_device_and_never_much_of_it(gigabytes: int) -> None:
    budget = gigabytes << 30
    device = Arithmetic(torch.device("cuda"), "float16", budget)
    assert on_cpu("float32").score_bytes <= device.score_bytes <= budget // 16
    assert device.score_bytes <= 1 << 30


@pytest.mark.parametrize("widths", [[9000], [3000, 5000, 1000], [1] * 60, [2048, 7]])
def test_the_best_of_blocks_are_the_best_of_all(widths: list[int]) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 400, (5, sum(widths))).astype(np.float32)
    scores[:, ::7] = -np.inf
    edges = np.cumsum([0, *widths])
    blocks = (
        (int(start), torch.from_numpy(scores[:, start:stop].copy()))
        for start, stop in pairwise(edges)
    )
    found = best(blocks, 33)
    assert np.array_equal(found.scores, -np.sort(-scores, axis=1)[:, :33])
    assert np.array_equal(np.take_along_axis(scores, found.columns, axis=1), found.scores)
    assert all(len(set(row)) == 33 for row in found.columns.tolist())
