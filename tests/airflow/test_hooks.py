"""From connections to credentials."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import sqlalchemy as sa
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import _secrets_masker
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.execution_time import comms, task_runner
from order_sync_airflow.hooks import base, hook_for
from order_sync_airflow.hooks.base import sql_engine

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.providers import PROVIDERS

ALLOWED = {"extra": '{"allow_http": true}'}


@pytest.fixture
def connect(monkeypatch):
    """Return a function that creates a connection with these fields."""

    def make(**fields) -> str:
        given = {"conn_type": "generic", "login": "me", "password": "hush-hush", **fields}
        monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(given))
        return "account"

    return make


@pytest.fixture(params=PROVIDERS)
def provider(request) -> str:
    """Each registered provider's name in turn."""
    return request.param


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "api.shop.example"}, "https://api.shop.example"),
        ({"host": "https://api.shop.example/"}, "https://api.shop.example"),
        ({"host": "api.shop.example", "schema": "http", **ALLOWED}, "http://api.shop.example"),
        ({"host": "api.shop.example", "port": 8443}, "https://api.shop.example:8443"),
        ({"host": "http://127.0.0.1:8900/yespo", **ALLOWED}, "http://127.0.0.1:8900/yespo"),
        ({"host": "http://[::1]:8900", **ALLOWED}, "http://[::1]:8900"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(map(str, value.values())),
)
def test_address_is_https_unless_it_says_otherwise(provider, connect, fields, url):
    """Host, scheme and port of a connection make the service's address, by default with https."""
    credentials = hook_for(provider, connect(**fields)).credentials
    assert (credentials.url, credentials.login, credentials.secret) == (url, "me", "hush-hush")


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "http://api.shop.example"},
        {"host": "api.shop.example", "schema": "http"},
        {"host": "http://api.shop.example", "extra": '{"allow_http": false}'},
    ],
    ids=str,
)
def test_plain_http_is_refused(provider, connect, fields):
    """Without the connection's word for it, no secret leaves over plain http."""
    with pytest.raises(StopError, match=r"'account'.*https.*allow_http"):
        _ = hook_for(provider, connect(**fields)).credentials


def test_an_address_may_allow_plain_http(provider, monkeypatch):
    """A connection as an address has texts as extras."""
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", "generic://me:x@api.shop.example/http?allow_http=true")
    assert hook_for(provider, "account").credentials.url == "http://api.shop.example"


@pytest.mark.parametrize(
    "host",
    ["ftp://x", "https://", "https://u:p@x", "https://x?y=1", "https://x:port", "https://x#y", "https://x:99999"],
)
def test_an_address_that_is_none_is_refused(provider, connect, host):
    """The message names the connection, shows a right address, and holds no secret."""
    with pytest.raises(StopError, match=r"'account'.*https://") as stop:
        _ = hook_for(provider, connect(host=host)).credentials
    assert "u:p" not in str(stop.value)


def test_empty_fields_are_named_all_at_once(provider, connect):
    """The message names all empty fields, each with the service's own name for it."""
    with pytest.raises(StopError, match=r"'account'.*host \(https://.*login \(.*password \("):
        _ = hook_for(provider, connect(login="", password="")).credentials


def test_the_secret_of_an_account_is_masked_in_logs(provider, connect):
    """Whatever quotes the password after it was read, a log shows stars."""
    secret = f"{provider}-hush-and-hush"
    _ = hook_for(provider, connect(host="api.shop.example", password=secret)).credentials
    assert _secrets_masker().redact(f"denied: {secret}") == "denied: ***"


def test_an_unknown_connection_is_named(provider):
    """The message names the missing connection and the place to add it."""
    with pytest.raises(StopError, match=r"no Airflow connection 'nobody'.*AIRFLOW_CONN_NOBODY"):
        _ = hook_for(provider, "nobody").credentials


def test_constructing_a_hook_connects_to_nothing(provider):
    """A hook of a missing connection can be created: it reads the connection on first use."""
    hook = hook_for(provider, "nobody")
    assert hook.conn_type == provider
    assert hook.hook_name == PROVIDERS[provider].title


@pytest.mark.parametrize(("extra", "idle"), [({}, "60"), ({"keepalives_idle": 7}, "7")])
def test_a_dead_line_to_postgresql_is_noticed(connect, postgres_server, extra, idle):
    """Each connection to PostgreSQL has time limits and probes; those in the Airflow connection win."""
    url = postgres_server
    fields = {"host": url.host, "port": url.port, "login": url.username, "password": url.password}
    engine = sql_engine(connect(**fields, conn_type="postgres", schema=url.database, extra=json.dumps(extra)))
    with engine.connect() as connection:
        options = connection.connection.driver_connection.info.get_parameters()
    engine.dispose()
    named = ("connect_timeout", "keepalives_idle", "tcp_user_timeout")
    assert [options[name] for name in named] == ["10", idle, "120000"]


@pytest.mark.parametrize("extra", [{}, {"client_encoding": "WIN1251"}])
def test_postgresql_sends_utf_8(connect, postgres_server, extra):
    """The server converts all texts to UTF-8: psycopg does not know all encodings, and a server may have any."""
    url = postgres_server
    fields = {"host": url.host, "port": url.port, "login": url.username, "password": url.password}
    engine = sql_engine(connect(**fields, conn_type="postgres", schema=url.database, extra=json.dumps(extra)))
    with engine.connect() as connection:
        asked = connection.connection.driver_connection.info.get_parameters()["client_encoding"]
        text = connection.execute(sa.text("select 'Ж' || chr(128512)")).scalar_one()
    engine.dispose()
    assert (asked, text) == ("UTF8", "Ж😀")


def test_an_engine_shows_no_parameters(monkeypatch, postgres):
    """An error of a statement that fails does not quote its parameters, which are rows."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", postgres.url.set(drivername="postgresql").render_as_string(False))
    with sql_engine("shop").connect() as connection, pytest.raises(sa.exc.DBAPIError) as error:
        connection.execute(sa.text("select :name from no_such_table"), {"name": "Ann Example"})
    assert "no_such_table" in str(error.value)
    assert "Ann" not in str(error.value)


@pytest.mark.parametrize("extra", ["sslmode=require", "[1]", '"text"', '{"sslmode":'])
def test_an_extra_that_is_no_object_is_refused(connect, extra):
    """Airflow would take it for an empty one, and connect without the TLS that it asks for."""
    with pytest.raises(StopError, match=r"'account': its extra is no JSON object"):
        sql_engine(connect(conn_type="postgres", host="127.0.0.1", extra=extra))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"sqlalchemy_query": "x"}, "'account': its extra can't be used: .*sqlalchemy_query"),
        ({"sqlalchemy_query": {"sslmode": 5}}, "'account': its extra can't be used: .*must be strings"),
        ({"sqlalchemy_scheme": "postgresql+none"}, "'account' is of no type"),
    ],
)
def test_an_extra_of_a_wrong_type_is_refused(connect, extra, said):
    """The message names the connection, and what its extra should be."""
    with pytest.raises(StopError, match=said):
        sql_engine(connect(conn_type="postgres", host="127.0.0.1", extra=json.dumps(extra)))


def test_a_demand_for_tls_reaches_postgresql(connect, postgres_server):
    """`sslmode` in the extra is kept: a server without TLS is refused."""
    url = postgres_server
    fields = {"host": url.host, "port": url.port, "login": url.username, "password": url.password}
    extra = json.dumps({"sslmode": "require"})
    engine = sql_engine(connect(**fields, conn_type="postgres", schema=url.database, extra=extra))
    with pytest.raises(sa.exc.OperationalError, match="SSL"):
        engine.connect()


@pytest.mark.parametrize(("failing", "error"), [((), StopError), ((comms.GetVariableKeys,), TryAgainError)])
def test_a_connection_that_airflow_does_not_give(supervisor, failing, error):
    """Airflow says the same of one that is missing and of an api-server that is away: only the first one is final."""
    supervisor.failing = failing
    with pytest.raises(error, match="'nowhere'"):
        sql_engine("nowhere")


def test_an_api_server_that_is_back_gives_the_connection(supervisor, connect, monkeypatch):
    """It was away for the first question alone."""
    found = BaseHook.get_connection(connect(conn_type="postgres", host="db"))
    get_connection = Mock(side_effect=[AirflowNotFoundException("account"), found])
    monkeypatch.setattr(base, "BaseHook", SimpleNamespace(get_connection=get_connection))
    assert sql_engine("account").url.host == "db"


def test_a_connection_is_looked_for_outside_of_tasks_too(monkeypatch):
    """The doctor and the page have no api-server to ask."""
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS")
    with pytest.raises(StopError, match="There is no Airflow connection 'nowhere'"):
        sql_engine("nowhere")
