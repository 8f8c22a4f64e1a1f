"""Odd paths and files of configuration: each its own error of the contract, and no wait."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import BackendError, ConfigurationError

BrainConfig = Callable[[Any], Path]


@pytest.mark.parametrize("backend", ["sklearn", "faiss", "torch"])
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "empty"),
        ("a\0b", "NUL"),
        ("a\ud800b", "surrogate"),
        (7, "text"),
        (b"bytes", "text"),
        ("http://me:hunter2@host/x", "address"),
        ("me:hunter2@host", "address"),
        (Path("http://me:hunter2@host"), "address"),
        ("./a@hunter2:c", "symbolic link"),
        ("/root:hunter2/x@h", "symbolic link"),
        ("/data/token=hunter2", "symbolic link"),
        ("a:hunter2", r"begin it with \./ or /"),
    ],
)
def test_a_path_that_cannot_be_one_is_refused_at_once(backend: str, path: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        vecbridge.get_backend(backend, path=path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["./12:30", "me@work", "a=b", "über", "what?", "./x@y/1:2"])
def test_an_odd_name_of_a_folder_is_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with vecbridge.get_backend("sklearn", path=name) as store:
        store.create_index("photos", dimension=1)
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize("path", ["", "localhost"])
def test_a_refused_text_that_is_plainly_harmless_is_shown(path: str) -> None:
    setting, backend = ("uri", "milvus") if path else ("path", "sklearn")
    with pytest.raises(ConfigurationError, match=f"found '{path}'"):
        vecbridge.get_backend(backend, **{setting: path})


def made(kind: str, path: Path) -> Path:
    if kind == "file":
        path.write_text("mine")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    return path


@pytest.mark.parametrize("backend", ["sklearn", "milvus"])
@pytest.mark.parametrize("kind", ["file", "pipe", "loop"])
def test_what_is_no_folder_is_no_store_and_is_left(backend: str, kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path / "store.db")
    before = path.lstat()
    setting = "uri" if backend == "milvus" else "path"
    with (
        vecbridge.get_backend(backend, **{setting: path}) as store,
        pytest.raises(BackendError, match=r"store\.db"),
    ):
        store.create_index("photos", dimension=2)
    assert path.lstat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"similarity_backends": {"sklearn": {"path": "\\ud800"}}}', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        ('{"x": ' + "9" * 5000 + "}", "digits"),
        ('{"similarity_backends": {"sklearn": {"path": ""}}}', "empty"),
        ('{"similarity_backends": {"sklearn": {"path": "a\\u0000b"}}}', "NUL"),
    ],
)
def test_an_odd_configuration_is_refused_with_its_file(
    content: str, said: str, brain_config: BrainConfig
) -> None:
    path = brain_config(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        vecbridge.get_backend("sklearn")
    assert str(path) in str(caught.value)


def test_a_pipe_in_its_place_is_no_configuration_and_is_not_waited_for(home: Path) -> None:
    (home / ".fiftyone").mkdir()
    os.mkfifo(home / ".fiftyone" / "brain_config.json")
    assert vecbridge.get_backend("sklearn").name == "sklearn"


def test_a_link_in_its_place_that_leads_to_itself_is_told(home: Path) -> None:
    (home / ".fiftyone").mkdir()
    path = home / ".fiftyone" / "brain_config.json"
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match="leads to itself"):
        vecbridge.get_backend("sklearn")


def test_parameters_that_are_nested_too_deeply_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_INDEX_PARAMS", "[" * 50_000)
    with pytest.raises(ConfigurationError, match="JSON object"):
        vecbridge.get_backend("milvus", index_type="HNSW")


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null"])
def test_a_device_in_its_place_is_no_configuration_and_is_not_read(home: Path, target: str) -> None:
    (home / ".fiftyone").mkdir()
    (home / ".fiftyone" / "brain_config.json").symlink_to(target)
    assert vecbridge.get_backend("sklearn").name == "sklearn"


def test_a_file_that_is_far_too_large_is_not_read(home: Path) -> None:
    (home / ".fiftyone").mkdir()
    path = home / ".fiftyone" / "brain_config.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ConfigurationError, match=r"brain_config\.json: it is larger than"):
        vecbridge.get_backend("sklearn")
