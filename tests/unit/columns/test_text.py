"""Checks over all bytes of a column of text at once."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.columns.text import may_hold

any_texts = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=4))


@given(any_texts)
def test_what_may_not_be_there_is_not(values: list[str | None]) -> None:
    """A column that passes the check has no quote and no control character in any text."""
    if not may_hold(pa.array(values, pa.large_string()), b'"'):
        assert not any(sign == '"' or sign < " " for value in values if value for sign in value)


def test_plain_columns_are_known_as_such() -> None:
    """A column of ids and codes passes the check; a quote and a control character are found."""
    assert not may_hold(pa.array(["ORD-1", None, "", "~!"], pa.large_string()), b'"')
    assert not may_hold(pa.nulls(3, pa.large_string()), b'"')  # Arrow gives them bytes of zeros
    assert all(may_hold(pa.array(["1", f"2{sign}"], pa.large_string()), b'"') for sign in '"\t\x1f')
