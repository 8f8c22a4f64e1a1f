"""Registration in ``brain_config.json``: merged, backed up, put back; never a secret."""

from __future__ import annotations

import json
import os
import stat
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from vecbridge import ConfigurationError, InvalidArgumentError, UnknownBackendError
from vecbridge.fiftyone import disable_in_config, enable_in_config, status
from vecbridge.fiftyone.__main__ import main

MILVUS = "vecbridge.fiftyone.similarity.MilvusSimilarityConfig"
SKLEARN = "vecbridge.fiftyone.similarity.SklearnSimilarityConfig"
PRESENT: dict[str, Any] = {
    "default_similarity_backend": "qdrant",
    "similarity_backends": {
        "milvus": {
            "config_cls": "their.MilvusConfig",
            "uri": "http://h:1",
            "user": "u",
            "password": "hunter2",
        },
        "qdrant": {"url": "http://q:2"},
    },
    "default_visualization_method": "tsne",
    "größe": "ü",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("FIFTYONE_BRAIN_"):
            monkeypatch.delenv(name)
    path = tmp_path / "folder" / "brain_config.json"
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(path))
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(tmp_path / "plugins"))
    return path


@pytest.fixture
def present(path: Path) -> Path:
    path.parent.mkdir()
    path.write_text(json.dumps(PRESENT), encoding="utf-8")
    path.chmod(0o600)
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_file_is_made_where_there_is_none_and_removed_again(path: Path) -> None:
    assert enable_in_config() == path
    sections = read(path)["similarity_backends"]
    assert sections["milvus"] == sections["vecbridge_milvus"] == {"config_cls": MILVUS}
    assert sections["vecbridge_sklearn"] == {"config_cls": SKLEARN}
    assert "sklearn" not in sections
    assert "default_similarity_backend" not in read(path)
    enable_in_config("sklearn", default=True)
    assert read(path)["default_similarity_backend"] == "vecbridge_sklearn"
    disable_in_config()
    assert list(path.parent.iterdir()) == []


def test_what_the_file_holds_stays_and_comes_back(present: Path) -> None:
    enable_in_config("milvus", default=True)
    found = read(present)
    ours = found["similarity_backends"].pop("vecbridge_milvus")
    assert ours == {"config_cls": MILVUS}
    assert found["similarity_backends"]["milvus"].pop("config_cls") == MILVUS
    assert found.pop("default_similarity_backend") == "milvus"
    expected = json.loads(json.dumps(PRESENT))
    del expected["similarity_backends"]["milvus"]["config_cls"]
    del expected["default_similarity_backend"]
    assert found == expected
    assert stat.S_IMODE(present.stat().st_mode) == 0o600
    disable_in_config()
    assert read(present) == PRESENT
    assert [each.name for each in present.parent.iterdir()] == [present.name]


def test_first_state_is_kept_however_often_it_is_enabled(present: Path) -> None:
    enable_in_config("sklearn", default=True)
    once = present.read_bytes()
    enable_in_config("sklearn", default=True)
    assert present.read_bytes() == once
    enable_in_config()
    backup = present.with_name("brain_config.json.before-vecbridge")
    assert read(backup) == PRESENT
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    disable_in_config()
    assert read(present) == PRESENT


def test_later_edits_outlive_disabling(present: Path) -> None:
    enable_in_config("milvus", default=True)
    edited = read(present)
    edited["similarity_backends"]["milvus"]["uri"] = "http://other:3"
    edited["similarity_backends"]["vecbridge_milvus"]["timeout"] = 5
    edited["default_similarity_backend"] = "pgvector"
    present.write_text(json.dumps(edited))
    disable_in_config()
    found = read(present)
    assert found["default_similarity_backend"] == "pgvector"
    assert found["similarity_backends"]["milvus"]["uri"] == "http://other:3"
    assert found["similarity_backends"]["milvus"]["config_cls"] == "their.MilvusConfig"
    assert found["similarity_backends"]["vecbridge_milvus"] == {"timeout": 5}


def test_a_name_stays_fiftyones_where_packages_are_missing_unless_it_is_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(name: str) -> str:
        if name == "redis":
            raise PackageNotFoundError(name)
        return "0.20.0" if name == "lancedb" else version(name)

    monkeypatch.setattr("vecbridge.fiftyone._registration.version", installed)
    enable_in_config()
    found = json.loads(path.read_text())["similarity_backends"]
    assert {"milvus", "vecbridge_redis", "vecbridge_lancedb"} <= found.keys()
    assert not {"redis", "lancedb"} & found.keys()
    enable_in_config("redis")
    assert "redis" in json.loads(path.read_text())["similarity_backends"]


def test_disabling_what_is_not_enabled_changes_nothing(present: Path) -> None:
    before = present.read_bytes()
    disable_in_config()
    assert present.read_bytes() == before


def test_links_stay_links(present: Path) -> None:
    real = present.with_name("elsewhere.json")
    present.rename(real)
    present.symlink_to(real)
    enable_in_config("sklearn")
    assert present.is_symlink()
    assert "vecbridge_sklearn" in read(real)["similarity_backends"]


def test_what_cannot_be_meant_is_refused_and_changes_nothing(present: Path) -> None:
    before = present.read_bytes()
    with pytest.raises(UnknownBackendError, match="did you mean 'milvus'"):
        enable_in_config("milvs")
    with pytest.raises(InvalidArgumentError, match="name it, as in"):
        enable_in_config(default=True)
    assert present.read_bytes() == before
    broken = b'{"similarity_backends": {"milvus": "hunter2"}}'
    present.write_bytes(broken)
    with pytest.raises(ConfigurationError, match=r"similarity_backends\.milvus") as caught:
        enable_in_config()
    assert "hunter2" not in str(caught.value)
    assert present.read_bytes() == broken


def test_status_tells_class_and_source_of_every_setting_and_no_secret(
    present: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_TIMEOUT", "7")
    before = status()["backends"]["milvus"]["names"]["milvus"]
    assert (before["config_cls"], before["enabled"]) == ("their.MilvusConfig", False)
    enable_in_config("milvus", default=True)
    found = status()
    assert (found["config"], found["default"]) == (str(present), "milvus")
    assert found["default_source"] == str(present)
    milvus = found["backends"]["milvus"]
    assert milvus["names"]["milvus"]["enabled"]
    settings = milvus["settings"]
    assert settings["uri"]["value"] == "http://h:1"
    assert str(present) in settings["uri"]["source"]
    assert "FIFTYONE_BRAIN_SIMILARITY_MILVUS_TIMEOUT" in settings["timeout"]["source"]
    assert "hunter2" not in json.dumps(found)


def test_status_knows_the_folder_of_a_store_that_is_given_none(path: Path) -> None:
    found = status()["backends"]["lancedb"]
    assert "problem" not in found
    assert found["settings"]["uri"]["value"].endswith("/vecbridge/lancedb")
    assert found["settings"]["uri"]["source"] == "default"


def test_environment_wins_over_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_CONFIG_CLS", MILVUS)
    monkeypatch.setenv("FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND", "milvus")
    found = status()
    assert found["default"] == "milvus"
    assert "FIFTYONE_BRAIN_DEFAULT" in found["default_source"]
    name = found["backends"]["milvus"]["names"]["milvus"]
    assert name["enabled"]
    assert "MILVUS_CONFIG_CLS" in name["source"]
    assert not path.exists()


def test_command_enables_tells_and_disables(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enable", "--backend", "sklearn", "--default"]) == 0
    assert str(path) in capsys.readouterr().out
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["default"] == "vecbridge_sklearn"
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert f"vecbridge_sklearn: enabled, {SKLEARN}" in told
    assert "milvus: not enabled" in told
    assert main(["disable", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == str(path)
    assert not path.exists()


def test_command_says_what_is_wrong(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enable", "--backend", "milvs"]) == 2
    assert "did you mean 'milvus'" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "kind"),
    [(["enable", "--backend", "milvs"], "UnknownBackendError"), (["statu"], "UsageError")],
)
def test_programs_are_told_in_json_what_is_wrong(
    words: list[str], kind: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([*words, "--json"])
    except SystemExit as ended:
        code = int(str(ended.code))
    printed = capsys.readouterr()
    error = json.loads(printed.err)["error"]
    assert (printed.out, code, error["exit_code"], error["type"]) == ("", 2, 2, kind)
    assert not path.exists()


def test_configuration_stays_where_the_panel_cannot_be_placed(
    present: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = present.read_bytes()
    theirs = tmp_path / "plugins" / "vecbridge"
    theirs.mkdir(parents=True)
    (theirs / "fiftyone.yml").write_text("name: theirs", encoding="utf-8")
    assert main(["enable", "--backend", "milvus"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert present.read_bytes() == before


def test_panel_goes_again_where_the_configuration_cannot_be_edited(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.mkdir(parents=True)
    assert main(["enable", "--backend", "milvus"]) == 2
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "plugins" / "vecbridge").exists()


def test_disabling_gives_the_file_back_to_the_byte(present: Path) -> None:
    before = present.read_bytes()
    enable_in_config("milvus", default=True)
    disable_in_config()
    assert present.read_bytes() == before


@pytest.mark.parametrize("text", ["{}", '{"similarity_backends": {}}'])
def test_file_that_says_nothing_is_left_where_vecbridge_was_never_enabled(
    path: Path, text: str
) -> None:
    path.parent.mkdir()
    path.write_text(text)
    disable_in_config()
    assert path.read_text() == text


def test_link_to_a_file_that_is_yet_to_be_made_stays(path: Path) -> None:
    path.parent.mkdir()
    real = path.with_name("elsewhere.json")
    path.symlink_to(real)
    enable_in_config("sklearn")
    assert "vecbridge_sklearn" in read(real)["similarity_backends"]
    disable_in_config()
    assert path.is_symlink()
    assert not real.exists()


def test_protected_file_is_not_replaced(present: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = present.read_bytes()
    # The tests may run as root, to whom no file is protected.
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    with pytest.raises(ConfigurationError, match=r"brain_config\.json: Permission denied"):
        enable_in_config("milvus")
    assert [each.read_bytes() for each in present.parent.iterdir()] == [before]


def test_what_is_no_file_is_told_without_a_traceback(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.mkdir(parents=True)
    assert main(["enable", "--backend", "sklearn"]) == 2
    assert f"cannot write {path}: Is a directory" in capsys.readouterr().err
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_neither_copied_nor_replaced(
    kind: str, linked: bool, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    endless = tmp_path / "endless" if linked else path
    if kind == "pipe":
        os.mkfifo(endless)
    else:
        # Of the test's own, and empty: a fault must neither fill the disk nor replace the system's.
        try:
            os.mknod(endless, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root can make a device")
    if linked:
        path.symlink_to(endless)
    before = endless.stat()
    assert main(["enable", "--backend", "sklearn"]) == 2
    assert f"cannot write {path}: it is no regular file" in capsys.readouterr().err
    assert endless.stat() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_copy_that_cannot_be_made_is_told_with_its_reason(
    present: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = present.read_bytes()
    os.mkfifo(present.with_name("brain_config.json.before-vecbridge"))
    assert main(["enable", "--backend", "sklearn"]) == 2
    assert "is a named pipe" in capsys.readouterr().err
    assert present.read_bytes() == before


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_bug_is_no_answer(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("by mistake")

    monkeypatch.setattr("vecbridge.fiftyone.__main__.status", broken)
    assert main(["status", *words]) == 70
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Traceback")
    assert "ZeroDivisionError" in said.err.splitlines()[-1] if words else "report" in said.err


def test_an_error_of_the_operating_system_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise PermissionError(13, "Permission denied", "/plugins")

    monkeypatch.setattr("vecbridge.fiftyone.__main__.status", refused)
    assert main(["status", "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert error == {
        "type": "PermissionError",
        "message": "/plugins: Permission denied",
        "exit_code": 2,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for other users")
@pytest.mark.parametrize("there", [True, False])
def test_what_root_writes_for_a_user_stays_the_users(path: Path, there: bool) -> None:
    owner = 12345
    home = path.parent if there else path.parent.parent
    if there:
        home.mkdir()
        path.write_text(json.dumps(PRESENT), encoding="utf-8")
        os.chown(path, owner, owner)
    os.chown(home, owner, owner)
    enable_in_config("sklearn")
    found = [path, path.parent, *path.parent.iterdir()]
    assert {(each.stat().st_uid, each.stat().st_gid) for each in found} == {(owner, owner)}
    disable_in_config()
    if there:
        assert path.stat().st_uid == owner
