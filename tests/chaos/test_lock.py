"""The lock: four processes load one destination; one is stopped, and one loses its session in mid-request."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from chaos import shop
from chaos.report import write_report
from chaos.sender import TASKS, TRY_AGAIN, Run, perform
from chaos.verdict import judge
from chaos.world import World
from include.order_sync.ledger import schema
from include.order_sync.model import Window
from tests.chaos.conftest import libpq_address
from tests.sandbox.conftest import serve

HOURS = 8
ORDERS = 2000
STOPPED_S = 30
TRIES = 5
WAIT_S = 120  # enough for a busy machine
# The sender whose session holds the lock, by the process id in its session's name.
HOLDER = """
    select pid, substr(application_name, 8)::int from pg_stat_activity
    where datname = current_database() and application_name like 'sender %'
      and pid in (select pid from pg_locks where locktype = 'advisory' and granted)
"""
ACTIVE = "select from pg_stat_activity where state = 'active'"
IN_FLIGHT = "select count(*) from batches where begun_at is not null and outcome is null"


@pytest.fixture
def world(postgres_server: sa.URL, tmp_path: Path) -> Iterator[World]:
    """A source with some hours of changes, an empty ledger, and a sandbox with slow answers."""
    name = f"lock_{os.urandom(4).hex()}"
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        connection.execute(f"create database {name}")
        connection.execute(f"alter database {name} set datestyle = 'ISO'")  # the verdict's client reads only this form
    address = libpq_address(postgres_server.set(database=name))
    shop.fill(address, ORDERS, 0, HOURS, random.Random(1))
    schema.upgrade(sa.create_engine(postgres_server.set(database=name)))
    served = serve(strict=True)
    world = World(address, address, next(served), tmp_path)
    slow = {"kind": "slow", "seconds": 0.5, "every": 2}
    world.admin("POST", "faults", [{**slow, "when": "before"}, {**slow, "when": "after"}])
    yield world
    next(served, None)


def keep_loading(world: World, runs: list[Run]) -> None:
    """Do all runs, each task until it is done, without knowledge of the other processes."""
    for run in runs:
        for task in TASKS:
            for try_number in range(1, TRIES + 1):
                if not _ends_with_try_again(world, run, task, try_number):
                    break


def _ends_with_try_again(world: World, run: Run, task: str, try_number: int) -> bool:
    try:
        perform(world, run, task, try_number)
    except SystemExit as ended:
        return ended.code == TRY_AGAIN
    return False


def overlapping(destination: str, sender: int) -> list[Run]:
    """Return overlapping windows of three hours, in another sequence for each sender."""
    starts = list(range(HOURS - 2))
    starts = [starts, starts[::-1], starts[1::2] + starts[::2], starts[::2] + starts[1::2]][sender]
    hours = [shop.FIRST_HOUR + timedelta(hours=start) for start in starts]
    return [Run(destination, f"{sender}-{at:%H}", Window(at, at + timedelta(hours=3))) for at in hours]


def wait_for(connection: psycopg.Connection, query: str) -> tuple[int, int]:
    """Return the first row of a query, as soon as it has one."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if row := connection.execute(query).fetchone():
            return row
        time.sleep(0.01)
    raise AssertionError(f"no answer in time: {query}")


def lose_a_session_in_mid_request(connection: psycopg.Connection) -> None:
    """End the session of a sender with a request in flight; stop it meanwhile, so that no answer comes first."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        session, sender = wait_for(connection, HOLDER)
        os.kill(sender, signal.SIGSTOP)
        try:
            wait_for(connection, f"select 0, 0 where not exists ({ACTIVE} and pid = {session})")
            if connection.execute(IN_FLIGHT).fetchone() == (1,):
                connection.execute("select pg_terminate_backend(%s)", (session,))
                return
        finally:
            os.kill(sender, signal.SIGCONT)
        time.sleep(0.1)
    raise AssertionError("no request was in flight")


@pytest.mark.parametrize("destination", ["rees46", "yespo"])
def test_four_at_once(world, destination):
    """No state goes back and only repeatable codes come twice, though one sender stops and one loses its session."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["chaos.driver"])
    runs = [overlapping(destination, sender) for sender in range(4)]
    senders = [processes.Process(target=keep_loading, args=(world, own_runs)) for own_runs in runs]
    for sender in senders:
        sender.start()
    try:
        with psycopg.connect(world.ledger, autocommit=True) as connection:
            _, stopped = wait_for(connection, HOLDER)
            os.kill(stopped, signal.SIGSTOP)
            time.sleep(1)  # until the requests in flight are answered
            requests = world.admin("GET", "stats")[destination]["requests"]
            time.sleep(STOPPED_S)
            assert world.admin("GET", "stats")[destination]["requests"] == requests
            os.kill(stopped, signal.SIGCONT)
            lose_a_session_in_mid_request(connection)
            for sender in senders:
                sender.join(WAIT_S)
                assert sender.exitcode == 0
            in_doubt = connection.execute("select count(*) from batches where outcome = 'in_doubt'").fetchone()
            assert in_doubt == (1,)
    finally:
        for sender in senders:
            sender.kill()
    report = write_report(world, [run for own_runs in runs for run in own_runs])
    judgement = next(
        found for found in judge(world.source, world.sandbox, report, late_too=True) if found.service == destination
    )
    assert judgement.differences == []
    assert judgement.taken > ORDERS / 2  # fewer than all changes: what a later window has sent makes earlier ones stale
