"""The golden requests of a provider: `make golden NAME=...` writes them for a person to read and to commit.

They are the requests of known orders, one of each status, for the account at the sandbox; and the same for each choice
of `items` that a destination has.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials, Provider
from sandbox.registry import SERVICES
from tests.contract.conftest import orders, ready

FOLDER = Path(__file__).parent / "golden"


# What an order need not have, given to the first one.
OPTIONAL = {
    "discount": "1.50",
    "taxes": "3.30",
    "delivery_method": "courier",
    "payment_method": "card",
    "delivery_address": "Lviv, Ринок 1",
    "status_description": "packed",
    "restore_url": "https://s.example/cart/7?a=1&b=2",
    "store_id": "5",
    "channel": "Offline",
    "additional_info": '{"gift": true, "weight": 1.50}',
}
# Items that not every choice takes, in place of those that are complete.
SPARSE = (
    '[{"item_id":"7","name":"Lamp","quantity":2,"cost":9.95,"url":"https://s.example/7","image_url":"i"},'
    '{"item_id":"8","quantity":"1.0"},{"item_id":"9","quantity":3,"cost":"9,95","name":"Bulb"}]'
)
ITEMS = {"lenient": SPARSE, "none": SPARSE}


def choices(provider: Provider) -> dict[Path, tuple[Provider, str | None]]:
    """Return, for the file of each choice of `items`: the provider with it, and its items if they are others."""
    others = {
        f"{provider.name}-items-{name}": (each, ITEMS[name])
        for name, each in provider.by_items.items()
        if name in ITEMS
    }
    return {FOLDER / f"{name}.json": chosen for name, chosen in {provider.name: (provider, None), **others}.items()}


def requests(provider: Provider, items: str | None = None) -> list[dict[str, Any]]:
    """Return the requests that a provider makes at present: path, headers and body of each."""
    rows = pd.concat([orders([str(100 + number)], status) for number, status in enumerate(provider.statuses)])
    rows = rows.reset_index(drop=True)
    rows.loc[0, list(OPTIONAL)] = list(OPTIONAL.values())
    if items is not None:
        rows["items"] = items
    payloads = ready(provider, rows).sort_values("order_id")["payload"].tolist()
    made = [
        provider.request(
            Credentials("", *SERVICES[provider.name].account), payloads[start : start + provider.max_orders]
        )
        for start in range(0, len(payloads), provider.max_orders)
    ]
    return [{"path": each.path, "headers": dict(each.headers), "body": each.body.decode()} for each in made]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a provider's golden requests, and print the bodies as they are sent; return the exit code."""
    parser = argparse.ArgumentParser(prog="make golden", usage="make golden NAME=provider")
    parser.add_argument("name", choices=PROVIDERS, help="the provider")
    provider = PROVIDERS[parser.parse_args(arguments).name]
    for path, chosen in choices(provider).items():
        golden = requests(*chosen)
        path.write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n", "utf-8")
        sys.stdout.write("\n".join(f"POST {request['path']}\n{request['body']}\n" for request in golden))
        sys.stdout.write(f"\n{path} is written. Read it beside {provider.documentation} before you commit it.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
