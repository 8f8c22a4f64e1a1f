"""Write one table of records to Parquet, as five programs write it each in its own way.

``python -m tools.foreign_tables FOLDER [--rows N] [--dimension D] [TOOL ...]`` writes the files of
the tools that are installed, and of those named. The ones in ``tests/data/tables`` are made by
``make foreign-tables``, which installs the tools; Spark needs Java.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
LABELS = ("cat", "dog", "bird")
CITIES = ("Bonn", "Ulm", "")
SPARK_PART = 10_000


def vectors(rows: int, dimension: int) -> NDArray[np.float32]:
    """Return the vectors of the table."""
    return np.random.default_rng(17).standard_normal((rows, dimension), dtype=np.float32)


def columns(rows: int) -> dict[str, list[Any]]:
    """Return the other columns, as Python has their values."""
    numbers = range(rows)
    return {
        "id": [uuid.uuid5(uuid.NAMESPACE_OID, str(row)) for row in numbers],
        "label": [LABELS[row % 3] for row in numbers],
        "name": [None if row % 5 == 1 else f"näme {row}" for row in numbers],
        "count": [None if row % 7 == 2 else row for row in numbers],
        "score": [None if row % 4 == 3 else row / 3 for row in numbers],
        "kept": [row % 2 == 0 for row in numbers],
        "taken": [EPOCH + dt.timedelta(seconds=row, microseconds=row) for row in numbers],
        "day": [(EPOCH + dt.timedelta(days=row % 400)).date() for row in numbers],
        "tags": [[f"t{row % 5}", "all"] if row % 3 else [] for row in numbers],
        "place": [{"city": CITIES[row % 3] or None, "height": row / 2} for row in numbers],
    }


def pandas(folder: Path, rows: int, dimension: int) -> None:
    """By ``DataFrame.to_parquet``: UUIDs as texts, a categorical, lists as NumPy arrays."""
    import pandas as pd

    table = columns(rows)
    frame = pd.DataFrame(
        {
            "id": [str(each) for each in table["id"]],
            "embedding": list(vectors(rows, dimension)),
            "label": pd.Categorical(table["label"]),
            "name": table["name"],
            "count": pd.array(table["count"], dtype="Int64"),
            "score": table["score"],
            "kept": table["kept"],
            "taken": pd.to_datetime(table["taken"]).tz_convert("Europe/Berlin"),
            "day": table["day"],
            "tags": table["tags"],
            "place": table["place"],
        }
    )
    frame.to_parquet(folder / "pandas.parquet")


def polars(folder: Path, rows: int, dimension: int) -> None:
    """By ``DataFrame.write_parquet``: an array of a fixed width, a categorical, a struct."""
    import polars as pl

    table = columns(rows)
    frame = pl.DataFrame(
        {
            "id": [str(each) for each in table["id"]],
            "embedding": vectors(rows, dimension),
            **{name: table[name] for name in table if name != "id"},
        },
        schema_overrides={"label": pl.Categorical, "taken": pl.Datetime("ns", "UTC")},
    )
    frame.write_parquet(folder / "polars.parquet")


def arrow(folder: Path, rows: int, dimension: int) -> None:
    """By ``pyarrow.parquet``: UUIDs of Arrow's own type, a dictionary, views and large strings."""
    import pyarrow as pa
    from pyarrow import parquet

    table = columns(rows)
    flat = pa.array(vectors(rows, dimension).reshape(-1))
    ids = pa.array([each.bytes for each in table.pop("id")], pa.binary(16))
    arrays = {
        "id": pa.ExtensionArray.from_storage(pa.uuid(), ids),
        "embedding": pa.FixedSizeListArray.from_arrays(flat, dimension),
        "label": pa.array(table["label"]).dictionary_encode(),
        "name": pa.array(table["name"], pa.string_view()),
        "count": pa.array(table["count"], pa.int32()),
        "score": pa.array(table["score"], pa.float64()),
        "taken": pa.array(table["taken"], pa.timestamp("ms", tz="America/Lima"), safe=False),
        "tags": pa.array(table["tags"], pa.large_list(pa.large_string())),
    }
    rest = {name: pa.array(table[name]) for name in table if name not in arrays}
    parquet.write_table(pa.table(arrays | rest), folder / "arrow.parquet", row_group_size=50_000)


def datasets(folder: Path, rows: int, dimension: int) -> None:
    """By ``datasets.Dataset.to_parquet``: features, a class label among them."""
    import datasets as hf

    table = columns(rows)
    table["id"] = [str(each) for each in table["id"]]
    table["label"] = [LABELS.index(each) for each in table["label"]]
    features = {
        "id": hf.Value("string"),
        "embedding": hf.List(hf.Value("float32"), length=dimension),
        "label": hf.ClassLabel(names=list(LABELS)),
        "name": hf.Value("string"),
        "count": hf.Value("int64"),
        "score": hf.Value("float64"),
        "kept": hf.Value("bool"),
        "taken": hf.Value("timestamp[us, tz=UTC]"),
        "day": hf.Value("date32"),
        "tags": hf.List(hf.Value("string")),
        "place": {"city": hf.Value("string"), "height": hf.Value("float32")},
    }
    held = {"embedding": list(vectors(rows, dimension)), **table}
    made = hf.Dataset.from_dict(held, features=hf.Features(features))
    made.to_parquet(str(folder / "datasets.parquet"))


def spark(folder: Path, rows: int, dimension: int) -> None:
    """By ``DataFrameWriter.parquet``: a folder of shards; times as INT96, which is its default."""
    from pyspark.sql import SparkSession

    shape = (
        "id string, embedding array<float>, label string, name string, count int, score double, "
        "kept boolean, taken timestamp, day date, tags array<string>, "
        "place struct<city: string, height: double>"
    )
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "3g")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    table, values = columns(rows), vectors(rows, dimension)
    with tempfile.TemporaryDirectory() as place:
        # Sent to Java from Python, values take minutes; Spark reads lines in seconds.
        for start in range(0, rows, SPARK_PART):
            with (Path(place) / f"{start:09d}.json").open("w", encoding="utf-8") as file:
                for row in range(start, min(start + SPARK_PART, rows)):
                    record = {name: column[row] for name, column in table.items()}
                    record["embedding"] = values[row].tolist()
                    file.write(json.dumps(record, default=str) + "\n")
        frame = session.read.schema(shape).json(place)
        target = folder / "spark.parquet"
        frame.repartition(2).write.mode("overwrite").parquet(str(target))
    session.stop()
    for beside in (*target.glob(".*.crc"), target / "_SUCCESS"):
        beside.unlink(missing_ok=True)


TOOLS: dict[str, Callable[[Path, int, int], None]] = {
    "pandas": pandas,
    "polars": polars,
    "arrow": arrow,
    "datasets": datasets,
    "spark": spark,
}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tools", nargs="*", metavar="TOOL", default=[], help=", ".join(TOOLS))
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--dimension", type=int, default=4)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.tools or TOOLS:
        old = given.folder / f"{name}.parquet"
        if old.is_dir():
            shutil.rmtree(old)
        TOOLS[name](given.folder, given.rows, given.dimension)
        print(f"{old}: by {name}")


if __name__ == "__main__":
    main()
