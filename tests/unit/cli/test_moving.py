from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecbridge
from tests.unit.cli.conftest import Run


def places(folder: Path, tmp_path: Path) -> tuple[str, ...]:
    return ("sklearn:corners", "faiss:copied", "-f", f"path={folder}", "-t", f"path={tmp_path}")


def test_copy_verify_and_back_again(run: Run, folder: Path, tmp_path: Path) -> None:
    where = places(folder, tmp_path / "faiss")
    planned = run("copy", *where, "--dry-run").out
    assert "4 records of 2 dimensions (0.0 MB of vectors), euclidean, to faiss:copied" in planned
    assert run("list", "faiss", "-o", f"path={tmp_path / 'faiss'}").out == ""
    done = run("copy", *where, "--json").json
    assert (done["written"], done["checksum"]["records"]) == (4, 4)
    assert run("verify", *where).out.endswith("the same\n")
    refused = run("copy", *where)
    assert (refused.code, refused.err.startswith("error")) == (1, True)
    again = run("copy", *where, "--resume")
    assert (again.code, "4 existed already" in again.out) == (0, True)
    assert run("copy", *where, "--dry-run", "--json").json["exists"] is True


def test_a_difference_is_an_exit_code(run: Run, folder: Path, tmp_path: Path) -> None:
    where = places(folder, tmp_path / "faiss")
    run("copy", *where)
    path = tmp_path / "one.npz"
    run("export", "sklearn", "corners", path, "-o", f"path={folder}")
    run("import", path, "faiss", "other", "-o", f"path={tmp_path / 'faiss'}")
    same = ("sklearn:corners", "faiss:other", *where[2:])
    assert run("verify", *same, "--json").json["same"] is True
    run("import", path, "faiss", "cosine", "--metric", "cosine", "-o", f"path={tmp_path / 'faiss'}")
    ran = run("verify", "sklearn:corners", "faiss:cosine", *where[2:])
    assert (ran.code, "NOT the same" in ran.out) == (1, True)


def test_files_are_written_and_read(run: Run, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "corners.parquet"
    done = run("export", "sklearn", "corners", path, "-o", f"path={folder}", "--json").json
    assert done["records"] == 4
    assert done["bytes"] == path.stat().st_size
    ran = run("import", path, "sklearn", "again", "-o", f"path={folder}", "--json")
    assert ran.json == {"records": 4, "index": "again"}
    assert run("export", "sklearn", "corners", tmp_path / "x.csv", "-o", f"path={folder}").code == 2
    assert "sklearn:third" in run("import", path, "sklearn", "third", "-o", f"path={folder}").out
    again = ("export", "sklearn", "corners", path, "-o", f"path={folder}")
    assert "MB" in run(*again, "--force").out


@pytest.mark.parametrize("name", ["some.npz", "some.parquet"])
def test_records_that_match_are_written(run: Run, folder: Path, tmp_path: Path, name: str) -> None:
    words = ("export", "sklearn", "corners", tmp_path / name, "-o", f"path={folder}", "--json")
    assert run(*words, "--where", 'name in ["A", "D"]').json["records"] == 2
    run("import", tmp_path / name, "sklearn", "some", "-o", f"path={folder}")
    where = ("--where", 'name == "B"')
    assert run("count", "sklearn", "some", "-o", f"path={folder}").out == "2\n"
    assert run("count", "sklearn", "some", *where, "-o", f"path={folder}").out == "0\n"


@pytest.mark.parametrize("name", ["corners.npz", "corners.parquet"])
def test_a_file_that_is_there_is_replaced_by_force_alone(
    run: Run, folder: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("precious")
    words = ("export", "sklearn", "corners", path, "-o", f"path={folder}")
    ran = run(*words)
    assert (ran.code, "--force" in ran.err, path.read_text()) == (2, True, "precious")
    assert run(*words, "--force", "--json").json["records"] == 4
    assert path.read_bytes()[:2] in {b"PK", b"PA"}


def test_a_place_is_a_backend_and_an_index(run: Run) -> None:
    ran = run("copy", "sklearn", "faiss:copied")
    assert (ran.code, "as in milvus:photos" in " ".join(ran.err.split())) == (2, True)


def test_a_copy_into_memory_warns_that_it_is_gone(run: Run, folder: Path, tmp_path: Path) -> None:
    words = ("copy", "sklearn:corners", "sklearn:copied", "-f", f"path={folder}")
    assert "in memory, and are lost" in run(*words).err
    assert "in memory" not in run(*words, "-t", f"path={tmp_path / 'kept'}").err


@pytest.mark.parametrize("name", ["corners.npz", "corners.parquet"])
def test_a_folder_that_is_not_there_is_told_before_anything_is_read(
    run: Run, folder: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "nowhere" / name
    ran = run("export", "sklearn", "corners", path, "-o", f"path={folder}")
    assert (ran.code, "there is no folder" in ran.err) == (2, True)


def test_a_dry_run_says_how_long_it_will_take_and_leaves_nothing(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = places(folder, tmp_path / "faiss")
    path = tmp_path / "many.npz"
    np.savez(path, id=[f"r{row}" for row in range(3000)], vector=np.ones((3000, 2), np.float32))
    run("import", path, "sklearn", "many", "-o", f"path={folder}")
    words = ("copy", "sklearn:many", "faiss:many", *where[2:], "--dry-run")
    said = run(*words, "--json").json
    assert (said["records"], said["sampled"], said["exists"]) == (3000, 3000, False)
    rates = [said[each] for each in ("reading", "writing", "reading_back")]
    assert min(rates) > 0
    assert said["seconds"] == pytest.approx(sum(3000 / rate for rate in rates))
    before = sorted(each.name for each in tmp_path.iterdir())
    assert "faiss" not in before
    refused = run(*words, "--workers", "2")
    assert (refused.code, "one process at a time writes" in " ".join(refused.err.split())) == (
        2,
        True,
    )
    monkeypatch.setattr(vecbridge.Store, "single_writer", False)
    spoken = run(*words, "--workers", "2").out
    assert "in 3 partitions" in spoken
    assert "2 workers at best" in spoken
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    assert run("list", "faiss", "-o", f"path={tmp_path / 'faiss'}").out == ""
