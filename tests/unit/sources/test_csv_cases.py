"""Files as shops have them, from their bytes to what is sent: each order arrives right, or is listed with its line."""

from datetime import UTC, datetime
from typing import Any

import pytest

from include.order_sync import pipeline
from tests.unit.sources.drops import rows_of
from tests.unit.sources.told import FULL, HEADER, TIMES


def test_the_time_of_the_file(tell: Any) -> None:
    """With `status_time: file` rows have the file's time, and need no column of times."""
    told = tell("order_id,status\n1,paid\n", status_time="file")

    assert (told.sent, told.listed) == ({"1": "0"}, {})


@pytest.mark.parametrize("lines", [{}, {"lines": "items"}], ids=["a line an order", "lines of items"])
def test_the_time_of_the_file_beside_that_of_a_rule(tell: Any, lines: dict[str, str]) -> None:
    """A rule's time counts; the rows to which no rule gives one have the file's."""
    rules = [{"column": "Sent at", "word": "shipped", "time": True}, {"column": "state"}]
    content = "order_id,state,Sent at\n1,paid,\n2,paid,2026-11-20 10:00:00\n"
    told = tell(content, status_time="file", status_from=rules, **lines)

    assert (told.sent, told.listed) == ({"1": "0", "2": "0"}, {})
    assert told.done.newest_change == datetime(2026, 11, 21, tzinfo=UTC)
    times = {row["order_id"]: row["status_changed_at"] for row in rows_of(told.reader)}
    assert times == {"1": "2026-11-21 00:00:00+00:00", "2": "2026-11-20 10:00:00"}


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


@pytest.mark.parametrize("id_", ["#", "№", "'", '=""', "?"])
def test_signs_alone_are_no_id(tell: Any, id_: str) -> None:
    """What is left of an empty cell is refused, whether ids are stripped or not."""
    row = id_.replace('"', '""')
    for strip_ids in (False, True):
        told = tell(f'{HEADER}\n"{row}",paid,2026-11-20 10:00:00\n', strip_ids=strip_ids)
        assert (told.sent, sorted(told.listed)) == ({}, [2])


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


@pytest.mark.parametrize("id_", ["1e5", "12E7", "7.5", "1.000", "A-1!", "NULL-7", "N/A-1"])
def test_what_is_an_id(tell: Any, id_: str) -> None:
    """Ids that only look like numbers or words stay as they are."""
    for strip_ids in (False, True):
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
