"""The rows that transform rejects, and their reasons."""

from collections import Counter

import pytest

from include.order_sync.model import OrderStatus
from tests.unit.transform.samples import ONE_BAD, YESPO_ORDER, Run, reasons


def test_all_reasons_at_once(run: Run) -> None:
    """A rejected row has all its reasons, from the general checks and the provider's."""
    transformed = run(
        {**YESPO_ORDER, "order_id": None, "status_changed_at": "soon", "email": "ann", "currency": "uah"},
        {**YESPO_ORDER, "order_id": "2", "email": None, "total_cost": "19,90", "items": "[{}]"},
        {**YESPO_ORDER, "order_id": "good"},
        provider="yespo",
    )

    assert reasons(transformed)["2"] == [
        "total_cost: not a number",
        "contact: neither email nor phone",
        "items: item_id missing",
        "items: name missing",
        "items: quantity not a whole number",
        "items: cost not a number",
        "items: url missing",
        "items: image_url missing",
    ]
    assert [found for id_, found in reasons(transformed).items() if id_ != "2"] == [
        [
            "order_id: missing",
            "status_changed_at: not a date and time",
            "currency: not three capital letters",
            "email: not an address",
        ]
    ]
    assert transformed.reasons["email: not an address"] == 1
    assert transformed.ready["order_id"].tolist() == ["good"]


def test_rejected_rows_are_raw(run: Run) -> None:
    """A rejected row is kept unchanged, with its origin."""
    transformed = run(
        {}, {"order_id": " 2 ", "status": " Lost ", "status_changed_at": "soon", "line": 77, "origin": "a.csv"}
    )
    (row,) = transformed.rejected.to_dict("records")

    assert (row["order_id"], row["status"], row["status_changed_at"]) == (" 2 ", " Lost ", "soon")
    assert (row["origin"], row["line"]) == ("a.csv", 77)


def test_unknown_status_labels(run: Run) -> None:
    """A label outside the map is rejected, not guessed, and counted by itself; a missing label has another reason."""
    transformed = run(
        {"order_id": "1", "status": "lost"},
        {"order_id": "2", "status": " lost "},
        {"order_id": "3", "status": "PAID"},
        {"order_id": "4", "status": None},
        {"order_id": "5", "status": "delivered", "status_changed_at": None},
    )

    assert transformed.first_rows["status: not in the status map"].endswith(":1")
    assert transformed.reasons == {
        "status: not in the status map": 3,
        "status: missing": 1,
        "status_changed_at: missing": 1,
    }
    assert transformed.unknown_words == {"lost": 2, "delivered": 1}
    assert reasons(transformed)["5"] == ["status_changed_at: missing", "status: not in the status map (delivered)"]


@pytest.mark.parametrize("word", ["ann@shop.example", "+380 67 123 45 67", "Ann Example of the Old Town", "x" * 41])
def test_a_status_that_may_be_personal_is_not_shown(run: Run, word: str) -> None:
    """A text in the place of a status that may be a person's data is in no reason."""
    assert reasons(run({"status": word}))["A-1"] == ["status: not in the status map (a text that may be personal)"]


def test_more_words_than_a_shop_has_statuses(run: Run) -> None:
    """A column with a word for each row may hold names: none of them is shown."""
    names = [f"Ann{number // 10}x{number % 10}" for number in range(51)]
    found = reasons(run(*({"order_id": name, "status": name} for name in names)))
    few = reasons(run(*({"order_id": name, "status": name} for name in names[1:])))

    assert {*map(str, found.values())} == {"['status: not in the status map (a text that may be personal)']"}
    assert few[names[1]] == [f"status: not in the status map ({names[1]})"]


WRITTEN_OTHERWISE = ["ОТМЕНЁН", "отменен", "Отмене\u0308н", " Отменён\u200b", "ОТМЕНЁН\u00a0"]


@pytest.mark.parametrize("word", WRITTEN_OTHERWISE)
def test_status_words_as_shops_write_them(run: Run, word: str) -> None:
    """Case, the dots of ё, composition, blanks and invisible characters do not count."""
    transformed = run({"status": word}, statuses={"Отменён": OrderStatus.CANCELLED})

    assert transformed.ready["code"].tolist() == ["2"]


@pytest.mark.parametrize("word", ["İPTAL", "iptal", "IPTAL", "ıptal"])
def test_turkish_letters(run: Run, word: str) -> None:
    """An i with and without its dot is one letter: a capital of the one is the other, by most programs."""
    transformed = run({"status": word}, statuses={"İptal": OrderStatus.CANCELLED})

    assert transformed.ready["code"].tolist() == ["2"]


def test_status_words_that_differ_in_case_alone(run: Run) -> None:
    """Where the map has both, each means itself, and a third form means neither."""
    statuses = {"Done": OrderStatus.DELIVERED, "DONE": OrderStatus.CANCELLED}
    transformed = run(*({"order_id": word, "status": word} for word in ("Done", "DONE", "done")), statuses=statuses)

    assert dict(zip(transformed.ready["order_id"], transformed.ready["code"], strict=True)) == {
        "Done": "1",
        "DONE": "2",
    }
    assert transformed.unknown_words == {"done": 1}


@pytest.mark.parametrize("changes", ["newest", "every"])
def test_a_line_without_a_status_is_no_state_of_its_order(run: Run, changes: str) -> None:
    """Beside a row of the same order and times that has one, it supersedes nothing, wherever it stands."""
    item_line = {"status": None}
    transformed = run(item_line, {"status": "done"}, item_line, {"order_id": "2", "status": None}, changes=changes)

    assert transformed.ready["code"].tolist() == ["1"]
    assert transformed.counts["superseded"] == 2
    assert transformed.reasons == {"status: missing": 1}


@pytest.mark.parametrize("unprintable", ["A\x7f1", "A\t1", "1\x1f1"])
def test_ids_that_no_service_can_hold(run: Run, unprintable: str) -> None:
    """An id has at most 255 characters, and each can be printed."""
    transformed = run(*({"order_id": id_} for id_ in (unprintable, "x" * 256, None, "x" * 255, "A 1")))

    assert sorted(transformed.ready["order_id"]) == ["A 1", "x" * 255]
    assert transformed.reasons == {
        "order_id: missing": 1,
        "order_id: longer than 255 characters, or with unprintable ones": 2,
    }


def test_an_id_that_a_spreadsheet_has_lost(run: Run) -> None:
    """It is rejected, as it stands for many orders; an id that only looks like a number with an exponent is not."""
    transformed = run(*({"order_id": order_id} for order_id in ("1.23457E+17", "1,2E+05", "1e5", "E+17", "12E17")))

    assert sorted(transformed.ready["order_id"]) == ["12E17", "1e5", "E+17"]
    assert transformed.reasons == {"order_id: its digits were lost by a spreadsheet": 2}


def test_lines_that_stand_apart_are_not_joined(run: Run) -> None:
    """Where a source joins an order's lines, those of one file, status and time that are left over are rejected."""
    rows = [
        *({"order_id": id_} for id_ in ("apart", "alone", "apart", None, None, "changed", "in two files")),
        {"order_id": "changed", "status": "done"},
        {"order_id": "in two files", "origin": "another.csv"},
    ]

    assert run(*rows, joins_lines=True).reasons == {
        "order_id: missing": 2,
        "order: its lines do not stand together in the file": 2,
    }
    assert run(*rows).reasons == {"order_id: missing": 2}


def test_problem_rows(run: Run) -> None:
    """An unreadable row has only that reason, and none that follows from it."""
    nothing = {"order_id": None, "status": None, "status_changed_at": None, "problem": ONE_BAD}
    transformed = run(nothing, {"order_id": "1"}, nothing)

    assert transformed.rejected["reasons"].tolist() == [[ONE_BAD], [ONE_BAD]]
    assert transformed.reasons == {ONE_BAD: 2}
    assert transformed.counts == {"superseded": 0, "orders": 3, "rejected": 2, "not_for_provider": 0}


def test_nothing_rejected(run: Run) -> None:
    """Good rows have no reasons."""
    transformed = run({})

    assert transformed.rejected.empty
    assert (transformed.reasons, transformed.first_rows) == (Counter(), {})
