"""The pytest plugin: options, the ``harness`` fixture, two faces, deviations, reports.

Active where it is asked for (``-p vecbridge_conformance.plugin``, or
``from vecbridge_conformance import pytest_plugins``), never in every pytest.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from vecbridge_conformance._catalogue import LAYERS, layer_of
from vecbridge_conformance._clauses import mark_of
from vecbridge_conformance._deployment import Deployment, parse_options
from vecbridge_conformance._harness import Effort, Harness
from vecbridge_conformance._session import Session
from vecbridge_conformance._watch import LIMIT_S, OPENING_S, Hung
from vecbridge_conformance.deviations import LedgerError
from vecbridge_conformance.reports import write_report

SESSIONS = pytest.StashKey[dict[int, tuple[Deployment, Session]]]()
_FROM_OPTIONS = pytest.StashKey[Deployment]()
_REPORT = pytest.StashKey[Path]()
_EFFORT = pytest.StashKey[Effort]()
_SUITE = f"{__package__}.suite."
_MOST_HUNG = 3
"""After so many tests that hang, the others are not tried: each would wait as long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say what is under test."""
    group = parser.getgroup("vecbridge-conformance")
    group.addoption("--vecbridge-backend", help="backend under test")
    group.addoption("--vecbridge-label", default="", help="name of its column in reports")
    group.addoption("--vecbridge-layer", default="", help="layers to run, separated by commas")
    group.addoption("--vecbridge-report", metavar="DIR", help="where to write the reports")
    group.addoption(
        "--vecbridge-limit",
        type=float,
        default=LIMIT_S,
        metavar="SECONDS",
        help="what a test may take before it is ended, 0 for no limit (default: %(default)g)",
    )
    group.addoption(
        "--vecbridge-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the backend; may be repeated",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the layers as markers, and make room for the sessions."""
    for layer in LAYERS:
        config.addinivalue_line("markers", f"layer_{layer}: a test of the layer {layer}")
    config.stash[SESSIONS] = {}


@pytest.fixture
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Yield the deployment under test, with fresh indexes for each test."""
    used = _session_of(request.config, request.cls).harness
    yield used
    used.end_test()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and take down, what has nothing to look at in the deployment."""
    chosen = _chosen_layers(config)
    left_out = []
    for item in filter(_is_ours, items):
        session = _session_of(config, getattr(item, "cls", None))
        _check_ledger(session)
        mark, layer = mark_of(_function(item)), layer_of(_function(item).__module__)
        item.add_marker(f"layer_{layer}")
        reason = f"layer {layer} was not asked for" if layer not in chosen else None
        session.partial = chosen != set(LAYERS) or _narrowed(config)
        reason = reason or mark.reason_not_to_run(session.harness.capabilities)
        if reason is not None:
            session.leave_out(item.name, layer, mark, reason)
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
    # Smoke comes first: there is no use in a long run of a store that cannot be reached.
    items.sort(
        key=lambda item: (
            LAYERS.index(layer_of(_function(item).__module__)) if _is_ours(item) else -1
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the time of a test, and of what comes before and after it."""
    if not _is_ours(item):
        return (yield)
    with _session_of(item.config, getattr(item, "cls", None)).watch.over(item.name):
        return (yield)


pytest_runtest_setup = pytest_runtest_teardown = pytest_runtest_call


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge each test by the ledger, and say of a failure what the contract wants."""
    report = yield
    if not _is_ours(item):
        return report
    session = _session_of(item.config, getattr(item, "cls", None))
    if session.watch.hung >= _MOST_HUNG:
        session.partial = True
        item.session.shouldstop = f"{session.watch.hung} tests hang"
    function = _function(item)
    session.seconds[layer_of(function.__module__)] += call.duration
    if call.when != "call" and call.excinfo is None:
        return report
    mark = mark_of(function)
    error = None if call.excinfo is None else call.excinfo.value
    outcome = session.record(item.name, layer_of(function.__module__), mark, error, call.duration)
    report.user_properties.append(("vecbridge", outcome))
    if outcome.verdict == "known":
        report.outcome, report.wasxfail = "skipped", outcome.reason
    if outcome.verdict == "broken":
        look = inspect.cleandoc(function.__doc__ or "")
        report.sections.append(("conformance", f"{session.explanation(mark)}\n{look}\n"))
        if error is None:
            report.outcome, report.longrepr = "failed", outcome.reason
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Close the ledgers, write the reports and drop what was made."""
    config = session.config
    folder = config.getoption("--vecbridge-report", None)
    for _, each in config.stash[SESSIONS].values():
        # Who stops a run leaves the rest out.
        each.partial = each.partial or exitstatus == pytest.ExitCode.INTERRUPTED
        try:
            unexpected = each.unexpected_passes() if each.outcomes else []
            each.outcomes += unexpected
            if unexpected:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if each.outcomes:
                # A store tells its version while it is open, and reports may be made later.
                _ = each.surroundings
            if folder and each.outcomes:
                write_report(each.report(), Path(folder))
        finally:
            try:
                with each.watch.over("dropping what the run has made", least_s=OPENING_S):
                    each.harness.close()
            finally:
                each.watch.let_the_process_end(int(session.exitstatus))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which entries of a ledger nothing showed."""
    for _, each in config.stash[SESSIONS].values():
        for outcome in each.outcomes:
            if outcome.test.startswith("deviations.toml"):
                terminalreporter.write_line(f"FAILED {outcome.test}: {outcome.reason}", red=True)


def use(
    config: pytest.Config,
    deployment: Deployment,
    report: Path | None = None,
    effort: Effort | None = None,
) -> None:
    """Say what is under test, and where its reports go, in place of the options."""
    config.stash[_FROM_OPTIONS] = deployment
    config.stash[_EFFORT] = effort or Effort()
    if report is not None:
        config.stash[_REPORT] = report


def layer_of_item(item: pytest.Item) -> str:
    """Return the layer of a collected test of the suite."""
    return layer_of(_function(item).__module__)


def _session_of(config: pytest.Config, suite: type | None) -> Session:
    deployment = getattr(suite, "deployment", None) or _from_options(config)
    known = config.stash[SESSIONS]
    if id(deployment) not in known:
        folder = config.stash.get(_REPORT, None) or config.getoption("--vecbridge-report", None)
        arrays = Path(folder) / "reproducers" if folder else None
        limit: Any = config.getoption("--vecbridge-limit")
        effort = config.stash.get(_EFFORT, None)
        known[id(deployment)] = deployment, Session(deployment, arrays, limit, effort=effort)
    return known[id(deployment)][1]


def _check_ledger(session: Session) -> None:
    try:
        with session.watch.over("making the first index", least_s=OPENING_S):
            _ = session.ledger
    except LedgerError as error:
        raise pytest.UsageError(str(error)) from error
    except (Exception, Hung) as error:
        raise pytest.UsageError(
            f"no index can be made on {session.deployment.label}, so there is nothing to "
            f"test: {type(error).__name__}: {error}"
        ) from error


def _from_options(config: pytest.Config) -> Deployment:
    if _FROM_OPTIONS not in config.stash:
        backend = config.getoption("--vecbridge-backend", None)
        if not backend:
            raise pytest.UsageError("say what is under test: --vecbridge-backend NAME")
        given: list[str] = config.getoption("--vecbridge-option") or []
        label: Any = config.getoption("--vecbridge-label")
        try:
            config.stash[_FROM_OPTIONS] = Deployment(backend, parse_options(given), label)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[_FROM_OPTIONS]


def _chosen_layers(config: pytest.Config) -> set[str]:
    words = {word for word in (config.getoption("--vecbridge-layer", "") or "").split(",") if word}
    if unknown := sorted(words - set(LAYERS)):
        raise pytest.UsageError(f"no layer {', '.join(unknown)}; layers: {', '.join(LAYERS)}")
    return words or set(LAYERS)


def _narrowed(config: pytest.Config) -> bool:
    return bool(config.getoption("-k", "") or config.getoption("-m", ""))


def _is_ours(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.function.__module__.startswith(_SUITE)


def _function(item: pytest.Item) -> Any:
    return item.function  # type: ignore[attr-defined]
