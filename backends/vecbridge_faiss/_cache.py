"""The file that spares building an index again. It is a cache: nothing depends on it.

It is what FAISS writes, followed by the fingerprints of the entries, a header in JSON and a footer
with the header's length and a checksum of everything before. A file that is torn, foreign or of
other settings is not used; one that is of other records matches none of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge_faiss._built import Built
from vecbridge_faiss._library import faiss

_FOOTER = struct.Struct("<8sQI")
_MAGIC = b"vbfaiss1"
# Replaced files live on for who has mapped them. Of other kinds FAISS maps parts, or none.
_MAPPED = ("hnsw", "ivf") if hasattr(faiss, "IO_FLAG_MMAP_IFC") else ()


class Cache:
    """The file of one index.

    Args:
        folder: the directory of the store; nothing is kept where ``None``.
        name: of the index.
        metric: of the index.
        dimension: of its vectors.
        recipe: how the index is built.
    """

    def __init__(
        self, folder: Path | None, name: str, metric: Metric, dimension: int, recipe: str
    ) -> None:
        self._path = None if folder is None else cache_path(folder, name)
        self._metric: Metric = metric
        self._header: dict[str, Any] = {"metric": metric, "dimension": dimension, "recipe": recipe}

    def load(self) -> Built | None:
        """What was saved, if it can be trusted."""
        path = self._path
        if path is None:
            return None
        try:
            header, held = self._read(path)
            mapped = self._header["recipe"].lower() in _MAPPED
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
        except (OSError, ValueError, RuntimeError):
            return None
        if index.ntotal != len(held):
            return None
        return Built(self._metric, index, held, int(header["first"]), mapped=mapped)

    def save(self, built: Built) -> None:
        """Replaces the file in one step. A failure costs a rebuild later, and nothing else."""
        path = self._path
        if path is None:
            return
        fresh = path.with_suffix(f".{os.getpid()}.new")
        with contextlib.suppress(OSError, RuntimeError):
            path.parent.mkdir(exist_ok=True)
            try:
                faiss.write_index(built.index, str(fresh))
                self._finish(fresh, built)
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)

    def _finish(self, path: Path, built: Built) -> None:
        header = {**self._header, "first": built.first, "entries": len(built.held)}
        text = json.dumps(header).encode()
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(built.held.astype("<u8").tobytes() + text)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                checksum = zlib.crc32(content)
            file.write(_FOOTER.pack(_MAGIC, len(text), checksum))
            file.flush()
            os.fsync(file.fileno())

    def _read(self, path: Path) -> tuple[dict[str, Any], NDArray[np.uint64]]:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            end = len(view) - _FOOTER.size
            if end < 0:
                raise ValueError("the file is shorter than its footer")
            magic, length, checksum = _FOOTER.unpack(view[end:])
            if magic != _MAGIC or length > end or zlib.crc32(view[:end]) != checksum:
                raise ValueError("the file is torn, or not ours")
            header = json.loads(bytes(view[end - length : end]))
            if {key: header.get(key) for key in self._header} != self._header:
                raise ValueError("the file is of other settings")
            start = end - length - 8 * int(header["entries"])
            held = np.frombuffer(bytes(view[start : end - length]), dtype="<u8")
        return header, held.astype(np.uint64)


def cache_path(folder: Path, name: str) -> Path:
    """Where the file of an index is; names may be longer than those of files."""
    return folder / "faiss" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.faiss"
