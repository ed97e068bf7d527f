"""Secrets and personal data of a run: logs, staged files and the key of the quarantine."""

import os
from datetime import UTC, datetime

import pytest
from airflow.sdk import Variable
from airflow.sdk._shared.secrets_masker import _secrets_masker
from cryptography.fernet import Fernet
from order_sync_airflow import alarms, operators
from order_sync_airflow.retry import OrderSyncRetryPolicy

from include.order_sync import stops
from include.order_sync.errors import StopError
from include.order_sync.watch import Problem
from tests.airflow.shop import row, use_keys


def test_a_secret_in_the_configuration_is_masked_in_logs(shop, monkeypatch):
    """A value that a path took from the environment is masked, if its variable's name tells of a secret."""
    monkeypatch.setenv("DROP_PASSWORD", "s3cret-word")
    monkeypatch.setenv("DROP_FOLDER", "drop-of-today")
    file = shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8").replace("/drop/", "/${DROP_FOLDER}/${DROP_PASSWORD}/"), "utf-8")
    with pytest.raises(StopError, match="s3cret-word"):
        shop.run()
    said = f"there is no folder {shop.tmp}/drop-of-today/s3cret-word"
    assert _secrets_masker().redact(said) == said.replace("s3cret-word", "***")


def test_a_secret_in_the_configuration_is_masked_in_notes_and_alarms(shop, supervisor, monkeypatch):
    """Airflow masks logs alone; a reason and a problem that name a path are masked by us."""
    monkeypatch.setenv("WATCH_PASSWORD", "0ther-word")
    file = shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8").replace("/drop/", "/${WATCH_PASSWORD}/"), "utf-8")
    _secrets_masker().reset_masker()
    watch = operators.WatchOperator(task_id="watch")
    watch.execute({})
    said = f"OS-710: there is no folder {shop.tmp}/0ther-word"
    assert "0ther-word" not in _secrets_masker().redact(said)
    problem = Problem(shop.name, "source", said)
    alarms.tell(watch.load_configuration().alarms, alarms.State(), [problem], set(), datetime.now(UTC))
    assert "there is no folder" in Variable.get(alarms.VARIABLE)
    assert "0ther-word" not in Variable.get(alarms.VARIABLE)
    context = shop.context("run")
    OrderSyncRetryPolicy().evaluate(StopError(stops.NO_FOLDER, said), 1, 3, context)
    assert context["ti"].xcoms["load", "reason"] == f"OS-710: {said.replace('0ther-word', '***')}"


def test_what_is_staged_only_its_user_can_read(shop):
    """Staged rows are personal data: the files and folders of a task are closed to all other users."""
    shop.drop(row("1", "paid"))
    context = shop.context("run")
    extract = operators.ExtractOrdersOperator(task_id="extract", destination=shop.name)
    extract.pre_execute({**context, "task": extract})
    shop.stage(context)
    staged = list((shop.tmp / "staging").rglob("*"))
    assert any(path.is_file() for path in staged)
    assert {path.stat().st_mode & 0o077 for path in staged} == {0}


def test_without_a_key_nothing_is_sent(shop, monkeypatch):
    """Rows of the quarantine are personal data: a deployment that can't encrypt them ends red, and says what to set."""
    use_keys(monkeypatch, "")
    shop.drop(row("1", "paid"))
    with pytest.raises(StopError, match="fernet_key"):
        shop.run()
    assert shop.taken() == {}
    use_keys(monkeypatch, Fernet.generate_key().decode())  # get_fernet remembers the key


def test_a_lost_key_is_said(shop, entries, monkeypatch, caplog):
    """Rows whose encryption key is lost stay in the quarantine, and the log names the cure."""
    shop.drop(row("1", "hurra"))
    old = os.environ["AIRFLOW__CORE__FERNET_KEY"]
    shop.run()
    shop.configure(more=", hurra: delivered")
    new = Fernet.generate_key().decode()
    use_keys(monkeypatch, new)
    assert shop.run(redrive=True) == {}
    assert entries("resolved_at") == [(None,)]
    use_keys(monkeypatch, f"{new},{old}")
    assert shop.run(redrive=True) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
