"""Our YAML loader against another library that follows YAML 1.2."""

from datetime import date

import pytest
from ruamel.yaml import YAML
from yaml import YAMLError

from include.order_sync.configuration import yaml12


@pytest.mark.parametrize(
    "written",
    [
        *("on", "no", "Yes", "off", "y", "N", "true", "False", "~", "null", "", "=word"),
        *("7", "007", "+1", "-3", "1:30", "190:20:30", "1.5", ".5", "5.", "1e5", "12e03", "1.5.3"),
        *("2026-01-01", "2026-01-01 10:00:00", "2026-1-1", '"7"', "[a, no]", "{on: off}", "'Новый 😀'"),
    ],
)
def test_plain_values(written: str) -> None:
    """Words, numbers and dates are read by the rules of YAML 1.2."""
    text = f"key: {written}"

    assert repr(yaml12.load(text)) == repr(YAML(typ="safe", pure=True).load(text))


def test_aliases_and_merged_keys() -> None:
    """A merged key may be given again, and an alias is the same value."""
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\nd: {<<: *a}"

    assert yaml12.load(text) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "y": 2},
        "c": {"x": 1, "y": 2},
        "d": {"x": 1, "y": 2},
    }


def test_keys_are_text() -> None:
    """A key that looks like a number, a date or a truth value is text as it is written; its alias as a value is not."""
    text = "a: {9: 1, 07: 2, 1.50: 3, true: 4, 2026-01-01: 5}\nb: {&c 9: x}\nd: *c"

    assert yaml12.load(text) == {
        "a": {"9": 1, "07": 2, "1.50": 3, "true": 4, "2026-01-01": 5},
        "b": {"9": "x"},
        "d": 9,
    }


def test_an_alias_within_itself() -> None:
    """An alias that contains itself is read without an endless loop."""
    read = yaml12.load("a: &a [*a]")

    assert read["a"][0] is read["a"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("a: 1\nb: 2\na: 3", "line 3", id="at the top"),
        pytest.param("x:\n  y:\n    - {b: 1}\n    - c: 1\n      c: 2", "line 5", id="deep in a list"),
        pytest.param("a: 1\n'a': 2", "line 2", id="in quotes"),
        pytest.param("9: 1\n'9': 2", "line 2", id="a number and its text"),
        pytest.param("a: {a: 1\n,a: 2}", "line 2", id="in braces"),
        pytest.param("a: [1\nb", "line 1", id="broken"),
        pytest.param("a: 1\n---\nb: 2", "line 2", id="two documents"),
        pytest.param("a: 1\nb: !!python/name:os.system", "line 2", id="a Python object"),
        pytest.param("? [a]\n: 1", "line 1", id="a list as key"),
        pytest.param("a: 1\nb: " + 100_000 * "[", "line 2", id="brackets that end the C stack"),
        pytest.param("a: 1\nb: " + 101 * "{a: ", "line 2", id="braces too deep"),
        pytest.param("a: 1\n" + 101 * "- " + "1", "line 2", id="a list too deep"),
        pytest.param("a: 1\nb: " + 990 * "{<<: " + "{" + 991 * "}", "line 2", id="merges that end Python's stack"),
        pytest.param("a: 1\n? " + 990 * "[" + 990 * "]" + "\n: 1", "line 2", id="a key that ends Python's stack"),
    ],
)
def test_refused(text: str, line: str) -> None:
    """A repeated key, and anything else that is not plain YAML, is refused with its line."""
    with pytest.raises(YAMLError) as refusal:
        yaml12.load(text)

    assert line in str(refusal.value)


def test_dates() -> None:
    """A date in YAML is read as a date."""
    assert yaml12.load("start_date: 2026-01-01") == {"start_date": date(2026, 1, 1)}
