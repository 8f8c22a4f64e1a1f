"""The file that spares building an index again. It is a cache: nothing depends on it.

It is what FAISS writes, followed by the fingerprints of the entries, a header in JSON and a footer
with the header's length and a checksum of everything before. A file that is torn, foreign or of
other settings is not used; one that is of other records matches none of them.

The file is read into memory, whole, and what was checked there is what FAISS gets. It is never
mapped: a file that is cut or overwritten in place would end every process that had mapped it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge_faiss._built import Built, faiss

_FOOTER = struct.Struct("<8sQI")
_MAGIC = b"vbfaiss1"
_BLOCK_BYTES = 8 << 20
# FAISS uses these where they were read to; of other kinds it copies parts, or all.
_LENT = ("hnsw", "ivf") if hasattr(faiss, "ZeroCopyIOReader") else ()


class Cache:
    """The file of one index; nothing is kept where there is no folder."""

    def __init__(
        self, folder: Path | None, name: str, metric: Metric, dimension: int, recipe: str
    ) -> None:
        self._path = None if folder is None else cache_path(folder, name)
        self._metric: Metric = metric
        self._header: dict[str, Any] = {"metric": metric, "dimension": dimension, "recipe": recipe}

    def load(self) -> Built | None:
        """Return what was saved, if it can be trusted."""
        path = self._path
        if path is None:
            return None
        try:
            content = np.fromfile(path, dtype=np.uint8)
            header, held, size = self._checked(content)
            lent = self._header["recipe"].lower() in _LENT
            index = _lent(content, size) if lent else faiss.deserialize_index(content[:size])
        except (OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError):
            return None
        if index.ntotal != len(held):
            return None
        memory = content if lent else None
        return Built(self._metric, index, held, int(header["first"]), memory=memory)

    def save(self, built: Built) -> None:
        """Replace the file in one step. A failure costs a rebuild later, and nothing else."""
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
            checksum = 0
            while block := file.read(_BLOCK_BYTES):
                checksum = zlib.crc32(block, checksum)
            end = built.held.astype("<u8").tobytes() + text
            file.write(end + _FOOTER.pack(_MAGIC, len(text), zlib.crc32(end, checksum)))
            file.flush()
            os.fsync(file.fileno())

    def _checked(
        self, content: NDArray[np.uint8]
    ) -> tuple[dict[str, Any], NDArray[np.uint64], int]:
        """Return header, fingerprints, and how many bytes are FAISS's."""
        end = len(content) - _FOOTER.size
        if end < 0:
            raise ValueError("the file is shorter than its footer")
        magic, length, checksum = _FOOTER.unpack(content[end:].tobytes())
        if magic != _MAGIC or length > end or zlib.crc32(content[:end].data) != checksum:
            raise ValueError("the file is torn, or not ours")
        header = json.loads(content[end - length : end].tobytes())
        if {key: header.get(key) for key in self._header} != self._header:
            raise ValueError("the file is of other settings")
        size = end - length - 8 * int(header["entries"])
        held = np.frombuffer(content[size : end - length].tobytes(), dtype="<u8")
        return header, held.astype(np.uint64), size


def _lent(content: NDArray[np.uint8], size: int) -> Any:
    """Return an index that uses memory that must outlive it."""
    reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(content), size)
    return faiss.read_index(reader, faiss.IO_FLAG_MMAP_IFC)


def cache_path(folder: Path, name: str) -> Path:
    """Return where the file of an index is; names may be longer than those of files."""
    return folder / "faiss" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.faiss"
