"""Places of LanceDB, and what is kept secret of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import ConfigurationError
from vecbridge_lancedb import LancedbBackend, LancedbSettings

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"uri": ""},
        {"uri": "x", "table_names": {"a": "t", "b": "t"}},
        {"uri": f"s3://me:{SECRET}@bucket/x"},
        {"uri": f"s3://bucket/x?aws_secret_access_key={SECRET}"},
        {"uri": "db://database"},
        {"uri": "memory://"},
        {"uri": "postgresql://db/x"},
        {"uri": "x", "index_type": "hnsw"},
        {"uri": "x", "recall": 1.0},
        {"uri": "x", "index_type": "ivf_pq", "index_params": {"nonsense": 1}},
        {"uri": "x", "index_type": "ivf_pq", "index_params": {"distance_type": 1}},
        {"uri": "x", "nprobes": 0},
        {"uri": "x", "min_index_rows": 1},
        {"uri": "x", "storage_options": SECRET},
        {"uri": "x", "api_key": SECRET},
    ],
)
def test_what_is_no_setting_is_refused_and_not_shown(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        vecbridge.get_backend("lancedb", **given)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error!r}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://my.bucket/a/b=c", "gs://x/y", "az://x/y_z"])
def test_an_object_store_is_given_its_options_and_limits(uri: str) -> None:
    options = {"aws_secret_access_key": SECRET, "connect_timeout": "1s"}
    with vecbridge.get_backend("lancedb", uri=uri, timeout=7, storage_options=options) as store:
        assert isinstance(store.backend, LancedbBackend)
        settings = store.backend.settings
        assert settings.folder is None
        given = settings.options()
        assert given["aws_secret_access_key"] == SECRET
        assert (given["timeout"], given["connect_timeout"]) == ("7s", "1s")
        shown = f"{store!r} {settings!r} {vars(store.backend)}"
        assert SECRET not in shown
        assert SECRET.encode() not in pickle.dumps(store)


def test_fiftyones_own_parameters_are_settings(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "uri": str(tmp_path),
        "storage_options": {},
        "metric": "cosine",
        "index_type": "ivf_pq",
        "min_index_rows": 2048,
        "index_params": {"num_sub_vectors": 64},
        "nprobes": 20,
        "ef": 100,
        "refine_factor": 10,
    }
    with vecbridge.get_backend("lancedb", **given) as store:
        assert isinstance(store.backend, LancedbBackend)
        assert store.backend.settings.index_params == {"num_sub_vectors": 64}
        assert store.index_names() == []


def test_a_folder_may_be_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert LancedbSettings(uri="~/vectors").folder == Path("/home/somebody/vectors")
