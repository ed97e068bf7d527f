"""The files that a destination takes from a drop: each version once, and none lost."""

import os
import pwd
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import FileVersion, Window
from include.order_sync.sources import csv_drop
from include.order_sync.sources.csv_drop import CsvDropReader
from include.order_sync.sources.hashed_content import HashedContent
from include.order_sync.sources.run_window import Healing
from tests.unit.conftest import whole

END = datetime.now(UTC) + timedelta(hours=1)
WINDOW = Window(END - timedelta(hours=1), END)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
HEADER = "order_id,status,status_changed_at\n"


class Drop:
    """A drop, and a destination with its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: list[FileVersion] = []
        self.healing = Healing(LONG_AGO, LONG_AGO)
        self.source = CsvSource(name="drop", type="csv", path=f"{folder}/*", timezone="UTC", statuses={"paid": "paid"})

    def put(self, name: str, *ids: str, age: timedelta = timedelta(0), content: bytes | None = None) -> Path:
        """Write a file of these orders, modified this long before now."""
        file = self.folder / name
        rows = "".join(f"{order_id},paid,2026-11-21\n" for order_id in ids)
        file.write_bytes((HEADER + rows).encode() if content is None else content)
        if age:
            modified = (datetime.now(UTC) - age).timestamp()
            os.utime(file, (modified, modified))
        return file

    def reader(self, window: Window = WINDOW) -> CsvDropReader:
        """Return a scheduled run's reader."""
        return CsvDropReader(UPath(self.folder), self.source, window, (), self.known, self.healing)

    def known(self, paths: Sequence[str]) -> list[FileVersion]:
        """Return the taken versions, as the ledger does."""
        return [version for version in self.taken if version.path in paths]

    def run(self, window: Window = WINDOW, *, succeeds: bool = True) -> list[str | None]:
        """Return the order ids that a run reads; a run that succeeds has taken its files."""
        reader = self.reader(window)
        ids = [order_id for table in reader.tables() for order_id in table["order_id"].to_pylist()]
        if succeeds:
            self.taken += reader.taken
        return ids


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    """An empty drop."""
    return Drop(tmp_path)


def test_a_file_is_taken_once(drop: Drop) -> None:
    """The next run takes only new files."""
    drop.put("a.csv", "1")
    assert drop.run() == ["1"]
    drop.put("b.csv", "2")
    assert drop.run() == ["2"]
    assert drop.run() == []


def test_a_run_that_failed_takes_its_files_again(drop: Drop) -> None:
    """A run takes its files only when it succeeds."""
    drop.put("a.csv", "1")

    assert [drop.run(succeeds=False), drop.run(), drop.run()] == [["1"], ["1"], []]


@pytest.mark.parametrize("age", [timedelta(hours=3), timedelta(days=400)], ids=["late", "years old"])
def test_old_modified_times(drop: Drop, age: timedelta) -> None:
    """A file that comes late, or with an old modified time (`cp -p`, `rsync -t`), is still taken."""
    drop.put("a.csv", "1")
    drop.run()
    drop.put("b.csv", "2", age=age)

    assert drop.run() == ["2"]


def test_a_file_from_after_the_window_is_left(drop: Drop) -> None:
    """A file that was modified at the window's end or later belongs to a later run."""
    drop.put("a.csv", "1", age=timedelta(hours=-2))

    assert drop.run() == []
    assert drop.run(Window(END, END + timedelta(hours=3))) == ["1"]


def test_a_replaced_file_is_taken_again(drop: Drop) -> None:
    """A new version of a file is taken, also if its time is older than the last version's."""
    drop.put("a.csv", "1")
    drop.run()
    drop.put("a.csv", "1", "2")
    assert drop.run() == ["1", "2"]
    drop.put("a.csv", "3", age=timedelta(days=9))
    assert drop.run() == ["3"]


@pytest.mark.parametrize("how", ["in place", "by another file"])
def test_a_replacement_that_keeps_size_and_time(drop: Drop, how: str) -> None:
    """The content identifies a version if size and modified time are equal."""
    file = drop.put("a.csv", "1", age=timedelta(hours=3))
    drop.run()
    modified = file.stat().st_mtime_ns
    if how == "in place":
        drop.put("a.csv", "2")
    else:
        drop.put(".new", "2").replace(file)
    os.utime(file, ns=(modified, modified))

    assert drop.run() == ["2"]
    assert drop.run() == []


@pytest.mark.parametrize("touch", ["chmod", "copied and moved back"])
def test_the_same_version_is_not_taken_again(drop: Drop, touch: str) -> None:
    """A file that was only touched is the same version; its content is compared once."""
    file = drop.put("a.csv", "1", age=timedelta(hours=3))
    drop.run()
    if touch == "chmod":
        file.chmod(0o600)
    else:
        shutil.copy2(file, drop.folder / ".copy")
        (drop.folder / ".copy").replace(file)

    assert drop.run() == []
    (first, second) = drop.taken
    assert replace(second, fingerprint=first.fingerprint) == first
    assert drop.run() == []
    assert len(drop.taken) == 2


@pytest.mark.parametrize("kind", ["a linked file", "a file in a linked folder", "a FIFO", "a socket"])
def test_what_is_no_file_of_the_drop_is_not_read(
    drop: Drop, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """A link out of the folder, a FIFO and a socket are passed over with a warning; a link within it is followed."""
    outside = tmp_path_factory.mktemp("outside")
    drop.source = drop.source.model_copy(update={"path": f"{drop.folder}/*/*.csv"})
    bad = drop.folder / "bad" / "bad.csv"
    (drop.folder / "good").mkdir()
    drop.put("good/good.csv", "1")
    (drop.folder / "good" / "inner.csv").symlink_to("good.csv")
    (outside / bad.name).write_text(f"{HEADER}9,paid,2026-11-21\n")
    if kind == "a file in a linked folder":
        bad.parent.symlink_to(outside)
    else:
        bad.parent.mkdir()
    if kind == "a linked file":
        bad.symlink_to(outside / bad.name)
    elif kind == "a FIFO":
        os.mkfifo(bad)
    elif kind == "a socket":
        os.mknod(bad, stat.S_IFSOCK | 0o600)

    assert drop.run() == ["1", "1"]
    (warning,) = [record.getMessage() for record in caplog.records if bad.name in record.getMessage()]
    assert ("by a link" if kind.endswith(("file", "folder")) else "no regular file") in warning


@pytest.mark.parametrize("when", ["at its beginning", "at its end"])
def test_a_file_that_is_still_being_written(drop: Drop, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Rows that are written after a run's listing belong to another version, which the next run takes."""
    file = drop.put("a.csv", "1", "2")
    rest = ["last,paid,2026-11-21\n"]

    class WhileItIsRead(HashedContent):
        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            if rest and (when == "at its beginning") == bool(data):
                with file.open("a") as written:
                    written.write(rest.pop())
            return data

    monkeypatch.setattr(csv_drop, "HashedContent", WhileItIsRead)
    reader = drop.reader()
    rows = whole(reader.tables())
    drop.taken += reader.taken

    assert rows["order_id"].to_pylist()[:2] == ["1", "2"]
    assert set(rows["order_id"].to_pylist()[2:]) <= {"last"}
    assert not any(rows["problem"].to_pylist())
    assert drop.run() == ["1", "2", "last"]
    assert drop.run() == []


def test_a_file_that_is_cut_short_while_it_is_written(drop: Drop) -> None:
    """A row that is still half written is rejected once; when the file is whole, the row is read."""
    whole = drop.put("a.csv", "1", "2").read_bytes()
    drop.put("a.csv", content=whole[:-12])
    assert drop.run() == ["1", None]
    drop.put("a.csv", content=whole)
    assert drop.run() == ["1", "2"]


def test_a_file_that_has_gone_is_taken_when_it_comes_again(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """A file that vanishes between listing and reading gives no row, is warned of, and not recorded as taken."""
    file = drop.put("a.csv", "1")
    reader = drop.reader()
    listed = reader.files()
    content = file.read_bytes()
    file.unlink()
    reader.files = lambda: listed  # type: ignore[method-assign]

    assert list(reader.tables()) == []
    assert f"{file} has gone since the drop was listed" in caplog.text
    assert reader.taken == []
    drop.put("a.csv", content=content)
    assert drop.run() == ["1"]


@pytest.mark.parametrize("among_good_ones", [True, False])
def test_an_unreadable_file_is_listed_once(drop: Drop, among_good_ones: bool) -> None:
    """An unreadable file is rejected in the run that takes it, and again after a change of it or the configuration."""
    if among_good_ones:
        drop.put("good.csv", "1")
    drop.put("bad.csv", content=b"order_id,status,status_changed_at\n\xff\xfe\n")
    assert None in drop.run()
    assert drop.run() == []
    drop.source = drop.source.model_copy(update={"encoding": "utf-8"})
    assert None in drop.run()
    assert drop.run() == []
    drop.put("bad.csv", "2")
    assert drop.run() == ["2"]


def test_a_file_that_has_not_settled_is_left_to_a_later_run(drop: Drop) -> None:
    """A file modified in the last `settle_seconds` is not taken; a later run of a later window reads it once."""
    drop.source = drop.source.model_copy(update={"settle_seconds": 600})
    young = drop.put("young.csv", "1", age=timedelta(seconds=300))
    drop.put("old.csv", "2", age=timedelta(seconds=900))
    assert drop.run() == ["2"]
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    os.utime(young, (an_hour_ago, an_hour_ago))
    assert drop.run() == ["1"]
    assert drop.run() == []


def test_a_backfill_does_not_wait_for_a_file_to_settle(drop: Drop) -> None:
    """No later run reads a backfill's window, so it leaves out no file."""
    drop.source = drop.source.model_copy(update={"settle_seconds": 600})
    drop.put("young.csv", "1", age=timedelta(seconds=300))
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=1), now + timedelta(hours=1))
    reader = CsvDropReader(UPath(drop.folder), drop.source, window, ())
    assert [file.path.name for file in reader.files()] == ["young.csv"]


def forbid(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Refuse to open the file: tests may run as root, who may read every file."""
    opened = type(UPath(file)).open

    def refuse(path: UPath, *args: Any, **options: Any) -> Any:
        if str(path) == str(file):
            raise PermissionError(str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(type(UPath(file)), "open", refuse)


def test_a_file_that_may_not_be_read(
    drop: Drop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is rejected once, the other files are read, and it is read as soon as that is permitted."""
    secret = drop.put("a.csv", "1")
    drop.put("b.csv", "2")
    with monkeypatch.context() as patch:
        forbid(patch, secret)
        assert drop.run() == [None, "2"]
        assert f"{secret}: the worker may not read it" in caplog.text
        assert drop.run() == []
    assert drop.run() == ["1"]
    assert drop.run() == []


@contextmanager
def common_user() -> Iterator[None]:
    """Let file permissions count: root may do all."""
    user = os.geteuid()
    os.seteuid(user or pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_drop() -> Iterator[Drop]:
    """A drop that other users may read, with a file at each of two levels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "shop").mkdir()
        drop = Drop(folder)
        drop.put("a.csv", "1")
        drop.put("shop/b.csv", "2")
        yield drop


@pytest.mark.parametrize("right", [0o000, 0o444, 0o111], ids=["none", "to list", "to enter"])
@pytest.mark.parametrize(("pattern", "others"), [("**/*.csv", ["1"]), ("*/*.csv", []), ("shop/*.csv", [])])
def test_a_folder_that_may_not_be_read(
    open_drop: Drop, caplog: pytest.LogCaptureFixture, pattern: str, others: list[str], right: int
) -> None:
    """It is warned of, the other files are read, and its own are read as soon as that is permitted."""
    open_drop.source = open_drop.source.model_copy(update={"path": f"{open_drop.folder}/{pattern}"})
    shop = open_drop.folder / "shop"
    reader = open_drop.reader()
    shop.chmod(right)
    with common_user():
        if pattern == "shop/*.csv":
            reader = replace(reader, folder=UPath(shop))
            with pytest.raises(StopError, match=f"may not read the drop's folder {shop}"):
                list(reader.tables())
            return
        assert open_drop.run() == others
    assert f"the worker may not read the folder {shop}, so no run reads its files" in caplog.text
    shop.chmod(0o755)
    assert open_drop.run() == ["2"]


def test_a_taken_file_that_may_not_be_read_any_more(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rejected once. When it may be read again, its known content is not taken twice."""
    file = drop.put("a.csv", "1", age=timedelta(hours=3))
    assert drop.run() == ["1"]
    with monkeypatch.context() as patch:
        file.chmod(0o000)
        forbid(patch, file)
        assert drop.run() == [None]
        assert drop.run() == []
    file.chmod(0o600)
    assert drop.run() == []


def test_a_wrong_configuration_takes_nothing(drop: Drop) -> None:
    """If every file lacks a column the run stops and takes no file, so they wait for the corrected source."""
    drop.put("a.csv", content=b"id,status,status_changed_at\n1,paid,2026-11-21\n")
    with pytest.raises(StopError, match="no column order_id"):
        drop.run()
    drop.source = drop.source.model_copy(update={"columns": {"order_id": "id"}})

    assert drop.run() == ["1"]


def test_a_name_with_brackets(drop: Drop) -> None:
    """A glob that is the very name of a file, but for its brackets, is told how to write them."""
    drop.put("a[1].csv", "1")
    drop.source = drop.source.model_copy(update={"path": f"{drop.folder}/a[1].csv"})
    reader = drop.reader()

    assert list(reader.tables()) == []
    assert "[ and ] stand for a set of signs: write [[] and []]" in reader.notice


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*.csv", "Nearest: Orders.CSV, day/b.TXT beside *.csv. Correct `path`, or say `ignore_case: true`"),
        ("order.txt", "Nearest: Orders.CSV"),
        ("day", "It is a folder: write {folder}/day/*.csv"),
        ("{a,b}.csv", "A glob has no {{a,b}}"),
        ("**", "** alone stands for folders: write {folder}/**/*.csv"),
        ("*/", "Nearest: day"),
    ],
)
def test_a_glob_that_matches_nothing(drop: Drop, pattern: str, said: str) -> None:
    """A reader says so, with the nearest names or the mistake; one that matches something says nothing."""
    drop.put("Orders.CSV", "1")
    (drop.folder / "day").mkdir()
    drop.put("day/b.TXT", "1")
    drop.source = drop.source.model_copy(update={"path": f"{drop.folder}/{pattern}"})
    reader = drop.reader()

    assert list(reader.tables()) == []
    assert reader.notice.startswith(f"Source 'drop': 0 files match {drop.folder}/{pattern}.")
    assert said.format(folder=drop.folder).split(", day")[0] in reader.notice
    drop.source = drop.source.model_copy(update={"path": f"{drop.folder}/*.c[sx]v", "ignore_case": True})
    assert drop.run() == []  # a set of characters stays as it is written
    drop.source = drop.source.model_copy(update={"path": f"{drop.folder}/*.csv"})
    assert drop.run() == ["1"]
    reader = drop.reader()
    assert list(reader.tables()) == []
    assert reader.notice == ""


def test_a_backfill_takes_what_was_taken(drop: Drop) -> None:
    """A run that does not heal reads all files of its window, also those taken before."""
    drop.put("old.csv", "1", age=timedelta(hours=5))
    drop.put("new.csv", "2")
    drop.run()
    backfill = replace(drop.reader(), healing=None)

    assert whole(backfill.tables())["order_id"].to_pylist() == ["2"]


def test_files_before_the_first_window_are_no_business_of_a_scheduled_run(drop: Drop) -> None:
    """A new destination leaves the files that lay there before its first window, also in later runs."""
    drop.put("old.csv", "1", age=timedelta(days=60))
    drop.put("new.csv", "2")
    drop.healing = Healing(WINDOW.start, WINDOW.start)
    reader = drop.reader()

    assert whole(reader.tables())["order_id"].to_pylist() == ["2"]
    assert reader.left_out == []


def test_a_file_too_old_to_heal_is_left_out_and_named(drop: Drop) -> None:
    """A file that is new since the first window, but older than the run's reach, is not read, and the run knows it."""
    drop.put("late.csv", "1", age=timedelta(days=5))
    drop.put("healed.csv", "2", age=timedelta(days=2))
    drop.healing = Healing(LONG_AGO, WINDOW.end - timedelta(days=3))
    reader = drop.reader()

    assert whole(reader.tables())["order_id"].to_pylist() == ["2"]
    assert [file.path.name for file in reader.left_out] == ["late.csv"]


def test_a_scheduled_run_knows_the_files_that_it_does_not_read(drop: Drop) -> None:
    """Each has its reason: no time in its name, too early, too late, in the future, no file; a taken one has none."""
    drop.healing = Healing(END - timedelta(days=20), END - timedelta(days=3))
    drop.source = drop.source.model_copy(update={"path_time": "%Y-%m-%d"})

    def put(days: float, name: str) -> str:
        return str(drop.put(f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}-{name}.csv", "1"))

    expected = {
        put(60, "early"): "where the destination begins",
        put(9, "late"): "as far as `heal_at_most` reaches",
        put(-9, "ahead"): "lies in the future",
        str(drop.put("latest.csv", "1")): "no date and hour like '%Y-%m-%d'",
    }
    link = drop.folder / "link.csv"
    link.symlink_to("nothing")
    expected[str(link)] = "a link to a file that does not exist"
    taken = put(50, "backfilled")
    drop.taken = [FileVersion(taken, "f", 1, END, "hash")]
    reader = drop.reader()
    put(2, "good")

    assert len(whole(reader.tables())) == 1
    found = {file.path: file.reason for file in reader.not_read}
    assert found.keys() == expected.keys()
    for path, reason in expected.items():
        assert reason in found[path]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "append", "chmod", "remove", "run", "run that fails"]),
        st.sampled_from(["a.csv", "b.csv"]),
        st.integers(0, 3),
    ),
    max_size=25,
)


@given(ACTIONS)
def test_every_version_is_taken_once(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str, int]]
) -> None:
    """Under any sequence of changes, a good run takes exactly the contents that exist and are new."""
    drop = Drop(tmp_path_factory.mktemp("drop"))
    fresh: Counter[str] = Counter()
    for number, (action, name, hours) in enumerate([*actions, ("run", "", 0), ("run", "", 0)]):
        file = drop.folder / name
        if action == "write":
            drop.put(name, f"{number}", age=timedelta(hours=hours))
            fresh[name] = 1
        elif action == "append" and file.exists():
            file.write_text(file.read_text() + f"{number},paid,2026-11-21\n")
            fresh[name] = 1
        elif action == "chmod" and file.exists():
            file.chmod(0o600 + hours)
        elif action == "remove":
            file.unlink(missing_ok=True)
            fresh[name] = 0
        elif action.startswith("run"):
            expected = [
                line.split(",")[0]
                for path in drop.folder.iterdir()
                if fresh[path.name]
                for line in path.read_text().splitlines()[1:]
            ]
            assert sorted(map(str, drop.run(succeeds=action == "run"))) == sorted(expected)
            if action == "run":
                fresh.clear()


def test_a_drop_in_an_object_storage() -> None:
    """A bucket's files are read, and when the last one has gone, so has its folder: that is no mistake."""
    source = {"name": "drop", "type": "csv", "timezone": "UTC", "statuses": {"paid": "paid"}}
    configured = CsvSource.model_validate({**source, "path": "memory://shop/drop/*/*.csv"})
    file = UPath("memory://shop/drop/day/a.csv")
    file.parent.mkdir(parents=True)
    file.write_bytes(f"{HEADER}1,paid,2026-11-21\n".encode())
    every_time = Window(datetime(1970, 1, 1, tzinfo=UTC), END)

    def reader() -> CsvDropReader:
        return CsvDropReader(UPath(configured.folder), configured, every_time, ())

    assert [row["order_id"] for table in reader().tables() for row in table.to_pylist()] == ["1"]
    file.fs.rm("/shop/drop", recursive=True)
    empty = reader()
    assert list(empty.tables()) == []
    assert "0 files match memory://shop/drop" in empty.notice


def test_a_file_that_is_written_anew_at_each_full_hour_is_told(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """No run reads it: its time is never before the end of a window that has ended."""
    file = drop.put("orders.csv", "1", age=timedelta(seconds=3))
    ended = Window(LONG_AGO, datetime.now(UTC) - timedelta(seconds=10))
    reader = drop.reader(ended)
    assert list(reader.tables()) == []
    ((path, reason),) = [(each.path, each.reason) for each in reader.not_read]
    assert path == str(file)
    assert "or under a name with its hour" in reason
    assert f"{file} is left to the next run. It was changed after the end of the window" in caplog.text
    drop.put("other.csv", "2", age=timedelta(minutes=3))
    assert drop.run(ended) == ["2"]
    reader = drop.reader(ended)
    assert (list(reader.tables()), len(reader.not_read)) == ([], 1)
    drop.source = drop.source.model_copy(update={"settle_seconds": 600})
    drop.put("third.csv", "3", age=timedelta(minutes=5))
    reader = drop.reader(ended)
    assert (list(reader.tables()), len(reader.not_read)) == ([], 2)
    assert drop.run() == []  # it is not old enough either


def test_a_file_of_a_later_hour_by_its_name_is_not_told(drop: Drop) -> None:
    """With `path_time` it is the next run's, whenever it is written."""
    drop.source = drop.source.model_copy(update={"path_time": "%Y-%m-%d-%H.csv"})
    drop.put(f"{datetime.now(UTC):%Y-%m-%d-%H}.csv", "2")
    reader = drop.reader(Window(LONG_AGO, END - timedelta(hours=3)))
    assert (list(reader.tables()), reader.not_read) == ([], [])
