"""docs/reasons.md has a row for each reason, with its code, text and cure."""

import re

import pytest

from include.order_sync.codes import rejections
from include.order_sync.reason import Reason
from include.order_sync.stops import STOPS
from tests.docs.pages import page, tables

PAGE = page("docs/reasons.md")


def row_of(reason: Reason) -> list[str]:
    """Return the texts of a reason's row."""
    return [reason.code, reason.reason.replace("*", "…").replace("`", ""), reason.cure.replace("`", "")]


def disagreements(text: str) -> dict[str, list[list[str]]]:
    """Return the rows that a page lacks, and those that no reason stands for."""
    found = [row for table in tables(text) for row in table.rows]
    wanted = [row_of(reason) for reason in (*rejections(), *STOPS)]
    return {
        "missing": [row for row in wanted if row not in found],
        "of no reason": [row for row in found if row not in wanted],
    }


def test_the_page_has_a_row_for_each_reason():
    """Code and page agree; the message shows the rows to write or to remove."""
    assert disagreements(PAGE) == {"missing": [], "of no reason": []}


@pytest.mark.parametrize("reason", [rejections()[0], STOPS[0]], ids=lambda reason: reason.code)
def test_a_missing_row_is_seen(reason):
    """Without its row, a reason is reported; so is a row whose text differs."""
    without = "".join(line for line in PAGE.splitlines(keepends=True) if not line.startswith(f"| {reason.code} "))
    assert disagreements(without) == {"missing": [row_of(reason)], "of no reason": []}
    other = PAGE.replace(f"| {reason.code} | ", f"| {reason.code} | not ")
    assert [row[0] for rows in disagreements(other).values() for row in rows] == [reason.code, reason.code]


def test_each_code_is_given_once():
    """Two reasons never share a code or a text, and each code is OS- and three digits."""
    reasons = (*rejections(), *STOPS)
    for texts in ([each.code for each in reasons], [each.reason for each in reasons]):
        assert sorted(texts) == sorted(set(texts))
    assert all(re.fullmatch("OS-[0-9]{3}", each.code) for each in reasons)
