"""Proof for any backend: the suite that checks a store against the contract."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("vecbridge_conformance.checks", "vecbridge_conformance.suite")

from vecbridge_conformance._catalogue import (  # noqa: E402  (after rewriting)
    LAYERS,
    Case,
    cases,
    conformance_suite,
)
from vecbridge_conformance._clauses import (  # noqa: E402
    Clause,
    Mark,
    Vacuous,
    clause,
    clauses,
    mark_of,
    refuses,
    requires,
    vacuous,
)
from vecbridge_conformance._deployment import Deployment, Lifecycle  # noqa: E402
from vecbridge_conformance._harness import Effort, Harness  # noqa: E402
from vecbridge_conformance._process import OtherProcess  # noqa: E402
from vecbridge_conformance._run import run_suite  # noqa: E402
from vecbridge_conformance._session import Outcome, Session  # noqa: E402
from vecbridge_conformance._watch import Hung  # noqa: E402
from vecbridge_conformance._wire import Wire  # noqa: E402

pytest_plugins = ("vecbridge_conformance.plugin",)
"""Imported into a test module, it switches the plugin on for that run of pytest."""

__all__ = [
    "LAYERS",
    "Case",
    "Clause",
    "Deployment",
    "Effort",
    "Harness",
    "Hung",
    "Lifecycle",
    "Mark",
    "OtherProcess",
    "Outcome",
    "Session",
    "Vacuous",
    "Wire",
    "cases",
    "clause",
    "clauses",
    "conformance_suite",
    "mark_of",
    "pytest_plugins",
    "refuses",
    "requires",
    "run_suite",
    "vacuous",
]
