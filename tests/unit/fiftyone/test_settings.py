from __future__ import annotations

from pathlib import Path

import pytest

from vecbridge import UnknownSettingError
from vecbridge.fiftyone import _settings as settings
from vecbridge.fiftyone._stores import close_stores, shared_store


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))


def test_unknown_arguments_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownSettingError, match=r"'pth' \(did you mean 'path'\?\)"):
        settings.refuse_unknown("sklearn", ["path", "pth"], {"path", "metric"})


def test_known_arguments_pass() -> None:
    settings.refuse_unknown("sklearn", ["path"], {"path", "metric"})


def test_what_the_environment_says_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_VECBRIDGE_SKLEARN_PATH", "12345")
    mangled = {"path": 12345}
    assert settings.said_here("sklearn", mangled, mangled, lambda: mangled) == {}
    given = {"path": "mine"}
    assert settings.said_here("sklearn", given, mangled, lambda: mangled) == given


def test_variables_of_a_longer_named_backend_are_not_taken_for_this_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_SKLEARN_FAST_TOKEN", "secret")
    given = {"fast_token": "secret", "path": "x"}

    def kept() -> dict[str, str]:
        return settings.without_other_backends("sklearn", "sklearn", given, {"path"})

    with pytest.raises(UnknownSettingError, match="'fast_token'") as caught:
        kept()
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_BACKENDS", "*,sklearn_fast")
    assert kept() == {"path": "x"}


def test_what_only_this_process_configured_is_kept() -> None:
    section = {"path": "set_at_run_time"}
    assert settings.said_here("sklearn", section, section, dict) == section


def test_what_a_program_sets_holds_against_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_VECBRIDGE_SKLEARN_PATH", "environment")
    section = {"path": "set_at_run_time"}
    configured = {"path": "environment"}
    assert settings.said_here("sklearn", section, section, lambda: configured) == section


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        ("/data/store", True),
        ("vectors.db", True),
        (":memory:", True),
        ("http://localhost:19530", False),
        ("localhost:19530", False),
        ("milvus-host", False),
        ("https://root:secret@host/path", False),
        ("root:secret@host/path.db", False),
    ],
)
def test_only_files_of_this_machine_are_stored(place: str, kept: bool) -> None:
    stored = settings.stored_places({"uri": place, "token": "/not/a/place"})
    assert stored == ({"uri": place} if kept else {})


def test_relative_files_become_absolute_and_addresses_stay() -> None:
    assert settings.absolute_place("uri", "some/v.db") == str(Path.cwd() / "some" / "v.db")
    assert settings.absolute_place("path", "~/v") == str(Path.home() / "v")
    assert settings.absolute_place("uri", "http://h:1/a") == "http://h:1/a"
    assert settings.absolute_place("path", ":memory:") == ":memory:"
    assert settings.absolute_place("token", "a/b") == "a/b"


def test_local_backend_gets_a_durable_directory_only_where_none_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = {"path": str(tmp_path / "vecbridge" / "sklearn")}
    assert settings.with_default_path("sklearn", {}) == default
    assert settings.with_default_path("sklearn", {"path": "x"}) == {"path": "x"}
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_SKLEARN_PATH", str(tmp_path))
    assert settings.with_default_path("sklearn", {}) == {}


def test_one_store_serves_all_who_configure_the_same(tmp_path: Path) -> None:
    first = shared_store("sklearn", {"path": str(tmp_path)})
    assert shared_store("sklearn", {"path": str(tmp_path)}) is first
    assert shared_store("sklearn", {"path": ":memory:"}) is not first
    close_stores()
    assert shared_store("sklearn", {"path": str(tmp_path)}) is not first
    close_stores()
