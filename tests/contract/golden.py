"""The golden requests of a provider: `make golden NAME=...` writes them for a person to read and to commit.

They are the requests of known orders, one of each status, for the account at the sandbox.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials, Provider
from sandbox.registry import SERVICES
from tests.contract.conftest import orders, ready

FOLDER = Path(__file__).parent / "golden"


def path(provider: Provider) -> Path:
    """Return the path of a provider's golden requests."""
    return FOLDER / f"{provider.name}.json"


def requests(provider: Provider) -> list[dict[str, Any]]:
    """Return the requests that a provider makes at present: path, headers and body of each."""
    rows = [orders([str(100 + number)], status) for number, status in enumerate(provider.statuses)]
    payloads = ready(provider, *rows).sort_values("order_id")["payload"].tolist()
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
    golden = requests(provider)
    path(provider).write_text(json.dumps(golden, indent=2, ensure_ascii=False) + "\n", "utf-8")
    sys.stdout.write("\n".join(f"POST {request['path']}\n{request['body']}\n" for request in golden))
    sys.stdout.write(f"\n{path(provider)} is written. Read it beside {provider.documentation} before you commit it.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
