"""Files as shops have them, from their bytes to what is sent: each order arrives right, or is listed with its line."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from upath import UPath

from include.order_sync import pipeline
from include.order_sync.configuration.models import Destination
from include.order_sync.configuration.source_models import CsvSource
from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.csv_drop import CsvDropReader
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
#1002,b@shop.example,paid,,10.00,2026-11-20 10:05:00 +0200,,1,Mug,A1
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


def test_ids(tell: Any) -> None:
    """What shops and spreadsheets put around an id is taken off, so that its rows are one order."""
    ids = ["#7", "7\u200b", '"=""7"""', "'7", "7.0", "1.23457E+17", "1e5"]
    content = HEADER + "".join(f"\n{id_},paid,2026-11-20 10:0{at}:00" for at, id_ in enumerate(ids))
    told = tell(content, strip_ids=True)

    assert told.sent == {"7": "0", "1e5": "0"}
    assert told.done.counts["superseded"] == 4
    assert told.listed == {7: ["order_id: its digits were lost by a spreadsheet"]}


def test_status_words(tell: Any) -> None:
    """Case and the dots of ё do not count; unknown words are counted."""
    content = f"{HEADER}\n1,PAID,{TIMES[:19]}\n2,Отменен,{TIMES[:19]}\n3,NULL,{TIMES[:19]}\n4,paid\u200b,{TIMES[:19]}\n"
    told = tell(content, statuses={"paid": "paid", "Отменён": "cancelled"})

    assert told.sent == {"1": "0", "2": "2", "4": "0"}
    assert told.listed == {4: ["status: not in the status map (NULL)"]}
    assert told.done.unknown_words == {"NULL": 1}
    assert tell(content, statuses={"paid": "paid"}, missing_words=["null"]).listed[4] == ["status: missing"]


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
