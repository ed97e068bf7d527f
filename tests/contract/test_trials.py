"""An account is tried without an order, against the sandbox over real HTTP."""

import datetime
import ssl
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from include.order_sync import stops
from include.order_sync.delivery.trial import try_account
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.providers.base import Credentials
from tests.contract.conftest import providers_with

proves_the_key = providers_with(lambda provider: provider.trial)
only_connects = providers_with(lambda provider: not provider.trial)


def nothing_happened(sandbox, provider) -> bool:
    """Whether the service has taken no order and mailed nobody."""
    counts = sandbox.admin("stats")[provider.name]
    return counts["mails"] == counts["accepted"] == 0


def test_a_right_account(provider, credentials, sandbox):
    """The service's name is in the answer; no order was taken, and no mail sent."""
    assert provider.title in try_account(provider, credentials)
    assert nothing_happened(sandbox, provider)


@proves_the_key
def test_a_wrong_key_is_seen(provider, credentials, sandbox):
    """Where the service has a harmless request, it tells a wrong key; the key is not in the message."""
    with pytest.raises(StopError) as stop:
        try_account(provider, replace(credentials, secret="hush-and-wrong"))
    assert stop.value.reason == stops.REFUSED_LOGIN
    assert "hush" not in str(stop.value)
    assert nothing_happened(sandbox, provider)


@only_connects
def test_where_each_request_mails_nothing_is_sent(provider, credentials, sandbox):
    """The sandbox gets no request at all, and the answer says that the key was not tried."""
    said = try_account(provider, replace(credentials, secret="wrong"))
    assert "were not tried" in said
    assert "without TLS" in said
    assert sandbox.admin("stats")[provider.name]["requests"] == 0


def test_an_address_where_nobody_listens(provider, credentials):
    """The message names the address, and where to look."""
    with pytest.raises(TryAgainError, match=r"127\.0\.0\.1:1.*look at the host"):
        try_account(provider, replace(credentials, url="http://127.0.0.1:1"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The address of an HTTPS server, the file of its certificate, and what it was asked."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    plain = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(plain)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}", folder / "cert.pem", asked
    server.shutdown()


@only_connects
def test_a_certificate_is_checked(provider, tls, monkeypatch):
    """One that nobody has signed is refused, and a good one is named; nothing is sent in both cases."""
    url, certificate, asked = tls
    with pytest.raises(TryAgainError, match="certificates"):
        try_account(provider, Credentials(url, "me", "x"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert "its certificate is good" in try_account(provider, Credentials(url, "me", "x"))
    assert asked == []
