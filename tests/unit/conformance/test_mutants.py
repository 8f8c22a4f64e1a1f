"""The suite is tested by what it must find: a correct reference passes, every mutant dies."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import Phase, settings

import vecbridge
from tests.narrow import narrow_store
from tests.unit.conformance.conftest import BACKEND
from vecbridge_conformance import LAYERS, Case, Deployment, Effort, Harness, Vacuous, cases
from vecbridge_conformance.mutants import (
    MUTANTS,
    FarReferenceIndex,
    Float32Index,
    Mutant,
    MutantBackend,
    MutantSettings,
    RangedReferenceIndex,
    ReferenceBackend,
    ReferenceIndex,
)


@pytest.fixture(scope="module", autouse=True)
def without_shrinking() -> Iterator[None]:
    """Look for no simpler examples: a mutant is to be found, not to be explained."""
    before = settings.get_current_profile_name()
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    yield
    settings.load_profile(before)


# A reference in memory needs less time and fewer records than a server to show itself.
QUICK = Effort(history_s=0.8, convergence_s=1.0, recall_records=500, recall_queries=100)


def opened(name: str | None, path: Path | None) -> vecbridge.Store:
    return vecbridge.Store(MutantBackend(MutantSettings(mutant=name, path=path)))


@contextmanager
def in_use(name: str | None, path: Path | None = None) -> Iterator[Harness]:
    settings = {"mutant": name, "path": path}
    options = {key: value for key, value in settings.items() if value is not None}
    opener = partial(opened, name, path)
    with Harness(Deployment(BACKEND, options, name or "reference", None, opener), QUICK) as harness:
        yield harness


def own_tests(*layers: str) -> list[Case]:
    """Tests that need nothing but a harness, quick layers first."""
    return [
        case
        for case in cases(*layers)
        if set(inspect.signature(case.function).parameters) <= {"harness", *case.parameters}
    ]


def fails(case: Case, harness: Harness) -> str | None:
    """Return how a test fails, if it runs and does."""
    if case.mark.reason_not_to_run(harness.capabilities) is not None:
        return None
    try:
        case.run(harness)
    except Vacuous:
        return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pytest's own failures are no Exceptions
        if "from pytest-timeout" in str(error):
            raise  # It hung, which is not how a test finds anything.
        return f"{case.id}: {type(error).__name__}: {error}"
    return None


@pytest.mark.timeout(100)
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_clause_that_forbids_it_kills_every_mutant(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There pytest explains what differs at any length.
    monkeypatch.setenv("CI", "true")
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
@pytest.mark.parametrize("kind", [FarReferenceIndex, Float32Index, RangedReferenceIndex])
def test_the_correct_engines_that_mutants_derive_from_keep_the_contract(
    kind: type[ReferenceIndex], layer: str
) -> None:
    opener = partial(of_kind, kind)
    with Harness(Deployment(BACKEND, {}, "correct", None, opener), QUICK) as harness:
        failures = [text for case in own_tests(layer) if (text := fails(case, harness))]
    assert failures == []


def test_an_index_that_says_what_it_holds_keeps_the_contract_of_that() -> None:
    with Harness(Deployment(BACKEND, {}, "narrow", None, narrow_store), QUICK) as harness:
        of_the_clause = [case for case in own_tests() if "REC-10" in case.mark.clauses]
        failures = [text for case in of_the_clause if (text := fails(case, harness))]
    assert failures == []
    assert len(of_the_clause) > 1


def of_kind(kind: type[ReferenceIndex]) -> vecbridge.Store:
    backend = type("OfKind", (ReferenceBackend,), {"index_type": kind})
    return vecbridge.Store(backend(MutantSettings()))


def test_there_are_enough_mutants_and_each_says_what_it_is() -> None:
    assert len(MUTANTS) >= 30
    assert sum(bool(mutant.link) for mutant in MUTANTS.values()) >= 30
    assert all(mutant.defect.endswith(".") for mutant in MUTANTS.values())
    assert all(mutant.link.startswith("https://") for mutant in MUTANTS.values() if mutant.link)


def test_the_page_of_the_mutants_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "mutants.md"
    command = [sys.executable, "-m", "vecbridge_conformance.mutants"]
    written = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    again = "run: python -m vecbridge_conformance.mutants > docs/reference/mutants.md"
    assert page.read_text(encoding="utf-8") == written, again


def test_no_two_mutants_get_the_same_thing_wrong() -> None:
    assert len({mutant.defect for mutant in MUTANTS.values()}) == len(MUTANTS)
