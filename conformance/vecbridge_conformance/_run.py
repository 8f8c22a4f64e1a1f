"""Run the suite under pytest, with progress to watch and a verdict to read at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vecbridge_conformance._catalogue import LAYERS, layer_of, suite_modules
from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._harness import Effort
from vecbridge_conformance._session import Outcome
from vecbridge_conformance._verdicts import VERDICTS
from vecbridge_conformance._watch import LIMIT_S, OPENING_S, Watch
from vecbridge_conformance.reports import write_report

_STYLES = {"broken": "bold red", "known": "yellow", "kept": "green"}


def run_suite(
    deployment: Deployment,
    *,
    layers: Sequence[str] = (),
    report: Path | None = None,
    words: str = "",
    limit: float = LIMIT_S,
    console: Console | None = None,
    effort: Effort | None = None,
) -> int:
    """Run the suite on a deployment, and show what it finds.

    Args:
        deployment: what is under test.
        layers: the layers to run; all by default.
        report: folder for the reports.
        words: only tests whose names match, as pytest's ``-k`` has it.
        limit: seconds that a test may take; 0 for no limit.
        console: where to show it.
        effort: how much the long tests do.

    Returns:
        pytest's exit status: 0 where everything conforms.

    Raises:
        VecbridgeError: the store cannot be used at all.
    """
    from vecbridge_conformance import plugin

    watch = Watch(limit, list)
    with watch.over("listing the indexes", least_s=OPENING_S), deployment.open() as store:
        store.index_names()
    display = _Display(deployment, report, console or Console(), effort)
    # A file of settings that has none, and no conftest: the caller's own must not reach the suite.
    settings = Path(__file__).with_name("pytest.ini")
    arguments = ["-p", "no:terminal", "-p", "no:cacheprovider", "-c", str(settings)]
    arguments += ["--noconftest"]
    arguments += ["--vecbridge-limit", str(limit)]
    arguments += ["--vecbridge-layer", ",".join(layers)] + (["-k", words] if words else [])
    modules = [name for name in suite_modules() if layer_of(name) in layers]
    arguments += ["--pyargs", *(modules or suite_modules())]
    with pytest.MonkeyPatch.context() as environment:
        # What a user adds to every run of pytest is meant for other tests.
        environment.delenv("PYTEST_ADDOPTS", raising=False)
        return int(pytest.main(arguments, plugins=[plugin, display]))


class _Display:
    """A pytest plugin that draws progress, failures and the verdict."""

    def __init__(
        self, deployment: Deployment, report: Path | None, console: Console, effort: Effort | None
    ) -> None:
        self._deployment = deployment
        self._effort = effort
        self._report = report
        self._console = console
        self._counts: Counter[str] = Counter()
        self._progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[found]}"),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._left: Counter[str] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        from vecbridge_conformance import plugin

        plugin.use(config, self._deployment, self._report, self._effort)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        from vecbridge_conformance import plugin

        self._left = counts = Counter(plugin.layer_of_item(item) for item in session.items)
        self._progress.start()
        for layer in LAYERS:
            if counts[layer]:
                self._tasks[layer] = self._progress.add_task(layer, total=counts[layer], found="")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for key, outcome in report.user_properties:
            if key == "vecbridge" and isinstance(outcome, Outcome):
                self._take(outcome, report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._console.print(f"[bold red]cannot collect {report.nodeid}[/]")
            self._console.print(str(report.longrepr), markup=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._progress.stop()

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        from vecbridge_conformance import plugin

        for _, each in config.stash[plugin.SESSIONS].values():
            if each.outcomes:
                self._conclude(each.report())

    def _take(self, outcome: Outcome, report: pytest.TestReport) -> None:
        self._counts[outcome.verdict] += 1
        found = "  ".join(f"{self._counts[name]} {name}" for name in VERDICTS if self._counts[name])
        if outcome.layer in self._tasks:
            self._progress.update(self._tasks[outcome.layer], advance=1, found=found)
            self._left[outcome.layer] -= 1
            if not self._left[outcome.layer] and not self._console.is_terminal:
                # A pipe or a log shows no bars: lines say how far the run is.
                self._console.print(f"{outcome.layer} is through; so far {found}")
        if outcome.verdict == "broken":
            self._console.rule(f"[bold red]{', '.join(outcome.clauses)}[/]  {outcome.test}")
            self._console.print(outcome.reason, markup=False)
            for title, text in report.sections:
                if title == "conformance":
                    self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _conclude(self, report: dict[str, Any]) -> None:
        self._console.print(_table(report))
        for test in report["tests"]:
            if test["verdict"] == "broken" and test["test"].startswith("deviations.toml"):
                line = f"{test['test']}: {test['reason']}"
                self._console.print(line, style="bold red", markup=False, soft_wrap=True)
        good = report["conforms"]
        words = "conforms" if good else "does not conform"
        part = " in what was run, which is a part of the suite" if report["partial"] else ""
        style = "bold green" if good else "bold red"
        self._console.print(f"[{style}]{report['label']} {words}{part}[/]")
        if self._report is not None:
            self._console.print(f"reports: {write_report(report, self._report).parent}")


def _table(report: dict[str, Any]) -> Table:
    """Return one line per verdict, with the clauses that have it."""
    title = f"{report['label']}: {len(report['clauses'])} clauses"
    table = Table(title=title, title_justify="left")
    for heading in ("verdict", "clauses", "which"):
        table.add_column(heading)
    for verdict in VERDICTS:
        judged = {name: c for name, c in report["clauses"].items() if c["verdict"] == verdict}
        if verdict == "kept":
            partly = [name for name, clause in judged.items() if clause["reason"]]
            which = f"in part: {' '.join(partly)}" if partly else ""
        else:
            # Of a part of the suite, what was left out is most of it, and needs no reason.
            which = "" if verdict == "not run" and report["partial"] else " ".join(judged)
        if judged:
            table.add_row(verdict, str(len(judged)), which, style=_STYLES.get(verdict, "dim"))
    return table
