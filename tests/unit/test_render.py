"""JSON text of whole columns."""

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync import render

any_text = st.text(st.characters(codec="utf-8"), max_size=10)


def texts(*values: str | None, index: list[int] | None = None) -> pd.Series:
    """Return a column of text."""
    return pd.Series(list(values), dtype="str", index=index)


@given(st.lists(any_text, min_size=1, max_size=5))
def test_strings(values: list[str]) -> None:
    """Any text becomes a JSON string of that text."""
    assert [json.loads(text) for text in render.strings(texts(*values))] == values


def test_strings_are_plain() -> None:
    """Letters of any alphabet stay as they are, and missing stays missing."""
    quoted = render.strings(texts("Ёж", None, 'a"b\\c\n'))

    assert quoted[0] == '"Ёж"'
    assert pd.isna(quoted[1])
    assert quoted[2] == r'"a\"b\\c\n"'


def test_objects() -> None:
    """Columns are glued in their order, numbers digit for digit; a missing field is left out of its row."""
    objects = render.objects(
        {
            "id": render.strings(texts("1", "2", "3", index=[9, 4, 4])),
            "cost": texts("19.90", None, "1e5", index=[9, 4, 4]),
            "name": render.strings(texts(None, None, "Ёж", index=[9, 4, 4])),
        }
    )

    assert objects.tolist() == ['{"id":"1","cost":19.90}', '{"id":"2"}', '{"id":"3","cost":1e5,"name":"Ёж"}']
    assert objects.index.tolist() == [9, 4, 4]


@given(st.lists(st.tuples(any_text, st.none() | any_text, st.none() | any_text), min_size=1, max_size=5))
def test_any_object(rows: list[tuple[str, str | None, str | None]]) -> None:
    """Any texts, missing ones too, make objects that are JSON and hold them."""
    columns = {key: render.strings(texts(*column)) for key, column in zip("abc", zip(*rows, strict=True), strict=True)}
    expected = [{key: text for key, text in zip("abc", row, strict=True) if text is not None} for row in rows]

    assert [json.loads(text) for text in render.objects(columns)] == expected


def test_nothing() -> None:
    """No rows make no objects and no arrays."""
    none = texts()

    assert render.objects({"id": render.strings(none)}).tolist() == []
    assert render.arrays(none, pd.Series([], dtype="int64")).tolist() == []


@given(st.lists(st.tuples(st.integers(0, 3), any_text), max_size=8))
def test_arrays(elements: list[tuple[int, str]]) -> None:
    """Each owner gets an array of its own elements, in their order, however owners are mixed."""
    owners = pd.Series([owner for owner, _ in elements], dtype="int64")
    arrays = render.arrays(render.strings(texts(*(text for _, text in elements))), owners)
    expected: dict[int, Any] = {}
    for owner, text in elements:
        expected.setdefault(owner, []).append(text)

    assert {owner: json.loads(array) for owner, array in arrays.items()} == expected


@pytest.mark.parametrize(
    ("time", "iso", "unix"),
    [
        pytest.param("2026-11-21T13:45:00Z", "2026-11-21T13:45:00+00:00", "1795268700", id="second"),
        pytest.param("2026-11-21T13:45:00.999999Z", "2026-11-21T13:45:00+00:00", "1795268700", id="fraction cut"),
        pytest.param("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00", "253402300799", id="the last second"),
        pytest.param(None, None, None, id="missing"),
    ],
)
def test_times(time: str | None, iso: str | None, unix: str | None) -> None:
    """Times leave to the second, in UTC with its offset or as seconds since 1970; missing stays missing."""
    times = pd.Series([None if time is None else pd.Timestamp(time)], dtype="datetime64[us, UTC]", index=[5])

    for rendered, expected in ((render.utc_times(times), iso), (render.unix_seconds(times), unix)):
        assert rendered.index.tolist() == [5]
        assert pd.isna(rendered[5]) if expected is None else rendered[5] == expected
