"""The panel *Similarity indexes* over real stores, and over one that is gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.browser.app import App, serving_app
from tests.browser.conftest import PICTURES, Indexes
from tests.browser.panel import IndexesPanel
from tests.live.fiftyone.cases import Case, Digits, new_run
from tests.servers.mongo import free_port


@pytest.fixture(scope="module")
def shown(
    app_url: str, digits: Digits, indexes: Indexes, new_page: Callable[[], Any]
) -> Iterator[tuple[App, IndexesPanel]]:
    """The App with the panel open."""
    page = new_page()
    app = App(page, app_url, PICTURES)
    app.open(digits.dataset.name)
    yield app, IndexesPanel(page, app)
    page.close()


def test_panel_tells_where_each_index_lives_and_how_it_is(
    shown: tuple[App, IndexesPanel], cases: dict[str, Case]
) -> None:
    app, panel = shown
    if any(row[0] == "✗ unreachable" for row in panel.rows().values()):
        # The panel waits for seconds; a machine that runs all the tests may take longer.
        panel.refresh()
    rows, stores = panel.rows(), panel.rows(1)
    assert rows["milvus_server"][:5] == ["✓ healthy", "milvus", "50", "64", "euclidean"]
    assert rows["milvus_lite"][:3] == ["✓ healthy", "milvus", "50"]
    assert rows["faiss"][:3] == ["✓ healthy", "faiss", "50"]
    assert rows["milvus_server_patches"][:4] == ["✓ healthy", "milvus", "49", "32"]
    assert stores["milvus_server"][0] == cases["milvus-server"].options["uri"]
    assert stores["milvus_lite"][0] == cases["milvus-lite"].options["uri"]
    assert stores["faiss"][1].startswith("fiftyone_digits")
    app.picture("panel")


def test_two_indexes_are_verified_from_the_panel(shown: tuple[App, IndexesPanel]) -> None:
    app, panel = shown
    panel.do("faiss", "Verify against another", {1: "milvus_server"})
    told = panel.await_told("faiss and milvus_server are the same")
    assert "20 rankings agree to the last bit" in told
    app.picture("panel-verified")


def test_index_is_copied_from_the_panel(
    shown: tuple[App, IndexesPanel], digits: Digits, tmp_path: Path
) -> None:
    app, panel = shown
    panel.do("milvus_server", "Copy to another store", {1: "faiss"}, str(tmp_path / "copy"))
    panel.await_told("milvus_server: 50 records copied to faiss")
    app.picture("panel-copied")
    with vecbridge.get_backend("faiss", path=tmp_path / "copy") as store:
        (name,) = store.index_names()
        with store.open_index(name) as index:
            assert set(digits.ids) == {each for batch in index.scan() for each in batch.ids}


def test_index_is_switched_from_the_panel(
    shown: tuple[App, IndexesPanel], digits: Digits, tmp_path: Path
) -> None:
    app, panel = shown
    case = Case("vecbridge_faiss", {"path": str(tmp_path / "faiss")})
    new_run(digits, case, metric="euclidean", embeddings=digits.vectors, brain_key="moving")
    try:
        panel.refresh()
        panel.await_row("moving")
        panel.do("moving", "Switch store", {1: "sklearn"}, str(tmp_path / "sklearn"))
        panel.await_told("moving now lives in sklearn")
        assert panel.rows()["moving"][:3] == ["✓ healthy", "sklearn", "50"]
        app.picture("panel-switched")
        digits.dataset.reload()
        index = digits.dataset.load_brain_results("moving", cache=False)
        assert index.config.backend_name == "sklearn"
        assert index.sort_by_similarity(digits.ids[7], k=1).values("id") == [digits.ids[7]]
    finally:
        digits.dataset.delete_brain_run("moving")


def test_index_is_made_and_dropped_from_the_panel(
    shown: tuple[App, IndexesPanel], digits: Digits, tmp_path: Path
) -> None:
    app, panel = shown
    digits.dataset.set_values("vectors", list(digits.vectors))
    try:
        choices = {"Field with the embeddings": "vectors", "In the store": "faiss"}
        panel.make("made", choices, str(tmp_path / "made"))
        panel.await_told("made: 50 records indexed in faiss")
        assert panel.rows()["made"][:3] == ["✓ healthy", "faiss", "50"]
        app.picture("panel-made")
        panel.do("made", "Drop the index", {})
        panel.await_told("made was dropped")
        assert "made" not in panel.rows()
        digits.dataset.reload()
        assert not digits.dataset.has_brain_run("made")
    finally:
        digits.dataset.reload()
        if digits.dataset.has_brain_run("made"):
            digits.dataset.delete_brain_run("made")
        digits.dataset.delete_sample_field("vectors")


def test_store_is_examined_from_the_panel(shown: tuple[App, IndexesPanel]) -> None:
    app, panel = shown
    panel.do("milvus_server", "Examine the store", {})
    told = panel.await_told("milvus of milvus_server: ")
    assert "milvus of milvus_server: examined" in told
    assert "conforms in the smoke layer" in told
    stores = panel.rows(1)
    assert "strong" in stores["milvus_server"][2]
    # Another index of the same store is of the same verdict.
    assert stores["milvus_server_words"][3] == stores["milvus_server"][3] == "✓ smoke layer"
    app.picture("panel-examined")
    panel.light()
    app.picture("panel-examined-light")


def test_dead_store_is_shown_as_unreachable_and_breaks_nothing(
    app_url: str, digits: Digits, new_page: Callable[[], Any], tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI": f"http://127.0.0.1:{free_port()}",
        "FIFTYONE_BRAIN_SIMILARITY_MILVUS_USER": "root",
        "FIFTYONE_BRAIN_SIMILARITY_MILVUS_PASSWORD": "planted-secret",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with serving_app(tmp_path, environment) as url:
        page = new_page()
        app = App(page, url, PICTURES)
        app.open(digits.dataset.name)
        panel = IndexesPanel(page, app)
        rows, told = panel.rows(), panel.text()
        app.picture("panel-dead")
        panel.light()
        app.picture("panel-dead-light")
        page.close()
    assert rows["milvus_server"][0] == rows["milvus_server_patches"][0] == "✗ unreachable"
    assert rows["faiss"][:3] == ["✓ healthy", "faiss", "50"]
    # The file of Milvus Lite is kept with its run, and the account of a server is not for it.
    assert rows["milvus_lite"][0] == "✓ healthy"
    keys = "milvus_server, milvus_server_patches, milvus_server_words"
    assert f"{keys} (milvus): unreachable" in told
    assert "Traceback" not in told
    assert "planted-secret" not in told
