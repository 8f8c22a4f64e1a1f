"""A machine without configuration, on which backends can be installed for a test."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROBE = """
from typing import Any, ClassVar
from pydantic import SecretStr, field_validator, model_validator
from vecbridge.settings import Settings

class ProbeSettings(Settings):
    uri: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    db_name: str = "default"
    secure: bool = False
    timeout: float = 10.0

    @field_validator("token")
    @classmethod
    def _quoting(cls, token):
        if token is not None and token.get_secret_value().startswith("bad"):
            raise ValueError("not a token: " + token.get_secret_value())
        return token

    @model_validator(mode="after")
    def _one_way(self):
        if self.user and self.token:
            raise ValueError("user and token exclude each other: " + self.token.get_secret_value())
        return self

class ProbeBackend:
    name: ClassVar[str] = "probe"
    settings_type: ClassVar[type[Any]] = ProbeSettings

    def __init__(self, settings):
        self.settings = settings
"""
"""A third party's backend, with the settings of a server."""


Install = Callable[..., None]
"""Installs a distribution that provides one backend."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory; nothing of FiftyOne's is in the environment."""
    for variable in [name for name in os.environ if name.startswith("FIFTYONE_")]:
        monkeypatch.delenv(variable)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def brain_config(home: Path) -> Callable[[Any], Path]:
    """Writes FiftyOne's configuration file: an object as JSON, a string as it is."""

    def write(content: Any) -> Path:
        path = home / ".fiftyone" / "brain_config.json"
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs distributions for the test: their metadata and module, in a folder on the path."""
    installed: list[str] = []

    def into_path(
        name: str = "probe",
        source: str = PROBE,
        *,
        distribution: str = "acme-probe",
        module: str = "acme_probe",
        attribute: str = "ProbeBackend",
        extras: tuple[str, ...] = (),
        metadata: bytes | None = None,
        entry_points: bytes | None = None,
    ) -> None:
        site = tmp_path / f"site-{distribution}-{name}"
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        lines = [f"Provides-Extra: {extra}" for extra in extras]
        header = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.0", *lines]
        named = f"[vecbridge.backends]\n{name} = {module}:{attribute}\n"
        (info / "METADATA").write_bytes(metadata or "\n".join([*header, ""]).encode())
        (info / "entry_points.txt").write_bytes(entry_points or named.encode())
        (site / f"{module}.py").write_text(source, errors="surrogatepass")
        monkeypatch.syspath_prepend(str(site))
        installed.append(module)

    yield into_path
    for module in installed:
        sys.modules.pop(module, None)


@pytest.fixture
def probe(install: Install) -> None:
    """The backend ``probe`` is installed."""
    install()
