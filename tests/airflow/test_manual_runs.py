"""Runs that a person starts: backfills, wide runs and runs of some orders."""

import re

import pytest
from order_sync_airflow.operators import extract

from include.order_sync.errors import StopError
from tests.airflow.runs import HOUR, NOON


def test_a_narrowed_run_finishes_nothing(drop):
    """A run that sends only some orders of a window finishes neither the window nor its files."""
    drop.put("a.csv", "1", "2")
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert drop.counts(0, "manual", **times, order_ids=["2"])["accepted"] == 1
    assert drop.status() == (None, 0, 0)
    assert drop.counts(0)["accepted"] == 1


@pytest.mark.parametrize("run_type", ["backfill", "manual"])
def test_a_backfill_and_a_wide_run_take_files_again(drop, run_type):
    """A run with a given window reads files that were taken before; still no order is sent twice."""
    drop.put("a.csv", "1")
    drop.run(0)
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    given = times if run_type == "manual" else {}
    assert drop.counts(0, run_type, **given)["unchanged"] == 1


@pytest.mark.parametrize(
    ("run_type", "params", "message"),
    [
        (
            "manual",
            {"from_": "2026-01-02", "to": "2026-01-01"},
            r"`from` \(2026-01-02.*must lie before `to` \(2026-01-01",
        ),
        ("manual", {"from_": "2026-01-02"}, r"`from` is 2026-01-02.*`to` is empty: give both"),
        ("manual", {"to": "2026-01-02"}, r"`to` is 2026-01-02.*`from` is empty: give both"),
        ("manual", {"from_": "2926-01-02", "to": "2926-01-03"}, r"`from` \(2926-01-02.*future.*past time"),
        ("manual", {"mode": "adopt", "resend": True}, r"`mode` is adopt and `resend` is true.*Leave `resend` off"),
        ("backfill", {"from_": "2026-01-02"}, r"this one has `from` \(2026-01-02.*Leave them empty"),
    ],
)
def test_params_must_not_contradict_each_other(warehouse, monkeypatch, run_type, params, message):
    """The run ends red with param, value and cure, before ledger or source is asked, and without a retry."""
    monkeypatch.setattr(extract, "check_marks", lambda *_, **__: pytest.fail("the ledger was asked"))
    with pytest.raises(StopError, match=rf"OS-602.*{message}"):
        warehouse.run(0, run_type, **params)


def test_orders_by_their_ids(warehouse):
    """A run with only order ids sends these orders, however old, and finishes no window."""
    assert warehouse.counts(0, "manual", order_ids=["7"])["accepted"] == 1
    assert warehouse.status() == (None, 0, 0)


def test_order_ids_that_are_not_found_are_said(warehouse, drop, capsys):
    """If none of the named orders is found, the run is red and names them; some unknown ones are named in the log."""
    with pytest.raises(StopError, match=r"Not found in .*`order_ids`: '7, 8'.*one id a line"):
        warehouse.run(0, "manual", order_ids=["7, 8"])
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    with pytest.raises(StopError, match="'no such order'"):
        drop.run(0, "manual", **times, order_ids=["no such order"])
    capsys.readouterr()
    assert warehouse.counts(0, "manual", order_ids=["7", "no such order"])["accepted"] == 1
    assert "1 order of the param `order_ids`: 'no such order'." in capsys.readouterr().out


def test_order_ids_are_compared_in_the_form_of_the_source(drop, capsys):
    """With `strip_ids` a person may give an id with its marks or without: the rows have it without."""
    file = drop.folder / "order_sync.yaml"
    file.write_text(file.read_text().replace("timezone: UTC", "timezone: UTC\n    strip_ids: true"))
    drop.put("a.csv", "1001", "1002", "1003")
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert drop.counts(0, "manual", **times, order_ids=["#1001", "1002", "#7"])["accepted"] == 2
    assert "1 order of the param `order_ids`: '#7'." in capsys.readouterr().out


def test_ids_alone_of_a_drop_are_refused_with_a_cure(drop):
    """The message names the file in which an order was seen and the params that read it; and they do."""
    drop.put("a.csv", "1")
    assert drop.counts(0)["accepted"] == 1
    with pytest.raises(StopError, match=r"OS-604.*'A-7': in no file") as stop:
        drop.run(0, "manual", order_ids=["1", "A-7"])
    assert f"'1': {drop.folder / 'drop' / 'a.csv'}" in str(stop.value)
    times = dict(re.findall("`(from|to)` ([^ ]+[0-9])", str(stop.value)))
    given = {"from_": times["from"], "to": times["to"], "order_ids": ["1"]}
    assert drop.counts(0, "manual", **given)["unchanged"] == 1
    with pytest.raises(StopError, match="put a file with them into the drop"):
        drop.run(0, "manual", order_ids=["A-7"])


@pytest.mark.parametrize(("kind", "says"), [("current", True), ("history", False)])
def test_a_backfill_says_what_present_states_can_show(warehouse, capsys, kind, says):
    """A backfill of a source of present states replays orders whose last change lies in its interval, and says so."""
    file = warehouse.folder / "order_sync.yaml"
    file.write_text(file.read_text().replace("query: orders.sql", f"query: orders.sql\n    kind: {kind}"))
    assert warehouse.counts(0)["accepted"] == 1
    assert "replays" not in capsys.readouterr().out
    warehouse.counts(0, "backfill")
    assert ("replays the orders whose last change lies in its interval" in capsys.readouterr().out) == says
