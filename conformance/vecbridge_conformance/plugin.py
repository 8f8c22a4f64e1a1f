"""The pytest plugin: options, the ``harness`` fixture, two faces, verdicts.

Active where it is asked for (``-p vecbridge_conformance.plugin``), never in every pytest.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._harness import Harness

_HARNESSES = pytest.StashKey[dict[int, tuple[Deployment, Harness]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that say what is under test."""
    group = parser.getgroup("vecbridge-conformance")
    group.addoption("--vecbridge-backend", help="backend under test")
    group.addoption("--vecbridge-label", default="", help="name of its column in reports")
    group.addoption(
        "--vecbridge-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the backend; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Makes room for the harnesses of the run."""
    config.stash[_HARNESSES] = {}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Drops every index that the run made."""
    for _, used in config.stash[_HARNESSES].values():
        used.close()
    config.stash[_HARNESSES].clear()


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """The deployment under test, with fresh indexes for each test."""
    used = _harness_of(request.config, request.cls)
    yield used
    used.end_test()


def _harness_of(config: pytest.Config, suite: type | None) -> Harness:
    deployment = getattr(suite, "deployment", None) or _from_options(config)
    known = config.stash[_HARNESSES]
    if id(deployment) not in known:
        known[id(deployment)] = deployment, Harness(deployment)
    return known[id(deployment)][1]


_OPTIONS_DEPLOYMENT = pytest.StashKey[Deployment]()


def _from_options(config: pytest.Config) -> Deployment:
    if _OPTIONS_DEPLOYMENT not in config.stash:
        backend = config.getoption("--vecbridge-backend", None)
        if not backend:
            raise pytest.UsageError("say what is under test: --vecbridge-backend NAME")
        options = dict(item.split("=", 1) for item in config.getoption("--vecbridge-option"))
        label = config.getoption("--vecbridge-label")
        config.stash[_OPTIONS_DEPLOYMENT] = Deployment(backend, options, label)
    return config.stash[_OPTIONS_DEPLOYMENT]
