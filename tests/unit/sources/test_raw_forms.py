"""Ids and times of raw rows, in the forms that all later steps know."""

import pyarrow as pa
import pytest

from include.order_sync.sources.raw_forms import RawForms


def applied(forms: RawForms, column: str, *texts: str | None) -> list[str | None]:
    """Return the texts of a column in the forms."""
    return list(forms.apply(column, pa.chunked_array([list(texts[:1]), list(texts[1:])], pa.string())).to_pylist())


MARKED = ["#1001", "№ 1001", "'1001", '="1001"', "1001.0", " #1001 ", "1001\u200b", "\ufeff1001", "10\u00ad01"]


@pytest.mark.parametrize("column", ["order_id", "customer_id", "bill_id", "item_id"])
def test_marks_around_ids(column: str) -> None:
    """Taken off by choice; invisible characters always."""
    assert set(applied(RawForms(strip_ids=True), column, *MARKED)) == {"1001"}
    assert applied(RawForms(), column, *MARKED) == [*MARKED[:6], "1001", "1001", "1001"]


KEPT = ["007", "1e5", "A-1.0", "1.5", "A#1", "1001'", "=1001", "-1.0", None, ""]


def test_what_is_part_of_an_id() -> None:
    """Signs within an id, and all its digits, stay."""
    assert applied(RawForms(strip_ids=True), "order_id", *KEPT) == KEPT


def test_times_by_forms() -> None:
    """Times of the declared forms become ISO 8601, each chunk by itself; other columns and forms stay."""
    forms = RawForms(dates=["d.m.y"])
    texts = ["20.11.2026", "20.11.2026", None, "2026-11-20", "11/20/2026"]

    assert applied(forms, "created_at", *texts) == ["2026-11-20", "2026-11-20", None, "2026-11-20", "11/20/2026"]
    assert applied(forms, "status", *texts) == texts
