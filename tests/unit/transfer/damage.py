"""Files of records that are damaged at random, each imported in a process of little memory.

``python -m tests.unit.transfer.damage FOLDER SUFFIX CASES SEED`` prints what is wrong. Each file
must give whole records (those that were written, where a checksum covers what was damaged), or an
error of ours that names it; and where it is refused, no index may be left.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import vecbridge
from vecbridge import Store, VecbridgeError
from vecbridge.transfer import checksum, export_records, import_records

RECORDS = 40
SPARE_BYTES = 1 << 30
"""Of address space beyond what the process has when it begins."""


def valid(store: Store, folder: Path, suffix: str) -> list[Path]:
    """Good files of several makings."""
    index = store.create_index(
        "source", dimension=3, metric="euclidean", fields={"text": "string", "number": "integer"}
    )
    index.upsert(
        [f"n{row}" for row in range(RECORDS)],
        np.random.default_rng(1).standard_normal((RECORDS, 3)),
        {"text": [f"text {row}" for row in range(RECORDS)], "number": list(range(RECORDS))},
    )
    ours = folder / f"ours{suffix}"
    export_records(index, ours)
    records = next(iter(index.scan(RECORDS)))
    store.drop_index("source")
    others = folder / f"others{suffix}"
    if suffix == ".npz":
        fields: dict[str, Any] = {name: np.array(column) for name, column in records.fields.items()}
        np.savez_compressed(others, ids=np.array(records.ids), vectors=records.vectors, **fields)
        return [ours, others]
    table = pa.table(
        {
            "id": pa.array(records.ids),
            "vector": pa.array(records.vectors.tolist(), pa.list_(pa.float64())),
            **{name: pa.array(column) for name, column in records.fields.items()},
        }
    )
    parquet.write_table(table, others, compression="gzip", row_group_size=7)
    plain = folder / f"plain{suffix}"
    parquet.write_table(table, plain, compression="none", use_dictionary=False)
    return [ours, others, plain]


def damaged(data: bytes, random: random.Random) -> bytes:
    """The file with something done to it."""
    content = bytearray(data)
    kind = random.choice(["bits", "byte", "cut", "stretch", "numbers", "end", "insert"])
    place = random.randrange(len(content))
    if kind == "bits":
        for _ in range(random.choice([1, 1, 2, 8])):
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif kind == "byte":
        content[place] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
    elif kind == "cut":
        del content[place:]
    elif kind == "stretch":
        del content[place : place + random.randrange(1, 64)]
    elif kind == "numbers":
        size = random.choice([2, 4, 8])
        value = random.choice([0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1)])
        content[place : place + size] = value.to_bytes(size, "little")
    elif kind == "end":
        # Where both formats say what they hold.
        place = len(content) - random.randrange(1, min(900, len(content)))
        content[place] = random.randrange(256)
    else:
        content[place:place] = random.randbytes(random.randrange(1, 32))
    return bytes(content)


def reshuffled(path: Path, random: random.Random, target: Path) -> None:
    """An archive whose members are what they were not: other bytes, names and orders."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    change = random.choice(["bytes", "swap", "leave out", "rename", "twice", "header"])
    one, other = random.choice(names), random.choice(names)
    if change == "bytes":
        members[one] = damaged(members[one], random)
    elif change == "swap":
        members[one], members[other] = members[other], members[one]
    elif change == "leave out":
        del members[one]
    elif change == "rename":
        members[random.choice(["a/b.npy", "x", "../x.npy", "é.npy", ".npy"])] = members.pop(one)
    elif change == "header":
        # Most of what is damaged at random is caught by checksums: these are right.
        place = random.randrange(min(128, len(members[one])))
        before, after = members[one][:place], members[one][place + 1 :]
        members[one] = before + random.randbytes(1) + after
    method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if change == "twice":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(one, members[one])


def main(folder: Path, suffix: str, cases: int, seed: int) -> int:
    """Tries the files; prints what became of them."""
    store, chance = vecbridge.get_backend("sklearn"), random.Random(seed)
    files = valid(store, folder, suffix)
    contents = [path.read_bytes() for path in files]
    sums = []
    for path in files:
        import_records(path, store, "good", metric="euclidean")
        with store.open_index("good") as index:
            sums.append(checksum(index))
        store.drop_index("good")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, resource.RLIM_INFINITY))
    path = folder / f"damaged{suffix}"
    found: Counter[str] = Counter()
    wrong: list[str] = []
    for case in range(cases):
        number = chance.randrange(len(files))
        shuffled = suffix == ".npz" and case % 2 == 1
        if shuffled:
            reshuffled(files[number], chance, path)
        else:
            path.write_bytes(damaged(contents[number], chance))
        (folder / "last").write_bytes(path.read_bytes())
        try:
            written = import_records(path, store, "back", metric="euclidean").written
            with store.open_index("back") as index:
                held, same = index.count(), checksum(index) == sums[number]
            found["taken"] += 1
            # What was reshuffled has the right checksums of other arrays.
            found[f"{files[number].stem}: other records"] += not same and not shuffled
            if held != written:
                wrong.append(f"case {case}: {written} written, {held} held")
            store.drop_index("back")
        except VecbridgeError as error:
            found["refused"] += 1
            if str(path) not in str(error):
                wrong.append(f"case {case}: no file in {error}")
        except Exception as error:  # noqa: BLE001 - any other is what is looked for
            wrong.append(f"case {case}: raw {error!r}")
        if store.index_names():
            wrong.append(f"case {case}: an index was left")
            store.drop_index("back")
    # Not `ru_maxrss`, which begins with what the process had that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0])
    sys.stdout.write(json.dumps({**found, "peak_kb": peak, "wrong": wrong[:40], "bad": len(wrong)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
