"""Any provider's delivery, against the sandbox over real HTTP."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import requests
import sqlalchemy as sa

from include.order_sync.delivery import http
from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.loop import Delivery
from include.order_sync.delivery.result import DeliveryResult
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.session import open_session
from include.order_sync.model import OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials, Provider
from include.order_sync.sources.raw import RAW_SCHEMA
from include.order_sync.staging.partition_hash import partition_hashes
from include.order_sync.transform.transform import Rules, transform
from tests.sandbox.conftest import Client, serve

# What the sandbox knows each provider's account by: login and secret.
ACCOUNTS = {
    "rees46": ("demo-shop", "demo-secret"),
    "personaclick": ("demo-shop", "demo-secret"),
    "yespo": ("order-sync", "demo-key"),
    "justclick": ("demo", "demo-signing-key"),
}


def rules_for(provider: Provider) -> Rules:
    """Return the rules by which every change of an order is built for a provider."""
    return Rules(
        timezone="UTC",
        latest=datetime(2100, 1, 1, tzinfo=UTC),
        statuses={str(s): s for s in OrderStatus},
        codes=provider.statuses,
        changes="every",
        item_columns={},
        checks=provider.checks,
        build=provider.build,
    )


def orders(ids: Sequence[str], status: str = "paid", at: str = "2026-11-21T10:00:00Z") -> pd.DataFrame:
    """Return raw rows in which every provider finds all that it needs."""
    given = {
        "status": status,
        "status_changed_at": at,
        "created_at": "2026-11-20T08:00:00+02:00",
        "customer_id": "C-1",
        "email": "buyer@shop.example",
        "phone": "+38 (094) 258-36-91",
        "first_name": 'Anna "Ann"',
        "last_name": "Шевченко",
        "total_cost": "19.90",
        "currency": "UAH",
        "shipping": "0",
        "tracking_number": "RR~1 2",
        "items": '[{"item_id":"7","name":"Lamp","quantity":2,"cost":9.95,"url":"https://s.example/7","image_url":"i"}]',
    }
    rows = [
        {**given, "order_id": id_, "bill_id": id_, "origin": "test", "line": place + 1, "position": place}
        for place, id_ in enumerate(ids)
    ]
    raw = pa.Table.from_pylist(rows, RAW_SCHEMA)
    return raw.append_column("partition_hash", pa.array(partition_hashes(raw["order_id"]))).to_pandas()


def ready(provider: Provider, *raw: pd.DataFrame) -> pd.DataFrame:
    """Return the ready orders of raw rows, none of which may be rejected."""
    rows = pd.concat(raw, ignore_index=True)
    rows["position"] = range(len(rows))
    part = transform(rows, None, rules_for(provider))
    assert not part.reasons
    return part.ready


def encrypted(orders: pd.DataFrame, reasons: Sequence[str], _messages: Sequence[str]) -> list[QuarantineEntry]:
    """Return entries for the quarantine without a staged row recheck them."""
    return [
        QuarantineEntry(
            row.order_id, f"{row.order_id} {row.position}".encode(), [reason], b"encrypted", "test", row.position, None
        )
        for row, reason in zip(orders.itertuples(), reasons, strict=True)
    ]


@pytest.fixture(scope="session")
def sandbox_address() -> Iterator[str]:
    """One sandbox for all contract tests."""
    yield from serve()


@pytest.fixture
def sandbox(sandbox_address: str) -> Iterator[Client]:
    """That sandbox, with an empty memory."""
    client = Client(sandbox_address)
    client.request("POST", "/__admin/reset")
    yield client
    client.session.close()


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each registered provider in turn."""
    return PROVIDERS[request.param]


@pytest.fixture
def credentials(provider: Provider, sandbox: Client) -> Credentials:
    """The account that the sandbox knows."""
    login, secret = ACCOUNTS[provider.name]
    return Credentials(f"{sandbox.url}/{provider.name}", login, secret)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session as the hooks give."""
    with http.open_session("http://127.0.0.1") as session:
        yield session


@pytest.fixture
def deliver(
    provider: Provider, credentials: Credentials, session: requests.Session, ledger: sa.Engine
) -> Callable[..., DeliveryResult]:
    """Deliver parts as one try of a run, and tell what became of them; an error carries it as `delivered`.

    Keywords: `run`, its name; `credentials` and `provider`, others than the fixtures'; `connections`; all else are
    SendOptions.
    """
    destination = f"{provider.name} {uuid.uuid4()}"
    tries: Counter[str] = Counter()

    def deliver(
        *parts: pd.DataFrame,
        run: str = "run",
        credentials: Credentials = credentials,
        provider: Provider = provider,
        connections: int = 1,
        **send_options: Any,
    ) -> DeliveryResult:
        tries[run] += 1
        with open_session(
            ledger, "order_sync_ledger", destination=destination, run=run, try_number=tries[run]
        ) as written:
            delivery = Delivery(
                provider, credentials, session, written, encrypted, SendOptions(**send_options), connections=connections
            )
            try:
                delivery.run(parts)
            except Exception as error:
                error.result = delivery.result  # type: ignore[attr-defined]
                raise
        return delivery.result

    deliver.destination = destination  # type: ignore[attr-defined]
    return deliver
