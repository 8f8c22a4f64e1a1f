"""A notebook holds an index in Milvus Lite while another process, as the App has one, asks it."""

from __future__ import annotations

from pathlib import Path

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, new_run

ASK = """
import fiftyone as fo
name, key, options, query, removed = arguments
dataset = fo.load_dataset(name)
dataset.reload()
index = dataset.load_brain_results(key, **options)
view = index.sort_by_similarity(query, k=12, dist_field="elsewhere")
answer = [index.total_index_size, *view.values(["id", "elsewhere"])]
index.remove_from_index(sample_ids=removed)
"""


def test_an_app_asks_while_a_notebook_holds_the_index(
    digits: Digits, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    options = {"uri": str(tmp_path / "vectors.db")}
    index = new_run(digits, Case("milvus", options), embeddings=digits.vectors)
    here = index.sort_by_similarity(digits.ids[7], k=12, dist_field="here")
    removed = digits.ids[:3]
    size, ids, distances = elsewhere.run(
        ASK, digits.dataset.name, index.key, options, digits.ids[7], removed
    )
    assert size == len(digits.ids)
    assert (ids, distances) == tuple(here.values(["id", "here"]))
    assert index.total_index_size == len(digits.ids) - len(removed)
    index.delete()
