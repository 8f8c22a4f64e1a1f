from __future__ import annotations

from pathlib import Path

import pytest

import vecbridge
from tests.unit.cli.conftest import Run


@pytest.fixture
def places(run: Run, folder: Path, tmp_path: Path) -> list[str]:
    """The words after ``verify`` that compare an index with a copy of it that was changed."""
    path = tmp_path / "copy"
    run("copy", "sklearn:corners", "faiss:copied", "-f", f"path={folder}", "-t", f"path={path}")
    with vecbridge.get_backend("faiss", path=path) as store, store.open_index("copied") as index:
        index.delete(["a"])
        index.upsert(["z\x1b[2J", "d"], [[1, 1], [3, 1]], {"name": ["Z", ""]})
    return ["sklearn:corners", "faiss:copied", "-f", f"path={folder}", "-t", f"path={path}"]


def test_what_differs_is_shown_with_both_values(run: Run, places: list[str]) -> None:
    ran = run("verify", *places)
    assert ran.code == 1
    shown = [" ".join(line.split()) for line in ran.out.splitlines()]
    for said in (
        "Only in sklearn:corners: 1 record",
        "Only in faiss:copied: 1 record",
        r"z\x1b[2J",
        "In both, but different: 1 record",
        "d vector[1] 0.0 1.0",
        "NOT the same",
    ):
        assert said in shown
    assert any(line.startswith("d name D") for line in shown)
    assert "\x1b[2J" not in ran.out


def test_programs_read_the_same(run: Run, places: list[str]) -> None:
    ran = run("verify", *places, "--json", "--limit", "1")
    assert (ran.code, ran.json["same"]) == (1, False)
    found = ran.json["differences"]
    assert (found["missing_ids"], found["extra_ids"]) == (["a"], ["z\x1b[2J"])
    assert found["changed_records"] == [
        {"id": "d", "fields": {"name": ["D", ""]}, "components": 1, "component": [1, 0.0, 1.0]}
    ]


def test_the_number_of_those_that_are_named_is_told(run: Run, places: list[str]) -> None:
    with vecbridge.get_backend("faiss", path=places[-1].removeprefix("path=")) as store:
        store.open_index("copied").delete(["[b]", "c", "d"])
    said = run("verify", *places, "--limit", "2").out
    assert "Only in sklearn:corners: 4 records, the first 2" in said


def test_settings_of_both_stores_are_given_once(run: Run, folder: Path) -> None:
    both = ("-o", f"path={folder}")
    assert run("copy", "sklearn:corners", "sklearn:twin", *both).code == 0
    assert run("verify", "sklearn:corners", "sklearn:twin", *both).code == 0
    elsewhere = ("-t", f"path={folder / 'absent'}")
    assert "corners" not in run("verify", "sklearn:corners", "sklearn:twin", *both, *elsewhere).err
