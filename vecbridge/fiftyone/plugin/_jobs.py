"""The jobs of the operators: sync, copy, switch, verify, examine. Each ends with a report.

The last report, and what is known of a store, are kept with the dataset, for the panel. They are
kept in MongoDB, and the address of a store must not be: it comes from each process's configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from vecbridge import InvalidArgumentError, VecbridgeError
from vecbridge.diagnosis import diagnose
from vecbridge.fiftyone._adopt import adopt
from vecbridge.fiftyone._builtin import config_in_place
from vecbridge.fiftyone._moving import move
from vecbridge.fiftyone._names import unique_name
from vecbridge.fiftyone._stores import shared_store
from vecbridge.fiftyone.plugin._runs import Run, Target, find_run, opened, target, where
from vecbridge.settings import redacted
from vecbridge.transfer import Progress, copy, verify

_MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
_LONGEST_SMOKE_S = 120
_STORE = "vecbridge_panel"
_LAST = "last"
_URL = r"[a-z][a-z0-9+.-]*://[^\s`'\",;()<>]*[^\s`'\",;()<>.:]"
_HOST_AND_PORT = r"(?:(?:[\w-]+\.)+[\w-]+|\[[0-9a-f:]+\]|localhost):\d+\b|[a-z][\w-]*:\d{4,5}\b"
_ADDRESS = re.compile(rf"\b{_URL}|(?<![\w.-])(?:{_HOST_AND_PORT})", re.IGNORECASE)

Severity = Literal["success", "warning", "error"]


@dataclass(frozen=True)
class Report:
    """The result of a job, in a line and in full; without a secret."""

    severity: Severity
    title: str
    text: str


def copy_index(dataset: Any, key: str, to: Target, name: str, progress: Progress) -> Report:
    """Copy an index to another store; the run stays where it is."""
    run = find_run(dataset, key)
    called = name or unique_name(dataset.name, key)
    store, options = target(to)
    with opened(run) as source:
        done = copy(source, store, called, progress=progress)
    return Report(
        "success",
        f"{key}: {done.checksum.records:,} records copied to {to.backend}",
        f"The copy is `{called}` in {where(to.backend, options) or to.backend}. Read back, it has "
        f"the same checksum. {key} itself was left unchanged.",
    )


def switch_store(dataset: Any, key: str, to: Target, progress: Progress) -> Report:
    """Move a run to another store: its index is copied and compared, then the run is switched.

    The key, the fields and the model of the run stay; the earlier index stays where it is.
    """
    run = find_run(dataset, key, also_fiftyones=True)
    backend, options = to.backend, target(to)[1]
    if not run.ours:
        adopted = adopt(dataset, key, backend, progress=progress, **options)
        if adopted.in_place:
            return Report(
                "success",
                f"{key} now belongs to vecbridge",
                f"Its {adopted.records:,} records stay where they are, in "
                f"`{adopted.collection_name}`: nothing was copied.",
            )
        switched = _switched(key, adopted.records, backend, options, run)
        changes = f" {adopted.changes}." if adopted.changes else ""
        return replace(switched, text=switched.text + changes)
    moved = move(dataset, key, backend, progress=progress, **options)
    return _switched(key, moved.records, backend, options, run)


def sync_index(
    dataset: Any, key: str, *, plan_only: bool, unknown: bool, create: bool, progress: Progress
) -> Report:
    """Bring an index in step with its dataset, or say what that would do."""
    run = find_run(dataset, key)
    index = dataset.load_brain_results(key, cache=False)
    done = index.sync(unknown=unknown, create=create, dry_run=plan_only, progress=progress)
    said = [f"{done}." if done.done or done.in_step else f"{done}: nothing was changed yet."]
    if done.done:
        said.append(f"`{run.collection}` holds {index.total_index_size:,} records.")
    if done.failed:
        said.append("The failed records could not be embedded: do their media files exist?")
    if done.without:
        said.append("Records without an embedding are left out, since the run has no model.")
    if done.unknown:
        said.append(
            "It is not known whether the media of the unknown records have changed: if they have, "
            "sync again with the option that embeds such records."
        )
    state = "is in step" if done.in_step else "was brought in step" if done.done else "would change"
    left = done.failed or done.without
    return Report("warning" if left else "success", f"{key} {state}", " ".join(said))


def verify_indexes(dataset: Any, key: str, other: str, progress: Progress) -> Report:
    """Compare two indexes: every record, and rankings to the last bit."""
    first, second = find_run(dataset, key), find_run(dataset, other)
    with opened(first) as one, opened(second) as two:
        if (one.info.dimension, one.info.metric) != (two.info.dimension, two.info.metric):
            raise InvalidArgumentError(
                f"{key} has {one.info.dimension} dimensions and metric {one.info.metric}, {other} "
                f"has {two.info.dimension} and {two.info.metric}: they cannot hold the same records"
            )
        found = verify(one, two, progress=progress)
    if found.same:
        return Report(
            "success",
            f"{key} and {other} are the same",
            f"{found.first.records:,} records with checksum {found.first.digest} in both; "
            f"{found.queries} rankings agree to the last bit.",
        )
    findings = [f"{key} holds {found.first.records:,} records, {other} {found.second.records:,}"]
    if found.first != found.second:
        differ = found.differences
        findings.append(
            f"their checksums differ: {differ.missing:,} records are only in {key}, "
            f"{differ.extra:,} only in {other}, and {differ.changed:,} are in both but differ"
        )
    findings.append(f"{len(found.differing)} of {found.queries} rankings differ")
    return Report("warning", f"{key} and {other} differ", "; ".join(findings) + ".")


def examine_store(run: Run, progress: Progress) -> tuple[Report, dict[str, str]]:
    """Examine the store of a run; what is written to it is dropped again.

    What is to be kept of the report comes along: ``lag`` and ``conformance``, each in a line.
    """
    progress("looking at the store", 0, 2)
    findings = list(diagnose(run.config.backend_name, **run.options))
    lags = [each.found for each in findings if each.check == "consistency"]
    kept = {"lag": lags[0] if lags else "not measured"}
    failed = [finding for finding in findings if finding.status == "failed"]
    if not failed:
        progress("checking conformance", 1, 2)
        kept["conformance"] = _smoke(run.config.backend_name, run.options)
    lines = [
        f"{_MARKS[each.status]} **{each.check}**: {each.found}"
        + (f". {each.advice}" if each.advice else "")
        for each in findings
    ]
    if "conformance" in kept:
        lines.append(f"**conformance**: {kept['conformance']}")
    worst: Severity = "error" if failed else "success"
    if not failed and any(finding.status == "warning" for finding in findings):
        worst = "warning"
    title = f"{run.store} of {run.key}: " + ("something is wrong" if failed else "examined")
    return Report(worst, title, "\n\n".join(lines)), kept


def _smoke(backend: str, options: Mapping[str, Any]) -> str:
    """Run the suite's smoke layer on a store of this kind, and return the verdict, in a line.

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
                command, check=False, capture_output=True, timeout=_LONGEST_SMOKE_S
            )
            report = json.loads((Path(folder) / "panel.json").read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            return f"did not end in {_LONGEST_SMOKE_S} s"
        except (OSError, ValueError):
            return f"could not be checked: run `vecbridge conformance run {backend}`"
    totals, when = report["totals"], datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    verdict = "conforms" if report["conforms"] else "does NOT conform"
    return (
        f"{verdict} in the smoke layer: {totals['kept']} kept, {totals['broken']} broken ({when})"
    )


def keep_last(ctx: Any, report: Report) -> None:
    """Keep the report of the last job, for the panel to show."""
    said = {name: _ADDRESS.sub("the server", text) for name, text in asdict(report).items()}
    ctx.store(_STORE).set(_LAST, said)


def last_report(ctx: Any) -> dict[str, str] | None:
    """Return the fields of the report of the last job, if there is one."""
    found: dict[str, str] | None = ctx.store(_STORE).get(_LAST)
    return found


def forget_last(ctx: Any) -> None:
    """Forget the report of the last job."""
    ctx.store(_STORE).delete(_LAST)


def keep_examined(ctx: Any, run: Run, found: dict[str, str]) -> None:
    """Keep the lag and the verdict of the store of a run."""
    ctx.store(_STORE).set(_store_key(run), found)


def examined(ctx: Any, run: Run) -> dict[str, str]:
    """Return the lag and the verdict of the store of a run, if it was examined."""
    return dict(ctx.store(_STORE).get(_store_key(run)) or {})


def _switched(key: str, records: int, backend: str, options: dict[str, Any], before: Run) -> Report:
    return Report(
        "success",
        f"{key} now lives in {backend}",
        f"{records:,} records were copied to {where(backend, options) or backend} and compared. "
        f"The earlier index, {_what_is_left(before)}.",
    )


def _what_is_left(before: Run) -> str:
    """Look up what became of the index that the run had, and describe it."""
    if not before.collection:
        # FiftyOne's sklearn keeps an index with its run, which has another one now.
        return f"in {before.store}, was part of the run and no longer exists"
    left = f"`{before.collection}` in {before.store}"
    try:
        if before.ours:
            store, name = (
                shared_store(before.config.backend_name, before.options),
                before.collection,
            )
        else:
            here = config_in_place(before.config, before.config.method, {})
            store, name = here.connect(), here.collection_name or ""
        if name in store.index_names():
            return f"{left}, still exists. Drop it when you no longer need it"
    except VecbridgeError:
        return f"{left}, was not touched"
    return f"{left}, no longer exists"


def _own_place(options: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the settings of a store that may be written to: a server as it is, files elsewhere."""
    given = dict(options)
    if "path" in given:
        given["path"] = folder / "store"
    elif "uri" in given and "://" not in str(given["uri"]):
        given["uri"] = folder / "store.db"
    # Every user of the machine sees a command line: nothing that may be a secret is in it.
    places = {name: str(given[name]) for name in ("path", "uri") if name in given}
    return {name: text for name, text in places.items() if redacted(text) == text}


def _store_key(run: Run) -> str:
    return f"examined {run.store} {hashlib.sha256(run.where.encode()).hexdigest()}"
