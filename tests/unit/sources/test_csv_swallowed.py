"""Rows that a stray quote has swallowed, in files of any columns: the quote is noticed, and they are read."""

from typing import Any

import pytest

KINDS = {
    "a time": ("order_id,status,status_changed_at,c", "{},odd,2026-11-20,", {}),
    "a status in another case": ("order_id,status,c", "{}, Paid ,", {"status_time": "file"}),
    "a rule with its own words": (
        "order_id,is_paid,c",
        "{},Yes,",
        {"status_time": "file", "status_from": [{"column": "is_paid", "is": ["yes"], "word": "paid"}]},
    ),
    "a rule without": ("order_id,state,c", "{},PAID,", {"status_time": "file", "status_from": [{"column": "state"}]}),
    "the time of a rule": (
        "order_id,paid,c",
        "{},20.11.2026,",
        {"dates": ["d.m.y"], "status_from": [{"column": "paid", "word": "paid", "time": True}]},
    ),
    "an id alone": ("order_id,shop,c", "A-{},x,", {"status_time": "file", "defaults": {"status": "paid"}}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_tells_a_row(tell: Any, kind: str) -> None:
    """Where a file has no time, its statuses tell, or the columns of its rules; without any of them the id does."""
    header, start, keys = KINDS[kind]
    rows = [f"{start.format(number)}x" for number in range(10, 20)]
    rows[2] = rows[2].replace(",x", ',"x')
    rows[5] += '"'
    told = tell("\n".join([header, *rows]), **keys)

    assert told.listed[4] == ["row: a quote that is not closed, or closes in mid-field"]
    assert len(told.sent) + len(told.listed) == len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_text_of_several_lines(tell: Any, kind: str) -> None:
    """A line of a comment is no row, though it may have as many delimiters."""
    header, start, keys = KINDS[kind]
    width = header.count(",") + 1
    comment = "\n".join(["Hello", ",".join(["flat 5", "Main St", "Kyiv", "3"][:width]), ",".join("abcd"[:width])])
    told = tell(f'{header}\n{start.format(10)}"{comment}"\n{start.format(11)}x\n', **keys)

    assert len(told.sent) + len(told.listed) == 2
    assert 3 not in told.listed
