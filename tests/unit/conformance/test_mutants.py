"""The suite is tested by what it must find: a correct reference passes, every mutant dies."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import Phase, settings

import vecbridge
from tests.narrow import narrow_store
from tests.unit.conformance.conftest import BACKEND
from vecbridge_conformance import LAYERS, Case, Deployment, Harness, Vacuous, cases
from vecbridge_conformance._catalogue import reason_not_to_run
from vecbridge_conformance.mutants import (
    MUTANTS,
    Mutant,
    MutantBackend,
    MutantSettings,
    ReferenceBackend,
)
from vecbridge_conformance.mutants._float32 import Float32Index
from vecbridge_conformance.mutants._table import table
from vecbridge_conformance.suite import (
    test_concurrency_histories,
    test_consistency_histories,
    test_ranking_recall,
)


@pytest.fixture(scope="module", autouse=True)
def without_shrinking() -> Iterator[None]:
    """A mutant is to be found, not to be explained: looking for simpler examples takes time."""
    before = settings.get_current_profile_name()
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    yield
    settings.load_profile(before)


@pytest.fixture(scope="module", autouse=True)
def made_smaller() -> Iterator[None]:
    """A reference in memory needs less time and fewer records than a server to show itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_consistency_histories, "_CONVERGENCE_S", 1.0)
        patch.setattr(test_consistency_histories, "_SECONDS", 0.8)
        patch.setattr(test_concurrency_histories, "_SECONDS", 0.8)
        patch.setattr(test_ranking_recall, "RECORDS", 500)
        patch.setattr(test_ranking_recall, "TRIALS", 100)
        yield


def opened(name: str | None, path: Path | None) -> vecbridge.Store:
    return vecbridge.Store(MutantBackend(MutantSettings(mutant=name, path=path)))


@contextmanager
def in_use(name: str | None, path: Path | None = None) -> Iterator[Harness]:
    settings = {"mutant": name, "path": path}
    options = {key: value for key, value in settings.items() if value is not None}
    opener = partial(opened, name, path)
    with Harness(Deployment(BACKEND, options, name or "reference", None, opener)) as harness:
        yield harness


def own_tests(*layers: str) -> list[Case]:
    """Tests that need nothing but a harness, quick layers first."""
    return [
        case
        for case in cases(*layers)
        if set(inspect.signature(case.function).parameters) <= {"harness", *case.parameters}
    ]


def fails(case: Case, harness: Harness) -> str | None:
    """How a test fails, if it runs and does."""
    if reason_not_to_run(case.mark, harness.capabilities) is not None:
        return None
    try:
        case.run(harness)
    except Vacuous:
        return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  (pytest's own failures are no Exceptions)
        return f"{case.id}: {type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_clause_that_forbids_it_kills_every_mutant(mutant: Mutant) -> None:
    of_the_clause = [case for case in own_tests() if mutant.clause in case.mark.clauses]
    with in_use(mutant.name) as harness:
        killed = any(fails(case, harness) for case in of_the_clause)
    assert killed, f"{mutant.name} lives: no test of {mutant.clause} finds that {mutant.defect}"


@pytest.mark.parametrize("layer", LAYERS)
def test_the_reference_keeps_the_contract(layer: str, tmp_path: Path) -> None:
    many = LAYERS.index(layer) > LAYERS.index("stateful")
    with in_use(None, tmp_path / "store" if many else None) as harness:
        failures = [text for case in own_tests(layer) if (text := fails(case, harness))]
    assert failures == []


@pytest.mark.parametrize("layer", ["ranking", "properties"])
def test_an_engine_in_float32_that_knows_its_bound_keeps_the_contract(layer: str) -> None:
    with Harness(Deployment(BACKEND, {}, "float32", None, in_float32)) as harness:
        failures = [text for case in own_tests(layer) if (text := fails(case, harness))]
    assert failures == []


def test_an_index_that_says_what_it_holds_keeps_the_contract_of_that() -> None:
    with Harness(Deployment(BACKEND, {}, "narrow", None, narrow_store)) as harness:
        of_the_clause = [case for case in own_tests() if "REC-10" in case.mark.clauses]
        failures = [text for case in of_the_clause if (text := fails(case, harness))]
    assert failures == []
    assert len(of_the_clause) > 1


def in_float32() -> vecbridge.Store:
    return vecbridge.Store(Float32Backend(MutantSettings()))


class Float32Backend(ReferenceBackend):
    index_type = Float32Index


def test_there_are_enough_mutants_and_each_says_what_it_is() -> None:
    assert len(MUTANTS) >= 30
    assert sum(bool(mutant.link) for mutant in MUTANTS.values()) >= 30
    assert all(mutant.defect.endswith(".") for mutant in MUTANTS.values())
    assert all(mutant.link.startswith("https://") for mutant in MUTANTS.values() if mutant.link)


def test_the_page_of_the_mutants_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "mutants.md"
    again = "run: python -m vecbridge_conformance.mutants > docs/reference/mutants.md"
    assert page.read_text(encoding="utf-8") == table(), again


def test_no_two_mutants_get_the_same_thing_wrong() -> None:
    assert len({mutant.defect for mutant in MUTANTS.values()}) == len(MUTANTS)
