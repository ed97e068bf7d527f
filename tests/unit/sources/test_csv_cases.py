"""Files as shops have them, from their bytes to what is sent: each order arrives right, or is listed with its line."""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from include.order_sync import pipeline
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.models import Destination
from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.csv_drop import CsvDropReader
from include.order_sync.sources.csv_lines import LineMerger
from include.order_sync.staging.run_folder import READY, Staging

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
WORDS = {"new": "created", "paid": "paid", "shipped": "shipped", "delivered": "delivered", "cancelled": "cancelled"}
HEADER = "order_id,status,status_changed_at"
FULL = f"{HEADER},created_at,customer_id,total_cost,currency,email,phone"
TIMES = "2026-11-20 10:00:00,2026-11-20 09:00:00"


class Told:
    """What came of a file.

    `sent` is each order's code or payload by its id, `listed` the reasons of each rejected line.
    """

    def __init__(self, folder: Path, content: str | bytes, provider: str, **keys: Any) -> None:
        file = folder / "orders.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(file, (datetime(2026, 11, 21, tzinfo=UTC).timestamp(),) * 2)
        plain = {"name": "drop", "type": "csv", "path": str(file), "timezone": "UTC", "statuses": WORDS}
        source = CsvSource.model_validate({**plain, **keys})
        settings = {"name": "d", "provider": provider, "connection": "c", "source": "drop", "start_date": "2026-01-01"}
        settings |= {"first_run": "window"} | ({"items": "lenient"} if provider == "yespo" else {})
        destination = Destination.model_validate(settings, context={"drop": True})
        staging = Staging(UPath(folder / "staging"))
        self.reader = CsvDropReader(UPath(source.folder), source, WINDOW, destination.service.required)
        extracted = pipeline.extract(self.reader, staging)
        self.done = pipeline.transform(staging, source, destination)
        ready = list(staging.ready_parts()) if (staging.folder / READY).exists() else []
        orders = pd.concat(ready) if ready else pd.DataFrame({"order_id": [], "code": [], "payload": []})
        self.sent = dict(zip(orders["order_id"], orders["code"], strict=True))
        self.payloads = {key: json.loads(text) for key, text in zip(orders["order_id"], orders["payload"], strict=True)}
        self.listed = {
            row["line"]: list(row["reasons"]) for part in staging.rejected_parts() for row in part.to_dict("records")
        }
        counts = self.done.counts
        assert extracted.rows == counts["orders"] + counts["superseded"] + extracted.skipped


@pytest.fixture
def tell(tmp_path: Path) -> Any:
    """Read a file of this content, for REES46 or another provider; the other keys are those of its source."""

    def told(content: str | bytes, provider: str = "rees46", **keys: Any) -> Told:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return Told(folder, content, provider, **keys)

    return told


SHOPIFY = """Name,Email,Financial Status,Fulfillment Status,Total,Created at,Cancelled at,Qty,Title,Sku
#1001,a@shop.example,paid,fulfilled,30.00,2026-11-20 10:00:00 +0200,,1,Mug,A1
#1001,a@shop.example,,,,2026-11-20 10:00:00 +0200,,2,Plate,B2
#1002,b@shop.example,Paid,,10.00,2026-11-20 10:05:00 +0200,,1,Mug,A1
#1003,c@shop.example,refunded,,10.00,2026-11-20 10:06:00 +0200,2026-11-20 11:00:00 +0200,1,Mug,A1
,,,,,,,3,Spoon,C3
"""
SHOPIFY_COLUMNS = {"order_id": "Name", "status": "Fulfillment Status", "status_changed_at": "Created at"}


def test_a_line_of_an_item_supersedes_nothing(tell: Any) -> None:
    """Without `lines` too: a line without a status beside its order's first line is no state of it."""
    told = tell("\n".join(SHOPIFY.splitlines()[:3]), columns=SHOPIFY_COLUMNS, statuses={"fulfilled": "delivered"})

    assert (told.sent, told.listed) == ({"#1001": "1"}, {})


def test_continuation_lines(tell: Any) -> None:
    """An order has the items of all its lines, also of one without an id; statuses come from several columns."""
    told = tell(
        SHOPIFY,
        columns={"order_id": "Name", "status_changed_at": "Created at"},
        lines="continuation",
        item_columns={"item_id": "Sku", "quantity": "Qty"},
        status_from=[
            {"column": "Cancelled at", "word": "void", "time": True},
            {"column": "Fulfillment Status"},
            {"column": "Financial Status", "is": ["PAID"]},
        ],
        statuses={"void": "cancelled", "fulfilled": "delivered", "paid": "paid"},
    )

    assert told.sent == {"#1001": "1", "#1002": "0", "#1003": "2"}
    assert told.listed == {}
    assert told.reader.skipped == 2


def test_words_for_nothing_in_several_columns(tell: Any) -> None:
    """A word for nothing is no text of a rule, and no state of a line that goes on with its order."""
    head = "id,at,Sent,Paid,sku"
    lines = ["1,2026-11-20,null,paid,A", "1,NULL,NULL,NULL,B", "2,2026-11-20,sent,paid,A"]
    told = tell(
        "\n".join([head, *lines]),
        columns={"order_id": "id", "status_changed_at": "at"},
        status_from=[{"column": "Sent"}, {"column": "Paid"}],
        statuses={"sent": "shipped", "paid": "paid"},
        missing_words=["NULL"],
        lines="continuation",
        item_columns={"item_id": "sku"},
    )

    assert (told.sent, told.listed, told.reader.skipped) == ({"1": "0", "2": "0"}, {}, 1)


LINES = f"""{FULL},sku,qty
1001,paid,{TIMES},7,30.00,UAH,a@shop.example,,A1,1
1001,paid,{TIMES},7,30.00,UAH,a@shop.example,,B2,2
1001,shipped,2026-11-20 11:00:00,2026-11-20 09:00:00,7,30.00,UAH,a@shop.example,,B2,2
1002,paid,{TIMES},7,30.00,UAH,a@shop.example,,,
"""
ITEM_COLUMNS = {"item_id": "sku", "quantity": "qty"}


def test_lines_of_items(tell: Any) -> None:
    """One line an item: the lines of one status and time are one order, and a later status has its own items."""
    told = tell(LINES, "yespo", lines="items", item_columns=ITEM_COLUMNS)

    assert told.payloads["1001"]["items"] == [{"externalItemId": "B2", "quantity": 2}]
    assert "items" not in told.payloads["1002"]
    told = tell("\n".join(LINES.splitlines()[:3]), "yespo", lines="items", item_columns=ITEM_COLUMNS)
    assert [item["externalItemId"] for item in told.payloads["1001"]["items"]] == ["A1", "B2"]
    assert told.listed == {}


def test_lines_that_do_not_stand_together(tell: Any) -> None:
    """They can't be joined: the order is listed, not sent with some of its items."""
    head, first, second, _, other = LINES.splitlines()
    told = tell("\n".join([head, first, other, second]), "yespo", lines="items", item_columns=ITEM_COLUMNS)

    assert list(told.sent) == ["1002"]
    assert told.listed == {line: ["order: its lines do not stand together in the file"] for line in (2, 4)}


@pytest.mark.parametrize("bad", ["3,paid\n", '3,paid,"x\n', "3,\udcff\n"], ids=["ragged", "quote", "bytes"])
def test_lines_after_one_that_can_not_be_read(tell: Any, bad: str) -> None:
    """A line without an id, after a line that could not be read, is listed: it is no item of the order before."""
    head = f"{FULL},sku,qty\n"
    order = f"1001,paid,{TIMES},7,30.00,UAH,a@shop.example,,A1,1\n"
    content = f"{head}{order}{bad}{',' * 9}B2,2\n{order.replace('1001', '1002')}"
    told = tell(content.encode("utf-8", "surrogateescape"), "yespo", lines="continuation", item_columns=ITEM_COLUMNS)

    assert {id_: len(payload["items"]) for id_, payload in told.payloads.items()} == {"1001": 1, "1002": 1}
    assert sorted(told.listed) == [3, 4]
    assert told.listed[4][0] == "order_id: missing"
    assert "order: its lines do not stand together in the file" not in told.listed[4]


def test_a_line_that_can_not_be_read_at_the_end_of_a_block() -> None:
    """The order before it is whole, though the next lines come in another block."""
    merger = LineMerger("continuation", {"order_id": "0", "status": "1"}, {"sku": 2})

    def add(line: int, *row: str, unread: Sequence[int] = ()) -> None:
        merger.add(pa.table({str(at): [text] for at, text in enumerate(row)}), pa.array([line]), unread)

    add(2, "1", "paid", "A1", unread=[3])
    add(4, "", "", "B2")
    add(5, "", "", "C3")
    table, lines = merger.rows(ended=True)

    assert lines.to_pylist() == [2, 4]
    assert table["items"].to_pylist() == ['[{"sku": "A1"}]', '[{"sku": "B2"}, {"sku": "C3"}]']


def test_the_last_line(tell: Any) -> None:
    """With `lines: last` the last line of an order is its state, whatever its time."""
    content = f"{HEADER}\n1,delivered,2026-11-20 12:00:00\n1,paid,2026-11-20 11:00:00\n2,paid,2026-11-20 11:00:00\n"

    assert tell(content, lines="last").sent == {"1": "0", "2": "0"}
    assert tell(content).sent == {"1": "1", "2": "0"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"item_columns": ITEM_COLUMNS}, "add `lines: items`"),
        ({"item_columns": {"item_id": "article"}, "lines": "items"}, "`item_columns` takes a column 'article'"),
        ({"item_columns": {"item_id": "skuu"}}, r"takes a column 'skuu', which is not there \(did you mean 'sku'"),
        ({"status_from": [{"column": "State"}]}, "`status_from` takes a column 'State', which is not there"),
    ],
)
def test_mistakes_about_columns_of_a_file(tell: Any, keys: dict[str, Any], said: str) -> None:
    """A configuration that does not fit the file stops the run, and says what to add."""
    with pytest.raises(StopError, match=said):
        tell(LINES, "yespo", **keys)


def test_the_time_of_the_file(tell: Any) -> None:
    """With `status_time: file` rows have the file's time, and need no column of times."""
    told = tell("order_id,status\n1,paid\n", status_time="file")

    assert (told.sent, told.listed) == ({"1": "0"}, {})


def test_a_file_of_one_status(tell: Any) -> None:
    """A default status and the file's time make an order of an id alone."""
    told = tell("order_id\n1\n\n2\n", status_time="file", defaults={"status": "delivered"})

    assert told.sent == {"1": "1", "2": "1"}


def test_dates_and_their_offsets(tell: Any) -> None:
    """A blank before an offset, dates by a declared form, and a time that no form reads."""
    rows = ["2026-11-20 10:00:00 +0200", "20.11.2026 10:00", "20.11.2026 10:00:00 MSK", "11/20/2026"]
    content = HEADER + "".join(f"\n{number},paid,{time}" for number, time in enumerate(rows))

    told = tell(content, dates=["dd.mm.yyyy"])
    assert list(told.sent) == ["0", "1", "2"]
    assert told.listed == {5: ["status_changed_at: not a date and time"]}


@pytest.mark.parametrize(
    "id_",
    [
        *("1.23457E+17", "1,23457E+17", "1.23457e+017", "123.457E+15", "1.23457E17", "#1.23457E+17", "########"),
        *("#REF!", "#N/A", "#ЗНАЧ!", "#DIV/0!", "#NV", "NULL", "None", "nan", "undefined", "\\N", "-"),
    ],
)
@pytest.mark.parametrize("strip_ids", [False, True])
def test_what_is_no_id_any_more(tell: Any, id_: str, strip_ids: bool) -> None:
    """An id that a spreadsheet or a program has lost is refused: many orders would become one that does not exist."""
    content = f'{HEADER}\n"{id_}",paid,2026-11-20 10:00:00\n"{id_}",shipped,2026-11-20 11:00:00\n'
    told = tell(content, strip_ids=strip_ids)

    assert told.sent == {}
    assert [reasons[0].partition(":")[0] for reasons in told.listed.values()] == ["order_id"] * 2


@pytest.mark.parametrize("id_", ["1e5", "12E7", "7.5", "1.000", "A-1!", "NULL-7", "N/A-1", "#"])
def test_what_is_an_id(tell: Any, id_: str) -> None:
    """Ids that only look like numbers or words stay as they are."""
    for strip_ids in (False, id_ != "#"):
        assert list(tell(f"{HEADER}\n{id_},paid,2026-11-20 10:00:00\n", strip_ids=strip_ids).sent) == [id_]


def test_ids(tell: Any) -> None:
    """What shops and spreadsheets put around an id is taken off, so that its rows are one order."""
    ids = [
        "#7",
        "7\u200b",
        '"=""7"""',
        "'7",
        "7.0",
        "1.23457E+17",
        "1e5",
        '="7"',
        '"7,00"',
        "№ 7",
        "\u31647\ufe0f",
        "＃7",
    ]
    content = HEADER + "".join(f"\n{id_},paid,2026-11-20 10:{at:02}:00" for at, id_ in enumerate(ids))
    told = tell(content, strip_ids=True)

    assert told.sent == {"7": "0", "1e5": "0"}
    assert told.done.counts["superseded"] == 9
    assert told.listed == {7: ["order_id: its digits were lost by a spreadsheet"]}


def test_status_words(tell: Any) -> None:
    """Case and the dots of ё do not count; unknown words are counted."""
    content = f"{HEADER}\n1,PAID,{TIMES[:19]}\n2,Отменен,{TIMES[:19]}\n3,NULL,{TIMES[:19]}\n4,paid\u200b,{TIMES[:19]}\n"
    told = tell(content, statuses={"paid": "paid", "Отменён": "cancelled"})

    assert told.sent == {"1": "0", "2": "2", "4": "0"}
    assert told.listed == {4: ["status: not in the status map (NULL)"]}
    assert told.done.unknown_words == {"NULL": 1}
    assert tell(content, statuses={"paid": "paid"}, missing_words=["null"]).listed[4] == ["status: missing"]


def test_a_status_column_without_statuses(tell: Any) -> None:
    """Of a column with a word for each row the most frequent words are kept, and no more than a few of them."""
    rows = "".join(f"\n{number},w{number},{TIMES[:19]}" for number in range(1100))
    words = tell(f"{HEADER}{rows}\n2000,often,{TIMES[:19]}\n2001,often,{TIMES[:19]}\n").done.unknown_words

    assert len(words) == pipeline.WORDS_KEPT
    assert words["often"] == 2


def test_contacts(tell: Any) -> None:
    """Bad contacts are listed or left out; guests are no customer; numbers become digits."""
    rows = [
        "1,paid,{t},3,10.00,UAH,c@shop.example,unknown",
        "2,paid,{t},3,10.00,UAH,,380671234567.0",
        "3,paid,{t},3,10.00,UAH,<d@shop.example>,",
        "4,paid,{t},0,10.00,UAH,e@shop.example,",
    ]
    content = "\n".join([FULL, *(row.format(t=TIMES) for row in rows)])
    told = tell(content, "yespo")

    assert {key: payload["phone"] for key, payload in told.payloads.items()} == {"2": "380671234567"}
    assert told.listed == {
        2: ["phone: no telephone number"],
        4: ["email: not an address"],
        5: ["customer_id: missing"],
    }
    told = tell(content, "yespo", drop_bad_contact=True, customer_id_from=["email"])
    assert list(told.sent) == ["1", "2", "4"]
    assert told.payloads["4"]["externalCustomerId"] == "e@shop.example"
    assert told.listed == {4: ["contact: neither email nor phone"]}


def test_an_hour_that_comes_twice(tell: Any) -> None:
    """The rows' order and the file's time say which pass a time is of."""
    told = tell(f"{HEADER}\n1,paid,2026-10-25 03:40:00\n1,delivered,2026-10-25 03:10:00\n", timezone="Europe/Kyiv")

    assert told.sent == {"1": "1"}


OFFSETS = [
    *("10:00:00 +0200", "10:00:00 +02:00", "10:00:00+0200", "10:00 +0200", "10:00:00\u00a0+0200", "10:00:00.5 +0200"),
    *("10:00:00 GMT+0200 (EET)", "10:00:00+02:00[Europe/Kyiv]", "10:00:00 UTC+2", "10:00:00 EET", "08:00:00 Z"),
]


@pytest.mark.parametrize("time", OFFSETS)
def test_what_may_stand_before_an_offset(tell: Any, time: str) -> None:
    """An offset may stand behind a blank of any kind, with a name of its zone; every spelling is one moment."""
    told = tell(f"{HEADER}\n1,paid,2026-11-20 {time}\n1,delivered,2026-11-20T07:59:59Z\n", timezone="Asia/Tokyo")

    assert (told.sent, told.listed) == ({"1": "0"}, {})


def test_three_lines_in_another_encoding(tell: Any) -> None:
    """A drop in windows-1251 is read by its words; where none tells, the run is red and names encoding and cure."""
    content = f"{HEADER}\n1,Новый,2026-11-20 10:00:00\n2,Новый,2026-11-20 10:05:00\n".encode("cp1251")
    assert tell(content, statuses={"Новый": "created"}).sent == {"1": "0", "2": "0"}
    told = tell(content)

    assert told.sent == {}
    (message,) = told.reader.unusable
    assert "the first is 0xCD in line 2. " in message


def test_lines_of_quoted_breaks_and_of_bare_returns(tell: Any) -> None:
    """A row is named by its line in the file, behind quoted breaks, and where lines end in CR alone."""
    content = f'{HEADER},comment\n1,paid,{TIMES[:19]},"a\nb\nc"\n2,unknown,{TIMES[:19]},x\n3,paid,yesterday,x\n'
    for ends in ("\n", "\r\n", "\r"):
        told = tell(content.replace("\n", ends))
        assert (list(told.sent), sorted(told.listed)) == (["1"], [5, 6])


def test_a_quote_that_swallows_rows(tell: Any) -> None:
    """The rows that a stray quote would swallow are sent, and its own lines are listed."""
    rows = ["1,paid,{t},x", '2,paid,{t},"begins', "3,shipped,{t},x", '4,paid,{t},"ends', "5,delivered,{t},x"]
    told = tell("\n".join([f"{HEADER},comment", *rows]).replace("{t}", TIMES[:19]))

    assert told.sent == {"1": "0", "3": "0", "5": "1"}
    assert sorted(told.listed) == [3, 5]


def test_e_mails_that_are_no_addresses(tell: Any) -> None:
    """What people paste around or instead of an address is refused, and the rest of a file is sent."""
    bad = [
        "<d@shop.example>",
        '"e@shop.example,"',
        "mailto:f@shop.example",
        "a..b@shop..example",
        "a@shop",
        "Ann <a@b.example>",
    ]
    good = ["A@Shop.example", "anna@почта.рф", "o'neil@shop.example", "a@shop.example\u200b"]
    rows = [f"{number},paid,{TIMES},3,10.00,UAH,{email}," for number, email in enumerate([*bad, *good])]
    told = tell("\n".join([FULL, *rows]), "yespo")

    assert told.listed == {line: ["email: not an address"] for line in range(2, 2 + len(bad))}
    assert [payload["email"] for payload in told.payloads.values()] == [*good[:3], "a@shop.example"]


def test_a_header_in_another_case_and_a_footer(tell: Any) -> None:
    """Names in any case with blanks around, delimiters at the ends of some rows, and a configured footer."""
    content = "Order_ID, Status ,STATUS_CHANGED_AT\n1,paid,2026-11-20 10:00:00,\n2,paid,2026-11-20\nTotal,,\n"
    told = tell(content, footers=["total"])

    assert (told.sent, told.listed, told.reader.skipped) == ({"1": "0", "2": "0"}, {}, 1)


def test_a_file_without_customers(tell: Any) -> None:
    """Where e-mails stand in for the ids of customers, and a default for a currency, a file needs no column of them."""
    head, time = "order_id,status,status_changed_at,created_at,total_cost,email", "2026-11-20 10:00:00"
    told = tell(
        f"{head}\n1,paid,{time},{time},10.00,Ann@shop.example\n",
        "yespo",
        customer_id_from=["email"],
        defaults={"currency": "UAH"},
    )

    assert told.payloads["1"]["externalCustomerId"] == "ann@shop.example"
    assert told.listed == {}
