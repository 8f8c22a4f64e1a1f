"""The panel's operators as FiftyOne runs them, and what the panel says, without a browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId

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


@pytest.fixture(scope="module", autouse=True)
def _placed(fob: Any) -> Iterator[None]:
    from vecbridge.fiftyone.plugin import place_plugin, remove_plugin

    place_plugin()
    yield
    remove_plugin()


@dataclass
class Shown:
    """What the panel shows."""

    rows: dict[str, dict[str, str]]
    notes: dict[str, dict[str, str]]
    last: dict[str, str] | None


def shown(dataset: Any, event: str = "on_load") -> Shown:
    """The panel, as the App gets it when it is opened, or after another event."""
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext, Executor

    panel = foo.get_operator("@vecbridge/indexes/similarity_indexes")
    params = {"panel_id": "here", "panel_state": {}}
    request = {"dataset_name": dataset.name, "params": params}
    context = ExecutionContext(request_params=request, executor=Executor())
    getattr(panel, event)(context)
    state = context.panel.state
    stores = {row["key"]: row for row in state.get("stores")}
    rows = {row["key"]: {**row, **stores[row["key"]]} for row in state.get("indexes")}
    about = state.get("about")
    return Shown(rows, {note["title"]: note for note in about["notes"]}, about["last"])


def do(digits: Digits, operator: str, **params: Any) -> dict[str, str]:
    """Runs an operator as the App does, and gives what the panel says of it."""
    import fiftyone.operators as foo

    shown(digits.dataset, "dismiss")
    asking = {"dataset": digits.dataset, "params": params}
    foo.execute_operator(f"@vecbridge/indexes/{operator}", asking)
    digits.dataset.reload()
    told = shown(digits.dataset).last
    assert told is not None
    return told


def health(digits: Digits, key: str) -> str:
    """The health of an index."""
    return shown(digits.dataset).rows[key]["health"]


def test_fiftyone_lists_the_plugin_with_its_panel_and_operators(fob: Any) -> None:
    import fiftyone.operators as foo
    import fiftyone.plugins as fop

    assert "@vecbridge/indexes" in fop.list_plugins(enabled=True, builtin=False)[0].name
    found = {each.uri for each in foo.list_operators(builtin=False)}
    names = {"similarity_indexes", "sync_index", "copy_index", "switch_store", "verify_indexes"}
    names |= {"examine_store", "create_index", "drop_index"}
    assert found == {f"@vecbridge/indexes/{name}" for name in names}


def test_address_of_a_store_is_not_kept_in_mongodb(runs: dict[str, Any], digits: Digits) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    told = do(digits, "copy_index", key="one", backend="milvus", place=address)
    assert told["title"] == "Nothing was changed"
    assert "the server" in told["text"]
    assert address.removeprefix("http://") not in dumped()


def test_what_is_known_of_an_examined_store_is_shown_with_its_indexes_alone(
    runs: dict[str, Any], digits: Digits
) -> None:
    told = do(digits, "examine_store", key="one")
    assert told["severity"] in {"success", "warning"}
    rows = shown(digits.dataset).rows
    assert "smoke layer" in rows["one"]["conformance"]
    assert (rows["two"]["conformance"], rows["other"]["conformance"]) == ("–", "–")
    assert rows["one"]["lag"] != "–"
    assert rows["other"]["lag"] == "–"


def test_sync_shows_the_plan_does_it_and_says_what_is_left_out(
    runs: dict[str, Any], digits: Digits
) -> None:
    index, gone = runs["one"], str(ObjectId())
    index.add_to_index(digits.vectors[:1], [gone])
    index.remove_from_index(sample_ids=digits.ids[:2])
    planned = do(digits, "sync_index", key="one", plan_only=True)
    assert planned["title"] == "one would change"
    assert "0 new, 1 gone, 0 changed, 2 without embedding: nothing was changed" in planned["text"]
    assert index.total_index_size == 11
    told = do(digits, "sync_index", key="one")
    assert (told["severity"], told["title"]) == ("warning", "one was brought in step")
    assert "no model" in told["text"]
    assert index.total_index_size == 10
    assert do(digits, "sync_index", key="two")["title"] == "two is in step"
    runs["two"].cleanup()
    assert "does not exist" in do(digits, "sync_index", key="two")["text"]


def test_healthy_incomplete_and_missing_indexes_are_told_apart(
    runs: dict[str, Any], digits: Digits
) -> None:
    runs["one"].remove_from_index(sample_ids=digits.ids[:3])
    runs["two"].cleanup()
    found = shown(digits.dataset)
    assert found.rows["other"]["health"] == "✓ healthy"
    assert found.rows["one"]["health"] == "! incomplete"
    assert found.rows["two"]["health"] == "✗ missing"
    severities = {title: note["severity"] for title, note in found.notes.items()}
    assert severities == {
        "one (sklearn): incomplete": "warning",
        "two (faiss): missing": "error",
    }
    assert "3 of 12 samples" in found.notes["one (sklearn): incomplete"]["text"]


def test_unreachable_store_is_told_soon_and_without_its_secrets(
    runs: dict[str, Any], digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    moved(digits, "one", "milvus", monkeypatch, uri=f"http://127.0.0.1:{port}")
    began = time.monotonic()
    found = shown(digits.dataset)
    assert time.monotonic() - began < 20
    assert found.rows["one"]["health"] == "✗ unreachable"
    text = found.notes["one (milvus): unreachable"]["text"]
    assert str(port) in text
    assert "planted" not in str(found)


def test_settings_that_do_not_go_together_are_no_unreachable_store(
    runs: dict[str, Any], digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(digits, "one", "milvus", monkeypatch, uri=str(tmp_path / "vectors.db"))
    found = shown(digits.dataset)
    assert found.rows["one"]["health"] == "✗ misconfigured"
    assert "Milvus Lite has no accounts" in found.notes["one (milvus): misconfigured"]["text"]
    assert "planted" not in str(found)


def moved(digits: Digits, key: str, method: str, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Makes a run one of Milvus, whose address and account are configured in the environment."""
    prefix = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"
    for name, value in {"URI": uri, "USER": "me", "PASSWORD": "planted"}.items():
        monkeypatch.setenv(prefix + name, value)
    document = digits.dataset._doc.brain_methods[key]
    document.config["cls"] = "vecbridge.fiftyone.similarity.MilvusSimilarityConfig"
    document.config["method"] = method
    document.config.pop("path", None)
    document.save()


def test_verify_tells_same_from_different_and_refuses_what_cannot_be(
    runs: dict[str, Any], digits: Digits
) -> None:
    assert (
        do(digits, "verify_indexes", key="one", other="two")["title"] == "one and two are the same"
    )
    told = do(digits, "verify_indexes", key="one", other="other")
    assert told["severity"] == "warning"
    assert "their checksums differ" in told["text"]
    new_run(
        digits,
        Case("vecbridge_sklearn", {}),
        metric="cosine",
        embeddings=digits.vectors,
        brain_key="cosine",
    )
    told = do(digits, "verify_indexes", key="one", other="cosine")
    assert told["severity"] == "error"
    assert "cannot hold the same" in told["text"]


def test_copy_and_switch_keep_what_they_should(
    runs: dict[str, Any], digits: Digits, tmp_path: Path
) -> None:
    copied = {"key": "one", "backend": "sklearn", "place": str(tmp_path / "copy"), "name": "copied"}
    assert do(digits, "copy_index", **copied)["severity"] == "success"
    assert "choose another name" in do(digits, "copy_index", **copied)["text"]
    with vecbridge.get_backend("sklearn", path=tmp_path / "copy") as store:
        assert store.index_names() == ["copied"]

    told = do(digits, "switch_store", key="one", backend="faiss", place=str(tmp_path / "moved"))
    assert told["title"] == "one now lives in faiss"
    assert "in sklearn, still exists. Drop it" in told["text"]
    row = shown(digits.dataset).rows["one"]
    assert (row["health"], row["store"]) == ("✓ healthy", "faiss")
    assert row["where"] == str(tmp_path / "moved")
    told = do(digits, "switch_store", key="one", backend="faiss", place=str(tmp_path / "moved"))
    assert "already" in told["text"]


def test_run_of_fiftyones_own_is_switched_too(digits: Digits, tmp_path: Path) -> None:
    new_run(digits, Case("sklearn"), embeddings=digits.vectors.copy(), brain_key="theirs")
    assert health(digits, "theirs") == "FiftyOne's own"
    told = do(digits, "switch_store", key="theirs", backend="faiss", place=str(tmp_path / "ours"))
    assert told["severity"] == "success"
    assert "The earlier index, in FiftyOne's own sklearn, was part of the run" in told["text"]
    assert health(digits, "theirs") == "✓ healthy"
    digits.dataset.delete_brain_run("theirs")


def test_address_with_a_password_is_refused_and_not_repeated(
    runs: dict[str, Any], digits: Digits
) -> None:
    address = "http://me:planted@127.0.0.1:1"
    told = do(digits, "copy_index", key="one", backend="milvus", place=address)
    assert told["severity"] == "error"
    assert "FIFTYONE_BRAIN_SIMILARITY_MILVUS_PASSWORD" in told["text"]
    assert "planted" not in told["text"]


@pytest.mark.parametrize("place", ["bare", "a/b", "./c", f"..{os.sep}d"])
def test_a_relative_path_in_a_form_is_refused(
    runs: dict[str, Any], digits: Digits, place: str
) -> None:
    told = do(digits, "copy_index", key="one", backend="sklearn", place=place)
    assert told["severity"] == "error"
    assert "give the full path" in told["text"]


def test_unexpected_error_is_told_by_its_kind_alone(
    runs: dict[str, Any], digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Any, *args: Any, **options: Any) -> Any:
        raise RuntimeError("token=planted")

    monkeypatch.setattr(vecbridge.Index, "upsert", fails)
    place = {"backend": "sklearn", "place": str(tmp_path / "copy")}
    told = do(digits, "copy_index", key="one", **place)
    assert "RuntimeError" in told["text"]
    assert "planted" not in str(told)


def test_operator_yields_its_progress_and_then_its_report(
    runs: dict[str, Any], digits: Digits
) -> None:
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext, Executor

    params = {"key": "one", "other": "two"}
    request = {"dataset_name": digits.dataset.name, "params": params}
    operator = foo.get_operator("@vecbridge/indexes/verify_indexes")
    yielded = list(operator.execute(ExecutionContext(request_params=request, executor=Executor())))
    *steps, report = [each.body.params for each in yielded]
    assert report["message"] == "one and two are the same"
    assert steps
    assert all(0 <= step["progress"] <= 1 and " of " in step["label"] for step in steps)


def test_delegated_operation_tells_the_panel_too(runs: dict[str, Any], digits: Digits) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    assert shown(digits.dataset, "dismiss").last is None
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
    told = shown(digits.dataset).last
    assert told is not None
    assert told["title"] == "one and two are the same"


def asked(digits: Digits, operator: str, **params: Any) -> list[str]:
    """The names of what the form of an operator asks, with these answers in it."""
    import fiftyone.operators as foo
    from fiftyone.operators.executor import ExecutionContext, Executor

    request = {"dataset_name": digits.dataset.name, "params": params}
    context = ExecutionContext(request_params=request, executor=Executor())
    form = foo.get_operator(f"@vecbridge/indexes/{operator}").resolve_input(context)
    return list(form.type.properties)


def test_an_index_is_made_of_a_field_filled_again_and_dropped(
    digits: Digits, tmp_path: Path
) -> None:
    digits.dataset.set_values("vectors", list(digits.vectors))
    wanted: dict[str, Any] = {
        "key": "made",
        "embeddings": "vectors",
        "metric": "euclidean",
        "backend": "faiss",
    }
    wanted |= {"place": str(tmp_path / "made"), "more": True, "faiss_index": "hnsw"}
    try:
        told = do(digits, "create_index", **wanted)
        assert told["title"] == f"made: {len(digits.ids)} records indexed in faiss"
        index = digits.dataset.load_brain_results("made", cache=False)
        assert index.config.metric == "euclidean"
        assert index.config.connect().open_index(index.config.collection_name).capabilities.recall
        assert "already" in do(digits, "create_index", **wanted)["text"]

        told = do(digits, "drop_index", key="made", keep_run=True)
        assert told["title"] == "made was dropped"
        assert health(digits, "made") != "✓ healthy"
        told = do(digits, "sync_index", key="made", create=True)
        assert told["title"] == "made was brought in step", told
        assert health(digits, "made") == "✓ healthy"

        assert do(digits, "drop_index", key="made")["severity"] == "success"
        assert not digits.dataset.has_brain_run("made")
        with vecbridge.get_backend("faiss", path=tmp_path / "made") as store:
            assert store.index_names() == []
    finally:
        if digits.dataset.has_brain_run("made"):
            digits.dataset.delete_brain_run("made")
        digits.dataset.delete_sample_field("vectors")


def test_an_index_that_cannot_be_made_leaves_nothing(digits: Digits, tmp_path: Path) -> None:
    from fiftyone.operators.executor import ExecutionError

    where = {"metric": "cosine", "backend": "sklearn", "place": str(tmp_path / "none")}
    told = do(digits, "create_index", key="1st", model="clip-vit-base32-torch", **where)
    assert "not a brain key" in told["text"]
    with pytest.raises(ExecutionError, match="key"):
        do(digits, "create_index", model="clip-vit-base32-torch", **where)
    with pytest.raises(ExecutionError, match="model"):
        do(digits, "create_index", key="made", **where)
    assert not digits.dataset.has_brain_run("made")
    assert not (tmp_path / "none").exists()


def test_a_form_asks_for_the_settings_of_the_store_that_is_chosen(digits: Digits) -> None:
    assert "more" not in asked(digits, "create_index")
    shown = asked(digits, "create_index", backend="milvus", more=True)
    assert {"milvus_index_type", "milvus_secure", "milvus_shards"} <= set(shown)
    assert not any("password" in name or "token" in name for name in shown)
    assert not any(name.startswith("faiss_") for name in shown)


def test_what_was_written_for_another_store_does_not_count(
    runs: dict[str, Any], digits: Digits, tmp_path: Path
) -> None:
    stray = {"milvus_index_type": "HNSW", "milvus_shards": "2", "more": True, "name": "stray"}
    place = {"backend": "sklearn", "place": str(tmp_path / "stray")}
    assert do(digits, "copy_index", key="one", **place, **stray)["severity"] == "success"
