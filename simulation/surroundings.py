"""The surroundings of the simulated runs: databases, connections, configuration, and what fails there."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
import yaml
from airflow.sdk import crypto
from cryptography.fernet import Fernet

from chaos.faults import REFUSED
from chaos.sender import STATUSES
from chaos.world import World
from include.order_sync import tuning
from include.order_sync.providers import PROVIDERS
from sandbox.registry import SERVICES
from simulation import shop
from simulation.engines import kept_engines, new_engines

# Days that the ledger and the staging folder keep what is old.
RETENTION = {"staged_parts": 3, "attempts": 14, "quarantine": 14}
TIMEZONE = "Europe/Kyiv"
# Each strikes so many of a service's requests.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 429, "when": "before"},
    {"kind": "status", "status": 503, "when": "before"},
    {"kind": "status", "status": 502, "when": "after"},
    {"kind": "close", "when": "before"},
    {"kind": "close", "when": "after"},
    {"kind": "garbage", "form": "page", "when": "after"},
)
SHARE = 0.004

Target = Literal["service", "ledger", "source", "workers"]


def connect(world: World, environment: dict[str, str]) -> None:
    """Put Airflow's connections into the environment."""
    accounts: dict[str, dict[str, Any]] = {
        name: {
            "conn_type": "generic",
            "host": f"{world.sandbox}/{name}",
            "login": login,
            "password": secret,
            "extra": {"allow_http": True},
        }
        for name, (login, secret) in ((name, service.account) for name, service in SERVICES.items())
    }
    databases = {"order_sync_ledger": world.ledger, "warehouse": world.source}
    for name, address in databases.items():
        url = sa.make_url(address)
        accounts[name] = {"conn_type": "postgres", "host": url.host, "port": url.port, "schema": url.database}
        accounts[name] |= {"login": url.username, "password": url.password}
    for name, fields in accounts.items():
        environment[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(fields)


def configure(world: World, start: datetime) -> Path:
    """Write the configuration: a source with offsets in its times, and one without; services of both."""
    sources: dict[str, dict[str, Any]] = {}
    destinations: dict[str, dict[str, Any]] = {}
    times = {"offset": "changed_at", "local": f"changed_at at time zone '{TIMEZONE}'"}
    for number, (name, provider) in enumerate(PROVIDERS.items()):
        form = ("offset", "local")[number % 2]
        source = f"{form}_{'singles' if provider.max_orders == 1 else 'all'}"
        query = world.folder / f"{source}.sql"
        singles = " and single" if provider.max_orders == 1 else ""
        query.write_text(shop.QUERY.format(changed_at=times[form], singles=singles))
        sources[source] = {"type": "sql", "connection": "warehouse", "query": str(query), "timezone": TIMEZONE}
        sources[source]["statuses"] = dict(STATUSES)
        destinations[name] = {"provider": name, "connection": name, "source": source, "live": True}
        destinations[name] |= {"first_run": "window", "start_date": start.date()}
    path = world.folder / "order_sync.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "staging": str(world.folder / "staging"),
                "retention": RETENTION,
                "pace": dict.fromkeys(PROVIDERS, 1000),  # time is simulated, and waits within a task are not
                "sources": sources,
                "destinations": destinations,
            }
        )
    )
    return path


@contextmanager
def settings(world: World, start: datetime) -> Iterator[None]:
    """Let this process's tasks find connections, configuration and key, with short time limits of requests."""
    environment = {
        "ORDER_SYNC_CONFIG": str(configure(world, start)),
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
    }
    connect(world, environment)
    before = {name: os.environ.get(name) for name in environment}
    limits = tuning.CONNECT_S, tuning.ANSWER_S, tuning.UNNAMED_WAIT_S
    os.environ.update(environment)
    crypto.get_fernet.cache_clear()
    # A killed task is tried again a simulated minute later: then its request has reached its limit.
    tuning.CONNECT_S, tuning.ANSWER_S, tuning.UNNAMED_WAIT_S = 1, 4, 1
    try:
        with kept_engines():
            yield
    finally:
        tuning.CONNECT_S, tuning.ANSWER_S, tuning.UNNAMED_WAIT_S = limits
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        crypto.get_fernet.cache_clear()


@dataclass(frozen=True)
class Outage:
    """Something that does not work for some time.

    Args:
        target: service, ledger, source, or the workers of all tasks.
        service: the one that is down.
        start, end: of it.
    """

    target: Target
    start: datetime
    end: datetime
    service: str | None = None


def outages(dice: random.Random, start: datetime, end: datetime) -> list[Outage]:
    """Return outages of some minutes up to more than a day, two days apart on average, oldest first.

    Two never follow so closely that runs could not take up again what they have left (`heal_at_most`).
    """
    made: list[Outage] = []
    at = start + timedelta(hours=dice.uniform(3, 30))
    while True:
        target: Target = dice.choice(("service", "service", "ledger", "source", "workers"))
        hours = dice.choice((0.3, 1, 3, 3, 8, 30))
        until = at + timedelta(hours=hours * dice.uniform(0.7, 1.1))
        if until >= end:
            return made
        service = dice.choice(list(PROVIDERS)) if target == "service" else None
        made.append(Outage(target, at, until, service))
        at = until + timedelta(hours=dice.uniform(6, 40) + hours)


@dataclass
class Surroundings:
    """The faults that are in force.

    Args:
        world: the servers.
        dice: seed the faults that strike by chance.
        strikes: whether faults strike by chance.
        down: the outages that are under way.
    """

    world: World
    dice: random.Random
    strikes: bool = True
    down: list[Outage] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, outage: Outage) -> None:
        """Begin an outage."""
        self.down.append(outage)
        self.counts[outage.target] = self.counts.get(outage.target, 0) + 1
        self.apply()

    def end(self, outage: Outage) -> None:
        """End an outage."""
        self.down.remove(outage)
        self.apply()

    def use_ledger(self, ledger: str) -> None:
        """Let tasks use another ledger from now on."""
        self.world = replace(self.world, ledger=ledger)
        connect(self.world, os.environ)  # type: ignore[arg-type]
        self.apply()

    def works(self, target: Target) -> bool:
        """Whether no outage of a target is under way."""
        return all(outage.target != target for outage in self.down)

    def apply(self) -> None:
        """Put all faults in force, instead of those before."""
        refused = [str(shop.FIRST_ORDER + number) for number in range(100_000) if number % 100 in REFUSED]
        faults = [{"provider": o.service, "kind": "status", "status": 503} for o in self.down if o.service]
        if self.strikes:
            for name, service in SERVICES.items():
                faults += [
                    {**fault, "provider": name, "probability": SHARE, "seed": self.dice.randrange(10**6)}
                    for fault in FAULTS
                    if fault["when"] == "before" or fault.get("status") not in service.not_taken
                ]
                if not service.mails_rejections:
                    faults.append({"kind": "refuse_orders", "order_ids": refused, "provider": name})
        new_engines()
        self.world.admin("DELETE", "faults")
        self.world.admin("POST", "faults", faults)
        server = sa.make_url(self.world.source).set(database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(server.replace(" ", "%20"), autocommit=True) as connection:
            for target, address in (("ledger", self.world.ledger), ("source", self.world.source)):
                allowed = self.works(target)  # type: ignore[arg-type]
                database = sa.make_url(address).database
                connection.execute(f"alter database {database} allow_connections {str(allowed).lower()}")
