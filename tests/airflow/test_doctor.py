"""The doctor: `python -m order_sync_airflow.doctor`."""

import json
import os
import re
import subprocess
import sys

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from demo.airflow_api import service_connection
from include.order_sync.configuration.loading import DEFAULT_FILE, load
from include.order_sync.ledger import schema
from sandbox.registry import SERVICES
from tests.airflow.conftest import ROOT

KEY, JWT, SECRET = Fernet.generate_key().decode(), "j" * 40, "s" * 40


@pytest.fixture(scope="module")
def doctors_ledger(postgres_server):
    """A ledger with its tables in a database of its own."""
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("create database doctor")
    engine = sa.create_engine(postgres_server.set(database="doctor"))
    schema.upgrade(engine)
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.exec_driver_sql("drop database doctor")
    admin.dispose()


@pytest.fixture
def well(doctors_ledger, tmp_path):
    """The environment of a deployment in which all is well."""
    url = doctors_ledger.url
    ledger = {"conn_type": "postgres", "host": url.host, "port": url.port, "schema": url.database}
    service = {"conn_type": "generic", "host": "https://service.example", "login": "a", "password": "a secret"}
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
        "ORDER_SYNC_STAGING": str(tmp_path / "staging"),
        "AIRFLOW_CONN_ORDER_SYNC_LEDGER": json.dumps({**ledger, "login": url.username, "password": url.password}),
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(service) for name in SERVICES},
        "AIRFLOW__CORE__FERNET_KEY": KEY,
        "AIRFLOW__API_AUTH__JWT_SECRET": JWT,
        "AIRFLOW__API__SECRET_KEY": SECRET,
        "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
    }


def examine(environment: dict[str, str], *arguments: str) -> tuple[int, list[str], str]:
    """Run the doctor; return its exit code, the things that are wrong, and all that it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "order_sync_airflow.doctor", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = ended.stdout + ended.stderr
    return ended.returncode, [line.split("  ")[1].strip() for line in said.splitlines() if line[:5] == "WRONG"], said


def test_nothing_is_wrong_with_a_good_deployment(well):
    """Each line is ok, and no secret is shown."""
    code, wrong, said = examine(well)
    assert (code, wrong) == (0, [])
    for name in load(DEFAULT_FILE).destinations:
        assert f"connection of {name}" in said
    assert "the ledger's sessions" in said
    assert "account of" not in said
    assert not any(secret in said for secret in (KEY, JWT, SECRET, "a secret"))


# Settings that do not touch each other are wrong together: each start of the doctor takes seconds.
WRONG = [
    {
        "[core] fernet_key": ("AIRFLOW__CORE__FERNET_KEY", ""),
        "[api_auth] jwt_secret": ("AIRFLOW__API_AUTH__JWT_SECRET", "airflow_jwt_secret"),
        "[api] secret_key": ("AIRFLOW__API__SECRET_KEY", "short"),
        "[workers]": ("AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS", "3"),
        "[core] test_connection": ("AIRFLOW__CORE__TEST_CONNECTION", "Enabled"),
        "staging": ("ORDER_SYNC_STAGING", "/proc/no-such-folder"),
        "connection of yespo": ("AIRFLOW_CONN_YESPO", "{}"),
    },
    {
        "[core] fernet_key": ("AIRFLOW__CORE__FERNET_KEY", "not-a-key"),
        "the ledger (order_sync_ledger)": (
            "AIRFLOW_CONN_ORDER_SYNC_LEDGER",
            "postgres://nobody:x@127.0.0.1:1/none",
        ),
        "connection of yespo": (
            "AIRFLOW_CONN_YESPO",
            '{"conn_type": "generic", "host": "http://esputnik.com", "login": "a", "password": "b"}',
        ),
        "connection of rees46": (
            "AIRFLOW_CONN_REES46",
            json.dumps(service_connection("rees46", "http://api.rees46.ru", "a", "b")),
        ),
    },
]


@pytest.mark.parametrize("wrong", WRONG)
def test_it_names_what_is_wrong(well, wrong):
    """Each of them, and nothing else."""
    code, found, _ = examine(well | dict(wrong.values()))
    assert code == 1
    assert len(found) == len(wrong)
    assert all(any(each.startswith(what) for each in found) for what in wrong)


def test_accounts_are_tried_on_request(well):
    """Each account that its service does not know is named, with what the form's `Test` would say."""
    nowhere = {"host": "http://127.0.0.1:1", "login": "a", "password": "b", "extra": '{"allow_http": true}'}
    services = {f"AIRFLOW_CONN_{name.upper()}": json.dumps({"conn_type": name, **nowhere}) for name in SERVICES}
    code, wrong, said = examine(well | services, "--accounts")
    assert code == 1
    assert {line for line in wrong if line.startswith("account")} == {f"account of {name}" for name in SERVICES}
    assert "no connection" in said


def test_the_ledgers_tables_must_be_of_this_release(well, doctors_ledger):
    """The command that brings them up to date is named."""
    with doctors_ledger.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0001'")
    code, wrong, said = examine(well)
    with doctors_ledger.begin() as connection:
        connection.exec_driver_sql(f"update alembic_version set version_num = '{schema.HEAD}'")
    assert code == 1
    assert len(wrong) == 1
    assert "upgrade" in said


@pytest.mark.parametrize(
    ("section", "key", "in_compose"),
    [
        ("core", "fernet_key", "AIRFLOW_FERNET_KEY in .env"),
        ("api_auth", "jwt_secret", "AIRFLOW_JWT_SECRET in .env"),
        ("api", "secret_key", "AIRFLOW_API_SECRET_KEY in .env"),
        ("workers", "max_failed_heartbeats", "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS in docker-compose.yaml"),
    ],
)
def test_a_cure_says_where_a_setting_is_set(monkeypatch, section, key, in_compose):
    """With docker compose, where docker-compose.yaml has it from; else the environment or airflow.cfg."""
    from order_sync_airflow.settings_check import settings

    variable = f"AIRFLOW__{section}__{key}".upper()
    monkeypatch.setenv(variable, "1")
    (found,) = [each for each in settings() if each.what == f"[{section}] {key}"]
    assert f"with docker compose as {in_compose}, else as {variable} in the environment" in found.how
    assert "airflow.cfg" in found.how
    name = in_compose.partition(" ")[0]
    assert re.search(rf"^  {variable}: .*{name}|^  {name}: ", (ROOT / "docker-compose.yaml").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"AIRFLOW__CORE__FERNET_KEY": ""}, ["[core] fernet_key"]),
        ({"AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS": "False"}, ["[core] dag_run_conf_overrides_params"]),
        (
            {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
            ["[celery_broker_transport_options] visibility_timeout"],
        ),
        (
            {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "93600",
            },
            [],
        ),
    ],
)
def test_airflow_lists_settings_that_cost_orders(monkeypatch, settings, wrong):
    """As an import error of order_sync_config.py; the destinations' DAGs stay."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", KEY)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    bag = DagBag(ROOT / "dags")
    assert len(bag.import_errors) == len(wrong)
    for (file, error), setting in zip(bag.import_errors.items(), wrong, strict=True):
        assert file.endswith("order_sync_config.py")
        assert setting in error
    assert len(bag.dags) > 2
