"""Where Chroma is, and what of it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_chroma import ChromaSettings

SECRET = "hunter2-hunter2"


def test_a_place_is_a_server_or_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ChromaSettings().place == "http://localhost:8000"
    assert ChromaSettings(uri="https://db.example:443").place == "https://db.example:443"
    assert ChromaSettings(path="records").place == str(tmp_path / "records")


@pytest.mark.parametrize(
    "given",
    [
        {"uri": f"http://me:{SECRET}@db"},
        {"uri": f"http://db?token={SECRET}"},
        {"uri": "chroma://db"},
        {"uri": "http://db", "path": "records"},
        {"path": "records", "token": SECRET},
        {"path": ":memory:"},
        {"token_scheme": "basic"},
        {"recall": 1.0},
    ],
)
def test_what_cannot_be_meant_is_refused_and_no_secret_shown(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        vecbridge.get_backend("chroma", **given)
    assert SECRET not in str(caught.value)


def test_a_token_is_shown_nowhere() -> None:
    store = vecbridge.get_backend("chroma", token=SECRET)
    assert SECRET not in f"{store.backend.settings!r} {store!r}"  # type: ignore[attr-defined]
