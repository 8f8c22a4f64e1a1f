"""``make demo``, as a stranger runs it: twice in one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def run_demo(folder: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if "FIFTYONE" not in name}
    return subprocess.run(
        [sys.executable, "-m", "vecbridge.demo", "--output", str(folder / "demo-output")],
        cwd=folder,
        env={**inherited, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("attempt", ["first", "again"])
def test_one_ranking_on_three_stores(folder: Path, attempt: str) -> None:
    finished = run_demo(folder)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count(" identical") == 2
    assert "DIFFERENT" not in finished.stdout
    assert "Traceback" not in finished.stderr
    for store in ("Milvus Lite", "scikit-learn, on disk", "in memory"):
        assert store in finished.stdout


def test_leaves_the_picture_where_it_says(folder: Path) -> None:
    picture = folder / "demo-output" / "neighbours.png"
    with Image.open(picture) as sheet:
        width, height = sheet.size
        colours = sheet.getcolors(1 << 24)
    assert width > 1000
    assert height > 1000
    assert colours is not None
    # The frames of the queries, and of the neighbours whose label is wrong.
    assert {(26, 115, 232), (217, 48, 37)} <= {colour for _, colour in colours}


def test_writes_real_images(folder: Path) -> None:
    images = sorted((folder / "demo-output" / "images").glob("*.png"))
    assert len(images) == 1797
    with Image.open(images[0]) as image:
        assert (image.format, image.size) == ("PNG", (64, 64))


def test_leaves_the_users_own_fiftyone_alone(folder: Path) -> None:
    assert (folder / "demo-output" / "fiftyone" / "mongo").is_dir()
    assert not (folder / ".fiftyone").exists()
