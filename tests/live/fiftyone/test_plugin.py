"""The panel's operators as FiftyOne runs them, and what the panel says, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.live.fiftyone.cases import Case, Digits, make_digits, new_run
from tests.live.fiftyone.features.lasting import dumped
from tests.servers.mongo import free_port


@pytest.fixture(scope="module")
def digits(fob: Any, tmp_path_factory: pytest.TempPathFactory) -> Digits:
    return make_digits(tmp_path_factory.mktemp("digits"), count=12)


@pytest.fixture
def runs(digits: Digits, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The same vectors under two keys, and others under a third."""
    stores = {"one": "sklearn", "two": "faiss", "other": "sklearn"}
    made = {
        key: new_run(
            digits,
            Case(f"vecbridge_{backend}", {"path": str(tmp_path / key)}),
            metric="euclidean",
            embeddings=digits.vectors + (key == "other"),
            brain_key=key,
        )
        for key, backend in stores.items()
    }
    yield made
    digits.dataset.delete_brain_runs()


@pytest.fixture
def context(digits: Digits) -> Any:
    """What FiftyOne hands to a panel."""
    from fiftyone.operators.executor import ExecutionContext

    return ExecutionContext(request_params={"dataset_name": digits.dataset.name})


@pytest.fixture(scope="module", autouse=True)
def _placed(fob: Any) -> Iterator[None]:
    from vecbridge.fiftyone.plugin._folder import place_plugin, remove_plugin

    place_plugin()
    yield
    remove_plugin()


def do(digits: Digits, operator: str, **params: Any) -> Any:
    """Runs an operator as the App does, and gives what it told."""
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext

    from vecbridge.fiftyone.plugin._kept import last

    asking = {"dataset": digits.dataset, "params": params}
    foo.execute_operator(f"@vecbridge/indexes/{operator}", asking)
    digits.dataset.reload()
    return last(ExecutionContext(request_params={"dataset_name": digits.dataset.name}))


def state(context: Any, key: str) -> dict[str, str]:
    """The row of an index."""
    from vecbridge.fiftyone.plugin._rows import rows

    return next(row for row in rows(context) if row["key"] == key)


def test_fiftyone_lists_the_plugin_with_its_panel_and_operators(fob: Any) -> None:
    import fiftyone.operators as foo
    import fiftyone.plugins as fop

    assert "@vecbridge/indexes" in fop.list_plugins(enabled=True, builtin=False)[0].name
    found = {each.uri for each in foo.list_operators(builtin=False)}
    names = {"similarity_indexes", "copy_index", "switch_store", "verify_indexes", "examine_store"}
    assert found == {f"@vecbridge/indexes/{name}" for name in names}


def test_address_of_a_store_is_not_kept_in_mongodb(
    runs: dict[str, Any], digits: Digits, context: Any
) -> None:
    from vecbridge.fiftyone.plugin import _kept as kept

    address = f"http://127.0.0.1:{free_port()}"
    told = do(digits, "copy_index", key="one", backend="milvus", place=address)
    assert told.title == "It was not done"
    assert "the server" in told.text
    kept.keep_examined(context, "milvus", address, {"lag": "3 ms"})
    assert kept.examined(context, "milvus", address) == {"lag": "3 ms"}
    assert kept.examined(context, "milvus", f"{address}1") == {}
    assert address.removeprefix("http://") not in dumped()


def test_healthy_incomplete_and_missing_indexes_are_told_apart(
    runs: dict[str, Any], context: Any, digits: Digits
) -> None:
    from vecbridge.fiftyone.plugin._rows import notes, rows

    runs["one"].remove_from_index(sample_ids=digits.ids[:3])
    runs["two"].cleanup()
    assert state(context, "other")["state"] == "healthy"
    assert "3 of 12 samples" in state(context, "one")["advice"]
    assert state(context, "two")["state"] == "missing"
    severities = {note["title"]: note["severity"] for note in notes(rows(context))}
    assert severities == {
        "one (sklearn): incomplete": "warning",
        "two (faiss): missing": "error",
    }


def test_unreachable_store_is_told_soon_and_without_its_secrets(digits: Digits) -> None:
    from vecbridge.fiftyone.plugin._health import examine
    from vecbridge.fiftyone.plugin._places import Run
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    port = free_port()
    config = MilvusSimilarityConfig(
        collection_name="gone", uri=f"http://127.0.0.1:{port}", user="me", password="planted"
    )
    run = Run("dead", config, "milvus", f"http://127.0.0.1:{port}")
    (health,) = examine(digits.dataset, [run])
    assert health.state == "unreachable"
    assert str(port) in health.advice
    assert "planted" not in health.advice


def test_settings_that_do_not_go_together_are_no_unreachable_store(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone.plugin._health import examine
    from vecbridge.fiftyone.plugin._places import Run
    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_USER", "me")
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_PASSWORD", "planted")
    uri = str(tmp_path / "vectors.db")
    config = MilvusSimilarityConfig(collection_name="here", uri=uri)
    config.load_credentials()
    (health,) = examine(digits.dataset, [Run("lite", config, "milvus", uri)])
    assert health.state == "misconfigured"
    assert "Milvus Lite has no accounts" in health.advice
    assert "planted" not in health.advice


def test_verify_tells_same_from_different_and_refuses_what_cannot_be(
    runs: dict[str, Any], digits: Digits
) -> None:
    assert do(digits, "verify_indexes", key="one", other="two").title == "one and two are the same"
    told = do(digits, "verify_indexes", key="one", other="other")
    assert told.severity == "warning"
    assert "their checksums differ" in told.text
    new_run(
        digits,
        Case("vecbridge_sklearn", {}),
        metric="cosine",
        embeddings=digits.vectors,
        brain_key="cosine",
    )
    told = do(digits, "verify_indexes", key="one", other="cosine")
    assert told.severity == "error"
    assert "cannot hold the same" in told.text


def test_copy_and_switch_keep_what_they_should(
    runs: dict[str, Any], digits: Digits, tmp_path: Path, context: Any
) -> None:
    copied = {"key": "one", "backend": "sklearn", "place": str(tmp_path / "copy"), "name": "copied"}
    assert do(digits, "copy_index", **copied).severity == "success"
    assert "choose another name" in do(digits, "copy_index", **copied).text
    with vecbridge.get_backend("sklearn", path=tmp_path / "copy") as store:
        assert store.index_names() == ["copied"]

    told = do(digits, "switch_store", key="one", backend="faiss", place=str(tmp_path / "moved"))
    assert told.title == "one lives in faiss now"
    assert "in sklearn, is still there: drop it" in told.text
    row = state(context, "one")
    assert (row["state"], row["store"]) == ("healthy", "faiss")
    assert row["where"] == str(tmp_path / "moved")
    told = do(digits, "switch_store", key="one", backend="faiss", place=str(tmp_path / "moved"))
    assert "already" in told.text


def test_run_of_fiftyones_own_is_switched_too(digits: Digits, tmp_path: Path, context: Any) -> None:
    new_run(digits, Case("sklearn"), embeddings=digits.vectors.copy(), brain_key="theirs")
    assert state(context, "theirs")["state"] == "FiftyOne's"
    told = do(digits, "switch_store", key="theirs", backend="faiss", place=str(tmp_path / "ours"))
    assert told.severity == "success"
    assert "What it was in, FiftyOne's own sklearn, went with the change." in told.text
    assert state(context, "theirs")["state"] == "healthy"
    digits.dataset.delete_brain_run("theirs")


def test_address_with_a_password_is_refused_and_not_repeated(
    runs: dict[str, Any], digits: Digits
) -> None:
    address = "http://me:planted@127.0.0.1:1"
    told = do(digits, "copy_index", key="one", backend="milvus", place=address)
    assert told.severity == "error"
    assert "FIFTYONE_BRAIN_SIMILARITY_MILVUS_PASSWORD" in told.text
    assert "planted" not in told.text


def test_error_that_nobody_foresaw_is_told_by_its_kind_alone(fob: Any) -> None:
    from vecbridge.fiftyone.plugin._jobs import Told
    from vecbridge.fiftyone.plugin._running import share, steps

    def fails(progress: Any) -> Any:
        progress("copying", 1, 4)
        raise RuntimeError("token=planted")

    step, told = steps(fails)
    assert isinstance(step, tuple)
    assert isinstance(told, Told)
    assert share(step) == (0.25, "copying: 1 of 4")
    assert "RuntimeError" in told.text
    assert "planted" not in told.text


def test_delegated_operation_tells_the_panel_too(
    runs: dict[str, Any], digits: Digits, context: Any
) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    from vecbridge.fiftyone.plugin._kept import forget_last, last

    forget_last(context)
    service = DelegatedOperationService()
    queued = service.queue_operation(
        operator="@vecbridge/indexes/verify_indexes",
        label="verify",
        context={
            "request_params": {
                "dataset_name": digits.dataset.name,
                "params": {"key": "one", "other": "two"},
            }
        },
    )
    service.execute_operation(queued, log=False)
    told = last(context)
    assert told is not None
    assert told.title == "one and two are the same"
