"""The App over every store, in a real browser."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.browser.app import BROWSER_FLAGS, App, serving_app
from tests.live.fiftyone.cases import Case, Digits, make_digits, new_run
from tools.ensure_browser import find_browser, install_browser
from vecbridge.fiftyone.plugin import place_plugin

PICTURES = Path(__file__).parents[2] / "build" / "browser"
STORES = ["milvus-server", "milvus-lite", "sklearn", "faiss"]
Indexes: TypeAlias = dict[tuple[str, str], Any]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps a screenshot of what a failing test sees."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    shown = arguments.get("app") or next(iter(arguments.get("shown", ())), None)
    if report.failed and isinstance(shown, App):
        shown.picture(f"failed-{item.name}")
    return report


@pytest.fixture(scope="package")
def digits(fob: Any, tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """A dataset of fifty digits, with patches."""
    return make_digits(tmp_path_factory.mktemp("digits"), count=50)


@pytest.fixture(scope="package")
def cases(milvus_server_uri: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """Each store, as a user configures it."""
    folder = tmp_path_factory.mktemp("stores")
    return {
        "milvus-server": Case("milvus", {"uri": milvus_server_uri}),
        "milvus-lite": Case("milvus", {"uri": str(folder / "vectors.db")}),
        "sklearn": Case("vecbridge_sklearn", {"path": str(folder / "sklearn")}),
        "faiss": Case("vecbridge_faiss", {"path": str(folder / "faiss")}),
    }


def run_key(store: str, kind: str) -> str:
    """The brain key of a store's index of ``kind``."""
    name = store.replace("-", "_")
    return name if kind == "samples" else f"{name}_{kind}"


@pytest.fixture(scope="package")
def indexes(digits: Digits, cases: dict[str, Case], zoo: str) -> Indexes:
    """Three indexes in each store, which this process, the notebook, holds open."""
    inputs: dict[str, dict[str, Any]] = {
        "samples": {"metric": "euclidean", "embeddings": digits.vectors},
        "patches": {
            "metric": "euclidean",
            "embeddings": digits.patches,
            "patches_field": "halves",
        },
        "words": {"metric": "cosine", "model": zoo},
    }
    return {
        (store, kind): new_run(digits, case, brain_key=run_key(store, kind), **given)
        for store, case in cases.items()
        for kind, given in inputs.items()
    }


@pytest.fixture(scope="package")
def zoo(fiftyone_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a model that embeds images and words, in a zoo of the tests' own."""
    import fiftyone as fo

    from tests.live.fiftyone import models

    path = tmp_path_factory.mktemp("zoo") / "manifest.json"
    path.write_text(json.dumps(models.manifest()), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fo.config, "model_zoo_manifest_paths", [str(path)])
        patch.setenv("FIFTYONE_MODEL_ZOO_MANIFEST_PATHS", str(path))
        yield models.ZOO


@pytest.fixture(scope="module")
def app_url(
    indexes: Indexes,
    milvus_server_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The App's server: another process, which knows vecbridge by its configuration alone.

    It remembers which panels are open, so that each module has a server of its own.
    """
    import vecbridge.fiftyone

    folder = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(folder / "brain_config.json"))
        patch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_URI", milvus_server_uri)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        vecbridge.fiftyone.enable_in_config()
        place_plugin()
        environment = dict(os.environ)
    with serving_app(folder, environment) as url:
        yield url


@pytest.fixture(scope="package")
def new_page() -> Iterator[Callable[[], Any]]:
    """Makes pages of a browser that reaches this machine only."""
    from playwright.sync_api import sync_playwright

    chromium = find_browser() or install_browser()
    assert chromium is not None, "there is no Chromium: run tools/ensure_browser.py"
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=BROWSER_FLAGS)

        def make() -> Any:
            page = browser.new_page(viewport={"width": 2200, "height": 1300})
            page.set_default_timeout(20_000)
            page.route(
                "**/*",
                lambda route: (
                    route.continue_() if "//127.0.0.1:" in route.request.url else route.abort()
                ),
            )
            return page

        yield make
        browser.close()


@pytest.fixture(scope="module")
def app(app_url: str, digits: Digits, new_page: Callable[[], Any]) -> App:
    """The App, showing the dataset."""
    shown = App(new_page(), app_url, PICTURES)
    shown.open(digits.dataset.name)
    return shown


@pytest.fixture
def grid(app: App, digits: Digits) -> App:
    """The App with the whole dataset, nothing selected."""
    app.clear()
    app.show_ids()
    app.await_order(digits.ids[:5])
    return app
