"""The hash of a row as the source gave it."""

import json

import pytest

from include.order_sync.model import OrderStatus
from tests.unit.transform.samples import ITEM, Run


def test_a_source_hash_is_of_the_sources_words(run: Run) -> None:
    """Another status map gives the same hash, and another word for the same status another one."""
    first = run({"status": "paid"}, statuses={"paid": OrderStatus.PAID, "Paid": OrderStatus.PAID}).ready["source_hash"]
    mapped = run({"status": " paid "}, statuses={"paid": OrderStatus.DELIVERED}).ready["source_hash"]
    worded = run({"status": "Paid"}, statuses={"paid": OrderStatus.PAID, "Paid": OrderStatus.PAID}).ready["source_hash"]
    assert (first.tolist() == mapped.tolist(), first.tolist() == worded.tolist()) == (True, False)


def test_a_remembered_source_hash_is_kept(run: Run) -> None:
    """A row from the quarantine has the hash that it had beside its neighbours, also if it is rejected again."""
    row, item = {"source_hash": "77", "rank": 0}, ITEM | {"order_id": "A-1"}

    assert run(row).ready["source_hash"].tolist() == [77]
    assert run(row, items=[item], send_when="content").ready["source_hash"].tolist() == [77]
    assert run(row | {"status": "lost"}).rejected["source_hash"].tolist() == ["77"]


def test_of_rows_of_one_time_the_last_has_the_hash(run: Run) -> None:
    """Only the last row says what the order is now, be they sent or rejected."""
    ready = run({"status": "new"}, {"status": "paid"}, changes="every").ready
    rejected = run({"status": "lost"}, {"status": "gone"}, changes="every").rejected

    assert rejected["status"].tolist() == ["lost", "gone"]
    for first, last in (ready["source_hash"], rejected["source_hash"]):
        assert (int(first), int(last) != 0) == (0, True)


@pytest.mark.parametrize("changes", ["newest", "every"])
def test_rows_of_the_very_same_times_share_a_hash(run: Run, changes: str) -> None:
    """In any sequence, and however often a row comes again; rows of other times and orders do not count.

    All but the last of them have 0.
    """
    others = [{"order_id": "9", "status": "new"}, {"status": "new", "status_changed_at": "2020-01-01"}]
    hashes = [
        {*ready.loc[(ready["order_id"] == "1") & (ready["status_changed_at"] > "2021"), "source_hash"]} - {0}
        for ready in (
            run(*({"order_id": "1", "status": status} for status in statuses), *others, changes=changes).ready
            for statuses in (["new", "paid"], ["paid", "new"], ["new", "paid", "new"], ["new", "done"], ["paid"])
        )
    ]
    assert [len(values) for values in hashes] == [1] * 5
    assert hashes[0] == hashes[1] == hashes[2]
    assert len({*hashes[2], *hashes[3], *hashes[4]}) == 3


@pytest.mark.parametrize("send_when", ["status", "content"])
@pytest.mark.parametrize("queried", [False, True])
def test_with_content_the_whole_row_and_its_items_count(run: Run, send_when: str, queried: bool) -> None:
    """`send_when: content` tells rows apart by each column and by the items; else the status alone counts."""
    item = ITEM | {"order_id": "1"}
    dearer = item | {"cost": "6"}

    def hash_of(cost: str, *items: dict[str, str]) -> int:
        whole = {"order_id": "1", "status": "paid", "total_cost": cost}
        if queried:
            (value,) = run(whole, items=items, send_when=send_when, checks=()).ready["source_hash"]
        else:
            texts = json.dumps([{k: v for k, v in one.items() if k != "order_id"} for one in items])
            (value,) = run(whole | {"items": texts}, send_when=send_when, checks=()).ready["source_hash"]
        return int(value)

    hashes = [hash_of("5", item), hash_of("6", item), hash_of("5", dearer), hash_of("5", item, dearer)]
    assert len(set(hashes)) == (4 if send_when == "content" else 1)
    if queried:
        assert hash_of("5", dearer, item) == hashes[3]


@pytest.mark.parametrize(
    ("send_when", "items", "value"),
    [
        ("status", 1, 2720606353820032288),
        ("content", 1, 5745068957172221100),
        ("content", 0, 2391246435439544887),
        ("content", None, 2391246435439544887),
    ],
)
def test_a_release_changes_no_source_hash(run: Run, send_when: str, items: int | None, value: int) -> None:
    """The ledger remembers these: with another value a row would count as a new one of its times, and be sent again."""
    item = {"order_id": "1", "item_id": "7", "name": "Lamp", "quantity": "2", "cost": "9.95"}
    row = {"order_id": "1", "status": "paid", "total_cost": "5"}
    transformed = run(row, items=None if items is None else [item] * items, send_when=send_when, checks=())

    assert transformed.ready["source_hash"].tolist() == [value]
