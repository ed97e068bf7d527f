"""The run folder: the partition of each row, and the rows that come back."""

import resource
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from include.order_sync import stops, tuning
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.model import ORDER_COLUMNS, Window
from include.order_sync.sources.csv_drop import CsvDropReader
from include.order_sync.sources.raw import RAW_ITEMS_SCHEMA, RAW_SCHEMA, constant
from include.order_sync.staging import partitions
from include.order_sync.staging.partition_hash import part_numbers, partition_hash, partition_hashes
from include.order_sync.staging.run_folder import RAW, READY, Staging


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    """The staging of one run, in a folder that does not exist yet."""
    return Staging(UPath(tmp_path / "run"))


def orders(*ids: str | None, start: int = 0) -> pa.Table:
    """Return raw rows with these ids, in this sequence."""
    position = range(start, start + len(ids))
    columns = {"order_id": pa.array(ids, pa.string()), "position": pa.array(position, pa.int64())}
    nothing = {field.name: pa.nulls(len(ids), field.type) for field in RAW_SCHEMA}
    return pa.table({**nothing, **columns}, schema=RAW_SCHEMA)


def items(*ids: str | None) -> pa.Table:
    """Return one raw item for each of these orders."""
    nothing = {field.name: pa.nulls(len(ids), field.type) for field in RAW_ITEMS_SCHEMA}
    numbered = [f"item {number}" for number in range(len(ids))]
    return pa.table({**nothing, "order_id": pa.array(ids, pa.string()), "item_id": numbered}, schema=RAW_ITEMS_SCHEMA)


def many(number: int, a_table: int = 20_000) -> Iterator[pa.Table]:
    """Yield the raw rows of `number` orders in tables."""
    for start in range(0, number, a_table):
        yield orders(*map(str, range(start, min(start + a_table, number))), start=start)


def parts(staging: Staging) -> dict[str, pd.DataFrame]:
    """Return the raw rows of each part."""
    return {name: raw for name, raw, _ in staging.raw_parts(ORDER_COLUMNS)}


def parts_in(group: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of each part of a group."""
    return [
        rows for _, rows in group.groupby(part_numbers(group["partition_hash"].to_numpy(), tuning.LARGE_WINDOW_PARTS))
    ]


# The partition of a row


any_ids = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=6), max_size=20)


@given(any_ids, st.integers(1, 64))
def test_part_numbers(ids: list[str | None], number: int) -> None:
    """Each row has one partition, and equal ids have the same one, with any rows around and between them."""
    column = pa.chunked_array([pa.array(ids, pa.string()), pa.array(ids[::-1], pa.string())])
    numbers = part_numbers(partition_hashes(column), number).tolist()
    alone = [int(part_numbers(partition_hashes(pa.chunked_array([[id_]], pa.string())), number)[0]) for id_ in ids]

    assert numbers == alone + alone[::-1]
    assert all(0 <= part < number for part in numbers)


@given(st.text(st.characters(codec="utf-8"), max_size=6), st.sampled_from([" ", "\t", "\n", "\u00a0", "\u2003"]))
def test_blanks_do_not_part_an_order(id_: str, blank: str) -> None:
    """Blanks around an id do not change its partition."""
    first, second, third = partition_hashes(pa.chunked_array([[id_, blank + id_, id_ + blank]]))

    assert first == second == third


def test_parts_are_stable() -> None:
    """An id's hash is the same in every process, release and language, and partitions are ranges of it."""
    ids = ["123456789" + "042", "007", "А-7", None]
    hashes = partition_hashes(pa.chunked_array([ids[:2], ids[2:]]))
    checksum, tail = 0xCBF43926, ord("0") * 100 + ord("4") * 10 + ord("2")  # CRC-32's own check value

    assert hashes.dtype == "int32"
    assert hashes[0] == checksum - checksum % 1024 + (checksum + tail) % 1024 - 2**31
    assert hashes[3] == -(2**31)
    assert hashes.tolist() == [partition_hash(id_ or "") for id_ in ids]
    assert part_numbers(hashes, 64).tolist() == [(int(value) + 2**31) >> 26 for value in hashes]


@pytest.mark.parametrize("form", ["{}", "ORD-{:09d}", "2026/{:06d}", "{:x}"])
def test_orders_that_were_counted_lie_together(form: str) -> None:
    """Consecutive ids have hashes in few ranges, which spread over the partitions; numeric ids never collide."""
    hashes = partition_hashes(pa.chunked_array([[form.format(number) for number in range(100_000, 200_000)]]))

    assert len(np.unique(hashes >> 10)) <= 100
    assert len(np.unique(hashes)) == 100_000 or form == "{:x}"
    assert len(np.unique(part_numbers(hashes, 4))) == 4


def test_small_window(staging: Staging) -> None:
    """A window of up to 50,000 rows is one partition, in source order."""
    assert staging.stage_raw(many(tuning.ONE_PART_ROWS), []) == (50_000, 1)
    assert parts(staging)["part-00000"]["position"].tolist() == list(range(50_000))


def test_large_window(staging: Staging) -> None:
    """A larger window has 128 partitions, none of them large; no row is lost or doubled; each keeps source order."""
    assert staging.stage_raw(many(tuning.ONE_PART_ROWS + 1), []) == (50_001, tuning.LARGE_WINDOW_PARTS)
    frames = list(parts(staging).values())
    sizes = [len(rows) for frame in frames for rows in parts_in(frame)]

    assert len(sizes) > 128 / 4
    assert max(sizes) < 50_001 / 10
    assert all(by_part["position"].is_monotonic_increasing for frame in frames for by_part in parts_in(frame))
    assert sorted(pd.concat(frames)["position"]) == list(range(50_001))


@pytest.mark.parametrize("missing", [None, "", " \u00a0"])
def test_rows_without_an_id_are_spread(staging: Staging, missing: str | None) -> None:
    """Lines that can't be read have no id. A whole file of them must be no single part, which no memory would hold."""
    rows = tuning.ONE_PART_ROWS + 1
    ids = ["1", *[missing] * (rows - 4), "816", "816", "1"]  # 816 has the hash of nothing
    staging.stage_raw([orders(*ids[:30_000]), orders(*ids[30_000:], start=30_000)], [])
    frames = list(parts(staging).values())
    sizes = [len(of_part) for frame in frames for of_part in parts_in(frame)]

    assert max(sizes) < rows / 10
    whole = pd.concat(frames)
    assert sorted(whole["position"]) == list(range(rows))
    for id_ in ("1", "816"):
        assert whole.loc[whole["order_id"] == id_, "partition_hash"].tolist() == [partition_hash(id_)] * 2
    some = whole.sort_values("position").iloc[[0, 1, 40_000]]
    assert staging.raw_rows(some)[0]["position"].tolist() == [0, 1, 40_000]


def test_many_small_tables_are_measured_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop may have thousands of files of one order: to measure all that wait with each new one takes minutes."""
    measured = []

    class Small:
        num_rows = 1

        @property
        def nbytes(self) -> int:
            measured.append(self)
            return 100

    monkeypatch.setattr(partitions, "concatenated", list)
    monkeypatch.setattr(tuning, "PARTITION_FILE_BYTES", 1000)
    tables = [Small() for _ in range(30)]
    assert [len(together) for together in partitions.gathered(tables)] == [11, 11, 8]
    assert measured == tables


def test_empty_parts_take_no_room(staging: Staging) -> None:
    """If a window's orders are all in a few partitions, the others take almost no space in the file."""
    ids = ["1000" + str(number % 10) for number in range(60_000)]
    staging.stage_raw([orders(*ids)], [])
    (file,) = (staging.folder / RAW).iterdir()

    assert file.stat().st_size < 2 * orders(*ids).nbytes


def test_groups_of_parts(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions are read in groups up to a number of rows, lowest hashes first; the first one names the group."""
    monkeypatch.setattr(tuning, "GROUP_ROWS", 50_000)
    staging.stage_raw(many(120_000), [])
    groups = parts(staging)
    frames = list(groups.values())

    assert list(groups) == ["part-00000", "part-00056", "part-00109"]
    assert max(map(len, frames)) <= 50_000
    assert all(a["partition_hash"].max() < b["partition_hash"].min() for a, b in pairwise(frames))


def test_groups_of_large_rows(staging: Staging) -> None:
    """A group of large rows, or of rows with large items, holds fewer of them."""
    staging.stage_raw(many(60_000), [])
    alone = len(parts(staging))
    staging.clear()
    large = items(*map(str, range(60_000))).drop_columns("name").append_column("name", pa.array(["n" * 600] * 60_000))
    staging.stage_raw(many(60_000), [large])

    assert len(parts(staging)) > 2 * alone


@pytest.mark.parametrize("bytes_a_file", [0, 1000], ids=["each table its file", "all tables in one file"])
def test_columns_that_come_later(staging: Staging, monkeypatch: pytest.MonkeyPatch, bytes_a_file: int) -> None:
    """Files of a drop may have different columns: each row keeps its own values, in source order."""
    monkeypatch.setattr(tuning, "PARTITION_FILE_BYTES", bytes_a_file)
    plain = orders("1").select(["order_id", "position"])
    tables = [
        plain,
        plain.append_column("email", pa.array(["a"])),
        plain,
        plain.append_column("phone", pa.array(["b"])),
        plain.append_column("email", pa.array(["c"])),
    ]
    staging.stage_raw(tables, [])
    ((_, raw, _),) = staging.raw_parts(ORDER_COLUMNS)

    assert raw["email"].fillna("").tolist() == ["", "a", "", "", "c"]
    assert raw["phone"].fillna("").tolist() == ["", "", "", "b", ""]


def test_files_of_a_drop(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of a drop names its file, in any staged file."""
    tables = [
        orders(*"123", start=3 * number).set_column(
            RAW_SCHEMA.get_field_index("origin"), "origin", constant(f"{number}.csv", 3)
        )
        for number in range(4)
    ]
    for bytes_a_file in (0, 500, 10_000):
        monkeypatch.setattr(tuning, "PARTITION_FILE_BYTES", bytes_a_file)
        staging.clear()
        staging.stage_raw(tables, [])
        ((_, raw, _),) = staging.raw_parts(ORDER_COLUMNS)

        assert raw["origin"].tolist() == [f"{number}.csv" for number in range(4) for _ in range(3)]


def test_very_large_window(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window in several staged files keeps all its rows, each partition in source order."""
    monkeypatch.setattr(tuning, "PARTITION_FILE_BYTES", 1_000_000)
    assert staging.stage_raw(many(230_000), []) == (230_000, tuning.LARGE_WINDOW_PARTS)
    assert len(list((staging.folder / RAW).iterdir())) > 3
    frames = list(parts(staging).values())

    assert all(by_part["position"].is_monotonic_increasing for frame in frames for by_part in parts_in(frame))
    assert sum(map(len, frames)) == 230_000


@pytest.mark.parametrize(
    ("bounded", "parts_made"),
    [
        pytest.param(("ONE_PART_BYTES", "PARTITION_FILE_BYTES", "GROUP_BYTES"), tuning.LARGE_WINDOW_PARTS, id="parts"),
        pytest.param(("GROUP_BYTES",), 1, id="one part"),
    ],
)
def test_large_rows(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, bounded: tuple[str, ...], parts_made: int
) -> None:
    """Large rows are bounded by their bytes: a window of few is split, and so is a part."""
    bound = 100_000
    for size in bounded:
        monkeypatch.setattr(tuning, size, bound)
    ids = [str(number) for number in (*range(100, 200), *range(100, 200))]
    tables = [orders(id_, start=at).drop(["email"]) for at, id_ in enumerate(ids)]
    large = [table.append_column("email", pa.array(["x" * 5_000])) for table in tables]
    assert staging.stage_raw(large, [items(id_) for id_ in ids[:100]]) == (200, parts_made)
    for name, raw, raw_items in staging.raw_parts(ORDER_COLUMNS):
        assert len(raw) * 5_000 <= 2 * bound
        assert raw_items is not None
        assert set(raw["order_id"]) == set(raw_items["order_id"])
        assert all(len(of_order) == 2 for _, of_order in raw.groupby("order_id"))
        staging.write_ready(name, raw.sort_values("partition_hash"))
    hashes = pd.concat(staging.ready_parts())["partition_hash"]

    assert len(hashes) == 200
    assert hashes.is_monotonic_increasing


def test_one_order_in_the_first_and_last_line_of_a_file(staging: Staging, tmp_path: Path) -> None:
    """An order in the first and last line of a large CSV file is in one partition, the first line first."""
    rows = [f"{number},paid,2026-11-21 10:00:00\n" for number in range(60_000)]
    rows[0], rows[-1] = "A-1,new,2026-11-21 09:00:00\n", " A-1 ,paid,2026-11-21 10:00:00\n"
    (tmp_path / "orders.csv").write_text("order_id,status,status_changed_at\n" + "".join(rows))
    source = CsvSource.model_validate(
        {"name": "drop", "type": "csv", "path": str(tmp_path / "*.csv"), "timezone": "UTC", "statuses": {"a": "paid"}}
    )
    window = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
    with CsvDropReader(UPath(tmp_path), source, window, ()).open() as (tables, no_items):
        assert staging.stage_raw(tables, no_items) == (60_000, tuning.LARGE_WINDOW_PARTS)

    found = {
        name: raw.loc[raw["order_id"].str.strip() == "A-1", "status"].tolist() for name, raw in parts(staging).items()
    }
    assert [statuses for statuses in found.values() if statuses] == [["new", "paid"]]


# The rows that come back


def test_object_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object storage keeps the same rows as a folder."""
    monkeypatch.setattr(tuning, "PARTITION_FILE_BYTES", 1_000_000)
    staging = Staging(UPath("memory://run"))
    staging.stage_raw(many(60_000), [items("7")])
    for name, raw, raw_items in staging.raw_parts(ORDER_COLUMNS):
        staging.write_ready(name, raw)
        staging.write_rejected(name, raw_items)

    assert sum(map(len, staging.ready_parts())) == 60_000
    assert [part["order_id"].tolist() for part in staging.rejected_parts()] == [["7"]]
    staging.clear()
    assert not staging.folder.exists()


def test_rejected_rows_are_listed_once_for_each_key_of_a_run(staging: Staging) -> None:
    """What a try has listed its retry need not; a run with another key, or rows that are new, are listed again."""
    rows = pd.DataFrame({"order_id": ["3"]})
    staging.write_rejected("part-00000", rows)
    assert not staging.is_listed("run")
    staging.note_listed("run")
    assert staging.is_listed("run")
    assert not staging.is_listed("run, cleared")
    staging.clear("rejected")
    staging.write_rejected("part-00000", rows)
    assert not staging.is_listed("run")


@given(ids=st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=4), min_size=1, max_size=8))
def test_rows_come_back(tmp_path_factory: pytest.TempPathFactory, ids: list[str | None]) -> None:
    """Raw rows come back unchanged: missing values stay missing, and empty ones stay empty."""
    staging = Staging(UPath(tmp_path_factory.mktemp("run")))
    staging.stage_raw([orders(*ids[:1]), orders(), orders(*ids[1:], start=1)], [])
    (raw,) = parts(staging).values()

    assert [None if pd.isna(id_) else id_ for id_ in raw["order_id"]] == ids
    assert list(raw.columns) == [*RAW_SCHEMA.names, "partition_hash"]


def test_no_rows(staging: Staging) -> None:
    """A window without rows has no partition and leaves no folder."""
    assert staging.stage_raw([orders()], [items()]) == (0, 0)
    assert not staging.folder.exists()


def test_items_lie_with_their_orders(staging: Staging) -> None:
    """A partition has the items of its orders, in their sequence; without items it has an empty table."""
    ids = [str(number) for number in range(0, 60_000, 1000)]
    staging.stage_raw(many(60_000), [items(*ids[:30]), items(), items(*ids[30:])])
    found = []
    for _, raw, raw_items in staging.raw_parts(ORDER_COLUMNS):
        assert raw_items is not None
        assert set(raw_items["order_id"]) <= set(raw["order_id"])
        found += raw_items["order_id"].tolist()

    assert sorted(found) == sorted(ids)


@pytest.mark.parametrize("none", [[], [items()]], ids=["no second query", "no items in the window"])
def test_no_items(staging: Staging, none: list[pa.Table]) -> None:
    """If no query gave items, partitions say so."""
    staging.stage_raw([orders("1")], none)

    assert [raw_items for _, _, raw_items in staging.raw_parts(ORDER_COLUMNS)] == [None]


def test_raw_rows_of_some_orders(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw rows and items of given orders come in the orders' sequence, and only their partitions are read."""
    staging.stage_raw(many(60_000), [items("7", " 59999 ", "8", None)])
    wanted = ["59999", "7", "58000"]
    hashes = partition_hashes(pa.chunked_array([wanted]))
    asked: list[Sequence[int]] = []
    read = partitions.Partitions.of
    monkeypatch.setattr(
        partitions.Partitions, "of", lambda rows, of, *which: (asked.append(of), read(rows, of, *which))[1]
    )
    rows, raw_items = staging.raw_rows(frame(partition_hash=hashes, position=[59999, 7, 58000]))

    assert rows["order_id"].tolist() == wanted
    assert raw_items is not None
    assert sorted(raw_items["order_id"]) == [" 59999 ", "7"]
    assert asked == [sorted(part_numbers(hashes, tuning.LARGE_WINDOW_PARTS))] * 2


def test_orders_are_read_before_items(staging: Staging) -> None:
    """Staging reads all orders of a source before its first item."""
    asked: list[str] = []

    def tables(kind: str, *given: pa.Table) -> Iterator[pa.Table]:
        for table in given:
            asked.append(kind)
            yield table

    staging.stage_raw(tables("orders", *many(60_000)), tables("items", items("1"), items("2")))

    assert asked == ["orders"] * 3 + ["items"] * 2


def test_source_that_fails(staging: Staging) -> None:
    """The error of a source that fails half-way is raised unchanged."""

    def failing() -> Iterator[pa.Table]:
        yield from many(60_000)
        raise StopError(stops.QUERY_FAILED, "the source's own words")

    with pytest.raises(StopError, match="the source's own words"):
        staging.stage_raw(failing(), [])


def frame(**columns: list[Any]) -> pd.DataFrame:
    """Return a frame of one partition."""
    return pd.DataFrame(columns)


def test_ready_and_rejected(staging: Staging) -> None:
    """Transform's output comes back by partition, with lists of reasons; empty partitions are omitted."""
    staging.write_ready("part-00001", frame(order_id=["2"]))
    staging.write_ready("part-00000", frame(order_id=["1", "007"]))
    staging.write_ready("part-00002", frame(order_id=[]))
    staging.write_rejected("part-00000", frame(order_id=["3"], reasons=[["a: missing", "b: missing"]]))

    assert [part["order_id"].tolist() for part in staging.ready_parts()] == [["1", "007"], ["2"]]
    rejected = pd.read_parquet(staging.folder / "rejected" / "part-00000.parquet")
    assert [list(reasons) for reasons in rejected["reasons"]] == [["a: missing", "b: missing"]]


def test_parts_that_only_leave_rejected_rows_are_gone(staging: Staging) -> None:
    """Rejected rows that outlive a run do not count as its staged partitions."""
    staging.write_rejected("part-00000", frame(order_id=["3"], reasons=[["a: missing"]]))

    with pytest.raises(StopError, match="are gone"):
        list(staging.ready_parts())
    with pytest.raises(StopError, match="are gone"):
        list(staging.raw_parts(ORDER_COLUMNS))


def test_columns_that_nobody_looks_at_are_not_read(staging: Staging) -> None:
    """A partition's rows have only the requested columns and their origin; single rows have all columns."""
    staging.stage_raw([orders("1", "2")], [])
    ((_, raw, _),) = staging.raw_parts(["order_id", "bill_id"])

    assert {"order_id", "position", "partition_hash"} <= set(raw.columns)
    assert not set(ORDER_COLUMNS) & set(raw.columns) - {"order_id", "bill_id"}
    whole, _ = staging.raw_rows(raw)
    assert set(whole.columns) > set(raw.columns)


@pytest.mark.parametrize("read", [lambda staging: staging.raw_parts(ORDER_COLUMNS), Staging.ready_parts])
def test_gone(staging: Staging, read: Callable[[Staging], Iterator[Any]]) -> None:
    """Deleted partitions stop the task, and the message names the cure, also if rejected rows are left."""
    staging.write_rejected("part-00000", frame(order_id=["3"]))
    with pytest.raises(StopError, match=rf"{staging.folder} are gone.*Clear the run from its extract task on"):
        list(read(staging))
    with pytest.raises(StopError, match="are gone"):
        staging.raw_rows(frame(partition_hash=[0], position=[0]))


def test_clear(staging: Staging) -> None:
    """Clearing removes the named files, or all; a missing file is no error."""
    staging.clear()
    staging.stage_raw([orders("1")], [])
    staging.write_ready("part-00000", frame(order_id=["1"]))
    staging.clear(READY, "rejected")
    assert not (staging.folder / READY).exists()
    assert len(parts(staging)) == 1

    staging.clear()
    assert not staging.folder.exists()


def test_staging_again(staging: Staging) -> None:
    """After clearing, another try leaves nothing of the first one."""
    staging.stage_raw(many(60_000), [items("1")])
    staging.clear()
    staging.stage_raw([orders("7")], [])

    assert {name: raw["order_id"].tolist() for name, raw in parts(staging).items()} == {"part-00000": ["7"]}
    assert [raw_items for _, _, raw_items in staging.raw_parts(ORDER_COLUMNS)] == [None]


def test_a_full_staging_folder_is_named(tmp_path: Path) -> None:
    """Where the worker can't write its parts, the message names the folder and the cure."""
    staging = Staging(UPath(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(TryAgainError, match=f"{tmp_path}.*Make room"), staging.named():
            staging.stage_raw([pa.table({"order_id": [str(number) for number in range(5000)]})], [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
