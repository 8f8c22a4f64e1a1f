"""Addresses of Redis, and what is in them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_redis import RedisSettings

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"host": "localhost", "port": 6379, "db": 0, "tls": False}),
        ({"uri": "redis://db.example"}, {"host": "db.example", "port": 6379}),
        ({"uri": "rediss://db:7000/0"}, {"host": "db", "port": 7000, "db": 0, "tls": True}),
        ({"uri": "redis://[::1]:7000"}, {"host": "::1", "place": "[::1]:7000"}),
        ({"uri": f"redis://me:{SECRET}@db"}, {"username": "me", "host": "db"}),
        ({"uri": f"redis://:{SECRET}@db"}, {"username": None, "host": "db"}),
        # FiftyOne's own parameters.
        (
            {"host": "db", "port": 1, "db": 0, "username": "me", "password": SECRET},
            {"host": "db", "port": 1, "username": "me", "place": "db:1"},
        ),
        ({"algorithm": "HNSW"}, {"algorithm": "hnsw"}),
        ({"recall": 0.9, "hnsw_ef_runtime": 64}, {"algorithm": "flat", "recall": 0.9}),
        ({"algorithm": "FLAT"}, {"algorithm": "flat"}),
    ],
)
def test_an_address_becomes_settings(given: dict[str, Any], expected: dict[str, Any]) -> None:
    settings = RedisSettings(**given)
    assert {key: getattr(settings, key) for key in expected} == expected
    if SECRET in str(given):
        assert settings.password is not None
        assert settings.password.get_secret_value() == SECRET
    assert SECRET not in f"{settings!r} {settings} {settings.place}"


@pytest.mark.parametrize(
    "given",
    [
        {"uri": f"http://me:{SECRET}@db"},
        {"uri": f"me:{SECRET}@db"},
        {"uri": f"redis://me:x@{SECRET}@db"},
        {"uri": f"redis://db/{SECRET}"},
        {"uri": f"redis://db?password={SECRET}"},
        {"uri": f"redis://me:{SECRET}@db", "password": "other"},
        {"uri": "redis://db:7000", "port": 7001},
        {"host": f"me:{SECRET}@db"},
        {"host": "redis://db"},
        {"algorithm": "SVS"},
        {"recall": 1.0},
        {"db": 1},
        {"index_names": {"a": "x", "b": "x"}},
        {"hnsw_m": 8},
        {"algorithm": "flat", "recall": 0.9},
        {"uri": f"redis://me:{SECRET}@db/1"},
    ],
)
def test_what_is_no_setting_is_refused_without_being_shown(given: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, ValidationError)) as caught:
        vecbridge.get_backend("redis", **given)
    assert SECRET not in f"{caught.value!r}"


def test_settings_of_fiftyone_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_REDIS_HOST", "photos.example")
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_REDIS_PASSWORD", SECRET)
    with vecbridge.get_backend("redis") as store:
        settings = store.backend.settings  # type: ignore[attr-defined]
        assert settings.place == "photos.example:6379"
        assert settings.password.get_secret_value() == SECRET
        assert SECRET not in repr(store)
