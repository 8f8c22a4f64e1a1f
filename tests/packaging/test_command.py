"""The command ``vecbridge`` after each of the install lines that README has."""

from __future__ import annotations

import json
import re
import venv
from pathlib import Path

import pytest

from tests.meta.test_readme import commands, comparable, printed_blocks
from tests.packaging.conftest import ROOT, Artifacts, Installation, checked

README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALLED = [
    (ROOT / page, extras)
    for page in ("README.md", "docs/how-to/install.md")
    for extras in re.findall(
        r'pip install "vecbridge\[([\w,]+)\]"', (ROOT / page).read_text(encoding="utf-8")
    )
]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_its_extra_it_says_what_works_and_what_to_install(
    installation: Installation, words: list[str]
) -> None:
    done = installation.command(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pip install 'vecbridge[cli]'" in done.stdout
    assert all(name in done.stdout for name in ("fiftyone", "conformance", "demo"))


def test_without_its_extra_it_knows_its_version(installation: Installation) -> None:
    assert installation.command("--version").stdout.startswith("vecbridge 0.")


def test_without_its_extra_a_command_says_what_to_install(installation: Installation) -> None:
    done = installation.command("list", "sklearn")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'vecbridge[cli]'" in done.stderr
    error = json.loads(installation.command("list", "sklearn", "--json").stderr)["error"]
    assert (error["type"], error["exit_code"]) == ("MissingDependencyError", 2)


@pytest.mark.parametrize("name", ["fiftyone", "conformance", "demo"])
def test_a_program_without_its_extra_says_what_to_install(
    installation: Installation, name: str
) -> None:
    extra = {"demo": "milvus,fiftyone,cli"}.get(name, name)
    done = installation.command(name, "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"pip install 'vecbridge[{extra}]'" in done.stderr


def test_readme_names_install_lines() -> None:
    assert [extras for page, extras in INSTALLED if page.name == "README.md"] == [
        "sklearn,faiss,milvus,cli,conformance",
        "milvus,fiftyone,cli",
    ]


@pytest.fixture(scope="module")
def environments(
    artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Installation]:
    """An environment for each install line of README."""
    made = {}
    for page, extras in INSTALLED:
        if page.name == "README.md":
            folder = tmp_path_factory.mktemp("line")
            venv.create(folder / "env", with_pip=True)
            python = folder / "env" / "bin" / "python"
            checked(
                [str(python), "-m", "pip", "install", "--quiet", f"{artifacts.wheel}[{extras}]"]
            )
            made[extras] = Installation(python, folder)
    return made


def worked(at: Installation, *words: str) -> str:
    done = at.command(*words, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.extras
@pytest.mark.timeout(1200)
def test_the_blocks_of_readme_work_after_its_install_line(
    environments: dict[str, Installation],
) -> None:
    at = environments["sklearn,faiss,milvus,cli,conformance"]
    (code, shown), *_ = printed_blocks(README)
    assert comparable(at.run("-c", code).stdout) == comparable(shown)
    done = at.shell(commands(README), timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same" in done.stdout
    assert "conforms" in done.stdout


@pytest.mark.extras
@pytest.mark.timeout(1200)
def test_fiftyone_is_switched_after_readmes_install_line(
    environments: dict[str, Installation],
) -> None:
    at = environments["milvus,fiftyone,cli"]
    assert "`vecbridge fiftyone enable`" in README
    worked(at, "fiftyone", "enable", "--backend", "milvus", "--default")
    assert "milvus: enabled" in worked(at, "fiftyone", "status")
    worked(at, "fiftyone", "disable")
    assert not Path(at.folder / ".fiftyone" / "brain_config.json").exists()
