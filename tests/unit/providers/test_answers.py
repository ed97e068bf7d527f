"""The answers of the services: each status and each body has one meaning."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from include.order_sync.errors import BatchRefusedError, BatchTooLargeError, InDoubtError, StopError, TryAgainError
from include.order_sync.providers import PROVIDERS, justclick, rees46, yespo
from include.order_sync.providers.base import (
    ACCEPTED,
    MAX_RETRY_AFTER_S,
    Answer,
    Credentials,
    Outcome,
    Verdict,
    refuse_unless_success,
)

ACCOUNT = Credentials("https://x", "login", "key")
IDS = ["1", "2"]


def answer(status: int, body: str | bytes = b"", **headers: str) -> Answer:
    """Return an answer; `Retry_After` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, body.encode() if isinstance(body, str) else body)


# What is neither in `try_again` nor in `in_doubt` of a service.
MEANINGS = {
    300: StopError,
    301: StopError,
    399: StopError,
    400: BatchRefusedError,
    401: StopError,
    403: StopError,
    404: StopError,
    408: TryAgainError,
    409: InDoubtError,
    413: BatchTooLargeError,
    422: BatchRefusedError,
    429: TryAgainError,
    499: StopError,
    500: InDoubtError,
    502: InDoubtError,
    503: TryAgainError,
    504: InDoubtError,
    599: InDoubtError,
}


@pytest.mark.parametrize(("status", "error"), MEANINGS.items(), ids=map(str, MEANINGS))
def test_each_status_has_one_meaning(status, error):
    """The class of the error says what happens next; a 408 is tried again at every service."""
    with pytest.raises(error, match=str(status)) as raised:
        refuse_unless_success("Mail", answer(status, "no", Retry_After="7"), frozenset({429, 503}), frozenset({409}))
    assert type(raised.value) is error
    if error in (TryAgainError, InDoubtError):
        assert raised.value.after_s == 7
    if error is TryAgainError:
        assert (raised.value.is_failure, raised.value.is_limit) == (status == 503, status == 429)
    if isinstance(raised.value, BatchRefusedError):
        assert raised.value.service_message == "no"


@pytest.mark.parametrize("status", [200, 204, 299])
def test_a_2xx_is_no_error(status):
    """Every 2xx may be read further."""
    refuse_unless_success("Mail", answer(status), frozenset())


def test_a_500_may_promise_that_nothing_was_taken():
    """A service's own list comes before the rule of all 5xx; the failure is noted, as an order may be its cause."""
    with pytest.raises(TryAgainError) as raised:
        refuse_unless_success("Mail", answer(500), frozenset({500}))
    assert raised.value.is_failure is True


@pytest.mark.parametrize(
    ("status", "words"),
    [
        *((status, "redirects") for status in (300, 302, 399)),
        (401, "login or password"),
        (403, "login and password"),
        (404, "Nothing was taken"),
    ],
)
def test_a_refusal_says_what_to_look_at(status, words):
    """A redirect, a wrong key and a wrong address have a cure each; a refusal may be about one order's text."""
    with pytest.raises(StopError, match=words) as raised:
        refuse_unless_success("Mail", answer(status), frozenset())
    assert raised.value.is_failure == (status in (403, 404))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("  ", None),
        ("0", 0),
        (" 5 ", 5),
        ("86399", 86399),
        ("99999999999", MAX_RETRY_AFTER_S),
        ("-5", None),
        ("1.5", None),
        ("\u0665", None),
        ("soon", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(value, seconds):
    """Anything else says nothing, a time that has passed is no wait, and no wait is longer than a day."""
    assert answer(429, Retry_After=value).retry_after_s == seconds


@pytest.mark.parametrize("zone", ["+0000", "-0000"])
def test_the_date_of_a_retry_after_is_utc(zone):
    """A date without a zone counts as UTC."""
    when = format_datetime(datetime.now(UTC) + timedelta(hours=1)).replace("+0000", zone)
    assert 3590 < answer(429, Retry_After=when).retry_after_s <= 3600


def test_an_answer_quotes_its_beginning():
    """A long body is cut at 2000 bytes, and bytes that are no text are replaced."""
    assert answer(400, b"\xff" + b"x" * 3000).service_message == "\ufffd" + "x" * 1999


@pytest.mark.parametrize("name", ["rees46", "personaclick"])
@pytest.mark.parametrize(
    ("body", "headers", "outcome"),
    [
        ("", {}, None),
        (" \n", {}, None),
        ("ok", {}, None),
        (" OK\r\n", {}, None),
        ('{"status": "Success", "error": ""}', {}, None),
        ('{"queued": 2}', {}, None),
        ("[2]", {}, None),
        ("7", {}, None),
        ("queued", {}, None),
        ("x" * 200, {}, None),
        ("x" * 201, {}, InDoubtError),
        ("x" * 200, {"Content_Type": "text/HTML"}, InDoubtError),
        ("[1", {}, InDoubtError),
        ('{"status": "success"', {}, InDoubtError),
        ("<p>", {}, InDoubtError),
        (b"\xff\xfe", {}, InDoubtError),
        ('{"status": "later"}', {}, InDoubtError),
        ('{"code": "denied"}', {}, InDoubtError),
        ('{"status": "ERROR"}', {}, BatchRefusedError),
        ('{"status": "Fail"}', {}, BatchRefusedError),
        ('{"status": "failed"}', {}, BatchRefusedError),
        ('{"error": "off"}', {}, BatchRefusedError),
        ('{"errors": ["off"]}', {}, BatchRefusedError),
        ('{"status": "success", "errors": ["off"]}', {}, BatchRefusedError),
        ('{"status": "success", "failed": ["1"]}', {}, InDoubtError),
        ('{"status": "success", "payload": {"notAccepted": 1}}', {}, InDoubtError),
        ('{"status": "success", "rejected_orders": [{"id": "1"}]}', {}, InDoubtError),
        ('{"status": "success", "success": false}', {}, InDoubtError),
        ('{"status": "ok", "orders": [{"Accepted": "0"}]}', {}, InDoubtError),
        ('{"status": "success", "orders": [{"status": "Invalid id"}]}', {}, InDoubtError),
        ('{"status": "success", "result": "denied"}', {}, InDoubtError),
        ('{"status": "success", "failed": 0, "errors": [], "rejected": "0", "skipped": false}', {}, None),
        (
            '{"status": "success", "payload": {"message": "You will see them later"}, "notice": "new", "limit": 9}',
            {},
            None,
        ),
        ('{"status": "success", "success": true, "accepted": 2, "orders": [{"status": "1"}]}', {}, None),
    ],
)
def test_rees46_believes_its_answers(name, body, headers, outcome):
    """A 2xx accepts a batch, refuses it, or is another server's page: then nobody knows."""
    read = PROVIDERS[name].read
    if outcome is None:
        assert read(answer(200, body, **headers), IDS, ACCOUNT) == [ACCEPTED, ACCEPTED]
        return
    with pytest.raises(outcome, match=f"{PROVIDERS[name].title} answered HTTP 200") as raised:
        read(answer(200, body, **headers), IDS, ACCOUNT)
    assert type(raised.value) is outcome
    if outcome is BatchRefusedError:
        assert raised.value.service_message == body


@pytest.mark.parametrize("form", ["{}", '["queued"]', "received"])
def test_rees46_an_unknown_form_is_warned_of_once(form, caplog):
    """A 2xx in a form that no document shows counts as success, and the log says so once; known forms need no word."""
    rees46._warn_of_unknown_form.cache_clear()
    for known in ("", " ok\n", '{"status": "success"}'):
        assert rees46.read_answer(answer(200, known), IDS, ACCOUNT) == [ACCEPTED, ACCEPTED]
    assert not caplog.records
    for _ in range(2):
        assert rees46.read_answer(answer(200, form), IDS, ACCOUNT) == [ACCEPTED, ACCEPTED]
    assert [record.getMessage() for record in caplog.records] == [
        "REES46 answers in a form that no document shows; a 2xx is taken for success"
    ]


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, "", None),
        (200, " \n", None),
        (200, "{}", None),
        (200, '{"asyncSessionId": 1, "id": 2, "failedOrders": null}', None),
        (200, '{"failedOrders": []}', None),
        (400, "Duplicated request", None),
        (400, '{"code": 1, "message": " duplicated REQUEST for 1"}', None),
        (400, '"Duplicated request"', None),
        (400, '{"message": "no, Duplicated request"}', InDoubtError),
        (400, "<p>Duplicated request", InDoubtError),
        (400, b"\xff Duplicated request", InDoubtError),
        (400, "no such field", BatchRefusedError),
        (500, "Duplicated request", None),
        (409, '{"error": "Duplicated request"}', None),
        (500, "no such field", TryAgainError),
        (502, "", InDoubtError),
        (429, "", TryAgainError),
        (503, "", TryAgainError),
        (200, "{", InDoubtError),
        (200, "[]", InDoubtError),
        (200, "7", InDoubtError),
        (200, '{"id": 1, "error": "x"}', InDoubtError),
        (200, '{"failedOrders": ["1"]}', InDoubtError),
        (200, '{"failedOrders": "1"}', InDoubtError),
        (200, '{"failedOrders": [{"id": "1"}]}', InDoubtError),
        (200, '{"failedOrders": [{"externalOrderId": 1.0}]}', InDoubtError),
        (200, '{"failedOrders": [{"externalOrderId": "3"}]}', InDoubtError),
        (200, '{"failedOrders": [{"externalOrderId": "1"}], "failedOrders": []}', InDoubtError),
        (200, '{"failedOrders": [{"externalOrderId": "1", "externalOrderId": "2"}]}', InDoubtError),
        (200, '{"id": NaN}', InDoubtError),
        (200, '{"id": -Infinity}', InDoubtError),
    ],
)
def test_yespo_believes_its_answers(status, body, outcome):
    """Only an empty body or an object of the documented keys accepts; a duplicate was taken before."""
    if outcome is None:
        assert yespo.read_answer(answer(status, body), IDS, ACCOUNT) == [ACCEPTED, ACCEPTED]
        return
    with pytest.raises(outcome) as raised:
        yespo.read_answer(answer(status, body), IDS, ACCOUNT)
    assert type(raised.value) is outcome


@pytest.mark.parametrize("named", [[{"externalOrderId": "2", "why": "ї"}], {"externalOrderId": 2, "why": "ї"}])
def test_yespo_an_order_that_is_listed_is_rejected_alone(named):
    """The others are accepted; the service's entry is kept with its letters."""
    verdicts = yespo.read_answer(answer(200, json.dumps({"failedOrders": named})), ["1", "2", "3"], ACCOUNT)
    entry = json.dumps(named[0] if isinstance(named, list) else named, ensure_ascii=False)
    rejected = Verdict(Outcome.REJECTED, "Yespo lists the order as failed", entry)
    assert verdicts == [ACCEPTED, rejected, ACCEPTED]
    assert verdicts[1].service_message == entry


def signed(code: object, text: str = "", key: str = "key") -> Answer:
    """Return JustClick's answer with its hash."""
    content = {"error_code": code, "error_text": text, "hash": justclick.answer_hash(code, text, key)}
    return answer(200, json.dumps(content))


@pytest.mark.parametrize("code", [*justclick.ORDER_CODES, 3, 999])
def test_justclick_a_code_about_the_order_rejects_it(code):
    """The reason has the code and its meaning, if the documentation has one."""
    meaning = justclick.ORDER_CODES.get(str(code), justclick.UNLISTED).reason.partition(": ")[2]
    reason = f"JustClick error_code {code}: {meaning}"
    assert justclick.read_answer(signed(code), ["1"], ACCOUNT) == [Verdict(Outcome.REJECTED, reason)]


@pytest.mark.parametrize("code", [*justclick.CONNECTION_CODES, 1])
def test_justclick_a_code_about_the_connection_stops(code):
    """Every order would fail alike, also where the answer is signed with another key."""
    with pytest.raises(StopError, match=f"error_code {code}: {justclick.CONNECTION_CODES[str(code)][:15]}"):
        justclick.read_answer(signed(code, key="another"), ["1"], ACCOUNT)


def test_justclick_an_exhausted_limit_is_tried_again_after_an_hour():
    """The order was not taken, and the next try needs a long wait."""
    with pytest.raises(TryAgainError) as raised:
        justclick.read_answer(signed(8), ["1"], ACCOUNT)
    assert (raised.value.after_s, raised.value.is_failure) == (3600, False)


@pytest.mark.parametrize("code", [0, 3, 8])
def test_justclick_an_answer_with_another_hash_is_not_believed(code):
    """Whatever it says, the order is in doubt."""
    with pytest.raises(InDoubtError, match=f"error_code {code} with a wrong or missing hash"):
        justclick.read_answer(signed(code, key="another"), ["1"], ACCOUNT)


@pytest.mark.parametrize("provider", ["rees46", "personaclick", "justclick"])
def test_a_key_that_comes_twice_accepts_nothing(provider):
    """Nobody knows which of the two the service means; Yespo has its own examples above."""
    signature = justclick.answer_hash(0, "", "key")
    body = f'{{"status": "error", "status": "success", "error_code": 3, "error_code": 0, "hash": "{signature}"}}'
    with pytest.raises(InDoubtError):
        PROVIDERS[provider].read(answer(200, body), ["1"], ACCOUNT)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize(("status", "error"), [(429, TryAgainError), (503, TryAgainError), (403, StopError)])
def test_no_service_reads_a_body_that_is_no_answer(provider, status, error):
    """The status decides first."""
    with pytest.raises(error, match=f"{provider.title} answered HTTP {status}"):
        provider.read(answer(status, "OK"), ["1"], ACCOUNT)
    assert status == 403 or status in provider.try_again


@pytest.mark.parametrize(
    ("provider", "trial"),
    [
        (yespo, ("GET", "/api/v1/account/info", b"")),
        (justclick, ("POST", "/api/UpdateOrderStatus", b"bill_id=0&status=cancel")),
    ],
)
def test_a_trial_asks_for_nothing_that_can_change(provider, trial):
    """Yespo is asked for the account's own data, JustClick to cancel a bill that can't exist."""
    request = provider.build_trial(ACCOUNT)
    assert (request.method, request.path, request.body.partition(b"&hash=")[0]) == trial


@pytest.mark.parametrize("provider", [yespo, justclick])
def test_a_trial_that_fails_names_its_service(provider):
    """The message tells which of the services has refused."""
    with pytest.raises(StopError, match=f"{provider.TITLE} answered HTTP 401"):
        provider.read_trial(answer(401), ACCOUNT)
