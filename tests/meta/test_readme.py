"""README's blocks run as pasted and print what it shows; its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PRINTED = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"^((?:scikit-learn|FAISS) .*\]) \[\[[\d ]+\]\]$", re.MULTILINE)
SECTION = "## On the command line\n\n```sh\n"
MOST_WORDS = 900
"""About what a reader scrolls through in a minute."""


def printed_blocks(text: str) -> list[tuple[str, str]]:
    """Return each block of Python with the output that is shown under it."""
    return PRINTED.findall(text)


def commands(text: str) -> str:
    """Return README's block of commands."""
    return text.partition(SECTION)[2].partition("```")[0]


def comparable(output: str) -> str:
    """Return an output without what differs between machines: the order of ties elsewhere."""
    return ELSEWHERE.sub(r"\1", output)


def test_the_comparison_prints_what_readme_shows(tmp_path: Path) -> None:
    (code, shown), *_ = printed_blocks(README)

    done = _run([sys.executable, "-c", code], tmp_path)

    assert done.returncode == 0, done.stderr
    assert comparable(done.stdout) == comparable(shown)


@pytest.mark.slow
def test_the_commands_run_one_after_the_other(tmp_path: Path) -> None:
    done = _run(["bash", "-euc", commands(README)], tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same" in done.stdout
    assert "conforms" in done.stdout


def test_every_link_is_absolute_or_leads_to_a_file() -> None:
    targets = TARGET.findall(README)

    assert len(targets) > 20
    relative = [target for target in targets if not target.startswith("https://")]
    assert [target for target in relative if not (ROOT / target).exists()] == []


def test_readme_can_be_read_in_a_minute() -> None:
    assert len(README.split()) < MOST_WORDS


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FIFTYONE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, "HOME": str(folder), "PATH": path},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
