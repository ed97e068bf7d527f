"""The delivery of any provider, against the sandbox over real HTTP."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import requests
import sqlalchemy as sa

from include.order_sync.delivery import client, http
from include.order_sync.delivery.brake import Brake
from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.loop import Delivery, never
from include.order_sync.delivery.pacing import Pace
from include.order_sync.delivery.result import DeliveryResult
from include.order_sync.ledger.encrypted_rows import QuarantineEntry
from include.order_sync.ledger.opening import open_session
from include.order_sync.model import Code, OrderStatus
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials, Provider
from include.order_sync.sources.raw import RAW_SCHEMA
from include.order_sync.staging.partition_hash import partition_hashes
from include.order_sync.transform.transform import Rules, transform
from sandbox.registry import SERVICES
from tests.sandbox.conftest import Client, emptied, serve


def providers_with(has: Callable[[Provider], object]) -> pytest.MarkDecorator:
    """Parametrise a test by `provider`: all that meet a condition; at least one must."""
    found = [provider for provider in PROVIDERS.values() if has(provider)]
    assert found, "no provider meets the condition: this test would prove nothing"
    return pytest.mark.parametrize("provider", found, ids=[provider.name for provider in found])


def for_each(name: str, values: Callable[[Provider], Iterable[Any]]) -> pytest.MarkDecorator:
    """Parametrise a test by `provider` and one more argument: each of the provider's values."""
    found = [(provider, value) for provider in PROVIDERS.values() for value in values(provider)]
    assert found, "no provider has a value: this test would prove nothing"
    return pytest.mark.parametrize(("provider", name), found, ids=[f"{p.name}-{_name(value)}" for p, value in found])


def _name(value: Any) -> str:
    return " then ".join(value) if isinstance(value, tuple) else str(value)


def statuses_by_rule(provider: Provider, *, held: bool) -> list[OrderStatus]:
    """Return one status for each code whose sends in doubt are held, or else repeated."""
    by_code = {code: status for status, code in reversed(provider.statuses.items())}
    return [by_code[code] for code in provider.codes if (code in provider.held_codes) is held]


def with_another(provider: Provider, *, held: bool) -> list[tuple[OrderStatus, OrderStatus]]:
    """Return the first status of that rule with a status of another code, or nothing if there is none."""
    return [
        (status, other)
        for status in statuses_by_rule(provider, held=held)
        for other, code in provider.statuses.items()
        if code != provider.statuses[status]
    ][:1]


several_codes = providers_with(lambda provider: len(provider.codes) > 1)
rejects_orders = providers_with(lambda provider: provider.finds_refused_orders and len(provider.codes) > 1)
held_status = for_each("status", lambda provider: statuses_by_rule(provider, held=True)[:1])
repeated_status = for_each("status", lambda provider: statuses_by_rule(provider, held=False)[:1])
status_of_each_rule = for_each(
    "status", lambda provider: [*statuses_by_rule(provider, held=True)[:1], *statuses_by_rule(provider, held=False)[:1]]
)
held_and_another = for_each("statuses", lambda provider: with_another(provider, held=True))
repeated_and_another = for_each("statuses", lambda provider: with_another(provider, held=False))


def rules_for(provider: Provider, codes: Mapping[OrderStatus, Code] | None = None) -> Rules:
    """Return the rules that build every change of an order for a provider, or with a destination's own codes."""
    return Rules(
        timezone="UTC",
        latest=datetime(2100, 1, 1, tzinfo=UTC),
        statuses={str(s): s for s in OrderStatus},
        codes=codes or provider.statuses,
        changes="every",
        item_columns={},
        send_when="status",
        checks=provider.checks,
        build=provider.build,
    )


def orders(ids: Sequence[str], status: str | None = None, at: str = "2026-11-21T10:00:00Z") -> pd.DataFrame:
    """Return raw rows that are complete for every provider; without a status, `ready` chooses one."""
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
        {**given, "order_id": id_, "bill_id": id_, "origin": "test", "line": position + 1, "position": position}
        for position, id_ in enumerate(ids)
    ]
    raw = pa.Table.from_pylist(rows, RAW_SCHEMA)
    return raw.append_column("partition_hash", pa.array(partition_hashes(raw["order_id"]))).to_pandas()


# Many tests ask for the same orders, and to make them takes longer than to deliver them.
_READY: dict[tuple[str, str], pd.DataFrame] = {}


def ready(provider: Provider, *raw: pd.DataFrame, codes: Mapping[OrderStatus, Code] | None = None) -> pd.DataFrame:
    """Return the ready orders of raw rows, none of which may be rejected."""
    rows = pd.concat(raw, ignore_index=True)
    rows["position"] = range(len(rows))
    rows["status"] = rows["status"].fillna(next(iter(provider.statuses)).value)
    rules = rules_for(provider, codes)
    key = (repr(rules), rows.to_csv(na_rep="missing"))
    if key not in _READY:
        part = transform(rows, None, rules)
        assert not part.reasons
        _READY[key] = part.ready
    return _READY[key].copy()


def encrypted(orders: pd.DataFrame, reasons: Sequence[str], messages: Sequence[str]) -> list[QuarantineEntry]:
    """Return quarantine entries with the service's message as their row; the time is the row's or its attempt's."""
    if "status_changed_at" in orders:
        times = orders["status_changed_at"]
    else:
        times = pd.to_datetime(orders["attempt"].str.split("\t").str[3], utc=True)
    return [
        QuarantineEntry(
            row.order_id, f"{row.order_id} {row.position}".encode(), [reason], said.encode(), "test", row.position, time
        )
        for row, reason, said, time in zip(orders.itertuples(), reasons, messages, times, strict=True)
    ]


@pytest.fixture(scope="session")
def sandbox_address() -> Iterator[str]:
    """One strict sandbox for all contract tests: our own client leaves no doubt."""
    yield from serve(strict=True)


@pytest.fixture
def sandbox(sandbox_address: str) -> Iterator[Client]:
    """The sandbox with an empty memory."""
    yield from emptied(sandbox_address)


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each registered provider in turn."""
    return PROVIDERS[request.param]


@pytest.fixture
def credentials(provider: Provider, sandbox: Client) -> Credentials:
    """The account at the sandbox."""
    return Credentials(f"{sandbox.url}/{provider.name}", *SERVICES[provider.name].account)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session as a hook makes it."""
    with http.open_session("http://127.0.0.1") as session:
        yield session


@pytest.fixture
def deliver(
    provider: Provider, credentials: Credentials, session: requests.Session, ledger: sa.Engine
) -> Callable[..., DeliveryResult]:
    """Deliver parts as one try of a run, and return the result; an error carries it as `result`.

    Keywords: `run` is its name; `credentials` and `provider` replace the fixtures'; `connections`; `pace`;
    `brake`; `is_stopping`; all others are SendOptions.
    """
    destination = f"{provider.name} {uuid.uuid4()}"
    tries: Counter[str] = Counter()

    def deliver(
        *parts: pd.DataFrame,
        run: str = "run",
        credentials: Credentials = credentials,
        provider: Provider = provider,
        connections: int = 1,
        pace: Pace | None = None,
        brake: Brake | None = None,
        is_stopping: Callable[[], bool] = never,
        **send_options: Any,
    ) -> DeliveryResult:
        tries[run] += 1
        with open_session(
            ledger, "order_sync_ledger", destination=destination, run=run, try_number=tries[run]
        ) as written:
            delivery = Delivery(
                client.Client(provider, credentials, session),
                written,
                encrypted,
                SendOptions(**send_options),
                connections=connections,
                pace=pace,
                brake=brake,
                is_stopping=is_stopping,
            )
            try:
                delivery.run(parts)
            except Exception as error:
                error.result = delivery.result  # type: ignore[attr-defined]
                raise
        return delivery.result

    deliver.destination = destination  # type: ignore[attr-defined]
    return deliver
