"""The orders of the sample shop, generated from a seed hour by hour, with every possible defect.

An hour's content depends only on the seed, the shop's size and the hour. An order is placed in one hour and changes
during the next ones, so an hour also holds changes of orders from the `LIFE_HOURS` before it.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

LIFE_HOURS = 6
DROP_SHARE = 0.1  # of all orders; JustClick takes one order a request, so its orders take the most time
HOUR = timedelta(hours=1)

Row = dict[str, Any]
Path = list[tuple[str, int]]

# The statuses of an order's life, each with the most minutes since the status before it.
_DELIVERED: Path = [("new", 0), ("paid", 40), ("processing", 30), ("shipped", 60), ("delivered", 80)]
_PATHS: list[tuple[Path, int]] = [
    (_DELIVERED, 65),
    ([*_DELIVERED, ("returned", 40)], 12),
    ([("new", 0), ("cancelled", 90)], 10),
    ([("new", 0), ("paid", 40), ("cancelled", 60)], 8),
    ([("abandoned", 0)], 5),
]
DROP_STATUS_LABELS = {
    "new": "Новый",
    "paid": "Оплачен",
    "processing": "В работе",
    "shipped": "Отправлен",
    "delivered": "Доставлен",
    "cancelled": "Отменён",
    "returned": "Возврат",
    "abandoned": "Новый",
}

# Order ids that software often mistakes for numbers, or mangles. Their orders change once in every hour.
WAREHOUSE_IDS = ("007", "00123", "1e5", "msk-2", "Київ 15")
DROP_IDS = ("0042", "3e7", "spb-9", "№ 16/б")
_ROUND = ("new", "paid", "processing", "shipped", "delivered", "returned")

_GOODS = [
    ("sku-1", "Чайник", "19.90", "kitchen"),
    ("sku-2", "Kettle 1.7 l", "24.99", "kitchen"),
    ("003", "Лампа «Север»", "7.05", "light"),
    ("4e2", "Desk lamp, white", "31.10", "light"),
    ("sku-5", "Плед 140×200", "45.00", "home"),
    ("sku-6", "Notebook A5", "3.35", "office"),
]
_PEOPLE = [
    ("Олена", "Коваль"),
    ("Ivan", "Petrenko"),
    ("Анна", "Смирнова"),
    ("Maria", "O'Neil"),
    ("Łukasz", "Nowak"),
]

# The defects of an order: the expected reason, and the fields of the order, change or items that cause it.
WAREHOUSE_DEFECTS: list[tuple[str, Row]] = [
    ("order_id: missing", {"change": {"order_id": None}}),
    ("status: missing", {"change": {"status": None}}),
    ("status: not in the status map", {"change": {"status": "on hold"}}),
    ("status_changed_at: missing", {"change": {"changed_at": None}}),
    ("status_changed_at: not a date and time", {"change": {"changed_at": "2026-13-45 99:00"}}),
    ("updated_at: not a date and time", {"change": {"updated_at": "yesterday"}}),
    ("customer_id: missing", {"order": {"customer_id": None}}),
    ("total_cost: missing", {"order": {"total_cost": None}}),
    ("total_cost: not a number", {"order": {"total_cost": "19,90 грн"}}),
    ("currency: missing", {"order": {"currency": None}}),
    ("currency: not three capital letters", {"order": {"currency": "грн"}}),
    ("created_at: missing", {"order": {"created_at": None}}),
    ("created_at: not a date and time", {"order": {"created_at": "on Monday"}}),
    ("contact: neither email nor phone", {"order": {"email": None, "phone": None}}),
    ("email: not an address", {"order": {"email": "olena.example.com"}}),
    ("phone: no telephone number", {"order": {"phone": "12-34"}}),
    ("first_name: longer than 40 characters", {"order": {"first_name": "Анна-Мария " * 4}}),
    ("last_name: longer than 40 characters", {"order": {"last_name": "Коваль-Смирнова-" * 3}}),
    ("shipping: not a number", {"order": {"shipping": "free"}}),
    ("discount: not a number", {"order": {"discount": "10%"}}),
    ("taxes: not a number", {"order": {"taxes": "n/a"}}),
    ("additional_info: not a JSON object", {"order": {"additional_info": '["gift", "call first"]'}}),
    ("items: item_id missing", {"item": {"item_id": None}}),
    ("items: name missing", {"item": {"name": None}}),
    ("items: quantity not a whole number", {"item": {"quantity": "1.5"}}),
    ("items: cost not a number", {"item": {"cost": "gratis"}}),
    ("items: url missing", {"item": {"url": None}}),
    ("items: image_url missing", {"item": {"image_url": None}}),
    ("several at once", {"order": {"currency": None, "email": "@", "taxes": "-"}, "item": {"cost": None}}),
]
DROP_DEFECTS: list[tuple[str, Row]] = [
    ("order_id: missing", {"Order number": ""}),
    ("status: missing", {"Status": ""}),
    ("status: not in the status map", {"Status": "Ожидает звонка"}),
    ("status_changed_at: missing", {"Changed at": ""}),
    ("status_changed_at: not a date and time", {"Changed at": "32.13.2026"}),
    ("bill_id: missing", {"JustClick bill": ""}),
    ("bill_id: not a number", {"JustClick bill": "bill-77"}),
    ("tracking_number: missing", {"Tracking number": ""}),
]


@dataclass(frozen=True)
class Order:
    """An order with its items and its changes, oldest first."""

    order: Row
    items: list[Row]
    changes: list[Row]


def warehouse_orders(seed: int, size: int, hour: datetime) -> list[Order]:
    """Return the warehouse's orders that change in the hour, each with the changes of that hour only.

    :param size: the number of orders that the shop gets in six hours.
    """
    orders = [order for placed in _lives(hour) for order in _placed(seed, size, placed)]
    orders += [_eternal(seed, order_id, number, hour) for number, order_id in enumerate(WAREHOUSE_IDS)]
    orders += _broken(seed, hour)
    within = [
        Order(order.order, order.items, [c for c in order.changes if hour <= c["recorded_at"] < hour + HOUR])
        for order in orders
    ]
    return [order for order in within if order.changes]


def drop_rows(seed: int, size: int, hour: datetime) -> list[Row]:
    """Return the rows of an hour's CSV file by column name, oldest first; `at` is the time of the change."""
    rows = [
        _drop_row(order_id, bill, status, at)
        for placed in _lives(hour)
        for order_id, bill, status, at in _drop_changes(seed, size, placed)
        if hour <= at < hour + HOUR
    ]
    number = _number(hour)
    for position, order_id in enumerate(DROP_IDS):
        status = _ROUND[(number + position) % len(_ROUND)]
        rows.append(_drop_row(order_id, 9_000_000 + position, status, hour + timedelta(minutes=7, seconds=position)))
    for position, (_, fields) in enumerate(DROP_DEFECTS):
        if position % LIFE_HOURS == number % LIFE_HOURS:
            row = _drop_row(f"D{number}-{position}", number * 100 + position, "shipped", hour + timedelta(minutes=50))
            rows.append(row | fields)
    return sorted(rows, key=lambda row: row["at"])


def _lives(hour: datetime) -> Iterator[datetime]:
    """Yield the hours whose orders may change in this hour."""
    return (hour - age * HOUR for age in range(LIFE_HOURS - 1, -1, -1))


def _number(hour: datetime) -> int:
    return int((hour - datetime(2026, 1, 1, tzinfo=UTC)) / HOUR)


@functools.lru_cache(maxsize=2 * LIFE_HOURS)
def _placed(seed: int, size: int, hour: datetime) -> list[Order]:
    dice = random.Random(f"warehouse {seed} {hour.isoformat()}")
    count = round(size * (1 - DROP_SHARE) / LIFE_HOURS)
    return [_order(dice, str(_number(hour) * 1_000_000 + n), _life(dice, hour)) for n in range(count)]


def _drop_changes(seed: int, size: int, hour: datetime) -> Iterator[tuple[str, int, str, datetime]]:
    dice = random.Random(f"drop {seed} {hour.isoformat()}")
    for n in range(round(size * DROP_SHARE / LIFE_HOURS)):
        number = _number(hour) * 1_000_000 + n
        for status, at in _life(dice, hour):
            yield f"D-{number}", number, status, at


def _life(dice: random.Random, hour: datetime) -> list[tuple[str, datetime]]:
    """Draw the changes of an order that is placed in this hour."""
    path = dice.choices([path for path, _ in _PATHS], [weight for _, weight in _PATHS])[0]
    at = hour + timedelta(seconds=dice.randrange(3600))
    life = []
    for status, minutes in path:
        at += timedelta(seconds=dice.randint(1, 60 * minutes) if minutes else 0)
        if at < hour + LIFE_HOURS * HOUR:
            life.append((status, at))
    return life


def _eternal(seed: int, order_id: str, position: int, hour: datetime) -> Order:
    """Return the order of a troublesome id, which cycles through the statuses, one an hour."""
    dice = random.Random(f"eternal {seed} {order_id}")
    status = _ROUND[(_number(hour) + position) % len(_ROUND)]
    order = _order(dice, order_id, [(status, hour + timedelta(minutes=5, seconds=position))])
    order.order["created_at"] = "2026-01-01T09:00:00+00:00"
    return order


def _broken(seed: int, hour: datetime) -> Iterator[Order]:
    """Yield this hour's share of the broken orders; six hours in a row hold each defect once."""
    number = _number(hour)
    dice = random.Random(f"broken {seed} {hour.isoformat()}")
    for position, (_, defect) in enumerate(WAREHOUSE_DEFECTS):
        if position % LIFE_HOURS == number % LIFE_HOURS:
            whole = _order(dice, f"W{number}-{position}", [("paid", hour + timedelta(minutes=45))])
            yield Order(
                whole.order | defect.get("order", {}),
                [item | defect.get("item", {}) for item in whole.items],
                [change | defect.get("change", {}) for change in whole.changes],
            )


def _order(dice: random.Random, order_id: str, life: list[tuple[str, datetime]]) -> Order:
    """Draw an order with this id and these changes."""
    first_name, last_name = dice.choice(_PEOPLE)
    customer = dice.randrange(1, 100_000)
    items: list[Row] = []
    for item_id, name, cost, category in dice.sample(_GOODS, dice.randint(1, 3)):
        items.append(
            {
                "order_id": order_id,
                "item_id": item_id,
                "name": name,
                "quantity": str(dice.randint(1, 4)),
                "cost": cost,
                "url": f"https://shop.example.com/goods/{item_id}",
                "image_url": f"https://shop.example.com/images/{item_id}.jpg",
                "category": category,
                "description": dice.choice([None, f"{name}, boxed"]),
            }
        )
    # In cents: floating point would turn money into 19.989999.
    cents = sum(int(item["quantity"]) * int(item["cost"].replace(".", "")) for item in items)
    shipping, discount = dice.choice([0, 350, 1990]), dice.choice([0, 0, cents // 10])
    online = dice.random() < 0.9
    abandoned = life[0][0] == "abandoned"
    order = {
        "order_id": order_id,
        "customer_id": f"c-{customer}",
        "email": f"customer{customer}@example.com",
        "phone": dice.choice([None, f"38094{customer:07d}"]),
        "first_name": first_name,
        "last_name": last_name,
        "total_cost": _money(cents + shipping - discount),
        "shipping": _money(shipping),
        "discount": _money(discount) if discount else None,
        "taxes": _money(cents // 6),
        "currency": dice.choice(["UAH", "UAH", "EUR"]),
        "created_at": life[0][1].isoformat(),
        "delivery_method": dice.choice(["courier", "Нова пошта", "pick-up"]),
        "payment_method": dice.choice(["card", "cash on delivery"]),
        "delivery_address": dice.choice([None, "Київ, вул. Прикладна, 1", "Lviv, Example St. 2"]),
        "store_id": dice.choice(["kyiv", "lviv"]),
        "channel": "online" if online else "offline",
        "restore_url": f"https://shop.example.com/cart/{order_id}" if abandoned else None,
        "additional_info": dice.choice([None, '{"gift": true, "note": "дзвонити після 18:00"}']),
    }
    changes = [
        {
            "order_id": order_id,
            "status": status,
            "description": dice.choice([None, "by the shop's manager"]),
            "changed_at": at.isoformat(),
            "updated_at": at.isoformat(),
            "recorded_at": at,
        }
        for status, at in life
    ]
    return Order(order, items, changes)


def _drop_row(order_id: str, bill: int, status: str, at: datetime) -> Row:
    shipped = status == "shipped"
    return {
        "at": at,
        "Order number": order_id,
        "Status": DROP_STATUS_LABELS[status],
        "JustClick bill": str(bill),
        "Tracking number": f"RA{bill:09d}UA" if shipped else "",
    }


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
