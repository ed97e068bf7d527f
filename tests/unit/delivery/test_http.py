"""Answers: their Retry-After, and the parts that may be shown."""

import contextlib
import gzip
import socket
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.errors import InDoubtError, StopError, TryAgainError
from include.order_sync.providers.base import Answer, Credentials, Request


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("", None), ("soon", None), ("-5", None), ("1e3", None), ("²", None), ("999999999", 86400)],
)
def test_retry_after_in_seconds(header, seconds):
    """A whole number of seconds counts up to a day; any other text counts as absent."""
    assert Answer(429, {"Retry-After": header}, b"").retry_after_s == seconds


@pytest.mark.parametrize(
    "header",
    [
        "Mon, 01 Jan 2026 00:00:00 +9999999999999",
        "Mon, 99999999999999999999 Jan 2026 00:00:00 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Mon, 01 Jan 2026 00:00:00 -9999",
    ],
)
def test_a_retry_after_that_is_no_date_counts_as_absent(header):
    """Absurd numbers in a date end no run."""
    assert Answer(429, {"Retry-After": header}, b"").retry_after_s is None


def test_retry_after_as_a_date():
    """A date becomes the seconds until then; a past date means no wait."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < Answer(503, {"Retry-After": later}, b"").retry_after_s <= 90
    assert Answer(503, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, b"").retry_after_s == 0


def test_nothing_shows_secrets_or_personal_data():
    """No text form of a request, an answer or credentials shows a body, headers or a secret."""
    shown = repr(
        [
            Request("/path", b"body of anna@shop.example", {"Authorization": "Basic hush"}),
            Answer(200, {"Set-Cookie": "hush"}, b"anna@shop.example"),
            Credentials("https://x", "shop", "hush"),
        ]
    )
    assert "hush" not in shown
    assert "anna" not in shown


def test_a_session_goes_by_the_environment_but_for_netrc(monkeypatch, tmp_path):
    """A session uses the machine's proxies and certificates, but takes logins only from the connection."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.example login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    with http.open_session("https://api.example") as outside, http.open_session("https://inside.example") as inside:
        assert outside.proxies["https"] == "http://proxy.example:3128"
        assert "https" not in inside.proxies
        assert outside.verify == str(tmp_path)
        request = requests.Request("POST", "https://api.example/orders", data=b"[]")
        assert "Authorization" not in outside.prepare_request(request).headers


def test_an_address_that_is_none_stops(monkeypatch):
    """An impossible port stops the task with a clear message, also if the environment has proxies."""
    monkeypatch.setenv("NO_PROXY", "inside.example")
    with pytest.raises(StopError, match="correct the host and the port"):
        http.open_session("https://api.example:99999")


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Serve one request on loopback with these bytes, then close; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                request = b""
                while not request.endswith(b"[]"):  # what is left unread would reset the connection
                    request += connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def ask(address: str) -> Answer:
    """Send one request to the server."""
    with http.open_session(address) as session:
        return http.send(session, address, Request("/orders", b"[]", {}), lambda: None)


@pytest.mark.parametrize("ends", [True, False], ids=["reset", "silent"])
@pytest.mark.parametrize("step", ["tls", "proxy", "tls after proxy"])
def test_what_ends_before_the_request_leaves_was_not_sent(step, ends, monkeypatch):
    """A handshake, or a proxy's CONNECT, that is reset or stays silent has sent nothing: it is tried again."""
    monkeypatch.setattr(tuning, "CONNECT_S", 0.3)
    left = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        if "proxy" in step:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
            monkeypatch.delenv("NO_PROXY", raising=False)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if step == "tls after proxy":
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    connection.recv(65536)
                if ends:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    connection.recv(65536)  # until the client gives up

        thread = threading.Thread(target=serve)
        thread.start()
        url = "https://api.example" if "proxy" in step else f"https://{address}"
        with (
            http.open_session(url) as session,
            pytest.raises(TryAgainError, match=r"no connection.*Nothing was sent"),
        ):
            http.send(session, url, Request("/orders", b"[]", {}), lambda: left.append(1))
        thread.join()
    assert left == []


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Answer: final\r\n\r\nOK"


@pytest.mark.parametrize("before", [100, 102, 103])
def test_an_informational_answer_is_not_the_answer(before):
    """A 100, 102 or 103 comes before the answer, maybe several times, and is skipped with its headers."""
    with server(f"HTTP/1.1 {before} Wait\r\nX-Answer: hint\r\n\r\n".encode() * 3 + OK) as address:
        answer = ask(address)
    assert (answer.status, answer.headers["X-Answer"], answer.body) == (200, "final", b"OK")


def test_endless_informational_answers_are_in_doubt():
    """A server that never comes to its answer leaves the request in doubt."""
    with server(b"HTTP/1.1 102 Processing\r\n\r\n" * 50) as address, pytest.raises(InDoubtError):
        ask(address)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nOK\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nOK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\nOKOKOKO",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n" + gzip.compress(b"OK")[:10],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nOK",
        b"\0\1\2\3",
        b"<html></html>",
    ],
    ids=["negative chunk", "huge chunk", "two lengths", "packed and cut", "not packed", "bytes", "no head"],
)
def test_an_answer_that_no_one_can_read_is_in_doubt(answer):
    """Nonsense for an answer is no unknown error: its batch has left, and may have been taken."""
    with server(answer) as address, pytest.raises(InDoubtError):
        ask(address)


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_an_answer_that_is_cut_anywhere_is_in_doubt(end):
    """A server that dies within its status line or its headers has not answered: an empty body would mean success."""
    with server(WHOLE[:end]) as address, pytest.raises(InDoubtError):
        ask(address)


def test_a_chunked_answer_may_lack_its_last_line():
    """Its body is whole."""
    with server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n") as address:
        assert ask(address).body == b"OK"


@pytest.mark.parametrize("location", [b"/elsewhere", b"http://[bad", b"\xff\xfe", b""])
def test_a_redirect_is_an_answer_wherever_it_leads(location):
    """It is not followed, so an impossible address there does not hide its status."""
    with server(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n") as address:
        assert ask(address).status == 302


DRIPS = {
    "status": (b"", b"HTTP/1.1 102 Wait\r\n\r\n"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Drip: 1\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_drips_ends(drip, monkeypatch):
    """A server that keeps sending, and never comes to an end, leaves the request in doubt at the time limit."""
    monkeypatch.setattr(tuning, "ANSWER_S", 0.5)
    monkeypatch.setattr(http, "MAX_INFORMATIONAL_ANSWERS", 1_000)
    first, more = DRIPS[drip]
    ended, drips = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                connection.sendall(first)
                for _ in range(90):  # fewer than http.client takes for too many headers
                    if ended.wait(0.05):
                        break
                    connection.sendall(more)
                    drips.append(more)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(InDoubtError, match="not complete after"):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}")
        ended.set()
        thread.join()
    assert len(drips) < 90


def test_reading_an_answer_leaves_the_connection_its_own_limit():
    """The writing of the next request has a limit of its own, not what was left for this answer."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1000)
        theirs.send(b"x")
        reader = http._TimedReader(ours, socket.SocketIO(ours, "r"))
        assert reader.read(1) == b"x"
        assert ours.gettimeout() == 1000


@pytest.mark.parametrize("wbits", [15, 31], ids=["deflate", "gzip"])
def test_an_answer_that_unpacks_to_much_is_bounded(wbits):
    """A small packed answer does not fill the memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    zeros = bytes(1024 * 1024)
    body = b"".join([packer.compress(zeros) for _ in range(128)]) + packer.flush()
    kind = {15: "deflate", 31: "gzip"}[wbits]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with server(head.encode() + body) as address:
        tracemalloc.start()
        try:
            with pytest.raises(InDoubtError, match="more than"):
                ask(address)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 5 * tuning.ANSWER_MAX_BYTES


@pytest.mark.parametrize("wbits", [15, 31], ids=["deflate", "gzip"])
def test_a_packed_answer_is_read(wbits):
    """A service may pack its answers, chunked too."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    body = packer.compress(b"OK" * 100_000) + packer.flush()
    kind = {15: "deflate", 31: "gzip"}[wbits]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50], body[50:])) + b"0\r\n\r\n"
    with server(head.encode() + chunks) as address:
        assert ask(address).body == b"OK" * 100_000
