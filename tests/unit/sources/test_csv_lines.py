"""Files with several lines for an order: it has the items of all its lines, or is listed."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from include.order_sync.errors import StopError
from include.order_sync.sources.csv_lines import LineMerger
from include.order_sync.sources.raw_forms import RawForms
from tests.unit.sources.told import FULL, HEADER, ITEM_COLUMNS, TIMES, Told

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
    lines += ["3,2026-11-20,0000-00-00 00:00:00,paid,A"]
    told = tell(
        "\n".join([head, *lines]),
        columns={"order_id": "id", "status_changed_at": "at"},
        status_from=[{"column": "Sent"}, {"column": "Paid"}],
        statuses={"sent": "shipped", "paid": "paid"},
        missing_words=["NULL"],
        lines="continuation",
        item_columns={"item_id": "sku"},
    )

    assert (told.sent, told.listed, told.reader.skipped) == ({"1": "0", "2": "0", "3": "0"}, {}, 1)


LINES = f"""{FULL},sku,qty
1001,paid,{TIMES},7,30.00,UAH,a@shop.example,,A1,1
1001,paid,{TIMES},7,30.00,UAH,a@shop.example,,B2,2
1001,shipped,2026-11-20 11:00:00,2026-11-20 09:00:00,7,30.00,UAH,a@shop.example,,B2,2
1002,paid,{TIMES},7,30.00,UAH,a@shop.example,,,
"""


def test_lines_of_items(tell: Any) -> None:
    """One line an item: the lines of one status and time are one order, and a later status has its own items."""
    told = tell(LINES, "yespo", lines="items", item_columns=ITEM_COLUMNS)

    assert told.payloads["1001"]["items"] == [{"externalItemId": "B2", "quantity": 2}]
    assert "items" not in told.payloads["1002"]
    told = tell("\n".join(LINES.splitlines()[:3]), "yespo", lines="items", item_columns=ITEM_COLUMNS)
    assert [item["externalItemId"] for item in told.payloads["1001"]["items"]] == ["A1", "B2"]
    assert told.listed == {}


CANONICAL = LINES.replace("sku,qty", "Item_ID,quantity")


@pytest.mark.parametrize("columns", [{}, {"quantity": "quantity"}], ids=["none", "some"])
def test_lines_of_items_with_canonical_names(tell: Any, columns: dict[str, str]) -> None:
    """Columns of items that have canonical names need no entry, as those of orders need none."""
    content = "\n".join(CANONICAL.splitlines()[:3])
    told = tell(content, "yespo", lines="items", item_columns=columns)

    wanted = [{"externalItemId": "A1", "quantity": 1}, {"externalItemId": "B2", "quantity": 2}]
    assert told.payloads["1001"]["items"] == wanted


def test_id_of_an_item_that_is_a_number(tell: Any) -> None:
    """The marks of spreadsheets are taken off an item's id, also in a column with the canonical name."""
    told = tell(CANONICAL.replace("A1", "#7.0"), "yespo", lines="items", strip_ids=True)

    assert told.listed == {}
    assert told.payloads["1001"]["items"] == [{"externalItemId": "B2", "quantity": 2}]
    told = tell("\n".join(CANONICAL.replace("A1", "#7").splitlines()[:2]), "yespo", lines="items", strip_ids=True)
    assert told.payloads["1001"]["items"] == [{"externalItemId": "7", "quantity": 1}]


def test_canonical_columns_of_items_without_lines(tell: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The log warns of it, for a service may take none. A column that an order has too tells nothing."""
    assert "items" not in tell(CANONICAL, "yespo").payloads["1001"]
    assert "its column item_id is not read. If it has a line for each item" in caplog.text
    caplog.clear()
    told = tell(LINES.replace("sku,qty", "name,url"), "yespo")
    assert "items" not in told.payloads["1002"]
    told = tell(CANONICAL, "yespo", columns={"bill_id": "item_id"})
    assert "items" not in told.payloads["1002"]
    assert "item_id is not read" not in caplog.text


def test_lines_of_items_without_a_header(tell: Any) -> None:
    """Columns of items have numbers as others have."""
    content = f"1001,paid,{TIMES},7,30.00,UAH,a@shop.example,,A1,1\n" * 2
    columns = {name: number for number, name in enumerate(FULL.split(","), 1)}
    keys = {"header": "none", "columns": columns, "item_columns": {"item_id": 10, "quantity": 11}}
    told = tell(content, "yespo", lines="items", **keys)

    assert told.payloads["1001"]["items"] == [{"externalItemId": "A1", "quantity": 1}] * 2


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
    merger = LineMerger("continuation", {"order_id": "0", "status": "1"}, {"sku": 2}, "sku", ",", RawForms())

    def add(line: int, *row: str, unread: Mapping[int, bytes] = {}) -> None:
        merger.add(pa.table({str(at): [text] for at, text in enumerate(row)}), pa.array([line]), unread)

    add(2, "1", "paid", "A1", unread={3: b"2,paid\n"})
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


HEAD = f"{FULL},sku,qty\n"
LOST = ["items: a line of the order could not be read"]
# A line of the order 1001 that can't be read; \udcff stands for the byte FF.
BAD = ["1001,paid", '"1001,paid', "1001,\udcff,,", ",1001,paid", "\udcff1001,paid", "10\udcff\udcff01,paid"]


def line(number: int | str, sku: str, status: str = "paid") -> str:
    """Return a line of an order and one item."""
    return f"{number},{status},{TIMES},7,30.00,UAH,a@shop.example,,{sku},1"


def tell_lines(tell: Any, written: list[str], **keys: Any) -> tuple[Told, dict[str, list[str]]]:
    """Return what came of the lines at Yespo, and the items of each order."""
    content = (HEAD + "\n".join(written)).encode("utf-8", "surrogateescape")
    told = tell(content, "yespo", item_columns=ITEM_COLUMNS, **keys)
    ids = {key: [item["externalItemId"] for item in each.get("items", [])] for key, each in told.payloads.items()}
    return told, ids


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_order_with_a_line_that_can_not_be_read(tell: Any, bad: str, at: int) -> None:
    """It is not sent without an item, be the line its first, another or its last one; others lose nothing."""
    lines = [line(1000, "Z"), line(1001, "A"), line(1001, "B"), line(1001, "C"), line(1002, "Y")]
    lines[at] = bad
    told, items = tell_lines(tell, lines, lines="items")

    assert items == {"1000": ["Z"], "1002": ["Y"]}
    assert {number: reasons for number, reasons in told.listed.items() if number != at + 2} == {3 + (at == 1): LOST}
    assert at + 2 in told.listed


def test_an_id_with_many_bytes_that_are_no_text(tell: Any) -> None:
    """It is compared without trying all ways to fill the gaps: these are more than a computer can try."""
    bad = "a\udcff" * 30 + "c,paid"
    lines = [line("a" * 200 + "b", "A"), bad, line(1002, "Y")]
    _, items = tell_lines(tell, lines, lines="items")

    assert items == {"a" * 200 + "b": ["A"], "1002": ["Y"]}


@pytest.mark.parametrize("bad", [*BAD, ",,,\udcff", ',"x'])
def test_a_further_line_that_can_not_be_read(tell: Any, bad: str) -> None:
    """A line that has no id is one of the order before it."""
    further = "," * 9
    lines = [line(1001, "A"), bad, f"{further}C,1", line(1002, "Y")]
    told, items = tell_lines(tell, lines, lines="continuation")

    assert items == {"1002": ["Y"]}
    assert sorted(told.listed) == [2, 3]
    assert told.listed[2] == LOST


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    ("good", "bad"), [("2026-11-20 10", "2026-11-2x 10"), ("2026-11-20 10", "2926-11-20 10"), (",paid,", ",pa!d,")]
)
def test_a_line_without_a_readable_time_or_status(tell: Any, at: int, good: str, bad: str) -> None:
    """It can't be joined, so its order lacks an item: neither is sent."""
    lines = [line(1001, "A"), line(1001, "B"), line(1001, "C"), line(1002, "Y")]
    lines[at] = lines[at].replace(good, bad, 1)
    told, items = tell_lines(tell, lines, lines="items")

    assert items == {"1002": ["Y"]}
    assert told.listed


@pytest.mark.parametrize("at", [1, 2])
def test_a_line_without_a_status(tell: Any, at: int) -> None:
    """It repeats the status of its order's other lines, as it may with `continuation`."""
    lines = [line(1001, "A"), line(1001, "B"), line(1001, "C")]
    lines[at] = lines[at].replace(",paid,", ",,", 1)
    told, items = tell_lines(tell, lines, lines="items")

    assert (items, told.listed) == ({"1001": ["A", "B", "C"]}, {})


def test_an_item_is_lost_for_services_that_take_items_alone(tell: Any) -> None:
    """A service that gets an order's id and code gets it, though a line of its items can't be read."""
    told = tell(HEAD + "\n".join([line(1001, "A"), "1001,paid"]), lines="items", item_columns=ITEM_COLUMNS)

    assert told.sent == {"1001": "0"}
    assert sorted(told.listed) == [3]


@pytest.mark.parametrize(("bad_at", "sent"), [(0, ["1001"]), (1, ["1001"]), (2, [])])
def test_the_last_line_can_not_be_read(tell: Any, bad_at: int, sent: list[str]) -> None:
    """With `lines: last` an order is refused if its newest line is lost; a line before it does no harm."""
    lines = ["1001,new,2026-11-20", "1001,paid,2026-11-20", "1001,delivered,2026-11-20"]
    lines[bad_at] = "1001,del"
    told = tell(f"{HEADER}\n" + "\n".join(lines), lines="last")

    assert list(told.sent) == sent
    assert (told.listed.get(3) == ["order: the last of its lines could not be read"]) is not bool(sent)


@pytest.mark.parametrize("how", ["items", "continuation"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (line("#1001", "A"), line("1001", "B")),
        (line("1001.0", "A"), line("1001\u200b", "B")),
        (line(1001, "A"), line(1001, "B", "PAID")),
        (line(1001, "A"), line(1001, "B").replace("2026-11-20 10:00:00", "20.11.2026 10:00")),
    ],
)
def test_lines_that_differ_in_their_form_alone(tell: Any, how: str, first: str, second: str) -> None:
    """They are joined: ids, times and words of statuses are compared as they will be read."""
    _, items = tell_lines(tell, [first, second], lines=how, strip_ids=True, dates=["d.m.y"])

    assert items == {"1001": ["A", "B"]}


@pytest.mark.parametrize(("others", "is_lost"), [(99, True), (100, False)])
def test_lines_that_can_not_be_read_are_kept_while_they_matter(others: int, is_lost: bool) -> None:
    """Only the last hundred: a file of a million of them would not fit into memory."""
    merger = LineMerger("items", {"order_id": "0", "status": "1"}, {"sku": 2}, "sku", ",", RawForms())
    nothing = pa.table({"0": pa.array([], pa.string()), "1": pa.array([], pa.string()), "2": pa.array([], pa.string())})
    merger.add(nothing, pa.array([], pa.int64()), {1: b"1001,paid\n"} | dict.fromkeys(range(2, 2 + others), b"x\n"))
    merger.add(pa.table({"0": ["1001"], "1": ["paid"], "2": ["A"]}), pa.array([200]), {})
    table, _ = merger.rows(ended=True)

    assert (LOST[0].removeprefix("items: ") in table.column("items")[0].as_py()) is is_lost


def test_ids_of_items(tell: Any) -> None:
    """With `strip_ids` what spreadsheets put around them is taken off; one that has lost its digits is refused."""
    marked = [line(1001, '"=""007"""'), line(1001, "'008"), line(1001, "9.0"), line(1001, "A\u200b")]
    lost = [line(1002, "B"), line(1002, "1.23457E+17")]
    told, items = tell_lines(tell, [*marked, *lost], lines="items", strip_ids=True)

    assert items == {"1001": ["007", "008", "9", "A"]}
    assert told.listed == {6: ["items: item_id: its digits were lost by a spreadsheet"]}


def test_lines_apart_that_differ_in_case(tell: Any) -> None:
    """They are as far apart as others are: no item is lost unseen."""
    told, items = tell_lines(tell, [line(1001, "A"), line(1002, "Y"), line(1001, "B", "Paid")], lines="items")

    assert items == {"1002": ["Y"]}
    assert sorted(told.listed) == [2, 4]


@pytest.mark.parametrize("how", ["items", "continuation"])
@pytest.mark.parametrize(
    ("first", "second", "listed"),
    [("paid", "", [2]), ("", "paid", [4]), ("", "", [2, 4])],
    ids=["first", "last", "none"],
)
def test_lines_apart_of_which_one_has_no_status(
    tell: Any, how: str, first: str, second: str, listed: list[int]
) -> None:
    """Their order is not sent without an item: a line with a status is listed, and without any all of them."""
    lines = [line(1001, "A", first), line(1002, "Y"), line(1001, "B", second)]
    told, items = tell_lines(tell, lines, lines=how)

    assert items == {"1002": ["Y"]}
    assert sorted(told.listed) == listed


def test_a_second_copy_of_an_order(tell: Any) -> None:
    """After lines without a status, one with the same status begins a second copy: no item is sent twice."""
    lines = [line(1001, "A"), f"1001{',' * 9}B,1"] * 2
    told, items = tell_lines(tell, [*lines, line(1002, "Y")], lines="continuation")

    assert items == {"1002": ["Y"]}
    assert told.listed == {number: ["order: its lines do not stand together in the file"] for number in (2, 4)}


@pytest.mark.parametrize("own", ["", "1001"])
def test_a_further_line_that_a_stray_quote_swallows(tell: Any, own: str) -> None:
    """It is noticed, though it has neither the status of its order nor a time."""
    lines = [line(1001, '"A'), f'{own}{"," * 9}B",1', line(1002, "Y")]
    told, items = tell_lines(tell, lines, lines="continuation")

    assert items == {"1002": ["Y"]}
    assert sorted(told.listed) == [2, 3]


@pytest.mark.parametrize("row", [",paid,2026-11-20 10:00:00,x", "2,paid,,x"])
def test_a_row_without_id_or_time_that_a_stray_quote_swallows(tell: Any, row: str) -> None:
    """It is listed by its line, as it would be without the quote."""
    told = tell(f'{HEADER},comment\n1,paid,2026-11-20,"a\n{row}"\n3,paid,2026-11-20,x\n')

    assert list(told.sent) == ["3"]
    assert sorted(told.listed) == [2, 3]
