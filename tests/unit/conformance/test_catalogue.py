"""The suite is told without running it, as pytest tells it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

import vecbridge
from tests.engine import CAPABILITIES
from vecbridge_conformance import LAYERS, cases
from vecbridge_conformance._catalogue import declares, layer_of, reason_not_to_run
from vecbridge_conformance._clauses import Mark


def test_the_catalogue_is_what_pytest_collects() -> None:
    plugin = ["-p", "vecbridge_conformance.plugin", "--vecbridge-backend", "sklearn"]
    suite = ["--pyargs", "vecbridge_conformance.suite"]
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *plugin, *suite],
        check=False,
        capture_output=True,
        text=True,
    )
    names = [line.partition("::")[2] for line in collected.stdout.splitlines() if "::" in line]
    with vecbridge.get_backend("sklearn") as store:
        declared = store.create_index("probe", dimension=2).capabilities
    told = [case.name for case in cases() if reason_not_to_run(case.mark, declared) is None]

    assert Counter(name.partition("[")[0] for name in names) == Counter(told)


def test_cases_come_layer_by_layer() -> None:
    layers = [case.layer for case in cases()]

    assert layers == sorted(layers, key=LAYERS.index)
    assert {case.layer for case in cases("smoke", "ranking")} == {"smoke", "ranking"}


@pytest.mark.parametrize("module", ["suite.test_fast_things", "suite.smoke", "suite.test_smoke"])
def test_a_module_of_no_layer_is_an_error(module: str) -> None:
    with pytest.raises(LookupError, match="test_<layer>"):
        layer_of(module)


def test_what_is_declared() -> None:
    limited = replace(CAPABILITIES, max_k=10, consistency=frozenset({"session"}))

    assert declares(CAPABILITIES, "exact")
    assert not declares(CAPABILITIES, "filters")
    assert declares(CAPABILITIES, "no:filters")
    assert declares(limited, "max_k")
    assert not declares(CAPABILITIES, "max_k")
    assert declares(limited, "consistency:session")
    assert not declares(limited, "consistency:strong")


def test_both_faces_of_a_capability_give_a_reason() -> None:
    assert reason_not_to_run(Mark(requires=("exact",)), CAPABILITIES) is None
    assert reason_not_to_run(Mark(refuses=("fields",)), CAPABILITIES) is None
    assert reason_not_to_run(Mark(requires=("exact", "fields")), CAPABILITIES) == (
        "the index does not declare fields"
    )
    assert "declares exact" in str(reason_not_to_run(Mark(refuses=("exact",)), CAPABILITIES))


def test_a_capability_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError, match="teleport"):
        reason_not_to_run(Mark(requires=("teleport",)), CAPABILITIES)
