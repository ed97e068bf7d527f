"""Looks at a deployment, and says what is wrong with it: `python -m order_sync_airflow.doctor [--accounts]`."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from datetime import UTC, datetime

import psycopg
from airflow.configuration import conf
from tabulate import tabulate

from include.order_sync.configuration.loading import load
from include.order_sync.errors import OrderSyncError
from include.order_sync.ledger import schema
from order_sync_airflow.hooks import hook_for
from order_sync_airflow.hooks.base import read_connections_of_airflow
from order_sync_airflow.ledger_connection import LEDGER_CONNECTION, ledger_engine
from order_sync_airflow.operators.base import storage_path
from order_sync_airflow.settings_check import Finding, finding, settings, uses_celery

CLOCK_TOLERANCE_S = 5
WORKERS_TIMEOUT_S = 10
GRACE_WANTED = "10 minutes or more: longer than a request's time limit"


def ledger() -> list[Finding]:
    """Look at the ledger's database: reachable, its own sessions, its schema and encoding, its clock."""
    what = f"the ledger ({LEDGER_CONNECTION})"
    try:
        with schema.connect(ledger_engine(), LEDGER_CONNECTION) as connection:
            raw = connection.connection.driver_connection
            if not isinstance(raw, psycopg.Connection):
                return [Finding(what, "no PostgreSQL", "PostgreSQL", "Correct the connection.")]
            before = time.time()
            pid, clock = connection.exec_driver_sql(
                "select pg_backend_pid(), extract(epoch from clock_timestamp())::float8"
            ).one()
            # The server read its clock somewhere between the two.
            skew_s = max(0.0, abs(clock - (before + time.time()) / 2) - (time.time() - before) / 2)
            schema.check(connection, LEDGER_CONNECTION)
    except OrderSyncError as error:
        return [Finding(what, "not usable", f"reachable, UTF-8, schema {schema.HEAD}", str(error))]
    return [
        Finding(what, f"schema {schema.HEAD}, UTF-8", f"reachable, UTF-8, schema {schema.HEAD}"),
        finding(
            "the ledger's sessions",
            "PostgreSQL's own" if pid == raw.info.backend_pid else "lent by a pooler",
            "PostgreSQL's own: a load's lock lives in one",
            f"Let {LEDGER_CONNECTION} point at PostgreSQL itself.",
            is_well=pid == raw.info.backend_pid,
        ),
        finding(
            "clock against the ledger's",
            f"{skew_s:.1f} s apart",
            f"at most {CLOCK_TOLERANCE_S} s",
            "Set both machines' clocks by NTP.",
            is_well=skew_s <= CLOCK_TOLERANCE_S,
        ),
    ]


def staging(nonce: str) -> Finding:
    """Write a file into the staging folder, read and delete it."""
    address = load().staging
    wanted = "written and read, by the workers' user"
    path = storage_path(address) / f"doctor-{nonce}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nonce)
        is_well = path.read_text() == nonce
        path.unlink()
    except Exception as error:
        found = f"{address}: {type(error).__name__}"
        return Finding("staging", found, wanted, "Give the folder or bucket to the workers' user; see `staging`.")
    return finding("staging", address, wanted, "Another text came back: is it one storage?", is_well=is_well)


def services() -> list[Finding]:
    """Look at the address of each destination's service; nothing is sent there."""
    findings = []
    for name, destination in load().destinations.items():
        what, wanted = f"connection of {name}", "an address with https"
        try:
            url = hook_for(destination.provider, destination.connection).credentials.url
        except OrderSyncError as error:
            findings.append(Finding(what, "not usable", wanted, str(error)))
            continue
        scheme = url.partition(":")[0]
        cure = (
            "Others can read its secret and all orders on the way: "
            f"let the host of {destination.connection!r} say https, and remove `allow_http` from its extra."
        )
        findings.append(finding(what, scheme, wanted, cure, is_well=scheme == "https"))
    return findings


def accounts() -> list[Finding]:
    """Try the account of each connection at its service, as `Test` in its form does; no order is sent."""
    connections = {each.connection: each.provider for each in load().destinations.values()}
    findings = []
    for conn_id, provider in connections.items():
        is_well, said = hook_for(provider, conn_id).test_connection()
        found = said if is_well else "not usable"
        findings.append(finding(f"account of {conn_id}", found, "known to its service", said, is_well=is_well))
    return findings


def workers(nonce: str) -> list[Finding]:
    """Ask every Celery worker for its keys and for the staging folder: what one writes, each must read."""
    if not uses_celery():
        return []
    from airflow.providers.celery.executors.celery_executor import app

    from order_sync_airflow.celery_worker import fingerprints

    def ask(**arguments: str) -> dict[str, dict[str, object]]:
        answers = app.control.broadcast("order_sync_check", arguments=arguments, reply=True, timeout=WORKERS_TIMEOUT_S)
        return {worker: answer for each in answers or [] for worker, answer in each.items()}

    written = ask(nonce=nonce, write="yes")
    if not written:
        cure = "Start the workers with [celery] celery_config_options = order_sync_airflow.celery_worker.CELERY_CONFIG."
        return [Finding("workers", "none has answered", "one or more", cure)]
    read = ask(nonce=nonce, write="no")
    own = fingerprints(nonce)
    findings = []
    for worker, answer in sorted(written.items()):
        findings.append(_keys_of(worker, answer, own))
        seen = set(map(str, read.get(worker, {}).get("files") or []))  # type: ignore[call-overload]
        findings.append(_staging_of(worker, set(written) - seen))
    for path in storage_path(load().staging).glob(f"doctor-{nonce}-*"):
        path.unlink()
    return findings


def _keys_of(worker: str, answer: dict[str, object], own: dict[str, str]) -> Finding:
    """Return whether a worker's keys are those of this process, by their fingerprints."""
    others = {key for key, value in own.items() if answer.get(key) != value}
    return finding(
        f"keys of {worker}",
        f"others than here: {', '.join(sorted(others))}" if others else "as here",
        "the same in all services",
        "Give all services one .env, and start them again.",
        is_well=not others,
    )


def _staging_of(worker: str, missing: set[str]) -> Finding:
    """Return whether a worker sees each worker's file; `missing` are those whose file it does not see."""
    return finding(
        f"staging of {worker}",
        f"lacks the files of {', '.join(sorted(missing))}" if missing else "has each worker's file",
        "what one worker writes, each reads",
        "Mount one volume in all workers, or stage on an object storage.",
        is_well=not missing,
    )


def examine(*, with_accounts: bool = False) -> list[Finding]:
    """Look at everything; at the accounts only if a person asks for it, because that calls the services."""
    nonce = secrets.token_hex(16)
    grace = "can't be seen from inside; `stop_grace_period`, or Kubernetes' terminationGracePeriodSeconds"
    return [
        *settings(),
        *ledger(),
        staging(nonce),
        *workers(nonce),
        *services(),
        *(accounts() if with_accounts else []),
        Finding("a worker's grace period", grace, GRACE_WANTED),
    ]


def main() -> int:
    """Print a table of what was found; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m order_sync_airflow.doctor")
    parser.add_argument("--accounts", action="store_true", help="try each account at its service too; no order is sent")
    given = parser.parse_args()
    read_connections_of_airflow()
    findings = examine(with_accounts=given.accounts)
    rows = [["ok" if each.is_well else "WRONG", each.what, each.found, each.wanted, each.how] for each in findings]
    headers = ["", "what", "found", "wanted", "how"]
    print(tabulate(rows, headers, tablefmt="simple", maxcolwidths=[None, 32, 40, 36, 60]))  # noqa: T201
    wrong = sum(not each.is_well for each in findings)
    executor = conf.get("core", "executor")
    print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {executor}: {wrong} of {len(findings)} wrong")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
