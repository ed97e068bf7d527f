"""Checks of Airflow's settings that need no connection: for the doctor, and at each parse of the DAGs."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from airflow.configuration import conf

from include.order_sync import tuning

# Values of Airflow's own examples and of its official compose file: anyone knows them.
PUBLIC_SECRETS = frozenset({"airflow_jwt_secret", "airflow_api_secret", "temporary_key"})
SHORTEST_SECRET = 32
LONGEST_TASK_S = max(tuning.LOAD_TASK_S, tuning.EXTRACT_TASK_S, tuning.TRANSFORM_TASK_S, tuning.MAINTENANCE_TASK_S)
FEWEST_FAILED_HEARTBEATS = 30


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor looked at.

    Args:
        what: it is.
        found: at present; never a secret.
        wanted: instead, or too.
        how: to get there; empty if all is well.
    """

    what: str
    found: str
    wanted: str
    how: str = ""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to do."""
        return not self.how

    def __str__(self) -> str:
        return f"{self.what}: {self.found}. Wanted: {self.wanted}. {self.how}"


def finding(what: str, found: str, wanted: str, how: str, *, is_well: bool) -> Finding:
    """Return a finding, with its cure unless all is well."""
    return Finding(what, found, wanted, "" if is_well else how)


def how_to_set(section: str, key: str, value: str, in_env: str = "") -> str:
    """Return where a setting is set, by how Airflow runs.

    Args:
        section: of airflow.cfg.
        key: in the section.
        value: to set, or how to make one.
        in_env: the variable of .env that docker-compose.yaml takes it from; empty if it stands in docker-compose.yaml.
    """
    variable = f"AIRFLOW__{section.upper()}__{key.upper()}"
    compose = f"{in_env} in .env" if in_env else f"{variable} in docker-compose.yaml"
    return (
        f"Set it to {value}: with docker compose as {compose}, else as {variable} in the environment of all services, "
        f"or in their airflow.cfg. Then restart them all."
    )


def settings() -> list[Finding]:
    """Look at the settings of this process."""
    return [
        _fernet_key(),
        *_shared_secrets(),
        _failed_heartbeats(),
        *_visibility_timeout(),
        _params_count(),
        _test_connection(),
    ]


def settings_that_lose_orders() -> list[Finding]:
    """Return the wrong ones of the settings that a dag-processor sees, and that cost orders or send them twice."""
    return [each for each in (_fernet_key(), *_visibility_timeout(), _params_count()) if not each.is_well]


def _fernet_key() -> Finding:
    """The quarantine can't be written without it."""
    keys = conf.get("core", "fernet_key", fallback="").split(",")
    is_well = all(_is_fernet_key(key.strip()) for key in keys)
    found = ("set" if len(keys) == 1 else f"{len(keys)} keys") if is_well else "not set" if keys == [""] else "no key"
    return finding(
        "[core] fernet_key",
        found,
        "a key of your own, the same everywhere",
        how_to_set(
            "core", "fernet_key", "the key of all others, or to a new one (docs/deploying.md)", "AIRFLOW_FERNET_KEY"
        ),
        is_well=is_well,
    )


def _is_fernet_key(key: str) -> bool:
    """Whether cryptography's Fernet would take it: 32 bytes in base64. Its import would slow down each parse."""
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except ValueError:
        return False


def _shared_secrets() -> list[Finding]:
    """Of the api-server and of what speaks to it. A dag-processor may do without them."""
    findings = []
    for section, key, in_env in (
        ("api_auth", "jwt_secret", "AIRFLOW_JWT_SECRET"),
        ("api", "secret_key", "AIRFLOW_API_SECRET_KEY"),
    ):
        value = conf.get(section, key, fallback="")
        weak = value in PUBLIC_SECRETS or len(value) < SHORTEST_SECRET
        found = "not set" if not value else "short or publicly known" if weak else "set"
        findings.append(
            finding(
                f"[{section}] {key}",
                found,
                f"{SHORTEST_SECRET} random characters or more, the same everywhere",
                how_to_set(section, key, "what `openssl rand -hex 32` prints", in_env),
                is_well=not weak,
            )
        )
    return findings


def _failed_heartbeats() -> Finding:
    """Airflow kills a task in mid-request after this many."""
    found = conf.getint("workers", "max_failed_heartbeats")
    return finding(
        "[workers] max_failed_heartbeats",
        str(found),
        f"{FEWEST_FAILED_HEARTBEATS} or more",
        how_to_set("workers", "max_failed_heartbeats", str(FEWEST_FAILED_HEARTBEATS)),
        is_well=found >= FEWEST_FAILED_HEARTBEATS,
    )


def uses_celery() -> bool:
    """Whether tasks run in Celery workers."""
    return "CeleryExecutor" in conf.get("core", "executor")


def _visibility_timeout() -> list[Finding]:
    """A broker of Redis's kind gives a task to a second worker after it."""
    if not uses_celery():
        return []
    found = conf.getint("celery_broker_transport_options", "visibility_timeout", fallback=3600)
    return [
        finding(
            "[celery_broker_transport_options] visibility_timeout",
            f"{found} s",
            f"more than {LONGEST_TASK_S} s, the longest load",
            how_to_set("celery_broker_transport_options", "visibility_timeout", str(LONGEST_TASK_S + 3600)),
            is_well=found > LONGEST_TASK_S,
        )
    ]


def _params_count() -> Finding:
    """Without it the params of a run are ignored: also `mode: plan`."""
    counts = conf.getboolean("core", "dag_run_conf_overrides_params", fallback=True)
    return finding(
        "[core] dag_run_conf_overrides_params",
        str(counts),
        "True: else a run ignores its params",
        how_to_set("core", "dag_run_conf_overrides_params", "True"),
        is_well=counts,
    )


def _test_connection() -> Finding:
    """With it, a person who may edit connections can make the api-server connect to any host."""
    found = conf.get("core", "test_connection", fallback="Disabled")
    return finding(
        "[core] test_connection",
        found,
        "Disabled in production",
        "Remove the setting once the connections work: the doctor's --accounts tries them too.",
        is_well=found.lower() == "disabled",
    )
