from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


def test_a_page_is_written(run: Run, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run("report", "sklearn", "corners", "-o", f"path={folder}", "--output", page)
    assert ran.code == 0
    assert "4 of 4 records" in ran.out
    written = page.read_text(encoding="utf-8")
    assert "corners in sklearn" in written
    assert "<td>max k</td><td>no limit</td>" in written


def test_the_page_is_named_after_the_index(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("report", "sklearn", "corners", "-o", f"path={folder}", "--read-only").code == 0
    assert (tmp_path / "corners.html").exists()


def test_a_page_that_is_there_is_replaced_by_force_alone(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("precious")
    words = ("report", "sklearn", "corners", "-o", f"path={folder}", "--output", page)
    ran = run(*words, "--queries", 0, "--read-only")
    assert (ran.code, "--force" in ran.err, page.read_text()) == (2, True, "precious")
    assert run(*words, "--queries", 0, "--read-only", "--force").code == 0
    assert page.read_text(encoding="utf-8").startswith("<!")
    assert [each.name for each in tmp_path.iterdir() if "partial" in each.name] == []


def test_the_figures_come_as_json_and_no_page(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = run("report", "sklearn", "corners", "-o", f"path={folder}", "--json").json
    assert (seen["records"], seen["whole"], seen["neighborhoods"]["nearest"]["mean"]) == (
        4,
        True,
        3,
    )
    assert set(seen["lags"]) == {"strong", "session", "bounded", "eventual"}
    assert not (tmp_path / "corners.html").exists()


def test_an_index_that_is_not_there_writes_nothing(run: Run, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run("report", "sklearn", "absent", "-o", f"path={folder}", "--output", page)
    assert ran.code == 1
    assert "absent" in ran.err
    assert not page.exists()


def test_a_page_that_cannot_be_written_is_one_line(run: Run, folder: Path, tmp_path: Path) -> None:
    options = ("-o", f"path={folder}", "--queries", 0, "--read-only")
    ran = run("report", "sklearn", "corners", "--output", tmp_path / "no" / "page.html", *options)
    assert (ran.code, "there is no folder" in ran.err) == (2, True)
    ran = run("report", "sklearn", "corners", "--output", tmp_path, *options)
    assert (ran.code, str(tmp_path) in ran.err, "Traceback" in ran.err) == (2, True, False)
