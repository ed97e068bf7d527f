"""JSON text of whole columns."""

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.columns import json_text

any_text = st.text(st.characters(codec="utf-8"), max_size=10)


def texts(*values: str | None, index: list[int] | None = None) -> pd.Series:
    """Return a column of text."""
    return pd.Series(list(values), dtype="str", index=index)


@given(st.lists(any_text, min_size=1, max_size=5))
def test_strings(values: list[str]) -> None:
    """Any text becomes a JSON string of that text."""
    assert [json.loads(text) for text in json_text.objects({"a": texts(*values)}, {})] == [
        {"a": text} for text in values
    ]


def test_strings_are_plain() -> None:
    """Letters of any alphabet stay unchanged, and the characters that JSON must escape are escaped in every row."""
    objects = json_text.objects({"a": texts("Ёж", 'a"b\\c\n'), "b": texts(None, "\t")}, {})

    assert objects.tolist() == ['{"a":"Ёж"}', r'{"a":"a\"b\\c\n","b":"\t"}']


def test_objects() -> None:
    """Columns are joined in their sequence, numbers digit for digit; a row omits its missing fields."""
    objects = json_text.objects(
        {"id": texts("1", "2", "3", index=[9, 4, 4]), "name": texts(None, None, "Ёж", index=[9, 4, 4])},
        {"cost": texts("19.90", None, "1e5", index=[9, 4, 4]), "none": texts(None, None, None, index=[9, 4, 4])},
    )

    assert objects.tolist() == ['{"id":"1","cost":19.90}', '{"id":"2"}', '{"id":"3","name":"Ёж","cost":1e5}']
    assert objects.index.tolist() == [9, 4, 4]


@given(st.lists(st.tuples(any_text, *[st.none() | any_text] * 3), min_size=1, max_size=5), st.integers(0, 3))
def test_any_object(rows: list[tuple[str | None, ...]], as_values: int) -> None:
    """Any texts, missing ones and nested JSON too, make valid JSON objects that hold them."""
    columns = dict(zip("abcd", zip(*rows, strict=True), strict=True))
    plain = {key: texts(*columns[key]) for key in "abcd"[: 4 - as_values]}
    values = {
        key: texts(*(None if text is None else json.dumps(text) for text in columns[key]))
        for key in "abcd"[4 - as_values :]
    }
    expected = [{key: text for key, text in zip("abcd", row, strict=True) if text is not None} for row in rows]

    assert [json.loads(text) for text in json_text.objects(plain, values)] == expected


def test_nothing() -> None:
    """No rows give no objects and no arrays; an owner without elements has no array."""
    none = texts()
    numbers = pd.Series([], dtype="int64")

    assert json_text.objects({"id": none}, {"cost": none}).tolist() == []
    assert json_text.arrays(none, numbers, numbers).tolist() == []
    assert json_text.arrays(none, numbers, pd.Series([1, 2])).isna().tolist() == [True, True]


@given(st.lists(st.tuples(st.integers(0, 3), any_text), max_size=8))
def test_arrays(elements: list[tuple[int, str]]) -> None:
    """Each owner gets an array of its own elements, in their sequence, for any mix of owners."""
    owners = pd.Series([owner for owner, _ in elements], dtype="int64")
    elements_json = texts(*(json.dumps(text) for _, text in elements))
    arrays = json_text.arrays(elements_json, owners, pd.Series([3, 0, 1, 2, 3], index=[7, 5, 3, 1, 0]))
    expected: dict[int, Any] = {}
    for owner, text in elements:
        expected.setdefault(owner, []).append(text)

    found = [None if pd.isna(array) else json.loads(array) for array in arrays]
    assert found == [expected.get(owner) for owner in (3, 0, 1, 2, 3)]
    assert arrays.index.tolist() == [7, 5, 3, 1, 0]


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
    """Times are written to the second, in UTC with an offset or as seconds since 1970; missing stays missing."""
    times = pd.Series([None if time is None else pd.Timestamp(time)], dtype="datetime64[us, UTC]", index=[5])

    for rendered, expected in ((json_text.utc_times(times), iso), (json_text.unix_seconds(times), unix)):
        assert rendered.index.tolist() == [5]
        assert pd.isna(rendered[5]) if expected is None else rendered[5] == expected
