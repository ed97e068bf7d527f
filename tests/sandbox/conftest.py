"""A sandbox on a real port, and a plain client. The project's own client is not used."""

import hashlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests
import uvicorn

from sandbox.app import create_app
from sandbox.registry import SERVICES, new_services
from sandbox.service import Service

TIMEOUT_S = 10


class Client:
    """Calls the sandbox over HTTP, with the default credentials unless a test gives others."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send any request to any path."""
        return self.session.request(method, self.url + path, **{"timeout": TIMEOUT_S, **options})

    def admin(self, path: str, **parameters: str) -> Any:
        """Get an admin page."""
        return self.request("GET", f"/__admin/{path}", params=parameters).json()

    def doubts(self) -> list[str]:
        """Get the doubts of all requests so far."""
        return [doubt for noted in self.admin("events")["doubts"] for doubt in noted["doubts"]]

    def fault(self, *faults: dict[str, Any]) -> requests.Response:
        """Post faults."""
        return self.request("POST", "/__admin/faults", json=list(faults))

    def rees46(self, orders: Any, provider: str = "rees46", **envelope: Any) -> requests.Response:
        """Send orders to REES46 or PersonaClick."""
        body = {**rees46_envelope(), "orders": orders, **envelope}
        return self.request("POST", f"/{provider}/import/sync_orders", json=body)

    def yespo(self, orders: Any, **options: Any) -> requests.Response:
        """Send orders to Yespo."""
        options = {"auth": ("anyone", SERVICES["yespo"].account.secret), "json": {"orders": orders}, **options}
        return self.request("POST", "/yespo/api/v1/orders", **options)

    def justclick(self, query: str, *, signature: str | None = None, **options: Any) -> requests.Response:
        """Send a query that the test wrote, with its right signature or the given one."""
        if signature is None:
            login, key = SERVICES["justclick"].account
            signature = md5(f"{query}::{login}::{key}")
        return self.justclick_body(f"{query}&hash={signature}", **options)

    def justclick_body(self, body: str, **options: Any) -> requests.Response:
        """Send a body unchanged."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", "/justclick/api/UpdateOrderStatus", data=body, headers=headers, **options)


def md5(text: str) -> str:
    """Return the lower-case hex MD5 of a text in UTF-8."""
    return hashlib.md5(text.encode()).hexdigest()


def rees46_envelope() -> dict[str, str]:
    """Return the credentials in a request to REES46 or PersonaClick."""
    shop_id, shop_secret = SERVICES["rees46"].account
    return {"shop_id": shop_id, "shop_secret": shop_secret}


def serve(services: Sequence[Service] | None = None, *, strict: bool = False) -> Iterator[str]:
    """Serve a sandbox in a thread on a free port, yield its address, and stop it.

    Args:
        services: which the sandbox serves; all of them with their default accounts if left out.
        strict: whether it refuses requests with doubts.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(services or new_services(), strict=strict),
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + TIMEOUT_S
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def emptied(address: str) -> Iterator[Client]:
    """Empty the memory of the sandbox at this address, and yield a client of it."""
    client = Client(address)
    client.request("POST", "/__admin/reset")
    yield client
    client.session.close()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """One sandbox with the default credentials for all tests."""
    yield from serve()


@pytest.fixture
def sandbox(address: str) -> Iterator[Client]:
    """Return a client of the shared sandbox, whose memory is empty."""
    yield from emptied(address)


@pytest.fixture(scope="session")
def strict_address() -> Iterator[str]:
    """One strict sandbox with the default credentials for all tests."""
    yield from serve(strict=True)


@pytest.fixture
def strict_sandbox(strict_address: str) -> Iterator[Client]:
    """Return a client of the shared strict sandbox, whose memory is empty."""
    yield from emptied(strict_address)


def client_of(credentials: dict[str, str]) -> Iterator[Client]:
    """Yield a client of a sandbox with these credentials."""
    served = serve(new_services(credentials))
    client = Client(next(served))
    yield client
    client.session.close()
    next(served, None)


@pytest.fixture
def strange_sandbox() -> Iterator[Client]:
    """Return a client of a sandbox with none of the default credentials."""
    credentials = {
        "shop_id": "магазин",
        "shop_secret": "пароль",
        "yespo_key": "ключ:1",
        "justclick_login": "логин",
        "justclick_key": "секретный ключ",
    }
    yield from client_of(credentials)


@pytest.fixture
def numeric_sandbox() -> Iterator[Client]:
    """Return a client of a sandbox whose shop id is written in digits."""
    yield from client_of({"shop_id": "123"})


@pytest.fixture
def order() -> dict[str, Any]:
    """Return a Yespo order without faults."""
    return {
        "externalOrderId": "A-1",
        "externalCustomerId": "c-1",
        "totalCost": 990,
        "status": "DELIVERED",
        "date": "2026-03-08T09:30:00+02:00",
        "currency": "UAH",
        "email": "buyer@shop.example",
        "phone": "380501112233",
        "items": [
            {
                "externalItemId": "i-1",
                "name": "Lamp",
                "quantity": 1,
                "cost": 990,
                "url": "https://shop.example/i-1",
                "imageUrl": "https://shop.example/i-1.png",
            }
        ],
    }
