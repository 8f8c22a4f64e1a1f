"""The doctor says on which versions the suite was run, and that it was not on others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.servers.milvus_wire import Wire
from vecbridge.diagnosis import diagnose
from vecbridge_milvus._findings import PROVEN

REPORTS = Path(__file__).parents[3] / "docs" / "reference" / "conformance"


def test_what_is_called_proven_has_a_report_that_is_no_older() -> None:
    run = {}
    for label, package, word in (
        ("milvus-server", "milvus", "v"),
        ("milvus-lite", "milvus-lite", "milvus_lite-"),
    ):
        report = json.loads((REPORTS / f"{label}.json").read_text(encoding="utf-8"))
        (version,) = re.findall(r"\d+\.\d+\.\d+", report["versions"][package])
        run[f"{word}{version}"] = report["started"][:10]
    assert PROVEN.keys() == run.keys()
    assert all(PROVEN[version] <= run[version] for version in PROVEN)


@pytest.mark.parametrize(
    ("version", "status", "told"),
    [
        ("v2.3.5-lite", "ok", "run on it, 20"),
        (
            "v2.6.10",
            "warning",
            "not proven on this version, but on v2.3.5, milvus_lite-3.2.2",
        ),
        ("v3.2.2", "warning", "not proven on this version"),
        ("v2.2.16", "warning", "Milvus v2.2.16"),
        ("Zilliz Cloud", "warning", "not proven on this version"),
    ],
)
def test_the_doctor_says_what_is_proven(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, version: str, status: str, told: str
) -> None:
    monkeypatch.setattr(wire, "version", version)
    found = {each.check: each for each in diagnose("milvus", write=False, uri=wire.uri)}
    assert found["version"].status == status
    assert told in found["version"].found
    print(found["version"].found, found["version"].advice, sep="\n  ")
