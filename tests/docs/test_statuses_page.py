"""docs/statuses.md agrees with the providers and the canonical columns."""

from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Provider
from tests.docs.pages import Table, page, tables

PAGE = {table.heading: table for table in tables(page("docs/statuses.md"))}


def column_of(table: Table, provider: Provider) -> list[str]:
    """Return a provider's column; similar services share one."""
    headers = [text for text in table.header if provider.title in text]
    assert len(headers) == 1, f"docs/statuses.md needs one column for {provider.title} below {table.heading!r}"
    return table.column(headers[0])


def test_every_status_has_its_code() -> None:
    """The table holds each status with each provider's code for it, or a dash."""
    table = PAGE["Statuses"]
    assert table.column("status") == list(OrderStatus)
    for provider in PROVIDERS.values():
        assert column_of(table, provider) == [str(provider.statuses.get(status, "–")) for status in OrderStatus]


def test_every_service_says_what_it_needs() -> None:
    """The table holds the columns that each provider requires of a source."""
    needed = {name: ", ".join(_or(need) for need in provider.required) for name, provider in PROVIDERS.items()}
    table = PAGE["What each service needs"]
    assert dict(zip(table.column("provider"), table.column("columns that must be there"), strict=True)) == {
        name: f"order_id, status, status_changed_at{', ' if more else ''}{more}" for name, more in needed.items()
    }


def test_every_column_is_documented_and_no_other() -> None:
    """The tables hold exactly the canonical columns of orders and items, in the code's sequence."""
    assert PAGE["Order columns"].column("column") == list(ORDER_COLUMNS)
    assert PAGE["Item columns"].column("column") == list(ITEM_COLUMNS)


def _or(need: str | tuple[str, ...]) -> str:
    return need if isinstance(need, str) else " or ".join(need)
