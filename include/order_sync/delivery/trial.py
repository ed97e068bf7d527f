"""Tries an account without sending an order: for the connection's form, and for the doctor."""

from __future__ import annotations

from urllib.parse import urlsplit

from include.order_sync.delivery import http
from include.order_sync.providers.base import Credentials, Provider, Request


class _ConnectedError(Exception):
    """The connection is there, and the request is kept back."""


def try_account(provider: Provider, credentials: Credentials) -> str:
    """Return what was found to be right, in a sentence for a person.

    Where the service has no harmless request, only its name, its address and its certificate are tried: a connection is
    made, and nothing is sent over it.

    Raises:
        OrderSyncError: what is wrong, and where to correct it.
    """
    with http.open_session(credentials.url) as session:
        if provider.trial:
            answer = http.send(session, credentials.url, provider.trial.request(credentials), lambda: None)
            return provider.trial.read(answer, credentials)
        try:
            http.send(session, credentials.url, Request("/", b"", {}), _keep_back)
        except _ConnectedError:
            url = urlsplit(credentials.url)
            certificate = "and its certificate is good" if url.scheme == "https" else "without TLS"
            return (
                f"{url.netloc} answers, {certificate}. Login and key were not tried: {provider.title} has no harmless "
                "request for that, and mails the shop's staff about any other. The first run shows whether they are "
                "right."
            )
        raise AssertionError("a request that was kept back has left")


def _keep_back() -> None:
    raise _ConnectedError
