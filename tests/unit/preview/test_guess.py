"""`preview --guess` proposes a source for a file that nobody has described, and marks what it can't know."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.order_sync.errors import StopError
from include.order_sync.preview.__main__ import main
from include.order_sync.preview.guess import guess
from include.order_sync.preview.guess_forms import are_ids, date_forms, decimal_sign
from tests.unit.preview.test_guess_steps import FLAGS, STEPS
from tests.unit.sources.test_containers import spreadsheet

RUSSIAN = """\
Выгрузка заказов
Номер заказа;Статус заказа;Дата изменения;Эл. почта;Телефон;Сумма заказа
№ 1001;Новый;20.11.2026 10:00;anna@shop.example;+7 900 123-45-67;1 234,50
№ 1002;Оплачен;21.11.2026 11:30;boris@shop.example;8 900 123-45-68;99,00
№ 1003;В пути;22.11.2026 12:00;;;5,00
№ 1004;Ждём кладовщика;22.11.2026 12:00;;;5,00
Итого;;;;;1 343,50
"""
SHOPIFY = """\
Name,Email,Financial Status,Fulfillment Status,Currency,Total,Created at
#1001,anna@shop.example,paid,fulfilled,USD,19.90,2026-11-20 10:00:00 +0200
#1002,boris@shop.example,paid,unfulfilled,USD,29.90,2026-11-20 11:00:00 +0200
"""
AMERICAN = """\
orderNumber|orderStatus|updatedAt|grand_total|customerEmail
100045|Shipped|3/4/26 9:15 AM|1,234.56|a@shop.example
100046|Cancelled|4/4/26 9:20 AM|20.00|b@shop.example
"""
GERMAN = """\
Bestellnummer\tBestellstatus\tGeändert am\tE-Mail-Adresse
B-1\tVersandt\t2026-11-20 10:00:00\ta@shop.example
B-2\tStorniert\t2026-11-20 11:00:00\tb@shop.example
"""
SHOPIFY_LINES = """\
Name,Email,Financial Status,Fulfillment Status,Total,Created at,Quantity,Lineitem name,Lineitem price,Cancelled at
#1001,anna@shop.example,paid,fulfilled,30.00,2026-11-20 10:00:00 +0200,1,Mug,10.00,
#1001,anna@shop.example,,,,2026-11-20 10:00:00 +0200,2,"Plate, big",10.00,
#1002,boris@shop.example,refunded,,10.00,2026-11-20 10:05:00 +0200,1,Mug,10.00,2026-11-20 12:00:00 +0200
#1003,c@shop.example,paid,unfulfilled,10.00,2026-11-20 10:06:00 +0200,1,Mug,10.00,
"""
ONE_C = """\
Отчет по заказам
Организация: ООО "Ромашка"

Номер;Дата изменения;Контрагент;Состояние;Номенклатура;Количество;Цена;Сумма
ЗК-000123;20.11.2026 10:15:00;Иванов Иван;Оплачен;Кружка;1,000;1 234,50;1 234,50
ЗК-000123;20.11.2026 10:15:00;Иванов Иван;Оплачен;Тарелка;2,000;100,00;200,00
ЗК-000124;20.11.2026 11:00:00;Петров Пётр;Отгружен;Ложка;1,000;50,00;50,00
;;;Итого;;4,000;;1 484,50
"""
HEADERLESS = """\
A-1,paid,2026-11-20T10:00:00Z,anna@shop.example,Petrenko
A-2,delivered,2026-11-20T11:00:00Z,boris@shop.example,Koval
"""


@pytest.fixture
def proposed(tmp_path: Path) -> Any:
    """Return a function that writes a file and returns the text that is proposed for it, and that as YAML."""

    def run(content: str, encoding: str = "utf-8") -> tuple[str, dict[str, Any]]:
        file = tmp_path / "export.csv"
        file.write_bytes(content.encode(encoding))
        text = guess(file)
        return text, yaml.safe_load(text)["drop"]

    return run


def test_a_russian_export(proposed: Any) -> None:
    """Encoding, delimiter, preamble, footer, names, dates, amounts, ids and words are found."""
    text, source = proposed(RUSSIAN, "cp1251")

    assert {
        key: source.get(key) for key in ("encoding", "delimiter", "skip_lines", "footers", "decimal", "strip_ids")
    } == {
        "encoding": "windows-1251",
        "delimiter": ";",
        "skip_lines": 1,
        "footers": ["Итого"],
        "decimal": ",",
        "strip_ids": True,
    }
    assert source["columns"] == {
        "order_id": "Номер заказа",
        "status": "Статус заказа",
        "status_changed_at": "Дата изменения",
        "email": "Эл. почта",
        "phone": "Телефон",
        "total_cost": "Сумма заказа",
    }
    assert source["dates"] == ["d.m.y"]
    assert source["statuses"] == {"Новый": "created", "Оплачен": "paid", "В пути": "shipped"}
    assert '# ? "Ждём кладовщика" (1 row): one of created' in text
    assert "timezone: UTC  # ?" in text
    assert "looks like no id" not in text  # the footer is no bad cell


def test_a_shopify_export(proposed: Any) -> None:
    """Several columns of statuses become rules, in which a word for a new order gives way to the others."""
    text, source = proposed(SHOPIFY)

    assert source["status_from"] == [
        {"column": "Fulfillment Status", "is": ["fulfilled"]},
        {"column": "Financial Status"},
    ]
    assert "# ? the first rule that applies" in text
    assert "status" not in source["columns"]
    assert "# ? the order's own time; or leave it out, and say `status_time: file`" in text
    assert {word: source["statuses"][word] for word in ("fulfilled", "paid")} == {
        "fulfilled": "delivered",
        "paid": "paid",
    }
    assert "timezone: UTC  # all times have an offset" in text
    assert source["strip_ids"] is True


def test_continuation_lines(proposed: Any) -> None:
    """Lines without a status after an order's first one, columns of items, and a column of cancellations are found."""
    text, source = proposed(SHOPIFY_LINES)

    assert source["lines"] == "continuation"
    assert "# the rows 1 and 2 are of one order" in text
    items = {"name": "Lineitem name", "quantity": "Quantity", "cost": "Lineitem price"}
    assert source["item_columns"] == items
    assert source["status_from"][0] == {"column": "Cancelled at", "word": "cancelled"}
    assert source["statuses"]["cancelled"] == "cancelled"


def test_a_line_for_each_item(proposed: Any) -> None:
    """Lines that repeat an order are told, and a price that is an item's is not the order's sum."""
    text, source = proposed(ONE_C, "cp1251")

    assert source["lines"] == "items"
    assert source["item_columns"] == {"name": "Номенклатура", "quantity": "Количество", "cost": "Цена"}
    assert "Иванов" not in text
    assert source["footers"] == ["Итого"]
    lines = "1,paid,2026-11-20,A1,5.00\n1,paid,2026-11-20,B2,7.00\n"
    _, source = proposed(f"order_id,status,updated_at,sku,price\n{lines}")
    assert source["item_columns"] == {"item_id": "sku", "cost": "price"}
    assert "total_cost" not in source["columns"]
    assert "lines" not in proposed(SHOPIFY)[1]


def test_items_in_json(proposed: Any) -> None:
    """The keys of items in a JSON column are named; a column with another content is no such."""
    items = '"[{""sku"": ""A1"", ""qty"": 1}]"'
    _, source = proposed(f"order_id,status,updated_at,items\n1,paid,2026-11-20,{items}\n")
    assert source["item_columns"] == {"item_id": "sku", "quantity": "qty"}
    _, source = proposed("order_id,status,updated_at,products\n1,paid,2026-11-20,2 mugs\n")
    assert "items" not in source["columns"]


def test_a_file_without_times(proposed: Any) -> None:
    """Without any column of times the file's own time is proposed, in doubt; without one of statuses a default."""
    text, source = proposed("order_id,status\n1,paid\n")
    assert source["status_time"] == "file"
    assert "status_time: file  # ?" in text
    text, _ = proposed("order_id,updated_at,email\n1,2026-11-20,a@b.example\n")
    assert "# ? defaults: {status: new}" in text


def test_names_of_other_systems(proposed: Any) -> None:
    """Names without blanks are known too; a column with the words of statuses comes before one with their numbers."""
    head = "orderid;orderTime;status;statusDescription;Статус оплаты;customerId;SKU;Item Name;Item Cost"
    rows = "57;2026-11-20;2;completed;Оплачен;3.0;A1;Mug;5\n57;2026-11-20;2;completed;Оплачен;3.0;B2;Jug;7\n"
    _, source = proposed(f"{head}\n{rows}")

    assert source["columns"].items() >= {"order_id": "orderid", "created_at": "orderTime"}.items()
    assert source["status_from"] == [
        {"column": "statusDescription", "is": ["completed"]},
        {"column": "Статус оплаты"},
    ]
    assert source["statuses"] == {"completed": "delivered", "Оплачен": "paid"}
    assert source["item_columns"] == {"item_id": "SKU", "name": "Item Name", "cost": "Item Cost"}
    assert source["strip_ids"] is True
    _, source = proposed("orderId;orderTime;status;statusDescription\n57;2026-11-20;2;completed\n")
    assert source["columns"]["status"] == "statusDescription"
    assert "status_from" not in source


def test_a_customer_by_name(proposed: Any) -> None:
    """A column that is called customer and has names is no column of ids."""
    _, source = proposed("order_id,status,updated_at,Customer\n1,paid,2026-11-20,Ann Example\n")

    assert "customer_id" not in (source.get("columns") or {})


def test_packed_files(tmp_path: Path) -> None:
    """A packed file and a spreadsheet are looked into."""
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(GERMAN.encode("utf-16")))
    sheet = [["Order No", "Status", "Updated at"], [1001, "Shipped", 46346.4375]]
    (tmp_path / "b.xlsx").write_bytes(spreadsheet(*sheet))

    assert yaml.safe_load(guess(tmp_path / "a.csv.gz"))["drop"]["columns"]["order_id"] == "Bestellnummer"
    text = guess(tmp_path / "b.xlsx")
    assert yaml.safe_load(text)["drop"]["dates"] == ["excel"]
    assert "encoding" not in text


def test_day_and_month_are_not_guessed(proposed: Any) -> None:
    """Without a day above 12 both forms are named, and neither is proposed."""
    text, source = proposed(AMERICAN)

    assert "dates" not in source
    assert "# ? dates: [d/m/y] or [m/d/y]" in text
    assert source["delimiter"] == "|"
    assert source["decimal"] == "."
    assert source["columns"]["order_id"] == "orderNumber"


def test_a_german_export(proposed: Any) -> None:
    """UTF-16 with a mark, tabs and umlauts are read."""
    _, source = proposed(GERMAN, "utf-16")

    assert source["delimiter"] == "tab"
    assert source["columns"]["status_changed_at"] == "Geändert am"
    assert source["statuses"] == {"Versandt": "shipped", "Storniert": "cancelled"}


def test_a_file_without_a_header(proposed: Any) -> None:
    """Columns are found by their values, all unsure, and no value but a status is shown."""
    text, source = proposed(HEADERLESS)

    assert source["header"] == "none"
    assert source["columns"] == {"order_id": 1, "status": 2, "status_changed_at": 3, "email": 4}
    assert text.count("# ? by its values") == 4
    assert not any(name in text for name in ("anna", "Petrenko", "A-1"))


def test_words_for_nothing(proposed: Any) -> None:
    """Words for nothing are no statuses and no times, and a word in another case is no second one."""
    _, source = proposed("order_id,status,updated_at\n1,NULL,-\n2,Paid,2026-11-20\n3,PAID,2026-11-20\n")

    assert source["missing_words"] == ["-", "NULL"]
    assert source["statuses"] == {"Paid": "paid"}
    assert source["columns"] == {"status_changed_at": "updated_at"}


def test_what_shop_systems_put_before_a_word(proposed: Any) -> None:
    """The marks of WooCommerce and Bitrix before a status do not hide it."""
    rows = "5012,wc-completed,2026-11-20 09:14,\n5013,[F] Выполнен,2026-11-20 10:02,\n5014,wc-refunded,2026-11-20,x\n"
    _, source = proposed(f"Order Number,Order Status,Date modified,Customer Note\n{rows}")

    assert source["statuses"] == {"wc-completed": "delivered", "[F] Выполнен": "delivered", "wc-refunded": "returned"}
    assert "customer_id" not in source["columns"]


def test_telephone_numbers_without_a_country(proposed: Any) -> None:
    """The country of numbers is not guessed, but asked for where a number lacks it."""
    header = "order_id,status,updated_at,phone\n"
    assert "# ? phone_country" in proposed(f"{header}1,paid,2026-11-20,067 123-45-67\n")[0]
    assert "phone_country" not in proposed(f"{header}1,paid,2026-11-20,+38 067 123-45-67\n")[0]


def test_a_status_that_may_be_a_person_is_not_shown(proposed: Any) -> None:
    """A column that is called status and holds addresses shows none of them."""
    text, _ = proposed("order_id,status,updated_at\n1,anna@shop.example,2026-11-20\n2,paid,2026-11-20\n")

    assert "anna" not in text
    assert "may be personal data" in text


@pytest.mark.parametrize(
    ("columns", "good", "bad", "proposed_line"),
    [
        (
            "order_id;status;Дата;Дата изменения",
            "7;paid;20.11.2026;21.11.2026",
            "7;paid;20.11.2026;не дата",
            'status_changed_at: "Дата изменения"  # 1 of 50 cells is no time of this form',
        ),
        (
            "order_id;status;updated_at",
            "7;paid;20/11/2026",
            "7;paid;11/20/2026",
            'status_changed_at: "updated_at"  # 1 of 50 cells is no time of this form',
        ),
        ("order_id;status;updated_at", "7;paid;20/11/2026", "7;paid;11/20/2026", 'dates: ["d/m/y"]'),
        (
            "order_id;status;updated_at",
            "7;paid;2026-11-20 10:00Z",
            "7;paid;soon",
            "timezone: UTC  # all times have an offset",
        ),
        (
            "Number;Order;status;updated_at",
            "x;7;paid;2026-11-20",
            "x;a@b.example;paid;2026-11-20",
            'order_id: "Order"  # 1 of 50 cells looks like no id',
        ),
        (
            "order_id;status;updated_at;Client",
            "7;paid;2026-11-20;C1",
            "7;paid;2026-11-20;Ann Example",
            'customer_id: "Client"  # 1 of 50 cells looks like no id',
        ),
        (
            "order_id;status;updated_at;products",
            '7;paid;2026-11-20;"[{""sku"": 1}]"',
            "7;paid;2026-11-20;2 mugs",
            'items: "products"  # 1 of 50 cells is no JSON array of items',
        ),
        (
            "order_id;status;updated_at;Итого",
            "7;paid;2026-11-20;19,90",
            "7;paid;2026-11-20;19.90",
            'decimal: ","  # 1 of 50 amounts differ',
        ),
        ("A-1;paid;2026-11-20;b@shop.example", "A-2;paid;2026-11-20;a@b.example", "A-3;paid;2026-11-20;?", "email: 4"),
    ],
)
def test_a_few_bad_cells(proposed: Any, columns: str, good: str, bad: str, proposed_line: str) -> None:
    """A bad cell changes no column and no form; how many cells do not fit is said. A header again is no bad cell."""
    header = [columns] if columns.startswith("order_id") else []
    rows = [row.replace("7;", f"{number};", 1) for number, row in enumerate([*[good] * 24, bad, *[good] * 25], 1001)]
    text, _ = proposed("\n".join([columns, *rows[:40], *header, *rows[40:]]) + "\n")

    assert proposed_line in text
    assert "status_time" not in text


def test_columns_with_many_bad_cells(proposed: Any) -> None:
    """A column whose cells mostly do not fit is not taken by its name, and this is said; so is an empty one."""
    text, source = proposed("order_id;status;Дата;Дата изменения\n1;paid;20.11.2026;a\n2;paid;20.11.2026;b\n")
    assert source["columns"]["status_changed_at"] == "Дата"
    said = text.replace("\n  #  ", "")
    assert '"Дата изменения" (its name is known for status_changed_at, but most of its cells do not fit)' in said
    text, _ = proposed("order_id;status;Дата изменения\n1;paid;\n2;paid;\n")
    assert 'status_changed_at: "Дата изменения"  # all of its cells are empty' in text


@pytest.mark.parametrize(
    "name",
    [
        *("Заказ №", "№ заказа", "№ Заказ", "ЗАКАЗ№", "Заказ #", "Номер заказа №", "Заказ покупателя №", "N заказа"),
        *("Замовлення №", "№ замовлення", "№замовлення", "#замовлення", "Замовлення клієнта №"),
        *("Order №", "Order#", "# Order", "Order No.", "No. of order", "order_no", "OrderNo", "Sales Order #"),
    ],
)
def test_order_ids_with_the_mark_of_a_number(proposed: Any, name: str) -> None:
    """The mark may stand anywhere in the name, and a column that only numbers the rows does not come before it."""
    _, source = proposed(f"№;Id;{name};status;updated_at\n1;8;A-1;paid;2026-11-20\n2;9;A-2;paid;2026-11-20\n")

    assert source["columns"]["order_id"] == name


def test_the_mark_of_a_number_tells_a_header(proposed: Any) -> None:
    """It is one also where a cell repeats one of its names."""
    _, source = proposed("Заказ №;Статус;Примечание\n1;Новый;Статус\n")

    assert "header" not in source


@pytest.mark.parametrize("name", ["Number of orders", "Order items no", "Клиент №", "Заказов"])
def test_other_numbers(proposed: Any, name: str) -> None:
    """A number of something else is not taken for an order's."""
    _, source = proposed(f"{name};Id;status;updated_at\n1;8;paid;2026-11-20\n2;9;paid;2026-11-20\n")

    assert source["columns"]["order_id"] == "Id"


def test_columns_that_need_no_line(proposed: Any) -> None:
    """Columns of a canonical name are said, and those that are not used, but no name that may be personal."""
    text, source = proposed(
        "order_id,status,updated_at,description,Клиент,Склад,a@b.example\n1,paid,2026-11-20,x,Анна,Б,x\n"
    )

    assert source["columns"] == {"status_changed_at": "updated_at"}
    assert "# with the canonical name already: order_id, status, updated_at\n" in text
    comment = " ".join(line.strip(" #") for line in text.splitlines() if line.startswith("  #"))
    assert 'columns that are not used: "description", "Клиент" (its name is known for customer_id' in comment
    assert '"Склад", 1 column with a name that looks like data' in comment
    assert "@" not in text
    assert "not used" not in proposed("order_id,status,status_changed_at\n1,paid,2026-11-20\n")[0]
    assert "not used: 5" in proposed(HEADERLESS)[0]
    text, _ = proposed("order_id,status,status_changed_at,customer_id\n1,paid,2026-11-20,Ann Example\n")
    assert "customer_id (but most of its cells do not fit)" in text


def test_columns_of_items_are_used(proposed: Any) -> None:
    """Columns of items are known also with the word for items before them, and none of them counts as not used."""
    rows = "1,paid,2026-11-20,A1,2\n1,paid,2026-11-20,B2,3\n"
    text, source = proposed(f"order_id,status,updated_at,items.sku,items.quantity\n{rows}")

    assert source["item_columns"] == {"item_id": "items.sku", "quantity": "items.quantity"}
    assert "not used" not in text
    assert "not used" not in proposed(SHOPIFY_LINES)[0]


@pytest.mark.parametrize(
    ("content", "encoding", "doubt"),
    [
        pytest.param(RUSSIAN, "cp1251", [("timezone: UTC", "timezone: Europe/Moscow")], id="Russian"),
        pytest.param(SHOPIFY, "utf-8", [], id="Shopify"),
        pytest.param(SHOPIFY_LINES, "utf-8", [], id="Shopify with lines"),
        pytest.param(ONE_C, "cp1251", [("timezone: UTC", "timezone: Europe/Moscow")], id="1C"),
        pytest.param(AMERICAN, "utf-8", [("# ? dates: [d/m/y] or [m/d/y]", "dates: [m/d/y] #")], id="American"),
        pytest.param(GERMAN, "utf-16", [], id="German"),
        pytest.param(HEADERLESS, "utf-8", [], id="without a header"),
        pytest.param(FLAGS, "utf-8", [], id="flags"),
        pytest.param(STEPS, "utf-8", [("timezone: UTC", "timezone: Europe/Kyiv")], id="times of steps"),
    ],
)
def test_what_is_proposed_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str,
    encoding: str,
    doubt: list[tuple[str, str]],
) -> None:
    """With its doubts decided, the proposal is a configuration by which every order of a known word is used."""
    file = tmp_path / "export.csv"
    file.write_bytes(content.encode(encoding))
    assert main(["--guess", str(file)]) == 0
    text = capsys.readouterr().out
    for written, decided in doubt:
        assert written in text
        text = text.replace(written, decided)
    inside = "".join(f"  {line}\n" for line in text.splitlines())
    (tmp_path / "order_sync.yaml").write_text(
        f"staging: {tmp_path}/staging\nsources:\n{inside}"
        "destinations:\n  clicks: {provider: rees46, connection: x, source: drop, start_date: 2026-01-01}\n"
    )
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))
    assert main(["drop", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    (outcome,) = report["outcomes"]
    unknown = sum(rows for _, status, rows in report["words"] if status is None)

    assert outcome["counts"]["rejected"] == unknown
    assert outcome["counts"]["used"] == report["rows"] - report["skipped"] - unknown


@pytest.mark.parametrize(
    ("texts", "forms"),
    [
        (["2026-11-20", "2026-11-20T10:00:00Z", "2026-11-20 10:00:00 +0300"], []),
        (["20.11.2026", "1.2.26 9:15"], ["d.m.y"]),
        (["13/4/2026", "1/2/2026"], ["d/m/y"]),
        (["4/13/26 9:15 PM", "1/2/26"], ["m/d/y"]),
        (["1/2/2026"], ["d/m/y?", "m/d/y?"]),
        (["13/4/2026", "4/13/2026"], None),
        (["2026/11/20 10:00"], ["y/m/d"]),
        (["20261120", "20261120103000"], ["ymd"]),
        (["1795255200"], ["unix"]),
        (["1795255200000"], ["unix ms"]),
        (["46346.4375", "46347"], ["excel"]),
        (["20 Nov 2026 10:00", "1 December 2026"], ["d mon y"]),
        (["Nov 20, 2026"], ["mon d y"]),
        (["yesterday"], None),
        (["1001", "1002"], None),
        ([], None),
    ],
)
def test_date_forms(texts: list[str], forms: list[str] | None) -> None:
    """The forms of dates that a source can name are told apart by their values."""
    assert date_forms(texts) == forms


@pytest.mark.parametrize(
    ("texts", "sign"),
    [
        (["19.90", "5"], None),
        (["1 234,56", "99,00"], ","),
        (["1,234.56", "20.00"], "."),
        (["$12", "$1,200"], "."),
        (["1000 руб"], "."),
        (["19,90", "19.90"], None),
        (["free"], None),
    ],
)
def test_decimal_sign(texts: list[str], sign: str | None) -> None:
    """The sign before the fraction is told by the amounts that have one."""
    assert decimal_sign(texts) == sign


def test_ids() -> None:
    """Names of people are no ids of orders."""
    assert are_ids(["A-1", "A-2", "Total"])
    assert not are_ids(["Anna", "Boris", "Clara 2"])
    assert not are_ids(["2026-11-20 10:00:00"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"PK\x03\x04", "is a damaged zip file", id="zip"),
        pytest.param(b"<html>", "is a web page", id="a page"),
        pytest.param(b"\n\n", "is empty", id="empty"),
        pytest.param(b"just a text\nof lines\n", "is it CSV", id="no CSV"),
    ],
)
def test_files_that_are_no_csv(tmp_path: Path, content: bytes, said: str) -> None:
    """A file that is no CSV is refused with the cure."""
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(StopError, match=said):
        guess(tmp_path / "x.csv")
    with pytest.raises(StopError, match="can't be read"):
        guess(tmp_path / "no.csv")
