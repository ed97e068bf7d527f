"""Rows of orders are transformed as a run does it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from include.order_sync.providers import PROVIDERS
from include.order_sync.transform.transform import Rules, Transformed, transform
from tests.unit.transform.samples import WORDS, Run


@pytest.fixture(scope="session")
def run(raw_orders: Any, raw_items: Any) -> Run:
    """Transform rows for a provider; `items` come from an items query."""

    def transform_rows(
        *rows: dict[str, Any], provider: str = "rees46", items: list[dict[str, Any]] | None = None, **rules: Any
    ) -> Transformed:
        service = PROVIDERS[provider]
        plain = Rules(
            "UTC",
            datetime(2100, 1, 1, tzinfo=UTC),
            WORDS,
            service.statuses,
            "newest",
            {},
            "status",
            service.checks,
            service.build,
        )
        queried = None if items is None else raw_items(*items)
        return transform(raw_orders(*rows), queried, replace(plain, **rules))

    return transform_rows
