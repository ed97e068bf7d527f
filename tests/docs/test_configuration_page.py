"""docs/configuration.md agrees with the models."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.loading import TOP_KEYS
from include.order_sync.configuration.models import Alarms, Destination, Retention
from include.order_sync.configuration.sql_source import SqlSource
from tests.docs.pages import page, tables

PAGE = page("docs/configuration.md")

# The headings whose tables together hold the keys of a model.
SECTIONS: Mapping[tuple[str, ...], type[BaseModel]] = {
    ("retention",): Retention,
    ("alarms",): Alarms,
    ("Every source", "type: sql"): SqlSource,
    ("Every source", "type: csv"): CsvSource,
    ("destinations.<name>",): Destination,
}


def documented(text: str, headings: tuple[str, ...]) -> dict[str, str]:
    """Return key -> default of the tables below these headings."""
    found: dict[str, str] = {}
    for table in tables(text):
        if table.heading in headings:
            found |= dict(zip(table.column("key"), table.column("default"), strict=True))
    return found


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys that a user may write; `name` is not one, because it is the key above them."""
    return {name: field for name, field in model.model_fields.items() if name != "name"}


def shown(field: FieldInfo) -> str:
    """Return a default in the page's form."""
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    if default is None or default == {}:
        return "none"
    if isinstance(default, timedelta):
        return f"{default // timedelta(hours=1)}h"
    return str(default)


SECTION = pytest.mark.parametrize(
    ("headings", "model"), [pytest.param(*section, id=" and ".join(section[0])) for section in SECTIONS.items()]
)


@SECTION
def test_every_key_of_a_model_is_documented_and_no_other(headings: tuple[str, ...], model: type[BaseModel]) -> None:
    """The tables hold exactly the keys that the model takes, each with its default."""
    assert documented(PAGE, headings) == {name: shown(field) for name, field in fields(model).items()}


def test_every_top_level_key_is_documented_and_no_other() -> None:
    """The first table holds exactly the file's top-level keys."""
    assert set(documented(PAGE, ("The file",))) == set(TOP_KEYS)


@SECTION
def test_a_key_that_is_missing_is_found(headings: tuple[str, ...], model: type[BaseModel]) -> None:
    """The check notices when the row of any key is missing."""
    lines = PAGE.splitlines()
    for name in fields(model):
        less = "\n".join(line for line in lines if not line.startswith(f"| `{name}` |"))
        assert name not in documented(less, headings)


@SECTION
def test_a_key_that_is_too_much_is_found(headings: tuple[str, ...], model: type[BaseModel]) -> None:
    """The check notices the row of a key that the model refuses."""
    for name in fields(model):
        more = PAGE.replace(f"\n| `{name}` |", f"\n| `{name}_` | none | x |\n| `{name}` |")
        assert f"{name}_" in documented(more, headings)
