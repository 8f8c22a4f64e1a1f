"""Where an index is, is kept with its run, however it was spelled: another process finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, new_run
from vecbridge import ConfigurationError

SPELLINGS = [
    "bare",
    "some/where",
    "./dotted",
    "../up",
    "trailing/",
    "~/home",
    "me@corp.example/v",
    "/{tmp}/me@corp.example/v",
    "with space",
    "/{tmp}/link/v",
    "pathlike",
]
SIZE = """
import os
import fiftyone as fo
os.chdir("/")
dataset = fo.load_dataset(arguments[0])
dataset.reload()
index = dataset.load_brain_results(arguments[1], cache=False)
answer = [index.total_index_size, index.config.path if arguments[2] == "path" else index.config.uri]
"""
BACKENDS = ["vecbridge_sklearn", "vecbridge_faiss", "vecbridge_torch"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_path_of_any_spelling_is_found_by_another_process(
    backend: str,
    digits: Digits,
    elsewhere: Elsewhere,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "here"
    for folder in (here, tmp_path / "target"):
        folder.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in SPELLINGS:
        text = spelling.replace("/{tmp}", str(tmp_path))
        path = Path(text) if spelling == "pathlike" else text
        index = new_run(
            digits, Case(backend, {"path": path}), embeddings=digits.vectors, metric="cosine"
        )
        found = elsewhere.run(SIZE, digits.dataset.name, index.key, "path")
        assert found == [150, str(Path(text).expanduser().absolute())], spelling
        index.delete()


def test_a_path_that_may_be_an_account_and_a_host_is_refused_and_not_kept(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case = Case("vecbridge_sklearn", {"path": "root:SECRET@host"})
    with pytest.raises(ConfigurationError) as refused:
        new_run(digits, case, embeddings=digits.vectors, metric="cosine", brain_key="refused")
    assert "SECRET" not in str(refused.value)
    assert not digits.dataset.has_brain_run("refused")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spelling", ["v.db", "a/v.db", "./v.db", "me@corp/v.db"])
def test_a_lite_file_of_any_spelling_is_kept_as_a_whole_path(
    fob: object, spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    monkeypatch.chdir(tmp_path)
    stored = MilvusSimilarityConfig(uri=spelling).serialize()
    assert stored["uri"] == str(Path(spelling).absolute())


@pytest.mark.parametrize(
    "address", ["http://a:SECRET@h:1", "root:SECRET@h:19530", "root:SECRET@h/v.db", "unix:/a/b"]
)
def test_an_address_is_not_kept(fob: object, address: str) -> None:
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    assert "uri" not in MilvusSimilarityConfig(uri=address).serialize()
