"""Whom the page shows what: the rights of a user on DAGs decide, by whichever auth manager Airflow has."""

from types import SimpleNamespace

import pytest
from order_sync_airflow.page import access

from include.order_sync.configuration.loading import DEFAULT_FILE, load


class Manager:
    """An auth manager as the page asks it."""

    def __init__(self, readable: set[str], triggers: set[str]) -> None:
        self.readable, self.triggers = readable, triggers

    def get_authorized_dag_ids(self, *, user, method):
        """Return the DAGs that the user may read."""
        assert (user, method) == ("olena", "GET")
        return self.readable

    def is_authorized_dag(self, *, method, access_entity, details, user):
        """Return whether the user may trigger a DAG."""
        assert (method, access_entity.name, user) == ("POST", "RUN", "olena")
        return details.id in self.triggers


ALL = {"order_sync_rees46", "order_sync_personaclick", "order_sync_yespo", "order_sync_justclick", access.REDRIVE}


@pytest.mark.parametrize(
    ("readable", "triggers", "seen", "mistaken", "may_redrive"),
    [
        pytest.param(ALL, ALL, "rees46 personaclick justclick", "yespo", True, id="admin, op, user"),
        pytest.param(ALL, set(), "rees46 personaclick justclick", "yespo", False, id="viewer"),
        pytest.param({"order_sync_yespo"}, set(), "", "yespo", False, id="one DAG, with mistakes"),
        pytest.param({"order_sync_rees46"}, {"order_sync_rees46"}, "rees46", "", False, id="one DAG"),
        # Who may not read a DAG, may not see its orders by triggering it.
        pytest.param({"order_sync_rees46"}, {access.REDRIVE}, "rees46", "", False, id="a redrive that is not seen"),
        pytest.param({access.REDRIVE}, {access.REDRIVE}, "", "", True, id="the redrive alone"),
        pytest.param(set(), set(), "", "", False, id="no DAG"),
    ],
)
def test_rights_on_dags_decide(monkeypatch, tmp_path, readable, triggers, seen, mistaken, may_redrive):
    """Each destination is shown to those who may read its DAG; words of services to those who may redrive."""
    file = tmp_path / "order_sync.yaml"
    file.write_text(DEFAULT_FILE.read_text("utf-8").replace("provider: yespo", "provider: yespoo"), "utf-8")
    monkeypatch.setattr(access, "load", lambda: load(file))
    monkeypatch.setattr(access, "get_auth_manager", lambda: Manager(readable, triggers))
    monkeypatch.setattr(access, "DagModel", SimpleNamespace(get_team_name=lambda _: None))
    found = access.access_of("olena")
    assert (list(found.destinations), found.mistaken) == (seen.split(), mistaken.split())
    assert (found.names, set(found.paces)) == ([*seen.split(), *mistaken.split()], set(seen.split()))
    assert found.may_redrive is may_redrive
