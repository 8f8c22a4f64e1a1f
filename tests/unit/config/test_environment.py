"""Which backend an environment variable belongs to."""

from __future__ import annotations

import pytest

from tests.unit.config.conftest import Install
from vecbridge.settings import describe_settings

VARIABLE = "FIFTYONE_BRAIN_SIMILARITY_"
OTHER = "FIFTYONE_BRAIN_VISUALIZATION_PROBE_URI"


@pytest.fixture(autouse=True)
def backends(install: Install) -> None:
    install()
    install("my-probe", distribution="hyphen", module="acme_hyphen")


def from_environment(backend: str) -> list[str]:
    """Names of the settings that the environment gives a backend."""
    described = describe_settings(backend)
    return [each.name for each in described if each.source.kind == "environment"]


def test_the_longest_matching_name_owns_the_variable(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("probe_lite", distribution="lite", module="acme_lite")
    monkeypatch.setenv(f"{VARIABLE}PROBE_LITE_TOKEN", "t")
    assert from_environment("probe_lite") == ["token"]
    assert from_environment("probe") == []


@pytest.mark.parametrize("name", ["PROBEITE_URI", "PROBE_", "PROBE"])
def test_a_name_is_not_matched_by_its_beginning_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE + name, "x")
    assert from_environment("probe") == []


def test_other_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OTHER, "x")
    monkeypatch.setenv("PROBE_URI", "y")
    assert from_environment("probe") == []


def test_a_hyphen_in_a_name_is_an_underscore_in_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"{VARIABLE}MY_PROBE_URI", "x")
    assert from_environment("my-probe") == ["uri"]
