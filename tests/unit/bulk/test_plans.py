"""Plans are data: every id is in one partition, and each partition is reported once."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

import vecbridge
from tests.unit.bulk.conftest import PARTS, RECORDS
from vecbridge import CorruptStoreError, Index, InvalidArgumentError, SchemaMismatchError, Store
from vecbridge.bulk import Digest, Partition, Plan, Sent, copy_part, digest_part, finish, plan
from vecbridge.transfer import Checksum


def test_a_plan_travels_and_its_partitions_hold_every_record_once(source: Index) -> None:
    cut = plan(source, PARTS)
    assert pickle.loads(pickle.dumps(cut)) == Plan.from_json(cut.to_json()) == cut
    assert (cut.records, len(cut.partitions)) == (RECORDS, PARTS)
    assert sum(part.records for part in cut.partitions) == RECORDS
    reports = [digest_part(source, part) for part in cut.partitions]
    assert {report.records for report in reports} == {RECORDS // PARTS}
    whole = digest_part(source, plan(source, 1).partitions[0])
    assert sum((report.checksum for report in reports), Checksum()) == whole.checksum


def test_a_small_index_is_one_partition_and_several_workers_share_a_larger_one() -> None:
    index = vecbridge.get_backend("sklearn").create_index("a", dimension=1)
    assert plan(index).partitions == (plan(index, spread=True).partitions)
    index.upsert([str(row) for row in range(3000)], [[row] for row in range(3000)])
    assert len(plan(index).partitions) == 1
    assert len(plan(index, spread=True).partitions) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["partitions"].pop(1),
        lambda said: said["partitions"].append(said["partitions"][0]),
        lambda said: said["partitions"].clear(),
        lambda said: said["partitions"][2].update(number=7),
        lambda said: said["partitions"][1].update(start="é0000"),
        lambda said: said["partitions"][1].update(stop=None),
        lambda said: said["partitions"][0].pop("stop"),
        lambda said: said.pop("records"),
    ],
)
def test_what_is_no_whole_plan_is_refused(source: Index, change: Any) -> None:
    said = json.loads(plan(source, 4).to_json())
    change(said)
    with pytest.raises(InvalidArgumentError, match="plan"):
        Plan.from_json(json.dumps(said))


@pytest.mark.parametrize("text", ["", "[]", "[" * 100000, "null", "7", "{}", '{"partitions": 3}'])
def test_a_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="not a plan in JSON"):
        Plan.from_json(text)


def test_a_copy_by_hand_is_finished_when_each_partition_is_there_once(
    source: Index, target: Store
) -> None:
    cut = plan(source, PARTS)
    copied = target.create_index(
        "copied", dimension=4, metric="euclidean", fields=dict(source.info.fields)
    )
    sent = [copy_part(source, copied, part) for part in reversed(cut.partitions)]
    # Again, as a scheduler does with the work of a lost machine.
    assert copy_part(source, copied, cut.partitions[2]) == sent[3]
    read = [digest_part(copied, part) for part in cut.partitions]
    whole = digest_part(source, plan(source, 1).partitions[0]).checksum
    assert finish(cut, sent, read, "sklearn") == whole
    for wrong, said in [
        (sent[1:], r"missing \[5\]"),
        ([*sent, sent[0]], r"more than once \[5\]"),
        ([*sent, Sent(9, 0, 0, Checksum())], r"unknown \[9\]"),
    ]:
        with pytest.raises(InvalidArgumentError, match=said):
            finish(cut, wrong, read, "sklearn")
    with pytest.raises(InvalidArgumentError, match=r"missing \[0\]"):
        finish(cut, sent, read[1:], "sklearn")


def test_a_partition_that_is_not_as_it_was_sent_is_named(source: Index) -> None:
    cut = plan(source, PARTS)
    read = [digest_part(source, part) for part in cut.partitions]
    sent = [Sent(each.number, each.records, 0, each.checksum) for each in read]
    # The whole has the same checksum: a sum alone would not tell.
    read[1], read[3] = Digest(1, read[3].checksum), Digest(3, read[1].checksum)
    with pytest.raises(CorruptStoreError, match=r"partition 1 \(id 'é0100' to before 'é0200'\)"):
        finish(cut, sent, read, "sklearn")


@pytest.mark.parametrize(
    "parts",
    [
        [(0, None, "c", 1), (1, "c", "b", 1), (2, "b", None, 1)],
        [(0, None, "b", 1), (1, "b", "b", 1), (2, "b", None, 1)],
        [(0, None, None, 1), (1, None, None, 1)],
        [(0, None, "b", 1)],
        [(0, "b", None, 1)],
        [(False, None, "b", 1), (True, "b", None, 1)],
        [(0, None, "", 1), (1, "", None, 1)],
        [(0, None, 7, 1), (1, 7, None, 1)],
        [(0, None, None, -1)],
        [(0, None, None, 1.0)],
    ],
)
def test_partitions_that_overlap_or_leave_a_gap_are_no_plan(parts: list[Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="partition"):
        Plan("photos", 3, tuple(Partition(*each) for each in parts))
    names = ("number", "start", "stop", "records")
    said = {"index": "photos", "records": 3}
    text = json.dumps({**said, "partitions": [dict(zip(names, each)) for each in parts]})  # noqa: B905 - four each
    with pytest.raises(InvalidArgumentError, match="partition"):
        Plan.from_json(text)


def test_reports_and_partitions_that_are_none_are_refused(source: Index, target: Store) -> None:
    cut = plan(source, 2)
    read = [digest_part(source, part) for part in cut.partitions]
    sent = [Sent(each.number, each.records, 0, each.checksum) for each in read]
    nothing: Any = None
    wrongs: list[Any] = [[*sent, nothing], [nothing, nothing], read]
    for wrong in wrongs:
        with pytest.raises(InvalidArgumentError, match="must be a Sent"):
            finish(cut, wrong, read, "sklearn")
    copied = target.create_index(
        "copied", dimension=4, metric="euclidean", fields=dict(source.info.fields)
    )
    with pytest.raises(InvalidArgumentError, match="must be a Partition"):
        copy_part(source, copied, nothing)
    with pytest.raises(CorruptStoreError, match=r"had 601 .* 600 were sent"):
        finish(replace(cut, records=RECORDS + 1), sent, read, "sklearn")


def test_an_index_of_another_metric_is_no_copy(source: Index, target: Store) -> None:
    copied = target.create_index(
        "copied", dimension=4, metric="cosine", fields=dict(source.info.fields)
    )
    with pytest.raises(SchemaMismatchError, match=r"metric 'cosine'.*'euclidean'"):
        copy_part(source, copied, plan(source, 1).partitions[0])
    assert copied.count() == 0
