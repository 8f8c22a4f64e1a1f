"""``vecbridge config``: settings are set and unset, and nothing else in the file changes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Run

TEXT = """\
{
  "visualization_methods": {"umap": {"n": [1,2,  3]}},
  "similarity_backends": {
    "milvus": {"uri": "http://old:19530", "config_cls": "mine.Config"}
  }
}
"""
PASSWORD = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_PASSWORD"


@pytest.fixture
def path(no_configuration: Path) -> Path:
    no_configuration.write_text(TEXT, encoding="utf-8")
    return no_configuration


def milvus(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))["similarity_backends"]["milvus"]


def test_values_are_written_as_the_types_that_they_have(run: Run, path: Path) -> None:
    words = ["uri=http://new:19530", "timeout=5", "secure=true", 'index_params={"M": 8}']
    ran = run("config", "set", "milvus", *words, "index_type=HNSW")
    assert (ran.code, ran.err) == (0, "")
    assert "milvus: timeout = 5.0" in ran.out
    assert milvus(path) == {
        "uri": "http://new:19530",
        "config_cls": "mine.Config",
        "timeout": 5.0,
        "secure": True,
        "index_params": {"M": 8},
        "index_type": "HNSW",
    }


def test_what_is_not_meant_stays_to_the_byte(run: Run, path: Path) -> None:
    run("config", "set", "milvus", "uri=http://new:19530")
    assert path.read_text(encoding="utf-8") == TEXT.replace("http://old", "http://new")
    run("config", "set", "milvus", "timeout=5")
    run("config", "set", "faiss", "path=/x")
    run("config", "unset", "faiss", "path")
    run("config", "unset", "milvus", "timeout")
    assert path.read_text(encoding="utf-8") == TEXT.replace("http://old", "http://new")


def test_a_byte_order_mark_and_a_link_stay(run: Run, path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    path.unlink()
    path.symlink_to(real)
    assert run("config", "set", "milvus", "timeout=5").code == 0
    assert path.is_symlink()
    assert real.read_bytes().startswith(b"\xef\xbb\xbf{")
    assert run("config", "get", "milvus", "timeout").out == "5.0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pasword=hunter2"], "did you mean 'password'"),
        (["timeout=soon"], "valid number"),
        (["timeout=5", "secure=perhaps"], "'secure'"),
        (["uri="], "vecbridge config unset milvus uri"),
        ([], "give a setting"),
        (["password=hunter2"], PASSWORD),
        (["uri=http://me:hunter2@host:19530"], "FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI"),
        (["user=ann"], "user and password go together"),
    ],
)
def test_what_cannot_be_set_changes_nothing_and_shows_no_secret(
    run: Run, path: Path, words: list[str], said: str
) -> None:
    for json_too in ([], ["--json"]):
        ran = run("config", "set", "milvus", *words, *json_too)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
        assert "hunter2" not in ran.err
    assert path.read_text(encoding="utf-8") == TEXT


def test_a_secret_is_written_where_that_is_meant_for_the_owner_alone(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o644)
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    words = ("config", "set", "milvus", "user=ann", "password=-")
    assert run(*words).code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    ran = run(*words, "--allow-secret")
    assert ran.code == 0
    assert "hunter2" not in ran.out + ran.err
    assert milvus(path)["password"] == "hunter2"
    assert path.stat().st_mode & 0o777 == 0o600
    shown = run("config", "get", "milvus", "password")
    assert (shown.code, shown.out) == (0, "**********\n")


def test_other_changes_keep_who_may_read_the_file(run: Run, path: Path) -> None:
    path.chmod(0o640)
    run("config", "set", "milvus", "timeout=5")
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_environment_variable_that_wins_is_told(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_TIMEOUT"
    monkeypatch.setenv(variable, "9")
    assert variable in run("config", "set", "milvus", "timeout=5").err
    assert run("config", "set", "milvus", "timeout=5", "--json").json["overridden_by"] == [variable]
    got = run("config", "get", "milvus", "timeout", "--json").json
    assert (got["value"], variable in got["source"]) == (9.0, True)
    given = run("config", "get", "milvus", "timeout", "-o", "timeout=3", "--json").json
    assert (given["value"], given["source"]) == (3.0, "--option")


def test_a_setting_without_a_value_is_a_no(run: Run, path: Path) -> None:
    assert (run("config", "get", "milvus", "token").code, run("config", "path").out) == (
        1,
        f"{path}\n",
    )
    ran = run("config", "get", "milvus", "tokn")
    assert (ran.code, "did you mean 'token'" in ran.err) == (2, True)


def test_a_key_is_changed_where_it_is(run: Run, path: Path) -> None:
    path.write_text('{"similarity_backends": {"vecbridge_milvus": {"timeout": 1}}}')
    run("config", "set", "milvus", "timeout=2", "retry_timeout=3")
    assert json.loads(path.read_text())["similarity_backends"] == {
        "vecbridge_milvus": {"timeout": 2.0, "retry_timeout": 3.0}
    }
    run("config", "unset", "milvus", "timeout", "retry_timeout")
    assert path.read_text() == "{}"


def test_fiftyones_own_sklearn_gets_no_setting_of_ours(run: Run, path: Path) -> None:
    path.write_text('{"similarity_backends": {"sklearn": {"metric": "cosine"}}}')
    run("config", "set", "sklearn", "path=records", "--default")
    content = json.loads(path.read_text())
    assert content["similarity_backends"]["sklearn"] == {"metric": "cosine"}
    assert content["default_similarity_backend"] == "sklearn"
    # In a file for every directory, a relative path would be another one in each.
    kept = content["similarity_backends"]["vecbridge_sklearn"]["path"]
    assert kept == str(Path("records").absolute())
    assert kept in run("config", "show", "--json").out


def test_a_file_of_milvus_lite_is_one_file_everywhere(run: Run, path: Path) -> None:
    run("config", "set", "milvus", "uri=vectors.db")
    assert milvus(path)["uri"] == str(Path("vectors.db").absolute())


def test_a_misspelled_key_can_be_taken_out(run: Run, path: Path) -> None:
    path.write_text(TEXT.replace('"uri"', '"urii"'))
    assert run("list", "milvus").code == 2
    assert "did you mean 'urii'" in run("config", "unset", "milvus", "uri").err
    assert run("config", "unset", "milvus", "urii").code == 0
    assert milvus(path) == {"config_cls": "mine.Config"}


def test_a_file_that_is_no_configuration_is_left_alone(run: Run, path: Path) -> None:
    for text in ("{", '{"similarity_backends": []}', '{"similarity_backends": {"milvus": 1}}'):
        path.write_text(text)
        assert run("config", "set", "faiss", "path=/x").code == 2
        assert path.read_text() == text


def test_the_file_and_its_folder_are_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "folder" / "brain_config.json"
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(path))
    assert run("config", "path", "--json").json == {"path": str(path), "exists": False}
    assert run("config", "set", "faiss", "path=/x").code == 0
    assert json.loads(path.read_text()) == {"similarity_backends": {"faiss": {"path": "/x"}}}
    assert [each.name for each in path.parent.iterdir()] == ["brain_config.json"]


@pytest.mark.slow
def test_commands_at_once_lose_nothing(path: Path) -> None:
    code = "import sys; from vecbridge.cli import main; sys.argv[1:] = sys.argv[1:]; main()"
    keys = ["timeout=1", "retry_timeout=2", "secure=false", "db_name=x", "index_type=HNSW"]
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", code, "config", "set", "milvus", key],
            env=dict(os.environ),
            stdout=subprocess.DEVNULL,
        )
        for key in keys
    ]
    assert [each.wait() for each in commands] == [0] * len(keys)
    assert {key.partition("=")[0] for key in keys} <= milvus(path).keys()
