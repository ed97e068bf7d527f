"""Files in any dress, and damaged ones: the same orders come out, or the row is listed."""

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.order_sync.errors import StopError
from include.order_sync.transform.canonical import canonical_orders
from include.order_sync.transform.row_problems import UNREADABLE_FILE
from tests.unit.conftest import whole
from tests.unit.sources.drops import Drop, rows_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
# Encoding -> texts that it can hold.
ENCODINGS = {
    "utf-8": "Ann Ганна é ショ 🎁",
    "utf-8-sig": "Ann Ганна é",
    "utf-16": "Ann Ганна ショ",
    "windows-1251": "Ann Ганна",
    "windows-1252": "Ann é ß",
    "windows-1250": "Ann Łódź",
    "cp866": "Ann Анна",
    "koi8-r": "Ann Анна",
    "cp850": "Ann é ß",
    "shift_jis": "Ann ショップ表能",
}
DATES = {
    None: "{:%Y-%m-%d %H:%M:%S}+00:00",
    "d.m.y": "{:%d.%m.%Y %H:%M:%S} UTC",
    "m/d/y": "{:%m/%d/%Y %I:%M:%S %p} +0000",
    "ymd": "{:%Y%m%dT%H%M%S}Z",
    "d mon y": "{:%d %b %Y %H:%M:%S} GMT",
    "unix": "{:%s}",
}


@dataclass(frozen=True)
class Dress:
    """How a file is written: everything but its orders."""

    encoding: str
    delimiter: str
    quoting: int
    line_end: str
    date: str | None
    decimal: str
    mark: str
    lines: str | None
    preamble: int
    upper: bool
    trailing: bool
    blank: bool
    packed: bool

    def keys(self) -> dict[str, Any]:
        """Return the configuration of its source."""
        keys: dict[str, Any] = {"decimal": self.decimal, "strip_ids": True, "skip_lines": self.preamble}
        keys["columns"] = {"total_cost": "Amount"}
        if not self.encoding.startswith("utf"):
            keys["encoding"] = self.encoding
        if self.date:
            keys["dates"] = [self.date]
        if self.lines:
            keys |= {"lines": self.lines, "item_columns": {"item_id": "sku"}}
        return keys

    def file(self, orders: list[tuple[Any, ...]]) -> bytes:
        """Return the orders as a file: id, minutes after noon, cents, comment and the number of items of each."""
        text = io.StringIO(newline="")
        text.write(f"Report{self.line_end}" * self.preamble)
        writer = csv.writer(text, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.line_end)  # type: ignore[arg-type]
        header = ["order_id", "status", "status_changed_at", "Amount", "sku", "comment"]
        extra = [""] if self.trailing else []
        writer.writerow([name.upper() if self.upper else name for name in header])
        for number, minutes, cents, plain_comment, items in orders:
            at = NOON + timedelta(minutes=minutes)
            date = str(int(at.timestamp())) if self.date == "unix" else DATES[self.date].format(at)
            thousands = {",": ".", ".": ","}[self.decimal]
            amount = f"{cents // 100:,}.{cents % 100:02}".translate(str.maketrans({",": thousands, ".": self.decimal}))
            # The writer quotes only its own line ends.
            comment = plain_comment.replace("\n", self.line_end)
            row = [self.mark.format(number), "paid", date, f"{amount} UAH", "A0", comment, *extra]
            writer.writerow(row)
            for item in range(1, items if self.lines else 1):
                rest = ["", "", "", ""] if self.lines == "continuation" else row[:4]
                writer.writerow([*rest, f"A{item}", comment, *extra])
            if self.blank:
                text.write(self.line_end)
        encoded = text.getvalue().encode(self.encoding)
        return gzip.compress(encoded) if self.packed else encoded


dresses = st.builds(
    Dress,
    encoding=st.sampled_from(sorted(ENCODINGS)),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    date=st.sampled_from(list(DATES)),
    decimal=st.sampled_from(",."),
    mark=st.sampled_from(["{}", "#{}", "№ {}", "'{}", '="{}"', "{}.0"]),
    lines=st.sampled_from([None, "items", "continuation"]),
    preamble=st.integers(0, 2),
    upper=st.booleans(),
    trailing=st.booleans(),
    blank=st.booleans(),
    packed=st.booleans(),
)
comments = st.text(st.sampled_from([*"a,;|\t\"' ", "\n"]), max_size=12)
orders = st.lists(
    st.tuples(st.integers(1, 10**9), st.integers(0, 10**4), st.integers(0, 10**9), comments, st.integers(1, 3)),
    min_size=1,
    max_size=6,
    unique_by=lambda order: order[0],
)


@settings(max_examples=1500, deadline=None)
@given(dresses, orders, st.data())
def test_any_dress(
    tmp_path_factory: pytest.TempPathFactory, dress: Dress, some: list[Any], data: st.DataObject
) -> None:
    """Whatever the dress, the same orders come out, each at its line, and no row is listed."""
    letters = data.draw(st.sampled_from(ENCODINGS[dress.encoding].split()))
    mark = dress.mark if dress.encoding in ("windows-1251", "cp866") or dress.encoding[:3] == "utf" else "#{}"
    dress = Dress(**{**vars(dress), "mark": mark})
    some = [(*order[:3], f"{letters}{order[3]}", order[4]) for order in some]
    drop = Drop(tmp_path_factory.mktemp("drop"))
    drop.put("a.csv", dress.file(some))
    reader = drop.reader(**dress.keys())
    rows = rows_of(reader)

    assert [row["problem"] for row in rows] == [None] * len(some)
    source = drop.configured(**dress.keys())
    canonical = canonical_orders(pd.DataFrame(rows), "Asia/Tokyo", values=source.values)
    read = list(zip(canonical["order_id"], canonical["status_changed_at"], canonical["total_cost"], strict=True))
    assert read == [
        (str(number), NOON + timedelta(minutes=minutes), f"{cents // 100}.{cents % 100:02}")
        for number, minutes, cents, *_ in some
    ]
    if dress.lines:
        expected = [items if dress.lines else 1 for *_, items in some]
        assert [(row["items"] or "").count("sku") for row in rows] == expected


damage = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([b'"', b"\n", b"\r", b",", b"\xff", b"\x00", b"\xc3", b'"\n', b""])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=1500, deadline=None)
@given(damage, st.integers(0, 3))
def test_damaged_rows(tmp_path_factory: pytest.TempPathFactory, places: list[Any], cut: int) -> None:
    """Bytes that are put in or taken out cost no row that they do not touch, unless it is listed."""
    header = b"order_id,status,status_changed_at,comment\n"
    rows = [b"%d,paid,2026-11-20 10:00:00,x" % number for number in range(100, 130)]
    body = b"\n".join(rows) + b"\n"
    for place, put in places:
        at = int(place * len(body))
        body = body[:at] + put + body[at + cut :]
    drop = Drop(tmp_path_factory.mktemp("drop"))
    drop.put("a.csv", header + body)
    read = rows_of(drop.reader())

    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    came = {row["order_id"] for row in read if not row["problem"]}
    listed = {row["line"] for row in read if row["problem"]}
    for number, line in enumerate(lines, 2):
        assert line not in rows or line[:3].decode() in came or number in listed
    ends = 1 if lines[-1] == b"" else 0
    assert len({row["line"] for row in read}) == len(read) <= len(lines) - ends


@settings(max_examples=1500, deadline=None)
@given(dresses, orders, damage, st.integers(0, 3))
def test_damage_in_any_dress(
    tmp_path_factory: pytest.TempPathFactory, dress: Dress, some: list[Any], places: list[Any], cut: int
) -> None:
    """Whatever is damaged in whichever dress, each row of the file is read, joined, skipped or listed, and no more."""
    mark = dress.mark if dress.encoding in ("windows-1251", "cp866") or dress.encoding[:3] == "utf" else "#{}"
    dress = Dress(**{**vars(dress), "mark": mark})
    content = dress.file(some)
    for place, put in places:
        at = int(place * len(content))
        content = content[:at] + put + content[at + cut :]
    drop = Drop(tmp_path_factory.mktemp("drop"))
    drop.put("a.csv", content)
    reader = drop.reader(**dress.keys())
    try:
        rows = whole(list(reader.tables())).to_pylist()
    except StopError:
        assert reader.unusable
        return
    assert [row["position"] for row in rows] == list(range(len(rows)))
    assert len({(row["line"], row["problem"] == UNREADABLE_FILE) for row in rows}) == len(rows)
    (version,) = reader.taken
    assert reader.unusable or version.rows == len(rows) + version.skipped


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 120), st.booleans())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, packed: bool) -> None:
    """No content makes a run fail but by the message about a file that could not be used."""
    good = b"order_id,status,status_changed_at,email\n" + b"1,paid,2026-11-20 10:00:00,a\n" * 3
    content = good[:at] + noise + good[at:]
    drop = Drop(tmp_path_factory.mktemp("drop"))
    drop.put("a.csv", gzip.compress(good)[:at] + noise if packed else content)
    reader = drop.reader()
    try:
        rows = whole(list(reader.tables())).to_pylist()
    except StopError:
        assert reader.unusable
        return
    assert all(row["problem"] != UNREADABLE_FILE for row in rows) or reader.unusable
