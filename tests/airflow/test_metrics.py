"""Metrics of a run, and the dashboard that shows them."""

import json
import re
from datetime import UTC, datetime

import pytest
from order_sync_airflow import metrics

from include.order_sync.ledger.run_records import COUNTS, Recorded
from tests.airflow.conftest import ROOT

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def emitted(monkeypatch):
    """Name -> value of what goes to Airflow's metrics; each must have the tag of its destination."""
    found: dict[str, float] = {}

    def take(name, value, *, tags):
        assert tags == {"destination": "mails"}
        found[name] = value

    monkeypatch.setattr(metrics.stats, "incr", take)
    monkeypatch.setattr(metrics.stats, "gauge", take)
    return found


def recorded(held=0, newest=None, **counts):
    """Return what a try has added."""
    return Recorded(dict.fromkeys(COUNTS, 0) | counts, held, newest)


def test_a_run_is_counted(emitted):
    """Counters have what this try has added, gauges how the destination stands now."""
    metrics.emit("mails", recorded(held=2, newest=NOON, accepted=5, rejected=1), 0.25)
    assert emitted == {
        "order_sync.accepted": 5,
        "order_sync.rejected": 1,
        "order_sync.held": 2,
        "order_sync.newest_accepted": NOON.timestamp(),
        "order_sync.request_seconds": 0.25,
    }


def test_what_is_not_known_is_left_out(emitted):
    """A run that has sent nothing keeps the last freshness and request time; a plan tells nothing at all."""
    metrics.emit("mails", recorded(), None)
    assert emitted == {"order_sync.held": 0}
    emitted.clear()
    metrics.emit("mails", recorded(held=None, accepted=5), None)
    assert emitted == {}


def test_the_dashboard_shows_each_metric(emitted):
    """Its names are those that are emitted, as Prometheus has them, and no others."""
    metrics.emit("mails", recorded(newest=NOON, accepted=1, rejected=1), 1.0)
    text = (ROOT / "deploy/grafana-dashboard.json").read_text("utf-8")
    expressions = [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    shown = set(re.findall(r"airflow_(order_sync_[a-z_]+)", " ".join(expressions).replace("(_total)?", "")))
    assert shown == {name.replace(".", "_") for name in emitted}
