"""Turns bits of a small store over, one at a time, and says what became of its answers.

Run in a process of its own, whose memory is bounded: damage must not make it ask for more.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import vecbridge

SPARE_BYTES = 256 << 20
_MADE = """
import os, sys
import numpy as np
from vecbridge.local import LocalStore

store = LocalStore(sys.argv[1], backend="sklearn", page_bytes=512)
cats = store.create("cats", dimension=2, metric="euclidean", fields={"n": "integer"})
dogs = store.create("dogs", dimension=2, metric="cosine")
def fill(first):
    cats.upsert([f"c{first}", f"é{first}"], np.float32([[first, 1], [2, first]]), {"n": [1, first]})
    dogs.upsert([f"d{first}"], np.float32([[first, 3]]))
fill(1)
fill(2)
cats.delete(["c1"])
if sys.argv[2] == "closed":
    store.close()
os._exit(0)
"""

Files = dict[str, bytes]


def made(folder: Path, how: str) -> Files:
    """The files of a store that was closed, or whose process was killed."""
    subprocess.run([sys.executable, "-c", _MADE, str(folder), how], check=True, timeout=60)
    return {
        file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")
    }


def answers(folder: Path) -> Any:
    """Everything that a store answers; whatever it says that is exact."""
    with vecbridge.get_backend("sklearn", path=folder) as store:
        said: list[Any] = [store.index_names()]
        for name in said[0]:
            index = store.open_index(name)
            said.append([str(index.info), index.count()])
            for records in index.scan():
                fields = {key: list(column) for key, column in records.fields.items()}
                said.append([list(records.ids), records.vectors.tobytes(), fields])
            (hits,) = index.search(np.array([1, 2], dtype=np.float32), None, ranking="certified")
            said.append([list(hits.ids), hits.distances.tobytes(), hits.exact])
    return said


def outcome(files: Files, expected: Any) -> str:
    """``right``, ``refused``, or what is wrong."""
    with tempfile.TemporaryDirectory(dir=_fast()) as where:
        folder = Path(where)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        try:
            found = answers(folder)
        except vecbridge.CorruptStoreError:
            left = {
                file: (folder / file).read_bytes() for file in files if (folder / file).exists()
            }
            return "refused" if left == files else "refused, and files were changed"
        except Exception as error:  # noqa: BLE001 - which one it is is what is asked
            return f"{type(error).__name__}: {error}"[:300]
        return "right" if found == expected else f"WRONG: {found}"[:300]


def flipped(files: Files, name: str, bits: Iterable[int]) -> Iterator[tuple[int, Files]]:
    """The files with one bit of one of them turned over."""
    for bit in bits:
        content = bytearray(files[name])
        content[bit // 8] ^= 1 << bit % 8
        yield bit, {**files, name: bytes(content)}


def chosen(count: int, every: bool) -> Iterable[int]:
    """Every bit of so many bytes, or one of each byte: another one in each."""
    return range(8 * count) if every else (8 * byte + byte * 5 % 8 for byte in range(count))


def _fast() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main() -> None:
    """Prints how many outcomes of each kind there were, and those that must not be."""
    how, every, only = sys.argv[1], sys.argv[2] == "every", sys.argv[3:]
    with tempfile.TemporaryDirectory() as name:
        files = made(Path(name), how)
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content)
        expected = answers(Path(name))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + SPARE_BYTES, size + SPARE_BYTES))
    counts: Counter[str] = Counter()
    bad: list[str] = []
    for file in sorted(only or files):
        for bit, damaged in flipped(files, file, chosen(len(files[file]), every)):
            told = outcome(damaged, expected)
            counts[told.split(":")[0]] += 1
            if told not in ("right", "refused"):
                bad.append(f"{file} bit {bit}: {told}")
    sizes = {file: len(content) for file, content in files.items()}
    print(json.dumps({"sizes": sizes, "counts": counts, "bad": bad[:200], "bad_count": len(bad)}))


if __name__ == "__main__":
    main()
