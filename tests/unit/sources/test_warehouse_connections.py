"""Connections to a warehouse that can't be made: each message names what to look at."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import schema
from include.order_sync.sources.database_errors import place
from tests.unit.sources.conftest import ORDER, WINDOWED, Warehouse


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"], ids=["port closed", "unknown host"])
def test_unreachable(copied: Warehouse, host: str) -> None:
    """A run with an unreachable database is tried again, and the message names the connection."""
    gone = Warehouse(sa.create_engine(copied.engine.url.set(host=host, port=1)), copied.folder)

    with pytest.raises(TryAgainError, match="Source 'shop', connection 'my_warehouse': the database can't be reached"):
        gone.rows(f"select {ORDER} {WINDOWED}")


@pytest.mark.parametrize(
    ("connect_args", "cure"),
    [
        ({"sslmode": "require"}, "TLS in the connection's extra"),
        ({"sslmode": "sometimes"}, "look at the connection's extra"),
        ({"no_such": "option"}, "look at the connection's extra"),
        ({"options": "-c no_such=1"}, "look at the connection's extra"),
    ],
    ids=["TLS", "mode of TLS", "unknown extra", "unknown setting"],
)
def test_a_connection_that_can_not_be_made_tells_where_to_look(
    copied: Warehouse, connect_args: dict[str, str], cure: str
) -> None:
    """The cure fits the driver's message, at the source and at the ledger."""
    engine = sa.create_engine(copied.engine.url, connect_args=connect_args)
    with pytest.raises(TryAgainError, match=r"connection 'my_warehouse'.*If this goes on, look at") as source:
        Warehouse(engine, copied.folder).rows(f"select {ORDER} {WINDOWED}")
    with pytest.raises(TryAgainError, match="connection 'order_sync_ledger'") as ledger:
        schema.connect(engine, "order_sync_ledger")
    assert cure in str(source.value)
    assert cure in str(ledger.value)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"ssl_ca": "/none/ca.pem"}, r"No such file.*ssl_ca is /none/ca\.pem, which this worker can't read"),
        ({"ssl_ca": "/etc/hostname"}, "no certificate"),
        ({"ssl": "{'ca': '/none/ca.pem'}"}, "It gets host, ssl. Correct it; MySQL's TLS takes `ssl_ca`"),
        ({"charset": "utf9"}, "It gets host, charset"),
        ({"nonsense": "1"}, "unexpected keyword argument 'nonsense'"),
    ],
    ids=["no file", "no certificate", "no texts", "charset", "unknown"],
)
def test_an_extra_that_mysqls_driver_can_not_use(tmp_path: Path, extra: dict[str, str], said: str) -> None:
    """The message names the connection, the extras and a file that is missing; another try would not help."""
    engine = sa.create_engine(sa.URL.create("mysql+pymysql", "root", host="127.0.0.1", port=1, query=extra))
    with pytest.raises(StopError, match=f"connection 'my_warehouse': the driver can't use.*{said}"):
        Warehouse(engine, tmp_path).rows(f"select {ORDER} {WINDOWED}")


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("FATAL: sorry, too many clients already", "limit of sessions"),
        ("FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute", "limit of sessions"),
        ("Too many connections", "limit of sessions"),
        ('FATAL: no pg_hba.conf entry for host "10.0.0.1", user "a", database "b", no encryption', "TLS"),
        ("Connections using insecure transport are prohibited while --require_secure_transport=ON.", "TLS"),
        ("SSL error: certificate verify failed", "TLS"),
        ('root certificate file "/home/shop/.postgresql/root.crt" does not exist', "TLS"),
        ("received invalid response to SSL negotiation: H", "no PostgreSQL answers there"),
        ('FATAL: permission denied for database "a"', "login, password and database"),
        ("Host '10.0.0.1' is not allowed to connect to this MySQL server", "login, password and database"),
        ("failed to resolve host 'db.invalid': [Errno -2] Name or service not known", "host and port"),
        ("SSL SYSCALL error: EOF detected", "host and port"),
        ('FATAL:  пользователь "a" не прошёл проверку подлинности', "login, password and database"),
    ],
)
def test_where_to_look(said: str, cure: str) -> None:
    """Each message of a driver leads to one place; one that is not known, to all of them."""
    assert cure in place(said)


@pytest.mark.parametrize(
    "wrong", [{"password": "s3cret-word"}, {"username": "nobody"}, {"database": "nowhere"}], ids=lambda w: next(iter(w))
)
def test_wrong_connection(copied: Warehouse, wrong: dict[str, str]) -> None:
    """A wrong login, password or database stops the run, and the message shows no password."""
    refused = Warehouse(sa.create_engine(copied.engine.url.set(**wrong)), copied.folder)

    with pytest.raises(StopError, match=r"connection 'my_warehouse'.*login, password or database") as stop:
        refused.rows(f"select {ORDER} {WINDOWED}")

    assert "s3cret-word" not in str(stop.value)


def test_unreachable_sqlite(folder: Path) -> None:
    """A run with a database file that can't be opened is tried again."""
    gone = Warehouse(sa.create_engine(f"sqlite:///{folder}/no/such/folder/warehouse.db"), folder)

    with pytest.raises(TryAgainError, match="connection 'my_warehouse'"):
        gone.rows(f"select {ORDER} {WINDOWED}")
