"""A destination's choice of `items`: what an item needs, against the sandbox in both modes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from include.order_sync.providers.base import Credentials, Provider
from include.order_sync.transform.transform import Transformed, transform
from sandbox.registry import SERVICES
from tests.contract.conftest import for_each, orders, providers_with, ready, rules_for
from tests.contract.test_providers import failing_rows
from tests.sandbox.conftest import Client, emptied, serve

sends_items = providers_with(lambda provider: provider.by_items)
of_choice = for_each("choice", lambda provider: provider.by_items)

WHOLE = {"item_id": "7", "name": "Lamp", "quantity": 2, "cost": 9.95, "url": "https://s.example/7", "image_url": "i"}
BARE = {"item_id": "8", "quantity": 1}


def rows_with(*items: dict[str, Any], at: str = "2026-11-21T10:00:00Z") -> pd.DataFrame:
    """Return the raw row of one order with these items."""
    return orders(["1"], "delivered", at).assign(items=json.dumps(items))


def result_of(provider: Provider, choice: str, *items: dict[str, Any]) -> Transformed:
    """Return the transform of one order with these items, for a destination with that choice."""
    return transform(rows_with(*items), None, rules_for(provider.by_items[choice]))


def sent_items(transformed: Transformed) -> Any:
    """Return the items of the one payload, None if it has none."""
    (payload,) = transformed.ready["payload"]
    return json.loads(payload).get("items")


@pytest.fixture(scope="module")
def documented_address() -> Iterator[str]:
    """A sandbox that refuses only what a document says is refused."""
    yield from serve()


@pytest.fixture
def documented(documented_address: str) -> Iterator[Client]:
    """That sandbox with an empty memory."""
    yield from emptied(documented_address)


@of_choice
def test_each_choice_is_the_same_service(provider, choice):
    """A choice changes only what is checked and built: ids, codes, limits, columns and rules stay."""
    chosen = provider.by_items[choice]
    same = {"checks": provider.checks, "build": provider.build, "by_items": provider.by_items}
    assert replace(chosen, **same) == provider
    assert set(chosen.checks) <= set(provider.checks)


@of_choice
def test_each_check_of_a_choice_fires_alone(provider, choice):
    """Each check that a choice keeps rejects its row with that reason alone; the rows of the others are ready."""
    chosen = provider.by_items[choice]
    kept = {check.reason for check in chosen.checks}
    for reason, fields in failing_rows(provider).items():
        part = transform(orders(["1"], "delivered").assign(**fields), None, rules_for(chosen))
        assert part.reasons == ({reason: 1} if reason in kept else {})


@for_each("choice", lambda provider: [choice for choice in provider.by_items if choice != "full"])
def test_an_item_with_an_id_and_a_quantity_is_enough(provider, choice, deliver, documented, sandbox):
    """By the newest guide it is: the service takes it, with doubts if the item is sent; a strict one refuses it."""
    login = SERVICES[provider.name].account
    part = ready(provider.by_items[choice], rows_with(WHOLE, BARE))
    there = Credentials(f"{documented.url}/{provider.name}", *login)
    assert deliver(part, run="documented", credentials=there).orders == {"accepted": 1}
    (remembered,) = documented.admin("orders", provider=provider.name)["orders"]
    assert len(remembered["payload"].get("items", ())) == {"lenient": 2, "none": 0}[choice]
    assert bool(documented.doubts()) is (choice == "lenient")
    part = ready(provider.by_items[choice], rows_with(WHOLE, BARE, at="2026-11-21T11:00:00Z"))
    delivered = deliver(part, run="strict", resend=True)
    assert delivered.orders == {"rejected" if choice == "lenient" else "accepted": 1}
    assert bool(sandbox.doubts()) is (choice == "lenient")


@of_choice
def test_another_choice_sends_nothing_again(provider, choice, deliver, sandbox):
    """A destination that compares payloads does not send its orders again because its `items` has changed."""

    def part(chosen: Provider) -> pd.DataFrame:
        return transform(rows_with(WHOLE), None, replace(rules_for(chosen), send_when="content")).ready

    options = {"send_when": "content", "reads_present": True}
    assert deliver(part(provider), run="before", **options).orders == {"accepted": 1}
    assert "accepted" not in deliver(part(provider.by_items[choice]), run="after", **options).orders
    assert sandbox.admin("stats")[provider.name]["accepted"] == 1


@sends_items
def test_full_is_the_default(provider):
    """Without a choice an item needs all six fields."""
    part = transform(rows_with(WHOLE, BARE), None, rules_for(provider))
    assert part.reasons == result_of(provider, "full", WHOLE, BARE).reasons
    assert len(part.reasons) == 4


@sends_items
def test_lenient_sends_what_is_there_and_good(provider):
    """A cost that is no number and fields that are empty are left out; the rest of the item is sent."""
    part = result_of(provider, "lenient", WHOLE, {**BARE, "name": "", "cost": "9,95", "category": "x"})
    whole, bare = sent_items(part)
    assert whole == sent_items(result_of(provider, "full", WHOLE))[0]
    assert bare == {"externalItemId": "8", "quantity": 1, "category": "x"}


@sends_items
@pytest.mark.parametrize("items", ["[", '[{"quantity": "some"}]', json.dumps([WHOLE])])
def test_none_sends_no_items_and_checks_none(provider, items):
    """No item can reject an order, and no payload has any."""
    part = transform(rows_with().assign(items=items), None, rules_for(provider.by_items["none"]))
    assert (part.reasons, sent_items(part)) == ({}, None)
