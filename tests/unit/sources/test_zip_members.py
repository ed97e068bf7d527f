"""Files of other kinds in a zip, or in its place: each that can be used is, and the log names the others."""

import io
import logging
import random
import tarfile
import zipfile
from typing import Any, BinaryIO, cast

import pytest

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.sources.containers import texts_of
from include.order_sync.sources.hashed_content import HashedContent
from include.order_sync.transform.row_problems import MISSING_COLUMN, UNREADABLE_FILE
from tests.unit.sources.drops import GOOD, HEADER, Drop, ids, rows_of
from tests.unit.sources.test_containers import order, zipped


@pytest.mark.parametrize("other", ["README.md", "a.txt", "z.pdf", "sub/a.xlsx"])
def test_files_beside_tables(drop: Drop, caplog: pytest.LogCaptureFixture, other: str) -> None:
    """Beside .csv and .tsv files with another ending are passed over, and named."""
    file = drop.put("a.csv", zipped({"B.CSV": order(1), "c.tsv": order(2).replace(",", "\t"), other: "%PDF no table"}))
    reader = drop.reader()

    assert (ids(rows_of(reader)), reader.unusable, len(reader.taken)) == (["1", "2"], [], 1)
    assert f"{file}: only its .csv and .tsv files are read, and not {other}" in caplog.text


def test_a_zip_without_tables(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """All its files are read, whatever their names are, but those of systems."""
    caplog.set_level(logging.WARNING)
    drop.put("a.csv", zipped({"orders": order(1), "b.txt": order(2), "Thumbs.db": "\xd0", "x/desktop.ini": "[x]"}))

    assert (sorted(map(str, ids(drop.rows()))), caplog.text) == (["1", "2"], "")


@pytest.mark.parametrize("at", ["a.csv", "z.csv"])
@pytest.mark.parametrize(
    ("content", "problem", "said"),
    [
        ("%PDF-1.4", UNREADABLE_FILE, "is a PDF"),
        ("id,name\n1,Ann\n", MISSING_COLUMN, "no column order_id"),
        (zipped({"a.csv": GOOD}), UNREADABLE_FILE, "is a packed file"),
    ],
)
def test_a_file_in_a_zip_that_can_not_be_used(
    drop: Drop, at: str, content: Any, problem: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs itself, wherever it stands: it is listed, makes the run red, and the others are read."""
    drop.put("a.csv", zipped({"orders.csv": GOOD, at: content}))
    reader = drop.reader()
    rows = sorted(rows_of(reader), key=lambda row: row["position"])

    assert {(row["order_id"], row["problem"]) for row in rows} == {("1", None), (None, problem)}
    assert [row["position"] for row in rows] == [0, 1]
    (message,) = reader.unusable
    assert f"a.csv ({at})" in message
    assert said in message
    (version,) = reader.taken
    assert version.content_hash.startswith("unusable")


def test_a_zip_without_a_file_that_can_be_used(drop: Drop) -> None:
    """Where columns are missing in all, the configuration is wrong: the run stops."""
    drop.put("a.csv", zipped({"a.csv": "id,name\n1,Ann\n", "b.csv": "%PDF"}))

    with pytest.raises(StopError, match="no column order_id"):
        rows_of(drop.reader())


def archive() -> bytes:
    """Return a tar archive of one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("orders.csv")
        member.size = len(GOOD)
        tar.addfile(member, io.BytesIO(GOOD.encode()))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive(), "is a tar archive: pack its files as zip or gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "the old form (.xls), or has a password: save it as"),
        (b"\x09\x08\x10\0\0\x06\x05\0" + b"\0" * 600, "the old form (.xls): save it as .xlsx or CSV"),
        (b"\n<TABLE border=1><tr><td>1", "is a web page, though its name may end in .xls"),
        (b'[\n  {"order_id": 1}\n]', "is JSON"),
        (b"<!DOCTYPE html>\n<p>", "is a web page"),
    ],
)
def test_what_is_no_csv(drop: Drop, content: bytes, said: str) -> None:
    """The message says what the file is, and what to do."""
    drop.put("a.csv", content)
    reader = drop.reader()
    rows_of(reader)

    (message,) = reader.unusable
    assert said in message


def test_a_zip_of_an_unknown_form_costs_itself(drop: Drop) -> None:
    """Whatever its bytes are: it is listed, and the other files of the drop are read."""
    drop.put("good.csv", GOOD)
    good = zipped({"orders.csv": order(2) * 50})
    entry = b"PK\x01\x02\x14\x03\x14\x00\x00\x00"  # version needed 2.0, no flags
    in_utf8 = good.replace(entry, entry[:-1] + b"\x08").replace(b"orders.csv", b"\xff\xfeders.csv")
    nameless = good.replace(b"orders.csv", b"\0rders.csv")
    odd = [
        nameless,
        in_utf8,
        good.replace(entry, entry[:6] + b"\x63" + entry[7:]),
        good.replace(b"orders.csv", b"\xff\xfeders.csv"),
    ]
    randomly = random.Random(7)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(randomly.randint(1, 4)):
            bad[randomly.randrange(4, len(bad))] = randomly.randrange(256)
        odd.append(bytes(bad[: randomly.choice([len(bad), randomly.randrange(4, len(bad))])]))
    for content in odd:
        drop.put("odd.csv", content)
        reader = drop.reader()
        assert "1" in ids(rows_of(reader)), content


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_data_of_any_method(drop: Drop, method: int) -> None:
    """Each way of packing has an error of its own."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as container:
        container.writestr("orders.csv", HEADER + "2,paid,2026-11-21 10:00:00,\n" * 3000)
    content = bytearray(packed.getvalue())
    middle = len(content) // 2
    content[middle - 30 : middle] = bytes(30)
    drop.put("odd.csv", bytes(content))
    drop.put("good.csv", GOOD)
    reader = drop.reader()
    assert "1" in ids(rows_of(reader))
    assert "is a damaged container" in reader.unusable[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("Forbidden"), r"a\.zip can't be read to its end \(OSError\)"),
        (RuntimeError("Loop is not running"), r"a\.zip can't be read to its end \(RuntimeError\)"),
        (TryAgainError("The task was asked to stop."), "^The task was asked to stop"),
    ],
)
def test_an_error_of_the_storage_is_no_damage(error: Exception, said: str) -> None:
    """The next try reads the file again; a stop of the task stays what it is."""
    content = zipped({"orders.csv": GOOD})

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise error
            return super().read(size)

    hashed = cast("BinaryIO", HashedContent(Failing(content), "a.zip"))
    with pytest.raises(TryAgainError, match=said):
        list(texts_of(hashed, len(content), ",", "a.zip"))


@pytest.mark.parametrize("kind", [PermissionError, FileNotFoundError])
def test_a_storage_may_say_late_that_a_file_is_not_for_us_or_gone(kind: type[OSError]) -> None:
    """A refusal at the first read is told like one at opening."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002  (io's)
            raise kind("no")

    with pytest.raises(kind):
        list(texts_of(cast("BinaryIO", HashedContent(Failing(), "a.zip")), 9, ",", "a.zip"))
