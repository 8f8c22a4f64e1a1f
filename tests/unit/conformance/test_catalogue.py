"""The suite is listed without running it, as pytest lists it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

import vecbridge
from tests.engine import CAPABILITIES
from vecbridge_conformance import LAYERS, Mark, cases


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
    listed = [case.name for case in cases() if case.mark.reason_not_to_run(declared) is None]

    assert Counter(name.partition("[")[0] for name in names) == Counter(listed)


def test_cases_come_layer_by_layer() -> None:
    layers = [case.layer for case in cases()]

    assert layers == sorted(layers, key=LAYERS.index)
    assert {case.layer for case in cases("smoke", "ranking")} == {"smoke", "ranking"}


@pytest.mark.parametrize(
    ("name", "general", "limited"),
    [
        ("exact", True, True),
        ("filters", False, False),
        ("no:filters", True, True),
        ("max_k", False, True),
        ("consistency:session", False, True),
        ("consistency:strong", True, False),
    ],
)
def test_what_is_declared(name: str, general: bool, limited: bool) -> None:
    narrow = replace(CAPABILITIES, max_k=10, consistency=frozenset({"session"}))
    runs = [
        Mark(requires=(name,)).reason_not_to_run(each) is None for each in (CAPABILITIES, narrow)
    ]

    assert runs == [general, limited]


def test_both_faces_of_a_capability_give_a_reason() -> None:
    assert Mark(requires=("exact",)).reason_not_to_run(CAPABILITIES) is None
    assert Mark(refuses=("fields",)).reason_not_to_run(CAPABILITIES) is None
    assert Mark(requires=("exact", "fields")).reason_not_to_run(CAPABILITIES) == (
        "the index does not declare fields"
    )
    assert "declares exact" in str(Mark(refuses=("exact",)).reason_not_to_run(CAPABILITIES))


def test_a_capability_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError, match="teleport"):
        Mark(requires=("teleport",)).reason_not_to_run(CAPABILITIES)
