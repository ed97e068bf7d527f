"""A sender that loses its lock: its request comes before newer ones, or not at all."""

import datetime
import ipaddress
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.delivery.client import Client
from include.order_sync.delivery.loop import Delivery
from include.order_sync.errors import TryAgainError
from include.order_sync.ledger import lost_sender
from include.order_sync.ledger.opening import open_session
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials
from tests.contract.conftest import encrypted, orders, providers_with, ready
from tests.contract.test_ledger import ELEVEN, TEN, two_codes
from tests.contract.test_providers import taken

WAIT_S = 20


def lose_the_lock(ledger: sa.Engine, destination: str) -> None:
    """End the database session that holds the destination's lock."""
    query = """
        select pg_terminate_backend(pid) from pg_locks,
            lateral (select hashtextextended('order_sync ' || :destination, 0)) key (value)
        where locktype = 'advisory' and granted
          and (classid::bigint << 32 | objid::bigint) = key.value
    """
    with ledger.connect() as connection:
        assert connection.execute(sa.text(query), {"destination": destination}).all() == [(True,)]


@providers_with(lambda provider: provider is next(found for found in PROVIDERS.values() if len(found.codes) > 1))
def test_a_request_of_a_lost_sender_comes_first(provider, deliver, sandbox, monkeypatch, ledger):
    """The next sender waits as long as a request of the lost one may take by its own time limits."""
    first, second = two_codes(provider)
    monkeypatch.setattr(tuning, "CONNECT_S", 0.5)
    monkeypatch.setattr(tuning, "ANSWER_S", 7)
    slow = {"provider": provider.name, "kind": "slow", "seconds": 6, "when": "before", "next": 1}
    sandbox.fault(slow).raise_for_status()
    send, left = http.send, threading.Event()

    def note_and_send(session, url, request, leave):
        def note_and_leave() -> None:
            leave()
            left.set()

        return send(session, url, request, note_and_leave)

    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(http, "send", note_and_send)
        lost = pool.submit(deliver, ready(provider, orders(["1"], first, TEN)), run="lost")
        assert left.wait(WAIT_S)
        lose_the_lock(ledger, deliver.destination)
        deliver(ready(provider, orders(["1"], second, ELEVEN)), run="next")
        assert isinstance(lost.exception(), TryAgainError)
    assert taken(sandbox, provider) == {"1": [provider.statuses[first], provider.statuses[second]]}


@pytest.mark.parametrize(("begun_s_ago", "waits_s"), [(0, 140), (100, 40), (-3600, 140), (200, None)])
def test_a_lost_request_is_waited_for_no_longer_than_its_limit(
    ledger: sa.Engine, monkeypatch: pytest.MonkeyPatch, begun_s_ago: int, waits_s: int | None
) -> None:
    """A begin that lies ahead, because the ledger's clock was set back, counts as now."""
    waits: list[float] = []
    monkeypatch.setattr(lost_sender, "time", SimpleNamespace(sleep=waits.append))
    destination = str(uuid.uuid4())
    with open_session(ledger, "ledger", destination=destination, run="lost", try_number=1) as lost:
        number = lost.sender.destination_id
    with ledger.begin() as connection:
        connection.execute(
            sa.text(
                "insert into batches (destination_id, run, try, orders, begun_at) "
                "values (:number, 'lost', 1, 1, now() - make_interval(secs => :ago))"
            ),
            {"number": number, "ago": begun_s_ago},
        )
    with open_session(ledger, "ledger", destination=destination, run="next", try_number=1):
        pass
    assert waits == ([] if waits_s is None else [pytest.approx(waits_s, abs=5)])


class SlowHandshake:
    """A TLS server whose handshake waits until it `may_go_on`.

    Args:
        certificate: the file with its certificate and key.
    """

    def __init__(self, certificate: Path) -> None:
        self.connected, self.may_go_on, self.has_ended = threading.Event(), threading.Event(), threading.Event()
        self.received: list[bytes] = []
        self.certificate = certificate
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Serve one connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        connection, _ = self.listener.accept()
        self.connected.set()
        assert self.may_go_on.wait(WAIT_S)
        with context.wrap_socket(connection, server_side=True) as tls:
            self.received.append(tls.recv(65536))
        self.has_ended.set()


@pytest.fixture
def slow_handshake(tmp_path, monkeypatch) -> Iterator[SlowHandshake]:
    """A server whose certificate the sessions trust."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slow")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + certificate.public_bytes(pem))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    monkeypatch.setattr(tuning, "CONNECT_S", WAIT_S)
    server = SlowHandshake(file)
    with server.listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(server.serve)
        yield server
        served.result()


@pytest.mark.parametrize("is_lost", [True, False])
def test_no_request_leaves_after_the_lock_is_lost(provider, ledger, slow_handshake, is_lost):
    """A lock that is lost during the handshake keeps the request back, and the batch does not begin."""
    destination = f"{provider.name} {slow_handshake.url}"
    part = ready(provider, orders(["1"]))

    def load() -> None:
        with (
            http.open_session(slow_handshake.url) as session,
            open_session(ledger, "ledger", destination=destination, run="run", try_number=1) as written,
        ):
            account = Credentials(slow_handshake.url, "login", "secret")
            Delivery(Client(provider, account, session), written, encrypted).run([part])

    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(load)
        assert slow_handshake.connected.wait(WAIT_S)
        if is_lost:
            lose_the_lock(ledger, destination)
        slow_handshake.may_go_on.set()
        assert lost.exception(WAIT_S) is not None
    if is_lost:
        assert "session is lost" in str(lost.exception())
    assert slow_handshake.has_ended.wait(WAIT_S)
    assert [bool(bytes_) for bytes_ in slow_handshake.received] == [not is_lost]
    query = """
        select count(*) from batches b join destinations d on d.id = b.destination_id
        where d.name = :name and begun_at is not null
    """
    with ledger.connect() as connection:
        assert connection.execute(sa.text(query), {"name": destination}).scalar_one() == int(not is_lost)
