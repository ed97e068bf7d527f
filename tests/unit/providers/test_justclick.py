"""JustClick's signatures against vectors from PHP itself, and its payloads."""

import json
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.errors import InDoubtError, StopError, TryAgainError
from include.order_sync.providers import justclick
from include.order_sync.providers.base import ACCEPTED, Answer, Credentials, Outcome

HERE = Path(__file__).parent
CREDENTIALS = Credentials("https://x", "l", "k")


def vectors(name: str) -> list[dict]:
    """Return the vectors in a file of this folder."""
    return [json.loads(line) for line in (HERE / name).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("vector", vectors("justclick_requests.jsonl"), ids=lambda vector: vector["note"])
def test_request_is_signed_as_php_does(vector):
    """Query and hash of a request equal those of PHP's http_build_query and md5."""
    query = justclick.php_query(vector["params"])
    assert query == vector["query"]
    assert justclick.sign(query, vector["user"], vector["key"]) == vector["hash"]


@pytest.mark.parametrize("vector", vectors("justclick_answers.jsonl"))
def test_answer_is_verified_as_php_does(vector):
    """The hash of an answer equals PHP's, for a code of any type."""
    assert justclick.answer_hash(vector["error_code"], vector["error_text"], vector["key"]) == vector["hash"]


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1))
def test_query_loses_nothing(fields):
    """The query decodes to the same fields, in the same sequence."""
    query = justclick.php_query(fields)
    assert parse_qsl(query, keep_blank_values=True, strict_parsing=True) == list(fields.items())
    assert query.isascii()
    assert "~" not in query


@given(st.text(), st.text(min_size=1), st.sampled_from([0, "0"]))
def test_only_a_rightly_signed_answer_is_a_success(text, key, code):
    """Only an answer with the right hash is a success."""
    credentials = Credentials("https://shop.justclick.ru", "shop", key)
    content = {"error_code": code, "error_text": text, "hash": justclick.answer_hash(code, text, key)}
    assert justclick.read_answer(_answer(content), ["1"], credentials) == [ACCEPTED]
    for wrong in (content["hash"].upper() + "0", "", None):
        with pytest.raises(InDoubtError, match="hash"):
            justclick.read_answer(_answer({**content, "hash": wrong}), ["1"], credentials)


@pytest.mark.parametrize(
    ("content", "signed"),
    [({"error_text": None}, ""), ({"error_text": False}, ""), ({}, ""), ({"error_text": True}, "1")],
    ids=["null", "false", "none", "true"],
)
def test_a_text_that_is_none_is_signed_as_php_writes_it(content, signed):
    """PHP signs null, false, and what is not there as nothing, and true as 1, so such an answer is believed."""
    answer = _answer({"error_code": 0, **content, "hash": justclick.answer_hash(0, signed, "k")})
    assert justclick.read_answer(answer, ["1"], CREDENTIALS) == [ACCEPTED]


@pytest.mark.parametrize("status", [200, 400, 404, 500])
def test_a_signed_answer_counts_whatever_its_status(status):
    """One order that does not exist is rejected alone, also if the service answers 404; its words are kept."""
    content = {"error_code": 200, "error_text": "no bill 17", "hash": justclick.answer_hash(200, "no bill 17", "k")}
    answer = Answer(status, {}, json.dumps(content).encode())
    (verdict,) = justclick.read_answer(answer, ["1"], CREDENTIALS)
    assert (verdict.outcome, verdict.service_message) == (Outcome.REJECTED, "no bill 17")
    assert "error_code 200: no such order" in verdict.reason


@pytest.mark.parametrize(("status", "error"), [(404, StopError), (429, TryAgainError), (502, InDoubtError)])
def test_an_answer_that_is_not_signed_counts_by_its_status(status, error):
    """Whoever has no key may not reject an order."""
    content = {"error_code": 200, "error_text": "no such bill", "hash": "0" * 32}
    with pytest.raises(error, match=f"JustClick answered HTTP {status}"):
        justclick.read_answer(Answer(status, {}, json.dumps(content).encode()), ["1"], CREDENTIALS)


@pytest.mark.parametrize("code", ["\0", "\ud800", "anna@shop.example", "9" * 500, [1], {"a": 1}])
def test_a_code_that_is_no_number_is_not_shown(code):
    """A reason is kept in the ledger and shown in logs, so it quotes no text of the service."""
    with pytest.raises(InDoubtError) as doubt:
        justclick.read_answer(_answer({"error_code": code, "error_text": "", "hash": ""}), ["1"], CREDENTIALS)
    assert "error_code (no number)" in str(doubt.value)


def test_unknown_login_stops_without_a_right_hash():
    """Code 5 needs no right hash: the service can't sign with a key that it does not have."""
    content = {"error_code": 5, "error_text": "invalid user name", "hash": "0" * 32}
    with pytest.raises(StopError, match="login is unknown"):
        justclick.read_answer(_answer(content), ["1"], CREDENTIALS)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"error_code": 0}', b"<html>", b'"ok"', b"\xff"])
def test_what_is_no_answer_is_in_doubt(body):
    """A 200 without code and text is not JustClick's answer, so its order is in doubt."""
    with pytest.raises(InDoubtError):
        justclick.read_answer(Answer(200, {}, body), ["1"], CREDENTIALS)


def _answer(content: dict) -> Answer:
    return Answer(200, {}, json.dumps(content).encode())
