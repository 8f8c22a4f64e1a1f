"""Proof for any backend: the suite that checks a store against the contract."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("vecbridge_conformance.suite")

from vecbridge_conformance._catalogue import LAYERS, Case, cases  # noqa: E402  (after rewriting)
from vecbridge_conformance._clauses import (  # noqa: E402
    Clause,
    Vacuous,
    clause,
    clauses,
    refuses,
    requires,
    vacuous,
)
from vecbridge_conformance._deployment import Deployment, Lifecycle  # noqa: E402
from vecbridge_conformance._harness import Harness  # noqa: E402
from vecbridge_conformance._process import OtherProcess  # noqa: E402
from vecbridge_conformance._suite_class import conformance_suite, pytest_plugins  # noqa: E402

__all__ = [
    "LAYERS",
    "Case",
    "Clause",
    "Deployment",
    "Harness",
    "Lifecycle",
    "OtherProcess",
    "Vacuous",
    "cases",
    "clause",
    "clauses",
    "conformance_suite",
    "pytest_plugins",
    "refuses",
    "requires",
    "vacuous",
]
