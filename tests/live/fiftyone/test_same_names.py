"""Names that FiftyOne has too: taken over with its parameters, its runs, and given back."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, new_run, ranked
from tests.live.fiftyone.own_adapters import Own, embedded_qdrant, renamed_redis_module
from tests.live.fiftyone.test_secrets import dump
from vecbridge import InvalidArgumentError, UnknownSettingError
from vecbridge.fiftyone._same_names import SAME_NAMES

SECRET = "Pl4nted-s3cret"
STORES = ["qdrant", "lancedb", "redis"]
NEWER = {
    "lancedb": {"storage_options", "index_type", "min_index_rows", "index_params"}
    | {"nprobes", "ef", "refine_factor"}
}
"""Parameters that fiftyone-brain 0.27 has and 0.25 has not."""

GIVEN: dict[str, dict[str, Any]] = {
    "qdrant": {"api_key": SECRET, "url": "http://qdrant.example:6333", "grpc_port": 6335},
    "lancedb": {"storage_options": {"aws_secret_access_key": SECRET}, "uri": "s3://photos/v"},
    "redis": {"password": SECRET, "host": "redis.example", "port": 6380, "username": "me"},
}
LOADED = """
import fiftyone as fo
import vecbridge.fiftyone
name, key, options = arguments
dataset = fo.load_dataset(name)
dataset.reload()
index = dataset.load_brain_results(key, **options)
answer = [index.config.stored_name, index.total_index_size]
vecbridge.fiftyone.close_stores()
"""


@pytest.fixture
def similarity(fob: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The classes, with nothing configured elsewhere."""
    from vecbridge.fiftyone import similarity

    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(tmp_path / "none.json"))
    return similarity


@pytest.fixture
def own(request: pytest.FixtureRequest, fob: Any, tmp_path: Path) -> Iterator[Own]:
    """One of FiftyOne's own backends, on a real store."""
    import vecbridge.fiftyone

    name: str = request.param
    folder = str(tmp_path / "store")
    if name == "redis":
        port = request.getfixturevalue("redis_server").port
        yield Own("redis", {"host": "127.0.0.1", "port": port}, "index_name", renamed_redis_module)
    elif name == "qdrant":
        works = partial(embedded_qdrant, folder)
        yield Own("qdrant", {"path": folder}, "collection_name", works)
    else:
        yield Own("lancedb", {"uri": folder}, "table_name")
    vecbridge.fiftyone.close_stores()


def config_class(similarity: Any, name: str) -> Any:
    return getattr(similarity, f"{name.capitalize()}SimilarityConfig")


@pytest.mark.parametrize("name", SAME_NAMES)
def test_a_name_is_taken_over_and_given_back(fob: Any, name: str) -> None:
    import vecbridge.fiftyone

    sections = fob.brain_config.similarity_backends
    vecbridge.fiftyone.disable()
    try:
        before = dict(sections[name])
        assert before["config_cls"].startswith("fiftyone.brain.internal.core.")
        assert vecbridge.fiftyone.enable(name) == [name, f"vecbridge_{name}"]
        ours = f"vecbridge.fiftyone.similarity.{name.capitalize()}SimilarityConfig"
        assert sections[name] == {**before, "config_cls": ours}
        vecbridge.fiftyone.disable()
        assert sections[name] == before
        assert f"vecbridge_{name}" not in sections
    finally:
        vecbridge.fiftyone.enable()


@pytest.mark.parametrize("name", SAME_NAMES)
def test_every_parameter_of_fiftyones_is_taken(similarity: Any, name: str) -> None:
    import eta.core.utils as etau
    from fiftyone.brain.config import BrainConfig

    theirs = etau.get_class(BrainConfig._BUILTIN_SIMILARITY_BACKENDS[name]["config_cls"])
    parameters = {*inspect.signature(theirs.__init__).parameters} - {"self", "kwargs"}
    config = config_class(similarity, name)
    for each in parameters | NEWER.get(name, set()):
        config(**{each: None})
    with pytest.raises(UnknownSettingError, match=r"'metrc' \(did you mean 'metric'\?\)"):
        config(metrc="cosine")


@pytest.mark.parametrize("name", STORES)
def test_what_leads_to_a_store_is_read_from_everywhere_and_no_secret_is_kept(
    similarity: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_class(similarity, name)
    place = next(key for key in GIVEN[name] if key in {"url", "uri", "host"})
    said = GIVEN[name][place]

    def found(**given: Any) -> str:
        return str(getattr(config(**given).resolved(), place))

    file = tmp_path / "brain_config.json"
    section = {place: said.replace("example", "file").replace("photos", "file")}
    file.write_text(json.dumps({"similarity_backends": {name: section}}))
    monkeypatch.setenv("FIFTYONE_BRAIN_CONFIG_PATH", str(file))
    assert "file" in found()
    variable = f"FIFTYONE_BRAIN_SIMILARITY_{name.upper()}_{place.upper()}"
    monkeypatch.setenv(variable, section[place].replace("file", "environment"))
    assert "environment" in found()
    assert found(**{place: said}) == said
    made = config(**GIVEN[name])
    assert SECRET not in str(made.serialize())
    assert SECRET not in repr(made.resolved())


@pytest.mark.parametrize("name", STORES)
def test_long_names_in_a_store_have_indexes_of_their_own(similarity: Any, name: str) -> None:
    config, parameter = config_class(similarity, name), SAME_NAMES[name].index_parameter
    longest = SAME_NAMES[name].longest_name
    names = ["x-" * (longest // 2), "x-" * (longest // 2 - 1) + "y", "your-index", "your_index"]
    made = [config(**GIVEN[name], **{parameter: each}) for each in names]
    assert [each.stored_name for each in made] == names
    indexes = {each.collection_name for each in made}
    assert len(indexes) == len(names)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,254}", each) for each in indexes)
    with pytest.raises(InvalidArgumentError, match=f"1 to {longest} bytes"):
        config(**{parameter: "x" * (longest + 1)})


@pytest.mark.parametrize("own", STORES, indirect=True)
def test_a_run_keeps_its_name_in_the_store_and_is_found_elsewhere(
    own: Own, digits: Digits, elsewhere: Elsewhere
) -> None:
    import vecbridge.fiftyone

    index = new_run(
        digits, Case(own.name, own.options), embeddings=digits.vectors, **{own.parameter: "your-x"}
    )
    assert index.config.stored_name == "your-x"
    assert index.config.collection_name.startswith("your_x_")
    vecbridge.fiftyone.close_stores()
    digits.dataset.save()
    given = {key: each for key, each in own.options.items() if key not in {"path", "uri"}}
    answer = elsewhere.run(LOADED, digits.dataset.name, index.key, given)
    assert answer == ["your-x", len(digits.ids)]
    index.delete()
    assert SECRET.encode() not in dump()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("own", STORES, indirect=True)
def test_a_run_of_fiftyones_is_adopted_where_it_is_and_goes_back(own: Own, digits: Digits) -> None:
    from vecbridge.fiftyone import adopt, close_stores

    key, name = own.run(digits)
    plan = adopt(digits.dataset, key, dry_run=True, **own.options)
    assert (plan.in_place, plan.records, plan.done) == (True, len(digits.ids), False)
    assert digits.dataset.get_brain_info(key).config.cls == own.cls
    done = adopt(digits.dataset, key, **own.options)
    assert (done.collection_name, done.in_place, done.changes) == (name, True, "")
    digits.dataset.reload()
    index = digits.dataset.load_brain_results(key, **own.options)
    assert (index.config.method, index.config.stored_name) == (own.name, name)
    ids, _, dists = index._kneighbors(digits.ids[3], k=9, return_dists=True)
    expected = ranked("euclidean", digits.ids, digits.vectors, digits.vectors[3])[:9]
    assert list(zip(ids, dists, strict=True)) == expected
    index.add_to_index(digits.vectors[5:6], digits.ids[3:4])
    assert index.total_index_size == len(digits.ids)
    if own.name == "qdrant":
        # FiftyOne's adapter knows servers alone.
        last = index.client.scroll(name, limit=500)[0][-1]
        index.client.set_payload(name, {"seen": [1, 2]}, [last.id])
        sample = last.payload["sample_id"]
        index.add_to_index(digits.vectors[5:6], [sample])
        (kept,) = index.client.retrieve(name, [last.id])
        assert kept.payload == {"sample_id": sample, "seen": [1, 2]}
        index.delete()
        return
    with own.works():
        undone = adopt(digits.dataset, key, back=True, **own.options)
        assert (undone.in_place, undone.collection_name) == (True, name)
        digits.dataset.reload()
        again = digits.dataset.load_brain_results(key, cache=False, **own.options)
        assert again.config.cls == own.cls
        vectors, _, _ = again.get_embeddings(sample_ids=[digits.ids[3]])
        assert np.array_equal(vectors[0], digits.vectors[5])
    close_stores()
    digits.dataset.load_brain_results(key, **own.options).cleanup()
    digits.dataset.delete_brain_run(key)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("own", ["qdrant"], indirect=True)
def test_an_index_that_rounds_what_is_added_is_copied_beside_itself(
    own: Own, digits: Digits
) -> None:
    from vecbridge.fiftyone import adopt

    key, name = own.run(digits, metric="cosine")
    done = adopt(digits.dataset, key, **own.options)
    assert (done.in_place, done.left, done.records) == (False, name, len(digits.ids))
    assert "copy" in done.changes
    digits.dataset.reload()
    index = digits.dataset.load_brain_results(key)
    index.add_to_index(digits.vectors[5:6], digits.ids[3:4])
    vectors, _, _ = index.get_embeddings(sample_ids=digits.ids[3])
    assert np.array_equal(vectors[0], digits.vectors[5])
    index.delete()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("own", STORES, indirect=True)
def test_a_run_of_fiftyones_is_copied_to_another_store(
    own: Own, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vecbridge.fiftyone import adopt

    for setting, value in own.options.items():
        variable = f"FIFTYONE_BRAIN_SIMILARITY_{own.name.upper()}_{setting.upper()}"
        monkeypatch.setenv(variable, str(value))
    key, name = own.run(digits, patches_field="halves", embeddings=digits.patches)
    done = adopt(digits.dataset, key, to="sklearn", path=str(tmp_path / "copy"))
    assert (done.in_place, done.records, done.left) == (False, len(digits.label_ids), name)
    digits.dataset.reload()
    index = digits.dataset.load_brain_results(key)
    vectors, samples, labels = index.get_embeddings(label_ids=digits.label_ids)
    assert samples.tolist() == digits.label_samples
    assert labels.tolist() == digits.label_ids
    assert np.array_equal(vectors, digits.patch_vectors)
    index.delete()
