"""What is told of a whole column of text at once."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.texts import may_hold_blanks

any_texts = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=4))


@given(any_texts)
def test_columns_without_blanks(values: list[str | None]) -> None:
    """Where a column is said to hold no blank, trimming would change nothing."""
    if not may_hold_blanks(pa.array(values, pa.large_string())):
        assert all(value == value.strip() for value in values if value is not None)


def test_plain_columns_are_not_trimmed() -> None:
    """Ids and codes are said to hold no blank; blanks of any alphabet are found."""
    assert not may_hold_blanks(pa.array(["ORD-1", None, "", "~!"], pa.large_string()))
    assert all(may_hold_blanks(pa.array(["1", f"2{blank}"], pa.large_string())) for blank in " \t\x1c\u00a0\u2003")
