"""The artifacts that would be released, built once."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Artifacts(NamedTuple):
    """A wheel that was built from the source archive, and that archive."""

    sdist: Path
    wheel: Path

    def sdist_files(self) -> set[str]:
        """Paths below the archive's one folder."""
        with tarfile.open(self.sdist) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}

    def wheel_files(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def wheel_text(self, suffix: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(suffix))
            return archive.read(name).decode()


class Installation(NamedTuple):
    """An environment of its own, with the wheel in it."""

    python: Path
    folder: Path

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs Python away from the repository, deaf to this environment's settings."""
        return self._run([self.python, "-I", *arguments], timeout)

    def command(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Runs the console script in the same way."""
        return self._run([self.python.with_name("vecbridge"), *words], timeout)

    def shell(self, script: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Runs a script in which `python` and `vecbridge` are this environment's."""
        script = f'export PATH="{self.python.parent}:$PATH"\n{script}'
        return self._run(["bash", "-euc", script], timeout)

    def _run(
        self, command: Sequence[str | Path], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=_plain_environment(self.folder),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder = tmp_path_factory.mktemp("dist")
    checked([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)])
    return Artifacts(sdist=next(folder.glob("*.tar.gz")), wheel=next(folder.glob("*.whl")))


@pytest.fixture(scope="session")
def installation(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    checked([str(python), "-m", "pip", "install", "--quiet", f"{artifacts.wheel}[sklearn]"])
    return Installation(python, folder)


def checked(command: Sequence[str]) -> None:
    """Runs a command, and fails with what it said where it fails."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _plain_environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FIFTYONE_")}
    return {**kept, "HOME": str(home)}
