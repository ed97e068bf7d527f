"""The encodings of CSV files: configured, marked or found, and bytes that do not fit."""

import logging

import pytest

from include.order_sync import tuning
from include.order_sync.transform.row_problems import (
    BAD_BYTES,
)
from tests.unit.sources.drops import GOOD, HEADER, Drop, ids, rows_of


def test_a_bad_byte_costs_one_row(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """The rows before and after one with a bad byte are read, also beyond a block, and the row is listed."""
    rows = [f"{number},paid,x,{'y' * 90}" for number in range(40_000)]
    content = HEADER.encode() + "\n".join(rows).encode() + b"\n40000,paid,x,caf\xe9\n40001,paid,x,y\n"
    assert len(content) > 2 * tuning.CSV_BLOCK_BYTES
    drop.put("a.csv", content)
    reader = drop.reader()
    read = rows_of(reader)

    assert [row["order_id"] for row in read if not row["problem"]] == [*map(str, range(40_000)), "40001"]
    assert [(row["line"], row["problem"]) for row in read if row["problem"]] == [(40_002, BAD_BYTES)]
    assert sorted(row["position"] for row in read) == list(range(40_002))
    assert reader.unusable == []
    assert "rows with other bytes: 1, the first is 0xE9 in line 40002. Correct them in the source" in caplog.text


def test_a_bad_byte_in_a_name_that_is_not_needed(drop: Drop) -> None:
    """Where the names that are needed can be read, so can the file."""
    drop.put("a.csv", GOOD.replace("email", "caf\udce9").encode("utf-8", "surrogateescape"))

    assert ids(drop.rows()) == ["1"]


def test_a_file_of_bad_rows_alone_is_unusable(drop: Drop) -> None:
    """A file none of whose rows could be used is named, with its first bad byte, its likely encoding and a cure."""
    text = "".join(f"{number},Оплачено и отправлено,x,y\n" for number in range(9))
    drop.put("a.csv", (HEADER + text).encode("cp1251"))
    reader = drop.reader()

    assert [row["problem"] for row in rows_of(reader)] == [BAD_BYTES] * 9
    (message,) = reader.unusable
    assert "none of its rows could be used (9)" in message
    assert "the first is 0xCE in line 2" in message
    assert "If it is in windows-1251, set `encoding: windows-1251` in the source" in message


ENCODINGS = ["utf-8", "utf-16", "utf-16-le", "windows-1250", "windows-1251", "windows-1252", "cp866", "cp850", "koi8-r"]


@pytest.mark.parametrize("encoding", [*ENCODINGS, "cp437", "shift_jis", "utf-32"])
def test_configured_encodings(drop: Drop, encoding: str) -> None:
    """A file is read in the encoding that the source names."""
    word = {"shift_jis": "ソート済み", "windows-1250": "Zrušené"}.get(encoding, "é" if "125" in encoding else "Новый")
    word = {"cp850": "payé", "cp437": "payé", "windows-1251": "Новый"}.get(encoding, word)
    drop.put("a.csv", (HEADER + f"1,{word},x,y\n2,{word},x,y\n").encode(encoding))

    assert [row["status"] for row in drop.rows(encoding=encoding)] == [word, word]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(drop: Drop, encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    """It counts more than the configuration, and the log says so."""
    caplog.set_level(logging.INFO)
    drop.put("a.csv", (HEADER + "1,Новый,x,y\n").encode(encoding))

    assert [row["status"] for row in drop.rows(encoding="windows-1251")] == ["Новый"]
    assert "its byte order mark says so" in caplog.text


@pytest.mark.parametrize("encoding", ["windows-1251", "cp866", "koi8-r"])
def test_an_encoding_is_found_by_configured_words(drop: Drop, encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where the file holds the source's words in one encoding alone, it is read so, and the log says so."""
    caplog.set_level(logging.INFO)
    drop.put("a.csv", "Номер;Статус;Изменён\n1;НОВЫЙ;x\n".encode(encoding))
    columns = {"order_id": "Номер", "status": "Статус", "status_changed_at": "Изменён"}
    (row,) = drop.rows(columns=columns, statuses={"Новый": "created"})

    assert (row["order_id"], row["status"]) == ("1", "НОВЫЙ")
    assert f"is read as {encoding}" in caplog.text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("koi8-u", ["Скасовано", "Їде", "змінено"]),
        ("cp1125", ["Скасовано", "Їде", "змінено"]),
        ("iso8859-5", ["Отменён", "Оплачен", "Изменён"]),
        ("windows-1250", ["Wysłane", "Zwrócone", "Zmiana"]),
        ("cp852", ["Wysłane", "Zwrócone", "Zmiana"]),
        ("iso8859-2", ["Wysłane", "Ścieżka", "Zmiana"]),
        ("shift_jis", ["発送済み", "キャンセル", "更新"]),
        ("euc_jp", ["発送済み", "キャンセル", "更新"]),
        ("utf-16-le", ["Скасовано", "Їде", "змінено"]),
        ("utf-16-be", ["発送済み", "キャンセル", "更新"]),
    ],
)
def test_the_encoding_that_holds_most_words(drop: Drop, encoding: str, words: list[str]) -> None:
    """Encodings of neighbours share letters: the one with the most of the source's words is right."""
    first, second, changed = words
    drop.put("a.csv", f"order_id,status,{changed}\n1,{first},x\n2,{second},x\n".encode(encoding))
    rows = drop.rows(columns={"status_changed_at": changed}, statuses={first: "paid", second: "shipped"})

    assert [row["status"] for row in rows] == [first, second]


@pytest.mark.parametrize(
    ("encoding", "content", "said"),
    [
        (
            None,
            b"2,paid,x,y\n3,paid,x,\xe9\n",
            "read as utf-8; rows with other bytes: 1, the first is 0xE9 in line 3. Corr",
        ),
        (
            "windows-1251",
            b"2,paid,x,\x98\n",
            "read as cp1251 (`encoding` says so); rows with other bytes: 1, the first is 0x98",
        ),
        ("utf-8", "2,Новый,x,y\n".encode("cp1251"), "If it is in windows-1251, set `encoding: windows-1251`"),
        (
            "utf-16-le",
            b"",
            "read as utf-16-le (`encoding` says so); rows with other bytes: 1, the first is 0x0A in line 2",
        ),
    ],
)
def test_the_message_about_bad_bytes(
    drop: Drop, caplog: pytest.LogCaptureFixture, encoding: str | None, content: bytes, said: str
) -> None:
    """It names encoding, why, the file's first bad byte, its line and the cure: few bad rows are no other encoding."""
    wide = (HEADER + "1,paid,x,y\n").encode("utf-16-le")[:-1] if not content else HEADER.encode() + content
    drop.put("a.csv", wide)
    drop.rows(encoding=encoding, statuses={"Новый": "created"})

    assert said in caplog.text


def test_utf16_that_is_configured_and_not_there(drop: Drop) -> None:
    """A file without any zero byte is no UTF-16."""
    drop.put("a.csv", GOOD)

    assert ids(drop.rows(encoding="utf-16")) == ["1"]


def test_control_characters_tell_an_encoding(drop: Drop) -> None:
    """Windows-1250 and ISO 8859-2 have the same letters in a word, and another text of the file tells which it is."""
    drop.put("a.csv", (HEADER + "1,Wysłane,x,Śliwa\n").encode("cp1250"))

    assert [row["email"] for row in drop.rows(statuses={"Wysłane": "shipped"})] == ["Śliwa"]


def test_an_encoding_is_not_guessed(drop: Drop) -> None:
    """Where two encodings give other words of the file, it is read as UTF-8, and its bad rows are listed."""
    drop.put("a.csv", (HEADER + "1,payé,x,Ł\n2,payé,x,Š\n3,paid,x,y\n").encode("cp1250"))
    rows = drop.rows(statuses={"payé": "paid"})

    assert [(row["order_id"], row["problem"]) for row in rows] == [("3", None), (None, BAD_BYTES), (None, BAD_BYTES)]


def test_a_byte_that_its_encoding_does_not_know(drop: Drop) -> None:
    """Other encodings have bytes that are no text too: they cost their row alone."""
    drop.put("a.csv", HEADER.encode() + b"1,paid,x,\xd0\n2,paid,x,\x98\n3,paid,x,y\n")
    rows = drop.rows(encoding="windows-1251")

    assert [(row["line"], row["email"], row["problem"]) for row in rows] == [
        (2, "Р", None),
        (4, "y", None),
        (3, None, BAD_BYTES),
    ]


def test_utf8_under_another_configured_encoding(drop: Drop) -> None:
    """A shop may change its export to UTF-8: what is surely UTF-8 is read so."""
    drop.put("a.csv", HEADER + "1,Новый,x,y\n")

    assert [row["status"] for row in drop.rows(encoding="windows-1251")] == ["Новый"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_in_another_encoding_than_utf_16(drop: Drop, encoding: str) -> None:
    """A file that has no mark and no zeros costs itself, and the others are read."""
    drop.put("a.csv", f"{HEADER}1,Новый,x,y\n".encode("cp1251"))
    drop.put("b.csv", GOOD.encode("utf-16"))
    reader = drop.reader(encoding=encoding)

    assert ids(rows_of(reader)) == [None, "1"]
    assert len(reader.unusable) == 1
