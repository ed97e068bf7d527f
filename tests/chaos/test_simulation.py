"""Simulated time: a slice of a campaign holds, its clocks agree, and kills, old ledgers and bounds work."""

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="order-sync-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

import psycopg
import pytest
import sqlalchemy as sa
from order_sync_airflow.operators.base import OrderSyncOperator

from chaos.verdict import judge
from chaos.world import World
from include.order_sync.ledger import schema
from include.order_sync.ledger.retention import remove_old
from simulation import campaign, growth, old_ledger, shop
from simulation.clock import simulated
from simulation.surroundings import outages, settings
from simulation.tasks import DagRun, Store, attempt_with_signal, supervised
from tests.chaos.conftest import libpq_address
from tests.sandbox.conftest import serve

START = datetime(2025, 10, 25, 22, tzinfo=UTC)  # the clocks of Kyiv go back within
STATES = "select order_id, code, verdict, rank, status_changed_at from order_states order by destination_id, order_id"


@pytest.fixture
def world(postgres_server: sa.URL, tmp_path: Path) -> Iterator[World]:
    """Empty databases for the source, the ledger and a ledger of before, and a sandbox."""
    names = [f"simulated_{os.urandom(4).hex()}" for _ in range(3)]
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        for name in names:
            connection.execute(f"create database {name}")
            connection.execute(f"alter database {name} set datestyle = 'ISO'")
    source, ledger, _ = (libpq_address(postgres_server.set(database=name)) for name in names)
    served = serve(strict=True)
    yield World(source, ledger, next(served), tmp_path)
    next(served, None)
    with psycopg.connect(libpq_address(postgres_server), autocommit=True) as connection:
        for name in names:
            connection.execute(f"drop database {name} with (force)")


def before(world: World) -> str:
    """Return the address of the ledger of before."""
    with psycopg.connect(world.source) as connection:
        query = """
            select datname from pg_database
            where datname like 'simulated_%%' and not datname = any(%s)
        """
        known = [sa.make_url(address).database for address in (world.source, world.ledger)]
        (name,) = connection.execute(query, (known,)).fetchone()
    return libpq_address(sa.make_url(world.ledger).set(database=name))


def test_a_slice_of_a_campaign_holds(world):
    """In some hours with faults nothing is lost, doubled or left; then an upgrade from 0006 keeps each state."""
    plan = campaign.Plan(seed=1, start=START, hours=4, orders_an_hour=8, is_slice=True)
    store = Store()
    with settings(world, plan.start), simulated(world.ledger, plan.start) as clock, supervised(store):
        played = campaign.Campaign(world, plan, clock, store)
        played.play()
        assert played.check_windows() == []
        report = played.report()
        old = before(world)
        clock.use(old)
    judgements = judge(world.source, world.sandbox, report, late_too=True)
    assert [judgement.differences for judgement in judgements] == [[]] * 4
    assert all(judgement.taken and judgement.runs >= plan.hours - 1 for judgement in judgements)
    assert old_ledger.revisions()[0] == "0006"
    old_ledger.fill(world.ledger, old, "0006")
    schema.upgrade(old_ledger.engine(old))
    with psycopg.connect(world.ledger) as ledger, psycopg.connect(old) as upgraded:
        states = ledger.execute(STATES).fetchall()
        assert upgraded.execute(STATES).fetchall() == states != []


def test_the_clocks_agree(world):
    """Python, the ledger's statements and its column defaults have one time, which goes on by itself."""
    with simulated(world.ledger, START) as clock, psycopg.connect(world.ledger, autocommit=True) as ledger:
        ledger.execute("create table noted (at timestamptz not null default now())")
        for at in (START, START + timedelta(days=30)):
            clock.move_to(at)
            ledger.execute("insert into noted default values")
            (noted,) = ledger.execute("select max(at) from noted").fetchone()
            (later,) = ledger.execute("select now()").fetchone()
            assert at <= noted < later <= clock.now < at + timedelta(minutes=5)
        clock.move_to(START)
        assert clock.now > START + timedelta(days=30)  # time never goes back
    assert datetime.now(UTC) > START + timedelta(days=31)


class PushAndSleep(OrderSyncOperator):
    """Pushes a value, and takes long for the rest."""

    time_limit_s = 60

    def execute(self, context) -> None:
        """Push and sleep."""
        context["ti"].xcom_push("begun", True)
        signal.setitimer(signal.ITIMER_REAL, 0.05)  # the signal comes after the push, however slow the machine
        time.sleep(30)


def test_a_kill_leaves_what_was_written_before_it():
    """A killed try has an outcome of its own, and its XComs stay."""
    store = Store()
    task = PushAndSleep(task_id="extract")
    run = DagRun("dag", "run", "scheduled", START)
    outcome = attempt_with_signal(store, task, run.context(store, task, 1, 0), "SIGKILL", 20)
    assert outcome.state == "killed"
    assert store.of_run("run") == {("extract", "begun"): True}


# What a ledger without maintenance would hold after a month, and what no ledger should hold at all.
GROWN = """
    insert into destinations (name) values ('d');
    insert into batches (destination_id, run, try, orders, outcome, concluded_at)
        select 1, 'old', 1, 1, 'answered', now() - interval '30 days' from generate_series(1, 4);
    insert into attempts (batch_id, destination_id, partition_hash, order_id, status_changed_at, updated_at, rank, code,
                          payload_hash, held_if_in_doubt)
        select id, 1, 1, 'a', now(), now(), id, 'PAID', 0, false from batches where id < 4;
    insert into quarantine (destination, row_hash, reasons, encrypted_row, origin, run, resolved_at)
        values ('d', '', '{x}', '', 'q', 'r', now() - interval '30 days');
    insert into windows (destination, window_start, window_end, run, finished_at)
        select 'd', at, at + interval '1 hour', 'r', at
        from generate_series(now() - interval '60 days', now() - interval '30 days', interval '1 hour') at;
"""
WRONG = """
    insert into rejections (batch_id, order_id, reason) values (99, 'a', 'x');
    insert into request_slots select name, now() from generate_series(1, 5) name;
    insert into batches (destination_id, run, try, orders) select 1, 'new', try, 1 from generate_series(1, 5) try;
    alter sequence windows_id_seq restart with 9000000000000000000;
    insert into windows (destination, window_start, window_end, run)
        values ('d', now() - interval '1 hour', now(), 'r');
"""
CURED = {
    "old attempts of one order",
    "old batches without attempts",
    "old resolved entries of the quarantine",
    "windows of one destination",
}


def test_what_grows_is_seen_and_maintenance_cures_it(world):
    """Each figure is measured in a ledger that breaks its bound; retention cures those that it is there for."""

    def broken() -> set[str]:
        measured = growth.Growth({})
        staging = world.folder / "staging"
        measured.measure(world.ledger, staging, datetime.now(UTC).timestamp(), variables=5)
        return {sentence.partition(":")[0] for sentence in measured.broken()}

    engine = old_ledger.engine(world.ledger)
    schema.upgrade(engine)
    assert broken() == {"Variables"}
    for number in range(1000):
        (world.folder / f"staging/dag/{number}").mkdir(parents=True)
    os.utime(world.folder / "staging/dag/7", (0, 0))
    with psycopg.connect(world.ledger) as connection:
        connection.execute(GROWN)
        connection.execute(WRONG)
    others = {"staged runs", "old staged runs", "Variables", "rejections without a batch", "accounts with a pace"}
    others |= {"loads with batches under way", "share of the numbers of an identity used up"}
    assert broken() == CURED | others == growth.BOUNDS.keys() - {"characters of an XCom"}
    remove_old(engine, attempts_days=14, quarantine_days=14)
    assert broken() == others


def test_each_bound_is_kept_or_named():
    """A figure above its bound is a sentence; each bound has a figure that is measured, and no other query is there."""
    measured = growth.Growth({})
    assert measured.broken() == []
    for name, bound in growth.BOUNDS.items():
        measured.note(name, bound)
    assert measured.broken() == []
    measured.note("old attempts of one order", 3)
    measured.note("old attempts of one order", 1)
    assert measured.broken() == ["old attempts of one order: 3, and the bound is 2"]
    assert growth.QUERIES.keys() <= growth.BOUNDS.keys()


def test_a_shop_and_its_outages_come_from_the_seed():
    """Equal seeds give equal campaigns; changes come late at times, and outages end before the quiet hours."""
    end = START + timedelta(days=30)
    made = [shop.changes(random.Random(7), START, end, 5, late=True) for _ in range(2)]
    assert made[0] == made[1]
    late = [change for change in made[0] if change.late]
    assert 0 < len(late) < len(made[0]) / 50
    assert all(change.changed_at <= change.committed_at <= end for change in made[0])
    found = [outages(random.Random(seed), START, end) for seed in range(20)]
    assert {outage.target for one in found for outage in one} == {"service", "ledger", "source", "workers"}
    assert all(outage.end < end for one in found for outage in one)
