"""``python -m sandbox``."""

import socket
import subprocess
import sys
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments):
    """Start the sandbox as a user does."""
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_says_where_it_listens():
    """A started sandbox prints its address, accepts the given credentials, and ends on request."""
    process = command("--port", "0", "--shop-id", "mine", "--shop-secret", "secret")
    try:
        line = process.stdout.readline()
        assert line.startswith("sandbox: listening on http://127.0.0.1:")
        body = {"shop_id": "mine", "shop_secret": "secret", "orders": [{"id": "1", "status": 1}]}
        url = line.split()[-1]
        assert requests.post(f"{url}/rees46/import/sync_orders", json=body, timeout=10).status_code == 200
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert errors == ""


def test_a_taken_port_is_said_plainly():
    """For a port in use the sandbox prints one line that names it, and ends with exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = command("--port", str(port))
        output, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert output == ""
    assert errors == f"sandbox: port {port} on 127.0.0.1 is taken; give another one with --port\n"


def test_an_impossible_address_is_said_plainly():
    """For an address that this machine does not have the sandbox also prints one line."""
    process = command("--host", "192.0.2.1", "--port", "0")
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert errors.startswith("sandbox: can't listen on 192.0.2.1 port 0: ")
    assert errors.count("\n") == 1
