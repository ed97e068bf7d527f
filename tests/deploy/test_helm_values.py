"""The values for Airflow's chart have the settings of docker-compose.yaml. The chart itself is not run."""

from pathlib import Path

import pytest
import yaml

from tests.deploy.test_compose import AIRFLOW, SERVICES, seconds

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((ROOT / "deploy" / "helm-values.yaml").read_text("utf-8"))
COMPOSE = AIRFLOW["scheduler"]["environment"]

# What the chart sets itself, or what is a place or a secret.
OTHERWISE = {
    "PYTHONUNBUFFERED",  # of the image
    "AIRFLOW__CORE__EXECUTOR",  # `executor`
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",  # `data`
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__CORE__FERNET_KEY",  # secrets by name
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW_CONN_ORDER_SYNC_LEDGER",
    "ORDER_SYNC_STAGING",
    "ORDER_SYNC_DROP",
}


def given() -> dict[str, str]:
    """Return the values' settings as environment variables."""
    config = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": value
        for section, keys in VALUES["config"].items()
        for key, value in keys.items()
    }
    return config | {each["name"]: each["value"] for each in VALUES["env"]}


def test_settings_are_those_of_the_compose_file():
    """Each setting of the one is in the other with the same value, or is the chart's own."""
    values = given()
    assert {name: value for name, value in values.items() if name not in OTHERWISE} == {
        name: value for name, value in COMPOSE.items() if name not in OTHERWISE
    }
    assert OTHERWISE - set(COMPOSE) == set()


@pytest.mark.parametrize("name", ["fernetKeySecretName", "jwtSecretName", "apiSecretKeySecretName"])
def test_keys_come_from_secrets(name):
    """The chart makes none, and no key stands in the file."""
    assert VALUES[name].startswith("order-sync-")


def test_a_worker_stops_as_in_compose():
    """It has as long, and the signal reaches Celery alone."""
    workers = VALUES["workers"]
    assert workers["terminationGracePeriodSeconds"] == seconds(SERVICES["worker"]["stop_grace_period"])
    assert {each["name"]: each["value"] for each in workers["env"]} == {
        "DUMB_INIT_SETSID": SERVICES["worker"]["environment"]["DUMB_INIT_SETSID"]
    }
    assert workers["resources"]["limits"]["memory"] == "4Gi"
    assert SERVICES["worker"]["mem_limit"] == "4g"


def test_no_pooler_and_a_bucket():
    """The ledger is reached without PgBouncer, and staged parts lie where all workers see them."""
    assert VALUES["pgbouncer"]["enabled"] is False
    assert given()["ORDER_SYNC_STAGING"].startswith("s3://order_sync_staging@")
