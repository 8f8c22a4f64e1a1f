from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.transfer.conftest import BATCH, DIMENSION, RECORDS
from vecbridge import Index, InvalidArgumentError, InvalidVectorError, Store
from vecbridge.transfer import checksum, export_records, import_records

FORMATS = ["parquet", "npz"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_records_come_back_bit_for_bit(
    suffix: str, tmp_path: Path, source: Index, store: Store
) -> None:
    path = tmp_path / f"records.{suffix}"
    assert export_records(source, path) == RECORDS
    assert import_records(path, store, "back").written == RECORDS
    back = store.open_index("back", metric="euclidean")
    assert back.info.fields == source.info.fields
    assert checksum(back) == checksum(source)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_progress_is_told_after_each_batch(
    suffix: str, tmp_path: Path, source: Index, store: Store
) -> None:
    told: dict[str, list[int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        assert total == RECORDS
        told.setdefault(stage, []).append(done)

    path = tmp_path / f"records.{suffix}"
    export_records(source, path, progress=progress)
    import_records(path, store, "back", batch_bytes=4 * DIMENSION * BATCH, progress=progress)
    assert list(told) == ["exporting", "checking", "importing"]
    assert told["exporting"] == [*range(BATCH, RECORDS, BATCH), RECORDS]
    for stage in ("checking", "importing"):
        assert told[stage] == sorted(set(told[stage]))
        assert (len(told[stage]) >= RECORDS // BATCH, told[stage][-1]) == (True, RECORDS)


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_import_that_is_cut_short_says_how_far_it_came_and_is_done_again(
    suffix: str, tmp_path: Path, source: Index, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == "importing":
            raise KeyboardInterrupt

    path = tmp_path / f"records.{suffix}"
    export_records(source, path)
    small = 4 * DIMENSION * BATCH
    with pytest.raises(KeyboardInterrupt):
        import_records(path, store, "back", batch_bytes=small, progress=interrupted)
    there = store.open_index("back").count()
    assert 0 < there < RECORDS
    assert f"{path} was interrupted: {there} of 500 records are in index 'back'" in caplog.text
    assert import_records(path, store, "back").written == RECORDS
    assert checksum(store.open_index("back")) == checksum(source)


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_index_is_exported_too(suffix: str, tmp_path: Path, store: Store) -> None:
    path = tmp_path / f"none.{suffix}"
    assert export_records(store.create_index("none", dimension=2, metric="cosine"), path) == 0
    assert import_records(path, store, "back").written == 0
    assert store.open_index("back").info.dimension == 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failed_export_leaves_the_file_that_was_there(
    suffix: str, tmp_path: Path, source: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"records.{suffix}"
    path.write_text("precious")

    def interrupted(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_records(source, path, overwrite=True, progress=interrupted)
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("there", ["a file", "a link that leads nowhere"])
def test_a_file_that_is_there_is_not_replaced_unasked(
    there: str, suffix: str, tmp_path: Path, source: Index
) -> None:
    path = tmp_path / f"records.{suffix}"
    if there == "a file":
        path.write_text("precious")
    else:
        path.symlink_to(tmp_path / "nowhere")
    told: list[int] = []
    with pytest.raises(InvalidArgumentError, match="is there already"):
        export_records(source, path, progress=lambda _, done, __: told.append(done))
    assert told == []
    assert path.is_symlink() or path.read_text() == "precious"
    assert export_records(source, path, overwrite=True) == RECORDS
    assert path.is_file()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_that_another_makes_meanwhile_is_not_replaced(
    suffix: str, tmp_path: Path, source: Index
) -> None:
    path = tmp_path / f"records.{suffix}"

    def meddling(stage: str, done: int, total: int) -> None:
        path.write_text("precious")

    with pytest.raises(InvalidArgumentError, match="is there already"):
        export_records(source, path, progress=meddling)
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_numpy_reads_an_npz(tmp_path: Path, source: Index) -> None:
    path = tmp_path / "records.npz"
    export_records(source, path)
    with np.load(path, allow_pickle=False) as archive:
        assert archive["vectors"].shape == (RECORDS, 3)
        assert archive["vectors"].dtype == np.float32
        assert sorted(archive["ids"].tolist()) == sorted(next(iter(source.scan(RECORDS))).ids)


@pytest.mark.parametrize("descr", ["<f4", "<f8", "<f2"])
def test_arrays_of_another_program_are_taken(descr: str, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "others.npz"
    np.savez(path, ids=np.array(["a", "b"]), vectors=np.eye(2, dtype=descr))
    import_records(path, store, "others", metric="dotproduct")
    assert store.open_index("others", metric="dotproduct").fetch(["b"]).vectors.tolist() == [[0, 1]]


def test_lists_of_any_length_are_taken_from_parquet(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "others.parquet"
    table = {"id": pa.array(["a"]), "vector": pa.array([[1.0, 2.0]], pa.list_(pa.float64()))}
    parquet.write_table(pa.table(table), path)
    import_records(path, store, "others")
    assert store.open_index("others").fetch(["a"]).vectors.tolist() == [[1, 2]]


def test_values_that_float32_cannot_hold_are_refused(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "huge.npz"
    np.savez(path, ids=np.array(["a"]), vectors=np.array([[1e300]]))
    with pytest.raises(InvalidVectorError):
        import_records(path, store, "huge")


@pytest.mark.parametrize("name", ["notes.txt", "torn.parquet", "torn.npz"])
def test_any_other_file_is_refused(name: str, tmp_path: Path, store: Store) -> None:
    path = tmp_path / name
    path.write_text("no records")
    with pytest.raises(InvalidArgumentError):
        import_records(path, store, "other")
