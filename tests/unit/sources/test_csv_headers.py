"""Headers of CSV files, their delimiters, and the lines before them."""

from datetime import timedelta
from typing import Any

import pytest

from include.order_sync.errors import StopError
from include.order_sync.transform.row_problems import MISSING_COLUMN, WRONG_WIDTH
from tests.unit.sources.drops import GOOD, HEADER, START, Drop, ids, rows_of


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD.encode(), id="plain"),
        pytest.param(GOOD.encode("utf-8-sig"), id="byte order mark"),
        pytest.param(GOOD.replace(",", ";").encode(), id="semicolon"),
        pytest.param(GOOD.replace(",", ";").encode("utf-8-sig"), id="byte order mark and semicolon"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="Windows line ends"),
        pytest.param(GOOD.rstrip().encode(), id="no line end at the end"),
        pytest.param(GOOD.replace("order_id", '"order_id"').encode("utf-8-sig"), id="quoted header after the mark"),
    ],
)
def test_dialects(drop: Drop, content: bytes) -> None:
    """UTF-8 with or without byte order mark, comma or semicolon, and both line ends give the same row."""
    drop.put("a.csv", content)
    reader = drop.reader()
    (row,) = rows_of(reader)

    assert (row["order_id"], row["status"], row["email"]) == ("1", "paid", "a@shop.example")
    assert (row["line"], row["problem"], reader.skipped) == (2, None, 0)


def test_columns_by_the_shops_names(drop: Drop) -> None:
    """Columns are found by the shop's names in any sequence; columns without a canonical name are ignored."""
    drop.put("a.csv", "Изменён;прочее;Заказ;status\n2026-11-21;x;1;paid\n")
    (row,) = drop.rows(columns={"order_id": "Заказ", "status_changed_at": "Изменён"})

    assert (row["order_id"], row["status"], row["status_changed_at"]) == ("1", "paid", "2026-11-21")


@pytest.mark.parametrize("start", ["\n", "  \n", "\r\n\r\n"], ids=repr)
def test_blank_lines_before_the_header(drop: Drop, start: str) -> None:
    """Blank lines before the header are skipped, and the orders are read."""
    drop.put("a.csv", start + GOOD)

    assert ids(drop.rows()) == ["1"]


def test_empty_fields_before_the_header(drop: Drop) -> None:
    """A first line of only delimiters counts as the header, so the file is rejected and listed."""
    drop.put("a.csv", ",,,\n" + GOOD)
    drop.put("b.csv", GOOD.replace("1,", "2,"), START + timedelta(minutes=1))
    first, second = drop.rows()

    assert (first["order_id"], first["problem"]) == (None, MISSING_COLUMN)
    assert second["order_id"] == "2"


HEADERLESS = [
    "4711,paid,2026-11-20 10:00:00,ann@shop.example,+380671234567,Ann Example",
    "4711;paid;20.11.2026;Ann Example",
    "A-1\tpaid\t2026-11-20\tAnn Example",
    "A-1,paid,Nov 20 2026,email,Ann Example",
    "A-1,paid,1795255500,Ann Example",
]


@pytest.mark.parametrize("line", HEADERLESS, ids=range(len(HEADERLESS)))
def test_file_without_a_header(drop: Drop, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """A row in the place of the header is said to be one, and none of its personal data is shown."""
    drop.put("a.csv", f"{line}\n{line}\n")
    with pytest.raises(StopError, match=r"looks like data, not like a header \(\d fields\)") as stop:
        drop.rows()

    assert not [word for word in ("Ann Ex", "ann@", "67123", "4711") if word in str(stop.value) + caplog.text]


def test_fields_of_a_header_that_look_like_data_are_not_shown(drop: Drop) -> None:
    """The message about a missing column shows the names of the others: no data, no long text, no very long list."""
    drop.put("a.csv", f"order_id,status,Сума,Ann 2026,ann@shop.example,{'x' * 90},{','.join('abc' * 30)}\n")
    with pytest.raises(StopError, match="no column status_changed_at") as stop:
        drop.rows()

    assert "It has 'order_id', 'status', 'Сума', 'a', " in str(stop.value)
    assert " and 46 more. " in str(stop.value)


def test_header_with_a_year(drop: Drop) -> None:
    """A header may have a column that is called by a number: its other names tell what it is."""
    drop.put("a.csv", GOOD.replace("email", "2026"))

    assert ids(drop.rows()) == ["1"]


@pytest.mark.parametrize(("delimiter", "key"), [(",", ","), (";", ";"), ("\t", "tab"), ("|", "|")])
def test_delimiters(drop: Drop, delimiter: str, key: str) -> None:
    """The header tells the delimiter, also beside others in its names; the source may name it."""
    drop.put("a.csv", (HEADER.strip() + ',"a;b|c\td;e|f\tg;h|i"\n1,paid,x,y,z\n').replace(",", delimiter))

    assert ids(drop.rows()) == ids(drop.rows(delimiter=key)) == ["1"]


@pytest.mark.parametrize("name", ["Order ID", "order-id", "orderId", "Order_ids"])
def test_a_name_near_to_one_that_is_missing(drop: Drop, name: str) -> None:
    """The message about a missing column names the file's column that may be meant."""
    drop.put("a.csv", GOOD.replace("order_id", name))
    with pytest.raises(StopError, match=rf"no column order_id \(did you mean '{name}'\?\)"):
        drop.rows()


def test_the_delimiter_line_of_excel(drop: Drop) -> None:
    """Excel may write the delimiter into a line of its own, which is no header."""
    drop.put("a.csv", "sep=|\r\n" + GOOD.replace(",", "|"))
    drop.put("b.csv", '"sep=;"\n' + GOOD.replace(",", ";"))
    reader = drop.reader()

    assert [(row["order_id"], row["line"]) for row in rows_of(reader)] == [("1", 3), ("1", 3)]
    assert reader.skipped == 2


def test_a_preamble_that_is_not_configured(drop: Drop) -> None:
    """The message names the line of the header, and the setting."""
    drop.put("a.csv", "Orders of Ann Example\n\n" + GOOD)
    with pytest.raises(StopError, match="line 1 is no header, and line 3 looks like one: set `skip_lines: 2`") as stop:
        drop.rows()

    assert "Ann" not in str(stop.value)


@pytest.mark.parametrize("skip_lines", [1, 9])
def test_a_header_that_is_passed_over(drop: Drop, skip_lines: int) -> None:
    """A file without the usual preamble is refused: its header would be skipped, or all of it as empty."""
    drop.put("a.csv", GOOD)

    with pytest.raises(StopError, match=r"line 1 looks like one: set `skip_lines: 0`"):
        drop.rows(skip_lines=skip_lines)


def test_another_delimiter_than_the_configured_one(drop: Drop) -> None:
    """The message names both."""
    drop.put("a.csv", GOOD.replace(",", "\t"))

    with pytest.raises(StopError, match=r"its delimiter is 'tab', and the source's `delimiter` is ';'"):
        drop.rows(delimiter=";")


def test_a_very_long_preamble(drop: Drop) -> None:
    """A line that no CSV library takes for a field is no header, and no accident."""
    drop.put("a.csv", f'Report\n"{"x" * 200_000}"\n{GOOD}')

    with pytest.raises(StopError, match=r"line 3 looks like one: set `skip_lines: 2`"):
        drop.rows()


def test_delimiters_alone(drop: Drop) -> None:
    """A file without a header and without a text has no rows."""
    drop.put("a.csv", ",,\n,,\n")
    columns = {"order_id": 1, "status": 2, "status_changed_at": 3}

    assert drop.rows(header="none", columns=columns) == []


def test_a_header_that_shops_write_otherwise(drop: Drop) -> None:
    """Case, accents, kinds of blanks and invisible characters of a header do not count, where one column is meant."""
    drop.put("a.csv", "\u200bORDER_ID,\u00a0Stätus\u00a0 der  Sendung ,Изменен,Mail,EMAIL\n1,paid,x,y,z\n")
    names = {
        "status": "status der sendung",
        "status_changed_at": ["Changed at", "изменён"],
        "phone": "email",
        "email": "Mail",
    }
    (row,) = drop.rows(columns=names)

    assert (row["order_id"], row["status"], row["status_changed_at"], row["phone"]) == ("1", "paid", "x", "z")


def test_a_column_that_is_there_twice_is_refused_where_it_is_used(drop: Drop) -> None:
    """A name that two columns have is refused; columns that are not read may share names."""
    drop.put("a.csv", "order_id,status,status_changed_at,x,x\n1,paid,x,y,z\n")
    assert ids(drop.rows()) == ["1"]
    drop.put("a.csv", "order_id,Status,STATUS,status_changed_at\n1,paid,x,y\n")
    with pytest.raises(StopError, match="'status' is there twice"):
        drop.rows()


def test_files_without_a_header(drop: Drop) -> None:
    """With `header: none` columns are given by number, and the first line is a row."""
    drop.put("a.csv", "x;1;paid;2026-11-21\ny;2;paid;2026-11-21\n")
    rows = drop.rows(header="none", columns={"order_id": 2, "status": 3, "status_changed_at": 4})

    assert [(row["order_id"], row["status_changed_at"], row["line"]) for row in rows] == [
        ("1", "2026-11-21", 1),
        ("2", "2026-11-21", 2),
    ]


def test_one_long_row_without_a_header(drop: Drop) -> None:
    """It is listed, and the others, which are as wide as most, are read."""
    drop.put("a.csv", "1,paid,2026-11-20\n2,paid,2026-11-20\n3,paid,2026-11-20,x,y\n")
    rows = drop.rows(header="none", columns={"order_id": 1, "status": 2, "status_changed_at": 3})

    assert [(row["line"], row["problem"]) for row in rows] == [(1, None), (2, None), (3, WRONG_WIDTH)]


def test_files_that_were_joined(drop: Drop) -> None:
    """A header with a byte order mark in the middle of a file is a repeated header."""
    drop.put("a.csv", f"\ufeff{GOOD}\ufeff{GOOD.replace('1,', '2,')}")
    reader = drop.reader()

    assert (ids(rows_of(reader)), reader.skipped) == (["1", "2"], 1)


def test_preambles_and_footers(drop: Drop) -> None:
    """`skip_lines` and `footers` skip what is no order, and count it; line numbers stay those of the file."""
    drop.put("a.csv", f"Report of 2026\n\n{GOOD}total: 1,,,\nИтого;\nTotal,1\n,,итого 5,\n")
    reader = drop.reader(skip_lines=1, footers=["Total", "итого"])

    assert [(row["order_id"], row["line"]) for row in rows_of(reader)] == [("1", 4)]
    assert reader.skipped == 6


def test_a_column_without_a_name(drop: Drop) -> None:
    """A column without a name may hold something in all rows, as the row numbers of pandas."""
    drop.put("a.csv", ",order_id,status,status_changed_at,\n0,7,paid,x,y\n1,8,paid,x,y\n")

    assert ids(drop.rows()) == ["7", "8"]


def test_configured_column_is_missing(drop: Drop) -> None:
    """The message about a missing configured column names the nearest column of the file."""
    drop.put("a.csv", "Order nr,status,status_changed_at\n1,paid,x\n")

    with pytest.raises(StopError, match=r"from 'Order number', which is not there \(did you mean 'Order nr'\?\)"):
        drop.rows(columns={"order_id": "Order number"})


@pytest.mark.parametrize(
    ("required", "fault"),
    [
        pytest.param(("bill_id",), "no column bill_id", id="one"),
        pytest.param((("phone", "bill_id"),), "no column phone or bill_id", id="one of two"),
        pytest.param((("email", "phone"),), None, id="one of two is there"),
    ],
)
def test_columns_that_the_provider_requires(drop: Drop, required: tuple[Any, ...], fault: str | None) -> None:
    """A file must have the columns that the destination's provider requires."""
    drop.put("a.csv", GOOD)
    drop.required = required

    if fault is None:
        assert ids(drop.rows()) == ["1"]
    else:
        with pytest.raises(StopError, match=fault):
            drop.rows()
