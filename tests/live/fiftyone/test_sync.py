"""An index is brought in step with its dataset: what is new, gone and changed, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, make_digits, new_run
from tests.live.fiftyone.growing import changed_files, embedded, grown, held
from vecbridge import DimensionError, IndexNotFoundError, InvalidArgumentError

KILLED = """
import json, sys
import fiftyone as fo
from tests.live.fiftyone.models import CountingModel
from vecbridge.fiftyone.similarity import SklearnSimilarity
SklearnSimilarity.part_sizes = type(SklearnSimilarity.part_sizes)(first=10, largest=10)
name, key, kill_after = json.loads(sys.argv[1])
fo.load_dataset(name).load_brain_results(key).sync(model=CountingModel(kill_after=kill_after))
"""


@pytest.fixture
def own(fob: Any, tmp_path: Path) -> Digits:
    """A dataset that a test may change."""
    (tmp_path / "media").mkdir()
    return make_digits(tmp_path / "media", count=30)


def counts(plan: Any) -> tuple[int, int, int]:
    return len(plan.new), len(plan.gone), len(plan.changed)


def test_a_model_embeds_what_is_new_and_changed_and_nothing_else(
    models: Any, own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, model=models.PatchModel())
    assert counts(index.sync(dry_run=True)) == (0, 0, 0)
    new = grown(own, tmp_path / "more")
    own.dataset.delete_samples(own.ids[:3])
    changed_files(own, own.ids[10:14])
    before = held(index)

    plan = index.sync(dry_run=True)

    assert str(plan) == "7 new, 3 gone, 4 changed"
    assert (set(plan.new), set(plan.gone)) == (set(new), set(own.ids[:3]))
    assert set(plan.changed) == set(own.ids[10:14])
    assert held(index) == before
    model = models.CountingModel()
    done = index.sync(model=model)
    assert (counts(done), model.seen, done.failed) == ((7, 3, 4), 11, ())
    assert held(index) == embedded(models, own.dataset)
    assert index.sync().in_step


def test_another_path_is_a_change_and_an_edited_tag_is_not(
    models: Any, own: Digits, path_case: Case
) -> None:
    index = new_run(own, path_case, model=models.PatchModel())
    own.dataset[own.ids[2:4]].tag_samples("seen")
    sample = own.dataset[own.ids[5]]
    sample.filepath = own.dataset[own.ids[6]].filepath
    sample.save()
    assert index.sync().changed == (own.ids[5],)
    assert held(index) == embedded(models, own.dataset)


@pytest.mark.parametrize("patches_field", [None, "halves"])
def test_an_embeddings_field_is_followed_bit_for_bit(
    own: Digits, path_case: Case, tmp_path: Path, patches_field: str | None
) -> None:
    field, ids = "emb", own.ids
    if patches_field is not None:
        own.dataset.set_values(
            "halves.detections.emb",
            [own.patches.get(name, np.empty((0, 32))).tolist() or None for name in own.ids],
            dynamic=True,
        )
        ids = own.label_ids
    else:
        own.dataset.set_values(field, list(own.vectors))
    index = new_run(own, path_case, embeddings=field, patches_field=patches_field)
    assert index.sync(dry_run=True).in_step
    path = field if patches_field is None else "halves.detections.emb"
    values = own.dataset.values(path)
    row = next(row for row in range(4, 30) if values[row] is not None)
    vector = np.array(values[row] if patches_field is None else values[row][0], np.float32)
    vector[3] = np.nextafter(vector[3], np.float32(99))
    if patches_field is None:
        values[row] = vector
    else:
        values[row][0] = vector.tolist()
    own.dataset.set_values(path, values)
    own.dataset.delete_samples(own.ids[:2])
    without = grown(own, tmp_path / "more", count=2)

    done = index.sync()

    gone = set(ids) - set(
        own.dataset.values("id") + own.dataset.values("halves.detections.id", unwind=True)
    )
    assert set(done.gone) == gone
    (changed,) = done.changed
    assert held(index)[changed] == vector.tobytes()
    assert done.new == ()
    if patches_field is None:
        assert set(done.without) == set(without)
        own.dataset.select(without).set_values(field, list(own.vectors[:2]))
        assert set(index.sync().new) == set(without)
    assert index.sync().in_step


@pytest.mark.parametrize("patches_field", [None, "halves"])
def test_a_field_of_embeddings_that_a_model_computes_gets_them_too(
    models: Any, own: Digits, path_case: Case, tmp_path: Path, patches_field: str | None
) -> None:
    path = "emb" if patches_field is None else "halves.detections.emb"
    about = {"model": models.PatchModel(), "patches_field": patches_field}
    index = new_run(own, path_case, embeddings="emb", **about)
    grown(own, tmp_path / "more")
    changed_files(own, own.ids[2:6])
    done = index.sync()
    assert counts(done) == ((7, 0, 4) if patches_field is None else (6, 0, 5))
    names = own.dataset.values("id" if patches_field is None else "halves.detections.id")
    stored = own.dataset.values(path)
    if patches_field is not None:
        names, stored = (list(chain(*filter(None, each))) for each in (names, stored))
    bits = {name: np.float32(value).tobytes() for name, value in zip(names, stored, strict=True)}
    assert held(index) == bits == held(new_run(own, path_case, **about))
    assert index.sync().in_step


def test_patches_come_go_and_change_their_outline(
    models: Any, own: Digits, path_case: Case
) -> None:
    import fiftyone as fo

    index = new_run(own, path_case, model=models.PatchModel(), patches_field="halves")
    sample = own.dataset[own.ids[0]]
    sample.halves.detections.append(fo.Detection(label="new", bounding_box=[0.2, 0.2, 0.6, 0.6]))
    sample.save()
    other = own.dataset[own.ids[1]]
    other.halves.detections[0].bounding_box = [0.0, 0.0, 1.0, 1.0]
    other.save()
    own.dataset.delete_labels(ids=own.label_ids[5:7], fields="halves")
    model = models.CountingModel()

    done = index.sync(model=model)

    assert done.new == (own.dataset[own.ids[0]].halves.detections[0].id,)
    assert set(done.gone) == set(own.label_ids[5:7])
    assert done.changed == (own.label_ids[0],)
    assert model.seen == 2
    whole = new_run(own, path_case, model=models.PatchModel(), patches_field="halves")
    assert held(index) == held(whole)


@pytest.mark.parametrize("field", [None, "emb"])
def test_a_killed_sync_loses_nothing_and_the_next_one_completes_it(
    models: Any, own: Digits, path_case: Case, tmp_path: Path, field: str | None
) -> None:
    index = new_run(own, path_case, model=models.PatchModel(), embeddings=field)
    grown(own, tmp_path / "more", count=30)
    changed_files(own, own.ids[:5])
    own.dataset.delete_samples(own.ids[20:25])
    arguments = json.dumps([own.dataset.name, index.key, 25])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, arguments],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    own.dataset.reload()
    again = own.dataset.load_brain_results(index.key, cache=False)
    model = models.CountingModel()
    plan = again.sync(model=model)
    assert model.seen == 35 - 20
    assert len(plan.gone) == 5
    assert held(again) == embedded(models, own.dataset)
    assert again.sync(model=model).in_step


def test_without_a_model_what_is_new_is_left_out_and_said(
    own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, embeddings=own.vectors)
    new = grown(own, tmp_path / "more", count=2)
    own.dataset.delete_samples(own.ids[:1])
    done = index.sync()
    assert str(done) == "0 new, 1 gone, 0 changed, 2 without embedding"
    assert set(done.without) == set(new)
    assert set(held(index)) == set(own.ids[1:])


def test_what_a_caller_has_added_is_not_known_to_have_changed(
    models: Any, own: Digits, path_case: Case
) -> None:
    index = new_run(own, path_case, model=models.PatchModel())
    index.add_to_index(np.float32(np.ones((3, 64))), own.ids[:3])
    assert set(index.sync().unknown) == set(own.ids[:3])
    done = index.sync(unknown=True)
    assert (set(done.changed), done.unknown) == (set(own.ids[:3]), ())
    assert held(index) == embedded(models, own.dataset)


def test_media_that_cannot_be_embedded_are_told_and_stay_out(
    models: Any, own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, model=models.PatchModel())
    new = grown(own, tmp_path / "more", count=3)
    Path(own.dataset[new[1]].filepath).unlink()
    done = index.sync()
    assert done.failed == (new[1],)
    assert set(held(index)) == {*own.ids, new[0], new[2]}
    assert index.sync().new == (new[1],)


def test_a_view_says_what_is_indexed_and_takes_nothing_out(
    models: Any, own: Digits, path_case: Case, tmp_path: Path
) -> None:
    index = new_run(own, path_case, model=models.PatchModel())
    new = grown(own, tmp_path / "more")
    done = index.sync(own.dataset.select(new[:3]))
    assert (set(done.new), done.gone) == (set(new[:3]), ())
    assert set(held(index)) == {*own.ids, *new[:3]}


def test_of_groups_the_slices_that_are_indexed_are_followed(
    models: Any, fob: Any, path_case: Case, tmp_path: Path
) -> None:
    import fiftyone as fo

    source = make_digits(tmp_path, count=10)
    dataset = fo.Dataset()
    dataset.add_group_field("group", default="left")

    def pairs(rows: range) -> list[Any]:
        made = []
        for row in rows:
            group = fo.Group()
            for side, name in enumerate(("left", "right")):
                path = source.dataset[source.ids[2 * row + side]].filepath
                made.append(fo.Sample(filepath=path, group=group.element(name)))
        return made

    dataset.add_samples(pairs(range(3)))
    index = fob.compute_similarity(
        dataset.select_group_slices("right"),
        model=models.PatchModel(),
        backend=path_case.backend,
        brain_key="k",
        **path_case.options,
    )
    dataset.add_samples(pairs(range(3, 5)))
    assert counts(index.sync()) == (2, 0, 0)
    assert set(held(index)) == set(dataset.select_group_slices("right").values("id"))


REFUSED: dict[str, tuple[type[Exception], str, Callable[[Any, Path], object]]] = {
    "samples of another dataset": (
        InvalidArgumentError,
        "are of dataset",
        lambda index, folder: index.sync(make_digits(folder, count=2).dataset),
    ),
    "an index that is gone": (
        IndexNotFoundError,
        r"sync\(create=True\)",
        lambda index, _: (index.cleanup(), index.sync()),
    ),
    "an unknown argument": (TypeError, "colour", lambda index, _: index.sync(colour=1)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_synced_is_refused(
    own: Digits, path_case: Case, tmp_path: Path, case: str
) -> None:
    index = new_run(own, path_case, embeddings=own.vectors)
    kind, message, change = REFUSED[case]
    with pytest.raises(kind, match=message):
        change(index, tmp_path)


def test_an_index_that_is_gone_is_made_again_where_that_is_asked_for(
    models: Any, own: Digits, path_case: Case
) -> None:
    index = new_run(own, path_case, model=models.PatchModel())
    index.cleanup()
    assert len(index.sync(create=True).new) == 30
    assert held(index) == embedded(models, own.dataset)


def test_records_of_another_dataset_are_not_taken_for_deleted_ones(
    own: Digits, path_case: Case, tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    others = make_digits(tmp_path / "others", count=5)
    index = new_run(own, path_case, embeddings=False)
    index.add_to_index(others.vectors, others.ids)
    with pytest.raises(InvalidArgumentError, match="none of the 5 records"):
        index.sync()
    assert set(held(index)) == set(others.ids)


def test_a_field_of_another_length_is_refused_and_nothing_is_changed(
    own: Digits, path_case: Case
) -> None:
    own.dataset.set_values("emb", list(own.vectors))
    index = new_run(own, path_case, embeddings="emb")
    own.dataset.set_values("emb", list(own.vectors[:, :9]))
    own.dataset.delete_samples(own.ids[:1])
    with pytest.raises(DimensionError, match="64 values, and these have 9"):
        index.sync()
    assert index.total_index_size == 30


def test_a_clone_plans_and_does_not_change_the_originals_index(
    own: Digits, path_case: Case
) -> None:
    index = new_run(own, path_case, embeddings=own.vectors)
    clone = own.dataset.clone()
    clone.delete_samples(clone.values("id")[:2])
    of_clone = clone.load_brain_results(index.key, cache=False)
    assert len(of_clone.sync(dry_run=True).gone) == 2
    with pytest.raises(InvalidArgumentError, match=r"cannot sync the index.*detach\(\)"):
        of_clone.sync()
    assert index.total_index_size == 30
    of_clone.detach()
    assert len(of_clone.sync().gone) == 2
    assert (of_clone.total_index_size, index.total_index_size) == (28, 30)


def test_the_command_shows_the_plan_then_does_it(
    models: Any,
    own: Digits,
    path_case: Case,
    tmp_path: Path,
    zoo_model: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from vecbridge.fiftyone.__main__ import main

    index = new_run(own, path_case, model=zoo_model)
    grown(own, tmp_path / "more")
    own.dataset.delete_samples(own.ids[:3])
    command = ["sync", own.dataset.name, index.key]
    assert main([*command, "--dry-run"]) == 0
    plan = f"{index.key} of {own.dataset.name}: 7 new, 3 gone, 0 changed"
    assert capsys.readouterr().out == f"{plan}\n30 records\n"
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{plan}\nembedding\n")
    assert "/7 [" in shown
    assert shown.endswith("7 written, 3 removed; 34 records\n")
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        **dict.fromkeys(("new", "gone", "changed", "unknown", "without", "failed"), 0),
        "done": True,
        "records": 34,
    }
    assert main(["sync", own.dataset.name, "nothing"]) != 0
    assert main([*command, "--view", "nothing"]) != 0
    assert "no saved view 'nothing'; it has none" in capsys.readouterr().err
