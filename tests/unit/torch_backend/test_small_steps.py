"""Steps are numpy's where torch's threads are left asleep: the numbers are the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vecbridge_torch import _small as small


@pytest.fixture(params=[0, 1 << 20], ids=["torch", "numpy"])
def scores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Three rows of eight, taken for many or for few."""
    monkeypatch.setattr(small, "_FEW", request.param)
    return torch.linspace(-1.0, 1.0, 24).reshape(3, 8)


def test_what_is_subtracted_is_subtracted_in_place(scores: Tensor) -> None:
    before, terms = scores.clone(), torch.arange(8.0)
    small.subtract(scores, terms)
    assert torch.equal(scores, before - terms)


def test_what_is_multiplied_is_multiplied_in_place(scores: Tensor) -> None:
    before, factors = scores.clone(), torch.arange(8.0)
    small.multiply(scores, factors)
    assert torch.equal(scores, before * factors)


def test_maxima_are_those_of_the_groups(scores: Tensor) -> None:
    groups = scores.reshape(3, 4, 2)
    assert torch.equal(small.group_maxima(groups), groups.max(dim=1).values)


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_largest_are_found_with_their_columns(count: int, *, quiet: bool) -> None:
    scores = torch.rand((5, 8), generator=torch.Generator().manual_seed(0))
    found, at = small.top(scores, count, quiet=quiet)
    assert torch.equal(found, small.gathered(scores, at, quiet=quiet))
    largest = scores.sort(dim=1, descending=True).values[:, :count]
    assert torch.equal(found.sort(dim=1, descending=True).values, largest)
