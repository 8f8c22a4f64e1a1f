"""A closer look at a store: what the doctor finds, how late reads are, whether it conforms."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecbridge._redaction import redacted
from vecbridge.diagnosis import Finding, diagnose
from vecbridge.fiftyone.plugin._jobs import Told
from vecbridge.fiftyone.plugin._places import Run
from vecbridge.transfer import Progress

_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
_LONGEST_S = 120


def examine_store(run: Run, progress: Progress) -> tuple[Told, dict[str, str]]:
    """Examines the store of a run. What is written to it is dropped again.

    Args:
        run: a run of vecbridge's.
        progress: called before each step.

    Returns:
        What was found, and what is to be kept of it: ``lag`` and ``conformance``, each in a line.
    """
    progress("looking at the store", 0, 2)
    findings = list(diagnose(run.config.backend_name, **run.options))
    kept = {"lag": _lag(findings)}
    failed = [finding for finding in findings if finding.status == "failed"]
    if not failed:
        progress("checking conformance", 1, 2)
        kept["conformance"] = smoke(run.config.backend_name, run.options)
    lines = [_line(finding) for finding in findings]
    if "conformance" in kept:
        lines.append(f"**conformance**: {kept['conformance']}")
    worst = "error" if failed else "success"
    if not failed and any(finding.status == "warning" for finding in findings):
        worst = "warning"
    title = f"{run.store} of {run.key}: " + ("something is wrong" if failed else "examined")
    return Told(worst, title, "\n\n".join(lines)), kept  # type: ignore[arg-type]


def smoke(backend: str, options: Mapping[str, Any]) -> str:
    """Runs the suite's smoke layer on a store of this kind, and says how it ended, in a line.

    A local store is checked in a directory of its own.
    """
    if find_spec("vecbridge_conformance") is None or find_spec("hypothesis") is None:
        return "not checked: pip install 'vecbridge[conformance]'"
    with tempfile.TemporaryDirectory(prefix="vecbridge-smoke-") as folder:
        command = [sys.executable, "-m", "vecbridge_conformance", "run", backend]
        command += ["--layer", "smoke", "--label", "panel", "--report", folder]
        for name, value in _own_place(options, Path(folder)).items():
            command += ["--option", f"{name}={value}"]
        try:
            subprocess.run(  # noqa: S603 - our own program
                command, check=False, capture_output=True, timeout=_LONGEST_S
            )
            report = json.loads((Path(folder) / "panel.json").read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            return f"did not end in {_LONGEST_S} s"
        except (OSError, ValueError):
            return f"could not be checked: run `vecbridge conformance run {backend}`"
    totals, when = report["totals"], datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    verdict = "conforms" if report["conforms"] else "does NOT conform"
    return (
        f"{verdict} in the smoke layer: {totals['pass']} passed, {totals['fail']} failed ({when})"
    )


def _own_place(options: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The settings of a store that may be written to: a server as it is, files elsewhere."""
    given = dict(options)
    if "path" in given:
        given["path"] = folder / "store"
    elif "uri" in given and "://" not in str(given["uri"]):
        given["uri"] = folder / "store.db"
    # A command line is seen by everybody: nothing that may be a secret is in it.
    places = {name: str(given[name]) for name in ("path", "uri") if name in given}
    return {name: text for name, text in places.items() if redacted(text) == text}


def _lag(findings: list[Finding]) -> str:
    return next((each.found for each in findings if each.check == "consistency"), "not measured")


def _line(finding: Finding) -> str:
    said = f"{_MARKS[finding.status]} **{finding.check}**: {finding.found}"
    return f"{said}. {finding.advice}" if finding.advice else said
