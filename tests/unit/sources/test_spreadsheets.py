"""Spreadsheets of several sheets."""

import logging
import re
from typing import Any

import pytest

from tests.unit.sources.drops import GOOD, HEADER, Drop, ids, rows_of
from tests.unit.sources.test_containers import spreadsheet, unzipped, zipped

COLUMNS = HEADER.strip().split(",")
ORDERS = [COLUMNS, [1001, "paid", (46346,), "x"]]


def workbook(*sheets: list[list[object]], hidden: int | None = None) -> bytes:
    """Return an .xlsx of these sheets, one of them hidden."""
    members: dict[str, str | bytes] = {}
    entries = []
    for number, rows in enumerate(sheets, 1):
        members |= {
            name.replace("sheet1", f"sheet{number}"): content
            for name, content in unzipped(spreadsheet(*rows)).items()
            if name.startswith("xl/worksheets") or number == 1
        }
        state = ' state="hidden"' if number == hidden else ""
        entries.append(f'<sheet name="S{number}" sheetId="{number}" r:id="sheet{number}"{state}/>')
    book = str(members["xl/workbook.xml"])
    members["xl/workbook.xml"] = re.sub(r"<sheets>.*</sheets>", f"<sheets>{''.join(entries)}</sheets>", book)
    relations = str(members["xl/_rels/workbook.xml.rels"])
    (sheet,) = re.findall(r'<Relationship Id="rId1"[^>]*/>', relations)
    every = [
        sheet.replace("rId1", f"sheet{number}").replace("sheet1.xml", f"sheet{number}.xml")
        for number in range(1, len(sheets) + 1)
    ]
    members["xl/_rels/workbook.xml.rels"] = relations.replace(sheet, "".join(every))
    return zipped(members)


def test_a_hidden_sheet(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """The first sheet that a person sees is read."""
    caplog.set_level(logging.WARNING)
    drop.put("a.csv", workbook([["help"]], ORDERS, hidden=1))

    assert (ids(drop.rows()), caplog.text) == (["1001"], "")


@pytest.mark.parametrize(
    "keys",
    [
        {"columns": {"total_cost": ["Total", "Sum"]}},
        {"columns": {"total_cost": "Total"}, "skip_lines": 1},
        {"header": "none", "columns": {name: at for at, name in enumerate([*COLUMNS[:3], "total_cost"], 1)}},
    ],
    ids=["header", "preamble", "no header"],
)
def test_amounts_beside_a_comma(drop: Drop, keys: dict[str, Any]) -> None:
    """Where the shop's texts have a comma, amounts that are numbers get one too; no other number does."""
    head = [["report"]] if "skip_lines" in keys else []
    head += [] if "header" in keys else [[*COLUMNS[:3], "Total"]]
    drop.put("a.csv", workbook([*head, [1.5, "paid", 46346.25, 6.125], [2, "paid", 46346.25, "1.234,50"]]))
    rows = drop.rows(decimal=",", dates=["excel"], **keys)

    assert [(row["order_id"], row["total_cost"]) for row in rows] == [("1.5", "6,125"), ("2", "1.234,50")]
    assert {row["status_changed_at"] for row in rows} == {rows[0]["status_changed_at"]}
    assert rows[0]["status_changed_at"].startswith("2026-11-20 06:00")
    assert drop.rows(**keys)[0]["total_cost"] == "6.125"


@pytest.mark.parametrize("first", [[], ORDERS])
def test_other_sheets(drop: Drop, caplog: pytest.LogCaptureFixture, first: list[list[object]]) -> None:
    """The log says that sheets with rows are not read."""
    file = drop.put("a.csv", workbook(first, ORDERS, [["note"]], ORDERS, ORDERS, hidden=5))

    assert ids(drop.rows()) == (["1001"] if first else [])
    assert f"{file}: its first sheet is read, and 2 others with rows are not" in caplog.text


def test_a_spreadsheet_with_a_password_on_its_parts_costs_itself(drop: Drop) -> None:
    """Python has an error of no kind of its own for it."""
    content = bytearray(spreadsheet(["order_id", "status", "status_changed_at"], ["1", "paid", "2026-11-21 10:00:00"]))
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        content[at + 8] |= 1  # the flag of a password: APPNOTE 4.4.4
    drop.put("a.xlsx", bytes(content))
    drop.put("b.csv", GOOD)
    reader = drop.reader(pattern="*")
    assert "1" in ids(rows_of(reader))
    assert "is a spreadsheet that can't be read" in reader.unusable[0]
