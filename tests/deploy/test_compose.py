"""What docker-compose.yaml promises and would lose without a sound."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from include.order_sync import tuning

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "order-sync"}
AIRFLOW = {name: service for name, service in OURS.items() if "AIRFLOW__CORE__EXECUTOR" in service["environment"]}
ONE_SHOTS = {"databases", "init", "cli", "shop-database", "demo"}
LASTING = {name: service for name, service in SERVICES.items() if name not in ONE_SHOTS}

REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
OPTIONAL = {"AIRFLOW_BIND", "AIRFLOW_PORT", "SANDBOX_BIND", "SANDBOX_PORT"}
SECRET_SETTINGS = [
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW_CONN_ORDER_SYNC_LEDGER",
]


def seconds(duration: str) -> int:
    """Return a duration of the file, such as `10m` or `90s`, in seconds."""
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def mebibytes(size: str) -> int:
    """Return a size of the file, such as `4g`, in MiB."""
    return int(size[:-1]) * {"m": 1, "g": 1024}[size[-1]]


def test_the_services_are_those_of_a_whole_airflow():
    """Nothing is missing, so the tests below look at all of it."""
    airflow = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "cli", "demo"}
    assert set(AIRFLOW) == airflow
    assert set(SERVICES) == airflow | {"postgres", "databases", "broker", "sandbox", "shop-database"}


def test_profiles():
    """Plain `up` starts neither the demo nor the command line."""
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    assert {name for name, names in profiles.items() if names} == {"cli", "sandbox", "shop-database", "demo"}
    assert profiles["cli"] == ["debug"]
    assert profiles["sandbox"] == profiles["shop-database"] == profiles["demo"] == ["demo"]


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_finds_the_project(name):
    """The project's root, and for Airflow's commands plugins/, are on Python's path."""
    path = OURS[name]["environment"]["PYTHONPATH"].split(":")
    assert "/opt/airflow" in path
    assert name not in AIRFLOW or "/opt/airflow/plugins" in path


@pytest.mark.parametrize("setting", SECRET_SETTINGS)
def test_a_secret_is_the_same_in_all_services_and_has_no_default(setting):
    """It comes from a variable that must be set; a known default would let anyone in."""
    values = {service["environment"][setting] for service in AIRFLOW.values()}
    assert len(values) == 1
    assert REQUIRED.search(values.pop())


def test_no_password_stands_in_the_file():
    """Every password, key and address with a password is a variable that must be set."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY$", variable):
                assert REQUIRED.fullmatch(value), (name, variable)
            if "@" in value:
                assert re.search(r":\$\{\w+:\?[^}]+\}@", value), (name, variable)


def test_only_the_place_of_the_pages_has_a_default():
    """Any other variable that is not set stops Compose with a message, instead of being empty."""
    used = set(re.findall(r"(?<!\$)\$\{?(\w+)", TEXT))
    assert used - set(REQUIRED.findall(TEXT)) == OPTIONAL


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_bounded(name):
    """Its memory, its logs and its stop have a limit, and its name leaves room for a second one."""
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
    assert seconds(service["stop_grace_period"]) >= 60
    assert "container_name" not in service


def test_a_worker_has_memory_for_its_tasks():
    """Each of its tasks may take as much as the largest in docs/performance.md, beside Celery itself."""
    largest_mib, celery_mib = 400, 1024
    tasks = int(SERVICES["worker"]["environment"]["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert mebibytes(SERVICES["worker"]["mem_limit"]) >= celery_mib + tasks * largest_mib


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_its_signals(name):
    """A command in a line would run in a shell, which keeps SIGTERM to itself."""
    assert "command" not in SERVICES[name] or isinstance(SERVICES[name]["command"], list)


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_service_is_watched_and_comes_back(name):
    """It has a health check, and starts again after a failure or the machine's restart."""
    assert LASTING[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert LASTING[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", LASTING)
def test_a_health_check_is_cheap(name):
    """It does not import Airflow: on a busy machine each check would take a minute, and fail a service that is well."""
    check = " ".join(LASTING[name]["healthcheck"]["test"])
    assert not re.search(r"\bairflow [a-z]|\bcelery ", check)


@pytest.mark.parametrize("name", sorted(ONE_SHOTS))
def test_a_one_shot_ends(name):
    """It does not start again by itself."""
    assert SERVICES[name]["restart"] == "no"


def test_a_command_starts_at_once():
    """`docker compose run cli` runs each one-shot again that `cli` depends on, before the command."""
    assert not ONE_SHOTS & set(SERVICES["cli"]["depends_on"])


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_has_no_rights_on_the_machine(name):
    """It runs as the image's user without capabilities, and has no folder of the machine."""
    service = OURS[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service
    assert "privileged" not in service
    assert all(volume.split(":")[0] in COMPOSE["volumes"] for volume in service["volumes"])


def test_ports_are_on_loopback():
    """Only the pages and the sandbox have a port, and on this machine alone unless one says otherwise."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {
        "api-server": ["${AIRFLOW_BIND:-127.0.0.1}:${AIRFLOW_PORT:-8080}:8080"],
        "sandbox": ["${SANDBOX_BIND:-127.0.0.1}:${SANDBOX_PORT:-8900}:8900"],
    }


def test_a_stopped_worker_has_time_for_its_requests():
    """Docker's SIGKILL comes after the longest request and the ledger's writes."""
    grace_s = seconds(SERVICES["worker"]["stop_grace_period"])
    assert grace_s > tuning.CONNECT_S + tuning.ANSWER_S
    assert grace_s >= 600
    assert SERVICES["worker"]["environment"]["DUMB_INIT_SETSID"] == "0"


def test_a_stopped_worker_tells_its_tasks():
    """Celery alone would wait for a load of hours."""
    for service in AIRFLOW.values():
        module, name = service["environment"]["AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS"].rsplit(".", 1)
        text = (ROOT / "plugins" / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
        assert f"\n{name} = " in text


def test_a_long_load_is_not_given_to_a_second_worker():
    """The broker waits longer than the longest task may take."""
    longest_s = max(value for name, value in vars(tuning).items() if name.endswith("_TASK_S"))
    for service in AIRFLOW.values():
        timeout = service["environment"]["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
        assert int(timeout) > longest_s


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor"),
        ("AIRFLOW__CORE__AUTH_MANAGER", "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"),
        ("AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS", "30"),
        ("ORDER_SYNC_STAGING", "/var/lib/order_sync/staging"),
    ],
)
def test_a_setting_is_the_same_in_all_services(setting, value):
    """Users and their rights, the patience of a task, and the shared folders."""
    assert {service["environment"][setting] for service in AIRFLOW.values()} == {value}


def test_workers_share_staging_and_logs():
    """A named volume holds each, so any worker can go on, and the pages show each worker's logs."""
    for service in AIRFLOW.values():
        assert {"staging:/var/lib/order_sync/staging", "logs:/opt/airflow/logs"} <= set(service["volumes"])


def test_the_image():
    """It has our version of Airflow, keeps its Celery, needs no build tools, and ends as a user without rights."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    version = re.search(r"^apache-airflow==(\S+)$", (ROOT / "requirements.txt").read_text("utf-8"), re.M)[1]
    assert [line for line in lines if line.startswith("FROM")] == [
        f"FROM docker.io/apache/airflow:{version}-python3.12"
    ]
    assert [line for line in lines if line.startswith("USER")][-1] == "USER airflow"
    assert any("--only-binary :all:" in line for line in lines)
    assert any('"celery<5.7"' in line for line in lines)
    read_only = "chown root:root /opt/airflow dags && chmod 0755 dags && chmod 1775 /opt/airflow"
    assert any(read_only in line for line in lines)


@pytest.mark.parametrize("name", [".env", "connections.env"])
def test_secrets_stay_out_of_repository_and_image(name):
    """Git ignores the file, and the image's build never sees it."""
    assert subprocess.run(["git", "check-ignore", "--quiet", name], cwd=ROOT, check=False).returncode == 0
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert next(rule for rule in rules if not rule.startswith("#")) == "*"
    assert not any(rule.startswith("!") and rule.endswith(".env") for rule in rules)
