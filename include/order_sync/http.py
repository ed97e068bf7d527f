"""The one way to the services: a keep-alive session with time-outs, checked TLS, no redirects, bounded answers.

`send` tells apart the two failures that matter: the request was surely not taken (try it again), or it left and
nobody knows (in doubt).
"""

from __future__ import annotations

import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError, SSLError

from include.order_sync.errors import InDoubtError, TryAgainError
from include.order_sync.providers.base import Answer, Request
from include.order_sync.redact import redact

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 120  # between two bytes: a service may think long about a thousand orders
ANSWER_TIMEOUT_S = 300  # for the whole answer
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class _NoAuth(requests.auth.AuthBase):
    """Keeps a ~/.netrc of the machine from adding an Authorization header of its own."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def open_session() -> requests.Session:
    """Return a session whose connections are kept alive and never retried by the library."""
    session = requests.Session()
    adapter = HTTPAdapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.auth = _NoAuth()
    return session


def send(session: requests.Session, url: str, request: Request) -> Answer:
    """POST `request` to the service at `url` (scheme, host, and a path in front of the request's own).

    Raises:
        TryAgainError: no connection came about, so nothing was sent.
        InDoubtError: the request left, and no complete answer came.
    """
    where = f"POST {url}{request.path}"
    started = time.monotonic()
    try:
        with session.post(
            url + request.path,
            data=request.body,
            headers=request.headers,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        ) as response:
            return Answer(response.status_code, response.headers, _read(response, where, started))
    except requests.exceptions.RequestException as error:
        cause = error.args[0] if error.args else error
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        if isinstance(reason, (NewConnectionError, ConnectTimeoutError, SSLError, ProxyError)):
            raise TryAgainError(
                f"{where}: no connection ({_name(reason)}). Nothing was sent. "
                "If this goes on, look at the host in the connection, and at DNS, firewall and certificates."
            ) from None
        raise InDoubtError(f"{where}: the request left and no complete answer came ({_name(reason)})") from None


def _read(response: requests.Response, where: str, started: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(64 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise InDoubtError(f"{where}: HTTP {response.status_code} with more than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() - started > ANSWER_TIMEOUT_S:
            raise InDoubtError(f"{where}: the answer was not complete after {ANSWER_TIMEOUT_S} s")
    return bytes(body)


def _name(error: Any) -> str:
    return f"{type(error).__name__}: {redact(str(error), 160)}"
