"""The shell completes what commands saw, at once, and never asks a store."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from vecbridge import METRICS, RANKINGS
from vecbridge.cli._app import COMMANDS

ENTRY = "import sys; sys.argv[0] = 'vecbridge'; from vecbridge.cli import main; main()"
UNSEEN = {
    "numpy",
    "pyarrow",
    "rich.console",
    "vecbridge._client",
    "vecbridge.report",
    "vecbridge.transfer",
}
"""What no completion needs; ``import numpy`` alone takes longer than a key may."""

GENEROUS_S = 10
"""Many times of what it takes: the machine that tests is busy. A server's timeout is 30 s."""


def answered(**environment: str) -> list[str]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", ENTRY],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.perf_counter() - started < GENEROUS_S
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def bash(*words: str) -> list[str]:
    """What bash is told; it cuts words at colons and equals signs by itself."""
    return answered(
        _VECBRIDGE_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(["vecbridge", *words]),
        COMP_CWORD=str(len(words)),
    )


def fish(line: str) -> list[str]:
    told = answered(
        _VECBRIDGE_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS=f"vecbridge {line}",
    )
    return [each.partition("\t")[0] for each in told]


@pytest.fixture
def seen(run: Run, folder: Path) -> None:
    """A store that a command has listed, with one index that a command has opened."""
    run("list", "sklearn", "-o", f"path={folder}")
    run("count", "sklearn", "corners", "-o", f"path={folder}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["verif"], ["verify"]),
        (["doctor", "skl"], ["sklearn"]),
        (["fiftyone", "en"], ["enable"]),
        (["config", "uns"], ["unset"]),
        (["bench", "--metric", ""], [*METRICS]),
        (["search", "sklearn", "x", "--ranking", ""], [*RANKINGS]),
        (["copy", "skl"], ["sklearn:", "sklearn:INDEX"]),
    ],
)
def test_words_that_are_known_without_a_store(words: list[str], expected: list[str]) -> None:
    assert bash(*words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["search", "sklearn", "c"], ["corners"]),
        (["search", "vecbridge_sklearn", "c"], ["corners"]),
        (["search", "sklearn", "corners", "--fields", "n"], ["name"]),
        (["copy", "sklearn", ":"], ["corners"]),
        (["copy", "sklearn", ":", "co"], ["corners"]),
        (["list", "sklearn", "-o", "pa"], ["path=", "path=VALUE"]),
        (["list", "sklearn", "-o", "metric", "="], [*METRICS]),
        (["list", "sklearn", "-o", "metric", "=", "e"], ["euclidean"]),
        (["config", "set", "sklearn", "consistency_level", "=", "b"], ["bounded"]),
        (["config", "unset", "sklearn", "pa"], ["path"]),
        (["copy", "sklearn", ":", "x", "faiss", ":", "y", "-f", "metric", "=", "c"], ["cosine"]),
    ],
)
def test_bash_is_told_what_follows_its_cut(
    seen: None, words: list[str], expected: list[str]
) -> None:
    assert bash(*words) == expected


def test_other_shells_are_told_whole_words(seen: None) -> None:
    assert fish("copy sklearn:c") == ["sklearn:corners"]
    assert fish("list sklearn -o metric=c") == ["metric=cosine"]
    assert fish("search sklearn corners --fields ") == ["name"]


def test_settings_are_of_the_store_that_they_are_for(seen: None) -> None:
    words = ["copy", "sklearn", ":", "x", "milvus", ":", "y"]
    assert bash(*words, "-t", "retry") == ["retry_timeout=", "retry_timeout=VALUE"]
    assert bash(*words, "-f", "retry") == []


@pytest.mark.parametrize(
    "words",
    [
        ["verif"],
        ["doctor", "skl"],
        ["config", "set", "sklearn", ""],
        ["search", "sklearn", "c"],
        ["search", "sklearn", "corners", "--fields", ""],
        ["copy", "sklearn:c"],
        ["report", "sklearn", "corners", "-o", ""],
        *([name, "-"] for name in COMMANDS if name != "config"),
    ],
    ids=" ".join,
)
def test_a_completion_imports_little(seen: None, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", ENTRY],
        env={
            **os.environ,
            "_VECBRIDGE_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(["vecbridge", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.stdout
    assert "vecbridge.cli._completion" in imported
    assert imported & UNSEEN == set()


def test_an_index_that_is_dropped_is_not_completed(run: Run, seen: None, folder: Path) -> None:
    run("drop", "sklearn", "corners", "--yes", "-o", f"path={folder}")
    assert bash("search", "sklearn", "c") == []


def test_a_dead_server_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing answers there, not even with a refusal.
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI", "http://10.255.255.1:19530")
    assert bash("search", "milvus", "") == []
    assert bash("list", "milvus", "-o", "uri", "=") == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"indexes": 1}', '{"settings": {"sklearn": 1}}']
)
def test_a_damaged_cache_is_no_failure(
    run: Run, folder: Path, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "cache" / "vecbridge" / "seen.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert bash("search", "sklearn", "") == []
    assert bash("list", "sklearn", "-o", "pa")[:1] in ([], ["path="])
    assert run("list", "sklearn", "-o", f"path={folder}").out == "corners\n"


def test_a_configuration_that_cannot_be_read_is_no_failure(no_configuration: Path) -> None:
    no_configuration.write_text("{")
    assert bash("doctor", "skl") == ["sklearn"]


def test_no_setting_is_kept_but_its_name(run: Run, tmp_path: Path) -> None:
    words = ["-o", "user=ann", "-o", "password=hunter2", "-o", "uri=http://127.0.0.1:1"]
    run("list", "milvus", *words, "-o", "timeout=0.1")
    run("list", "milvus", "-o", "uri=http://ann:hunter2@127.0.0.1:1", "-o", "timeout=0.1")
    text = (tmp_path / "cache" / "vecbridge" / "seen.json").read_text()
    assert "retry_timeout" in text
    assert not any(each in text for each in ("hunter2", "ann", "127.0.0.1"))


def test_a_cache_that_cannot_be_written_is_no_failure(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert run("list", "sklearn", "-o", f"path={folder}").out == "corners\n"
