"""The folder by which FiftyOne finds the panel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from vecbridge import ConfigurationError
from vecbridge.fiftyone.plugin import place_plugin, plugin_status, remove_plugin


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIFTYONE_PLUGINS_DIR", str(tmp_path / "plugins"))
    return tmp_path / "plugins"


def test_plugin_is_placed_again_and_again_and_taken_away_without_a_trace(plugins: Path) -> None:
    assert plugin_status() == {"folder": str(plugins / "vecbridge"), "enabled": False}
    assert place_plugin() == place_plugin() == plugins / "vecbridge"
    about = yaml.safe_load((plugins / "vecbridge" / "fiftyone.yml").read_text())
    assert about["name"] == "@vecbridge/indexes"
    assert plugin_status()["enabled"]
    (plugins / "vecbridge" / "__pycache__").mkdir()
    remove_plugin()
    remove_plugin()
    assert list(plugins.iterdir()) == []


def test_folder_of_another_plugin_is_refused_and_left_alone(plugins: Path) -> None:
    (plugins / "vecbridge").mkdir(parents=True)
    theirs = plugins / "vecbridge" / "fiftyone.yml"
    theirs.write_text("name: '@me/vecbridge'")
    with pytest.raises(ConfigurationError, match="not vecbridge's: rename it"):
        place_plugin()
    remove_plugin()
    assert theirs.read_text() == "name: '@me/vecbridge'"


def test_file_that_a_user_has_added_stays(plugins: Path) -> None:
    (place_plugin() / "notes.txt").write_text("mine")
    remove_plugin()
    assert [path.name for path in (plugins / "vecbridge").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"plugins_dir": "own"}, "own/vecbridge"),
        ({"default_dataset_dir": "data"}, "data/__plugins__/vecbridge"),
        ({}, "home/fiftyone/__plugins__/vecbridge"),
    ],
)
def test_place_is_where_fiftyone_is_configured_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, str], expected: str
) -> None:
    for name in ("FIFTYONE_PLUGINS_DIR", "FIFTYONE_DEFAULT_DATASET_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = tmp_path / "config.json"
    places = {name: str(tmp_path / value) for name, value in content.items()}
    config.write_text(json.dumps(places))
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(config))
    assert plugin_status()["folder"] == str(tmp_path / expected)


def test_configuration_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FIFTYONE_PLUGINS_DIR", raising=False)
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setenv("FIFTYONE_CONFIG_PATH", str(tmp_path / "config.json"))
    with pytest.raises(ConfigurationError, match=r"config\.json"):
        place_plugin()
