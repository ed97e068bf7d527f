"""Files that are packed, and spreadsheets."""

import gzip
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from include.order_sync import tuning
from include.order_sync.transform.row_problems import UNREADABLE_FILE
from tests.unit.sources.drops import GOOD, HEADER, Drop, rows_of


def zipped(members: dict[str, str | bytes]) -> bytes:
    """Return a zip file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return packed.getvalue()


def unzipped(content: bytes) -> dict[str, str]:
    """Return the texts in a zip file by their names."""
    with zipfile.ZipFile(io.BytesIO(content)) as container:
        return {name: container.read(name).decode() for name in container.namelist()}


def order(number: int) -> str:
    """Return a file of one order."""
    return GOOD.replace("1,", f"{number},")


ROW = '<row r="{r}">{cells}</row>'


def spreadsheet(*rows: list[Any]) -> bytes:
    """Return an .xlsx of one sheet; a text is a text, a number a number, a tuple a number in the form of a date."""
    cells = []
    for number, row in enumerate(rows, 1):
        written = []
        for value in row:
            if isinstance(value, str):
                written.append(f'<c t="inlineStr"><is><t>{value}</t></is></c>')
            else:
                style = ' s="1"' if isinstance(value, tuple) else ""
                written.append(f"<c{style}><v>{value[0] if isinstance(value, tuple) else value}</v></c>")
        cells.append(ROW.format(r=number, cells="".join(written)))
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": f'<Relationships xmlns="{package}">'
            f'<Relationship Id="r" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="Orders" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}">'
            f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{office}/styles" Target="styles.xml"/></Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
            "</styleSheet>",
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{"".join(cells)}</sheetData>'
            "</worksheet>",
        }
    )


def test_gzip(drop: Drop) -> None:
    """A file that was packed, or appended to in packed pieces, gives its rows, whatever its name is."""
    drop.put("a.csv", gzip.compress(GOOD.encode()) + gzip.compress(b"2,paid,x,y\n"))

    assert [(row["order_id"], row["line"]) for row in drop.rows()] == [("1", 2), ("2", 3)]


def test_zip(drop: Drop) -> None:
    """Every file of a zip is read, by its name in order; what a system adds is left."""
    junk: dict[str, str | bytes] = {"__MACOSX/a.csv": "junk", ".DS_Store": "junk"}
    file = drop.put("a.csv", zipped({"b.csv": order(2), "a.csv": order(1)} | junk))
    rows = drop.rows()

    assert [(row["order_id"], row["origin"]) for row in rows] == [("1", f"{file} (a.csv)"), ("2", f"{file} (b.csv)")]
    assert [row["position"] for row in rows] == [0, 1]


def test_a_spreadsheet(drop: Drop) -> None:
    """The first sheet's rows are read: numbers as digits, dates as ISO 8601, a lost number as lost, each by its row."""
    drop.put(
        "a.csv",
        spreadsheet(
            HEADER.strip().split(","),
            [1001, "paid", (46346.4166666667,), "a\nb;,"],
            [123456789012345678, "paid", (46346,), 1.5],
        ),
    )
    rows = drop.rows(encoding="windows-1251", delimiter=";")

    assert [(row["order_id"], row["status_changed_at"], row["email"], row["line"]) for row in rows] == [
        ("1001", "2026-11-20 10:00:00", "a b;,", 2),
        ("1.23457E+17", "2026-11-20", "1.5", 3),
    ]


def encrypted(content: bytes) -> bytes:
    """Return a zip file whose entries say that they are encrypted."""
    broken = bytearray(content)
    for mark, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        broken[content.index(mark) + flag] |= 1
    return bytes(broken)


BAD = [
    pytest.param(gzip.compress(GOOD.encode() * 9)[:-9], "damaged container", id="gzip that ends too early"),
    pytest.param(gzip.compress(GOOD.encode())[:12] + b"x" * 40, "damaged container", id="garbage in gzip"),
    pytest.param(zipped({"a.csv": GOOD})[:-9], "damaged zip", id="zip that ends too early"),
    pytest.param(zipped({}), "zip file without files", id="empty zip"),
    pytest.param(zipped({"a/": ""}), "zip file without files", id="zip without files"),
    pytest.param(encrypted(zipped({"a.csv": GOOD})), "encrypted", id="encrypted"),
    pytest.param(zipped({"mimetype": "x", "content.xml": "<x/>"}), "save it as .xlsx or CSV", id="OpenDocument"),
    pytest.param(zipped({"a.csv.gz": gzip.compress(b"x")}), "a.csv (a.csv.gz) is packed twice", id="packed twice"),
    pytest.param(zipped({"xl/workbook.xml": "<x/>"}), "spreadsheet that can't be read", id="no spreadsheet"),
]


@pytest.mark.parametrize(("content", "said"), BAD)
def test_damaged_containers(drop: Drop, content: bytes, said: str) -> None:
    """A container that can't be read is one unusable file, and the others are read."""
    drop.put("a.csv", content)
    drop.put("b.csv", order(2))
    reader = drop.reader()
    rows = rows_of(reader)

    assert [row["problem"] for row in rows if row["problem"]] == [UNREADABLE_FILE]
    assert [row["order_id"] for row in rows if not row["problem"]] in (["2"], ["1", "2"])
    assert said in reader.unusable[0]


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: zipped({"a.csv": content})], ids=["gzip", "zip"])
def test_bombs(drop: Drop, monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    """What unpacks to far more than its size is stopped at the bound, before it is read."""
    monkeypatch.setattr(tuning, "UNPACKED_SURELY_BYTES", 1_000_000)
    drop.put("a.csv", pack(GOOD.encode() + b"\n" * 20_000_000))
    reader = drop.reader()
    rows_of(reader)

    assert "as only a bomb does" in reader.unusable[0]
    drop.put("a.csv", pack(GOOD.encode() + b"".join(f"{at},paid,x,{at * at}\n".encode() for at in range(60_000))))
    reader = drop.reader()
    assert len(rows_of(reader)) == 60_001
    assert reader.unusable == []


def changed(book: bytes, changes: Callable[[str, str], str]) -> bytes:
    """Return a spreadsheet whose parts are changed: a function of their names and contents."""
    with zipfile.ZipFile(io.BytesIO(book)) as container:
        parts = {name: container.read(name).decode() for name in container.namelist()}
    return zipped({name: changes(name, content) for name, content in parts.items()})


@pytest.mark.parametrize("part", ["xl/worksheets/sheet2.xml", "xl/sharedStrings.xml"])
def test_a_spreadsheet_that_is_too_large(drop: Drop, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """A spreadsheet is held in memory, so one with large sheets or texts is refused."""
    monkeypatch.setattr(tuning, "SHEETS_MAX_BYTES", 10_000)
    small = spreadsheet(HEADER.strip().split(","), [1, "paid", "x", "y"])
    drop.put("a.csv", small)
    assert [row["order_id"] for row in drop.rows()] == ["1"]
    drop.put("a.csv", zipped_with(small, part, " " * 10_000))
    reader = drop.reader()
    rows_of(reader)

    assert "export it as CSV" in reader.unusable[0]


@pytest.mark.parametrize(("rows", "is_refused"), [(20, False), (21, True)])
def test_a_long_text_that_many_cells_share(
    drop: Drop, monkeypatch: pytest.MonkeyPatch, rows: int, is_refused: bool
) -> None:
    """The library makes a copy of it for each cell: 22 kB took 1.6 GB. A text that one cell has may be as long."""
    text = "x" * 5000
    parts = unzipped(spreadsheet(HEADER.strip().split(","), *([at, "paid", "x", "y"] for at in range(rows))))
    sheet = parts["xl/worksheets/sheet1.xml"].replace('t="inlineStr"><is><t>paid</t></is>', 't="s"><v>0</v>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    texts = f'<sst xmlns="{main}"><si><t>{text}</t></si></sst>'
    book = zipped(parts | {"xl/worksheets/sheet1.xml": sheet, "xl/sharedStrings.xml": texts})
    monkeypatch.setattr(tuning, "SHEETS_MAX_BYTES", 102_000)
    drop.put("a.csv", book)
    reader = drop.reader()
    read = rows_of(reader)

    assert [row["status"] for row in read] == ([None] if is_refused else [text] * rows)
    assert ["whose cells repeat texts" in message for message in reader.unusable] == [True] * is_refused


def zipped_with(book: bytes, name: str, content: str) -> bytes:
    """Return a zip file with one more member."""
    packed = io.BytesIO(book)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as container:
        container.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("cell", "is_refused"),
    [
        pytest.param("<c r='XFD1048576'><v>1</v></c>", True, id="the last one"),
        pytest.param('<x:c s="1" r="B4000000" t="n"><x:v>1</x:v></x:c>', True, id="a far row"),
        pytest.param('<c r="XFD1048576" s="1"/>', False, id="one without a value"),
        pytest.param('<c r="Z10"><v>1</v></c>', False, id="a near one"),
    ],
)
def test_a_cell_that_stands_apart(drop: Drop, cell: str, is_refused: bool) -> None:
    """It would make an area of as many cells as lie before it, for which no memory is enough."""
    filler = " " * (tuning.HASH_READ_BYTES - 600)  # so that two reads share the cell
    with_cell = f"{filler}<row>{cell}</row></sheetData>"
    book = spreadsheet(HEADER.strip().split(","), [1, "paid", "x", "y"])
    drop.put("a.csv", changed(book, lambda _, content: content.replace("</sheetData>", with_cell)))
    reader = drop.reader()
    rows = rows_of(reader)

    assert [row["order_id"] for row in rows][:1] == ([None] if is_refused else ["1"])
    assert ["with cells up to column" in message for message in reader.unusable] == [True] * is_refused
