"""JustClick in the sandbox. PHP 8.2 made the signatures in VECTORS."""

import hashlib

import pytest

from sandbox.justclick import parse_form, php_query
from sandbox.registry import SERVICES, new_services

LOGIN, KEY = SERVICES["justclick"].account
SENT = "bill_id=100000&status=sent&date=1362254400&rpo=10000000000000"

# Query and hash by PHP's http_build_query and md5, for login "username" and this key.
VECTOR_KEY = "1f3870be274f6c49b3e31a0c6728957f3d2a9c11"
VECTORS = {
    "plain": (SENT, "dd4825a56a03f259798aaf189693811a"),
    "another order": (
        "bill_id=100000&date=1362254400&status=sent&rpo=10000000000000",
        "f6fe71eec6a2629946ed64cf5fdf565b",
    ),
    "tilde": ("bill_id=100000&status=sent&date=1362254400&rpo=%7E", "9d3b2d520fdf4aa1926414d0be298d97"),
    "cyrillic": (
        "bill_id=100000&status=sent&date=1362254400&rpo=%D0%97%D0%B0%D0%BA%D0%B0%D0%B7",
        "31a156388b3f38a519dd684cfed8ce5f",
    ),
    "space and plus": (
        "bill_id=100000&status=sent&date=1362254400&rpo=a+%2B+b",
        "55a841298b8f380e3bdcbe89281bb665",
    ),
    "percent": ("bill_id=100000&status=sent&date=1362254400&rpo=a%252Bb", "31a0ac436ed44c51b8cb870457d2b22c"),
    "delimiters": (
        "bill_id=100000&status=sent&date=1362254400&rpo=%21%24%26%27%28%29%2A%2B%2C%3B%3D",
        "eeb0f1919e3c4be14956ffba711609dc",
    ),
    "the separator": (
        "bill_id=100000&status=sent&date=1362254400&rpo=a%3A%3Ab",
        "aa9503038fb9685f685d5ba5b0481f23",
    ),
    "line break": (
        "bill_id=100000&status=sent&date=1362254400&rpo=A%0D%0A1",
        "7a2f1911e5ab680fd113f85ef758ef50",
    ),
    "emoji": (
        "bill_id=100000&status=sent&date=1362254400&rpo=%F0%9F%98%80",
        "78e4832d21588af672bc9040ecacd884",
    ),
    "no UTF-8": ("bill_id=100000&status=sent&date=1362254400&rpo=caf%E9", "573e9ead4dbde773daf95c4adb7eb8b1"),
    "nested": (
        "bill_id%5B0%5D=1&bill_id%5B1%5D=2&bill_id%5B2%5D=3&status=paid",
        "6107c60bdfa8cf6c4184ab1901093d7f",
    ),
}


def checked(response, md5):
    """Check the shape and signature of an answer, and return its code."""
    content = response.json()
    assert response.status_code == 200
    assert content["hash"] == md5(f"{content['error_code']}::{content['error_text']}::{KEY}")
    return content["error_code"]


@pytest.fixture
def md5():
    """Return a function that gives a text's MD5 in JustClick's form."""
    return lambda text: hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize(("query", "signature"), VECTORS.values(), ids=VECTORS)
def test_signatures_made_by_php_are_right(query, signature, md5):
    """The signed query is rebuilt as PHP builds it, wherever the hash is among the parameters."""
    for body in (f"{query}&hash={signature}", f"hash={signature}&{query}"):
        parameters = parse_form(body.encode())
        assert parameters.pop(b"hash") == signature.encode()
        assert php_query(parameters) == query
        assert md5(f"{php_query(parameters)}::username::{VECTOR_KEY}") == signature


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (SENT, "sent"),
        ("bill_id=100000&status=paid&date=1362254400", "paid"),
        ("status=return&bill_id=100000", "return"),
        ("bill_id=100000&status=cancel", "cancel"),
        ("bill_id=100000&status=sent&date=1362254400&rpo=%D0%97+%7E%2B", "sent"),
    ],
)
def test_an_order_is_taken(sandbox, md5, query, status):
    """A right request gets a signed 0, and the sandbox remembers it without its signature."""
    response = sandbox.justclick(query)

    assert response.json()["error_text"] == "ok"
    assert checked(response, md5) == 0
    (remembered,) = sandbox.admin("orders", provider="justclick", id="100000")["orders"]
    assert remembered["history"][0]["status"] == status
    assert remembered["payload"]["bill_id"] == "100000"
    assert "hash" not in remembered["payload"]


def test_the_hash_may_stand_anywhere(sandbox, md5):
    """The signature is also found before the other parameters."""
    signature = md5(f"{SENT}::{LOGIN}::{KEY}")

    assert checked(sandbox.justclick_body(f"hash={signature}&{SENT}"), md5) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 2),
        ("hash=0123", 2),
        (SENT, 1),
        (f"{SENT}&hash=", 1),
        (f"{SENT}&hash=dd4825a56a03f259798aaf189693811a", 4),
        (f"{SENT}&hash=%D0%97", 4),
    ],
)
def test_requests_that_are_not_signed_are_refused(sandbox, md5, body, code):
    """No data is code 2, no hash code 1, and a wrong hash code 4; each is a refused request."""
    assert checked(sandbox.justclick_body(body), md5) == code
    stats = sandbox.admin("stats")["justclick"]
    assert (stats["refused"], stats["rejected"], stats["orders"]) == (1, 0, 0)


@pytest.mark.parametrize(
    "signed", [f"{SENT}::other::{KEY}", f"{SENT}::{LOGIN}::other", f"{SENT}{KEY}", SENT, f"{SENT}::{LOGIN}::{KEY} "]
)
def test_a_signature_of_something_else_is_wrong(sandbox, md5, signed):
    """Another login, another key or another way to sign is code 4; so is the right signature in capitals."""
    assert checked(sandbox.justclick(SENT, signature=md5(signed)), md5) == 4
    assert checked(sandbox.justclick(SENT, signature=md5(f"{SENT}::{LOGIN}::{KEY}").upper()), md5) == 4


def test_a_tilde_that_is_not_encoded_is_wrong(sandbox, md5):
    """PHP encodes a tilde before it signs, so a signature of a bare tilde is wrong."""
    assert checked(sandbox.justclick("bill_id=1&status=sent&date=1362254400&rpo=~"), md5) == 4


def test_only_a_form_is_understood(sandbox, md5):
    """A JSON body counts as no data."""
    response = sandbox.request("POST", "/justclick/api/UpdateOrderStatus", json={"bill_id": "1"})

    assert checked(response, md5) == 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("status=cancel", 203),
        ("bill_id=&status=cancel", 203),
        ("bill_id=0&status=cancel", 200),
        ("bill_id=-5&status=cancel", 200),
        ("bill_id=%231001&status=cancel", 200),
        ("bill_id=1", 201),
        ("bill_id=1&status=Sent", 201),
        ("bill_id=1&status=%D0%BE%D1%82%D0%BF%D1%80%D0%B0%D0%B2%D0%BB%D0%B5%D0%BD", 201),
        ("bill_id=1&status=paid", 3),
        ("bill_id=1&status=paid&date=", 3),
        ("bill_id=1&status=paid&date=2013-03-03", 3),
        ("bill_id=1&status=sent&date=1362254400", 3),
        ("bill_id=1&status=sent&date=1362254400&rpo=", 3),
        ("bill_id=1&status=sent&rpo=1", 3),
    ],
)
def test_a_wrong_order_is_rejected(sandbox, md5, query, code):
    """A signed but wrong order gets its code, and counts as rejected, not as a refused request."""
    assert checked(sandbox.justclick(query), md5) == code
    stats = sandbox.admin("stats")["justclick"]
    assert (stats["rejected"], stats["refused"], stats["accepted"]) == (1, 0, 0)


def test_bills_can_be_made_unknown(sandbox, md5):
    """A fault that refuses orders makes bill numbers unknown, with code 302 or the fault's own code."""
    sandbox.fault(
        {"provider": "justclick", "kind": "refuse_orders", "order_ids": ["7"]},
        {
            "provider": "justclick",
            "kind": "refuse_orders",
            "order_ids": ["8"],
            "code": 202,
            "message": "не вышло",
        },
    )

    codes = [checked(sandbox.justclick(f"bill_id={bill}&status=cancel"), md5) for bill in (7, 8, 9)]

    assert codes == [302, 202, 0]


def test_an_answer_can_be_badly_signed(sandbox, md5):
    """A bad signature comes with a taken order, and only as often as the fault says."""
    sandbox.fault({"kind": "bad_signature", "next": 1})

    content = sandbox.justclick(SENT).json()

    assert content["error_code"] == 0
    assert content["hash"] != md5(f"0::ok::{KEY}")
    assert sandbox.admin("stats")["justclick"]["accepted"] == 1
    assert checked(sandbox.justclick(SENT), md5) == 0


def test_credentials_are_settable(strange_sandbox, order, md5):
    """Each service requires the credentials that the sandbox was started with, in any script."""
    query = "bill_id=1&status=cancel"
    signature = md5(f"{query}::логин::секретный ключ")

    assert strange_sandbox.rees46([{"id": "1", "status": 1}]).status_code == 401
    assert (
        strange_sandbox.rees46([{"id": "1", "status": 1}], shop_id="магазин", shop_secret="пароль").status_code == 200
    )
    assert strange_sandbox.yespo([order]).status_code == 401
    assert strange_sandbox.yespo([order], auth=("я".encode(), "ключ:1".encode())).status_code == 200
    assert strange_sandbox.justclick(query).json()["error_code"] == 4
    assert strange_sandbox.justclick(query, signature=signature).json()["error_code"] == 0


def test_unknown_credentials_are_refused():
    """A misspelled credential is an error."""
    with pytest.raises(ValueError, match="yespo_kee"):
        new_services({"yespo_kee": "x"})
