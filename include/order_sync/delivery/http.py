"""HTTP to the services: a keep-alive session with time-outs, checked TLS, no redirects and bounded answers.

`send` connects first, asks whether the request may leave, and sends it then. So it distinguishes "definitely not
delivered" (safe to retry) from "outcome unknown" (in doubt).
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from http.client import BadStatusLine, HTTPResponse, RemoteDisconnected, parse_headers
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, MaxRetryError

from include.order_sync import stops, tuning
from include.order_sync.errors import InDoubtError, StopError, TryAgainError
from include.order_sync.providers.base import Answer, Request
from include.order_sync.redact import redact

MAX_INFORMATIONAL_ANSWERS = 20
READ_BYTES = 64 * 1024
MAX_CONNECTIONS = 64  # as `connections` of a destination allows

# What the thread's request calls once it is connected, right before it leaves.
_leave: ContextVar[Callable[[], None]] = ContextVar("leave")


class _TimedReader(io.RawIOBase):
    """The bytes of one answer, status line to trailers, until ANSWER_S: also of a server that only drips.

    Args:
        connection: the socket.
        inner: reads from it.
    """

    def __init__(self, connection: socket.socket, inner: io.RawIOBase) -> None:
        self._connection = connection
        self._inner = inner
        self._ends_at = time.monotonic() + tuning.ANSWER_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        usual_s = self._connection.gettimeout()
        self._connection.settimeout(left_s if usual_s is None else min(usual_s, left_s))
        try:
            return self._inner.readinto(buffer)
        finally:
            self._connection.settimeout(usual_s)  # the next request of this connection has a limit of its own

    def close(self) -> None:
        self._inner.close()
        super().close()


class _HeadLines(io.BufferedReader):
    """Raises if the head of an answer is cut: http.client would take what came for a whole answer without a body."""

    is_in_head = True

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if self.is_in_head and not line.endswith(b"\n") and len(line) != size:
            raise RemoteDisconnected("the connection was closed before the head of the answer was complete")
        return line


class _Response(HTTPResponse):
    """Skips informational answers (102, 103): http.client skips only 100, and would take them for the answer.

    It also has a time limit for the whole answer, and refuses a head that is cut.
    """

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = self._lines = _HeadLines(_TimedReader(sock, self.fp.detach()))

    def begin(self) -> None:
        super().begin()
        self._lines.is_in_head = False  # some services end a chunked body without its last line

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INFORMATIONAL_ANSWERS):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            parse_headers(self.fp)
        raise BadStatusLine(f"more than {MAX_INFORMATIONAL_ANSWERS} informational answers")


class _PlainConnection(HTTPConnection):
    response_class = _Response

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        _leave.get()()
        super().request(*arguments, **options)


class _Connection(HTTPSConnection):
    response_class = _Response

    def request(self, *arguments: Any, **options: Any) -> None:
        # urllib3 has connected before: also through a proxy, and with TLS.
        _leave.get()()
        super().request(*arguments, **options)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002  (requests' signature)
        """Return None: else requests would read each Location, also where none is followed, and fail at a wrong one."""
        return None


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


def open_session(url: str) -> requests.Session:
    """Return a session with the service at `url`: keep-alive, and without retries of the library.

    Proxies and certificates come from the environment, which is read once here instead of for each request.

    Raises:
        StopError: `url` is no address.
    """
    session = _Session()
    try:
        environment = session.merge_environment_settings(url, {}, None, None, None)
    except ValueError:
        raise StopError(
            stops.NO_ADDRESS, f"{url} is no address: correct the host and the port in the connection."
        ) from None
    session.proxies, session.verify = environment["proxies"], environment["verify"]
    # A ~/.netrc of the machine must not add an Authorization header of its own.
    session.trust_env = False
    adapter = HTTPAdapter(max_retries=0, pool_maxsize=MAX_CONNECTIONS)
    adapter.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _Pool}
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def send(session: requests.Session, url: str, request: Request, leave: Callable[[], None]) -> Answer:
    """Send `request` to the service at `url` (scheme, host, and a path in front of the request's own).

    Args:
        session: of `open_session`.
        url: of the account.
        request: to send.
        leave: called once the connection is there, right before the request leaves; an error of it keeps the request
            back.

    Raises:
        StopError: `url` is no address.
        TryAgainError: no connection was made, so nothing was sent.
        InDoubtError: the request left, and no complete answer came.
    """
    where = f"{request.method} {url}{request.path}"
    left_at: float | None = None

    def note_and_leave() -> None:
        nonlocal left_at
        leave()
        left_at = time.monotonic()

    token = _leave.set(note_and_leave)
    try:
        with session.request(
            request.method,
            url + request.path,
            data=request.body,
            headers=request.headers,
            timeout=(tuning.CONNECT_S, tuning.ANSWER_S),
            allow_redirects=False,
            stream=True,
        ) as response:
            return Answer(response.status_code, response.headers, _read(response, where))
    except InDoubtError:
        raise
    except Exception as error:  # an answer can break its reader in any way: a chunk of a negative size, a ValueError
        cause = error.args[0] if error.args else error
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        if left_at is None:
            if isinstance(error, (requests.exceptions.InvalidURL, UnicodeError)):
                raise StopError(stops.NO_ADDRESS, f"{url} is no address: correct the host in the connection.") from None
            if not isinstance(error, (requests.exceptions.RequestException, HTTPError)):
                raise
            raise TryAgainError(
                f"{where}: no connection ({_name(reason)}). Nothing was sent. "
                "If this goes on, look at the host in the connection, and at DNS, firewall and certificates."
            ) from None
        if time.monotonic() - left_at > tuning.ANSWER_S:
            raise InDoubtError(f"{where}: the answer was not complete after {tuning.ANSWER_S} s") from None
        raise InDoubtError(f"{where}: the request left and no complete answer came ({_name(reason)})") from None
    finally:
        _leave.reset(token)


def _read(response: requests.Response, where: str) -> bytes:
    body = bytearray()
    # Bounded, unlike read1, also where a few bytes unpack to many.
    while chunk := response.raw.read(READ_BYTES, decode_content=True):
        body += chunk
        if len(body) > tuning.ANSWER_MAX_BYTES:
            raise InDoubtError(f"{where}: HTTP {response.status_code} with more than {tuning.ANSWER_MAX_BYTES} bytes")
    if not body and response.raw.tell():  # zlib says nothing of packed bytes that end too early
        raise InDoubtError(f"{where}: HTTP {response.status_code} with a packed body that can't be unpacked")
    return bytes(body)


def _name(error: Any) -> str:
    return f"{type(error).__name__}: {redact(str(error), 160)}"
