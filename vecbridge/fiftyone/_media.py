"""Digests of what embeddings are computed from, by which a later change of it is known."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import fiftyone.core.labels as fol

_SHAPES = {
    fol.Detection: "bounding_box",
    fol.Detections: "bounding_box",
    fol.Polyline: "points",
    fol.Polylines: "points",
}


def media_digests(view: Any, patches_field: str | None, roi_field: str | None) -> dict[str, str]:
    """Return a digest for each record that an embedding of the view would give, by its id.

    It is of the path of the media file, its size and its time of modification, and of the shape of
    the patch, or of all that are averaged. No file is read. A record has none where its file is
    not one of this machine.
    """
    field = patches_field or roi_field
    if field is None:
        ids, files = view.values(["id", "filepath"])
        return _of_files(ids, files, [()] * len(ids))
    kind, _ = view._get_label_field_path(field)
    shape = _SHAPES.get(kind, "id")
    wanted = [view._get_label_field_path(field, name)[1] for name in ("id", shape)]
    ids, files, labels, shapes = view.values(["id", "filepath", *wanted])
    if patches_field is None:
        return _of_files(ids, files, shapes)
    if not issubclass(kind, fol._LABEL_LIST_FIELDS):
        labels, shapes = [[name] for name in labels], [[each] for each in shapes]
    rows = [
        (label, file, outline)
        for file, names, outlines in zip(files, labels, shapes, strict=True)
        for label, outline in zip(names or (), outlines or (), strict=True)
        if label is not None
    ]
    return _of_files(*map(list, zip(*rows, strict=True))) if rows else {}


def _of_files(ids: list[str], files: list[str], shapes: list[Any]) -> dict[str, str]:
    states = {file: _state_of(file) for file in dict.fromkeys(files)}
    return {
        str(name): hashlib.blake2b(repr((states[file], shape)).encode(), digest_size=8).hexdigest()
        for name, file, shape in zip(ids, files, shapes, strict=True)
        if states[file] is not None
    }


def _state_of(file: str) -> tuple[str, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - a million of them: a Path each takes twice as long
    except (OSError, ValueError):
        return None
    return file, found.st_size, found.st_mtime_ns
