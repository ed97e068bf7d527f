"""The files of a drop: which ones a run takes, and what becomes of those that it can't use."""

import os
from contextlib import suppress

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped
from order_sync_airflow import ledger as ledger_command

from include.order_sync.errors import StopError
from tests.airflow.runs import DAY, NOON


def test_a_new_drop_sends_no_old_file(drop):
    """The first scheduled run of a drop leaves files that are older than its window, and so do later runs."""
    drop.put("a.csv", "1")
    assert drop.counts(2) is None
    assert drop.counts(3) is None


def test_a_file_too_old_to_heal_makes_the_run_red(drop):
    """A file from before `heal_at_most` that nobody took is named, until a person reads it."""
    drop.counts(-6 * 24)
    drop.put("late.csv", "1", modified=NOON - 5 * DAY)
    for hour in range(2):
        with pytest.raises(StopError, match=r"late\.csv.*`from`"):
            drop.run(hour)
    times = {"from_": (NOON - 6 * DAY).isoformat(), "to": NOON.isoformat()}
    assert drop.counts(0, "manual", interval=False, **times)["accepted"] == 1
    assert drop.counts(2) is None


def test_a_file_that_could_not_be_used_makes_the_run_red(drop):
    """The other files are delivered. The file is not read again until it or the configuration has changed."""
    drop.put("good.csv", "1")
    drop.put("bad.csv", "2", "3", status="Відправлено")
    bad = drop.folder / "drop" / "bad.csv"
    bad.write_bytes(bad.read_text().encode("cp1251"))
    os.utime(bad, (NOON.timestamp(), NOON.timestamp()))
    pushed = {}
    with pytest.raises(StopError, match=r"1 file could not be used.*bad\.csv: none of its rows.*\(2\).*0xE4 in line 2"):
        drop.run(0, pushed=pushed)
    assert pushed["load", "counts"]["accepted"] == 1
    assert pushed["load", "counts"]["rejected"] == 2
    assert drop.counts(1) is None
    configuration = drop.folder / "order_sync.yaml"
    configuration.write_text(configuration.read_text().replace("type: csv", "type: csv\n    delimiter: ','"))
    with pytest.raises(StopError, match=r"bad\.csv"):
        drop.run(2)
    configuration.write_text(configuration.read_text().replace("type: csv", "type: csv\n    max_unusable_files: 1"))
    drop.put("worse.csv", "2", status="Відправлено")
    worse = drop.folder / "drop" / "worse.csv"
    worse.write_bytes(worse.read_text().encode("cp1251"))
    os.utime(worse, (NOON.timestamp(), NOON.timestamp()))
    assert drop.counts(3) is None


def test_what_came_of_a_file_can_be_asked(drop):
    """The command shows its rows, and the reasons and lines of those that were rejected."""
    drop.put("a.csv", "1", "2")
    file = drop.folder / "drop" / "a.csv"
    file.write_text(file.read_text() + "3,lost,2026-11-21,3,RR1\n\n4,paid\n")
    os.utime(file, (NOON.timestamp(), NOON.timestamp()))
    drop.counts(0)
    first, second = ledger_command.file_tables(str(file)).split("\n\n")
    (taken,) = first.splitlines()[2:]
    assert taken.split()[0] == drop.destination
    assert taken.split()[3:6] == ["5", "1", "2"]
    listed = {line[len(drop.destination) :].strip() for line in second.splitlines()[2:]}
    assert {" ".join(line.split()) for line in listed} == {
        "OS-104 row: not as many fields as the header 1 6 1",
        "OS-129 status: not in the status map (lost) 1 4 1",
    }
    assert "No destination has taken" in ledger_command.file_tables("/none.csv")


def test_a_glob_that_matches_nothing_is_said(drop):
    """The run's note gets the nearest names as its reason."""
    drop.put("orders.CSV", "1")
    pushed = {}
    with suppress(DownstreamTasksSkipped):
        drop.run(0, pushed=pushed)
    assert "0 files match" in pushed["extract", "reason"]
    assert "Nearest: orders.CSV beside *.csv" in pushed["extract", "reason"]
