"""Faults are found, combined, and listed for each row."""

import pandas as pd

from include.order_sync.transform.checks import Check, missing, no_match
from include.order_sync.transform.reasons import any_of, find_faults, reasons_of, shown_word

ORDERS = pd.DataFrame({"a": ["1", None, "x"], "b": [None, None, "y"]}, index=[5, 3, 9], dtype="str")
CHECKS = (
    Check("OS-1", "a: missing", "", missing("a")),
    Check("OS-2", "b: missing", "", missing("b")),
    Check("OS-3", "a: not a number", "", no_match("a", r"\d+")),
    Check("OS-4", "a: too long", "", lambda orders, _items: orders["a"].str.len().gt(1)),
)


def test_find_faults() -> None:
    """Each reason that occurs comes with its rows; a reason that does not occur is omitted."""
    faults = find_faults(ORDERS, pd.DataFrame(), CHECKS)

    assert {reason: wrong[wrong].index.tolist() for reason, wrong in faults.items()} == {
        "a: missing": [3],
        "b: missing": [5, 3],
        "a: not a number": [9],
    }


def test_any_of() -> None:
    """An order is wrong if it has at least one fault; without faults no order is wrong."""
    faults = find_faults(ORDERS, pd.DataFrame(), CHECKS[2:])

    assert any_of(faults, ORDERS.index).to_dict() == {5: False, 3: False, 9: True}
    assert not any_of({}, ORDERS.index).any()


def test_reasons_of() -> None:
    """Each row has all its reasons, in the sequence of the checks, or an empty list."""
    faults = find_faults(ORDERS, pd.DataFrame(), CHECKS)

    assert reasons_of(faults, pd.Index([9, 3])).to_dict() == {9: ["a: not a number"], 3: ["a: missing", "b: missing"]}
    assert reasons_of({}, pd.Index([5])).to_dict() == {5: []}


def test_a_word_with_control_characters() -> None:
    """PostgreSQL takes no NUL, and a line break would make two reasons of one."""
    assert shown_word("paid\0\n") == "paid\ufffd\ufffd"
    assert shown_word("оплачено – так") == "оплачено – так"
