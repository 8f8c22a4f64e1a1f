"""Views in order of similarity, with the distances written to the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.fields as fof
import fiftyone.core.patches as fop
import fiftyone.core.stages as fos
from bson import ObjectId
from fiftyone import ViewField


@dataclass(frozen=True)
class Found:
    """An answer: the samples of the records, their labels if patches are indexed, distances."""

    sample_ids: Sequence[str]
    label_ids: Sequence[str] | None
    distances: Sequence[float]


def write_distances(view: Any, patches_field: str | None, dist_field: str, found: Found) -> None:
    """Writes each distance to its sample, or to its label where labels of samples are sorted."""
    if not found.distances:
        _declare(view, patches_field, dist_field)
        return
    if _selects_samples(view, patches_field):
        ids = found.sample_ids if patches_field is None else found.label_ids or ()
        values = dict(zip(ids, found.distances, strict=True))
        view.set_values(dist_field, values, key_field="id")
        return
    _, path = view._get_label_field_path(patches_field, dist_field)
    values = dict(zip(found.label_ids or (), found.distances, strict=True))
    view.set_label_values(path, values, dynamic=True)


def stages(view: Any, patches_field: str | None, found: Found, *, everything: bool) -> list[Any]:
    """What selects the answer, in order.

    Args:
        view: what is sorted.
        patches_field: the field of the labels, if patches are indexed.
        found: the answer.
        everything: the answer ranks all, so that no label has to be filtered out.
    """
    if _selects_samples(view, patches_field):
        ids = found.sample_ids if patches_field is None else found.label_ids or ()
        return [fos.Select(list(ids), ordered=True)]
    ordered = [fos.Select(list(dict.fromkeys(found.sample_ids)), ordered=True)]
    if not everything:
        labels = [ObjectId(name) for name in found.label_ids or ()]
        ordered.append(fos.FilterLabels(patches_field, ViewField("_id").is_in(labels)))
    return ordered


def apply(view: Any, added: Sequence[Any], *, as_pipeline: bool) -> Any:
    """The view with these stages, or the aggregation pipeline that they stand for."""
    if as_pipeline:
        pipeline: list[Any] = []
        for stage in added:
            stage.validate(view)
            pipeline.extend(stage.to_mongo(view))
        return pipeline
    for stage in added:
        view = view.add_stage(stage)
    return view


def _selects_samples(view: Any, patches_field: str | None) -> bool:
    return patches_field is None or isinstance(view, fop.PatchesView)


def _declare(view: Any, patches_field: str | None, dist_field: str) -> None:
    """The field exists even where no record was found: FiftyOne cannot infer its type then."""
    path = dist_field
    if not _selects_samples(view, patches_field):
        path = view._get_label_field_path(patches_field, dist_field)[1]
    view._dataset.add_sample_field(path, fof.FloatField)
