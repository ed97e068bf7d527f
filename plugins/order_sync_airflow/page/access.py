"""Which destinations a user may see, and whether the user may redrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel

from include.order_sync.configuration.loading import load
from order_sync_airflow.run_figures import REDRIVE

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination


@dataclass(frozen=True)
class Access:
    """The rights of a user.

    Args:
        destinations: whose DAG the user may read, in the order of the configuration.
        mistaken: names of such destinations whose entry in the configuration has mistakes.
        may_redrive: whether the user may trigger the DAG order_sync_redrive. Its dry run shows what services said of
            orders, so these words are shown to the same users.
        paces: destination -> the requests a second that its account takes; None for any.
    """

    destinations: dict[str, Destination]
    mistaken: list[str]
    may_redrive: bool
    paces: dict[str, float | None] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of all destinations that the user may see."""
        return [*self.destinations, *self.mistaken]


def access_of(user: GetUserDep) -> Access:
    """Return the rights of the user of a request, as Airflow's auth manager has them; without a user it answers 401."""
    manager = get_auth_manager()
    readable = manager.get_authorized_dag_ids(user=user, method="GET")
    configuration = load()
    may_redrive = REDRIVE in readable and manager.is_authorized_dag(
        method="POST",
        access_entity=DagAccessEntity.RUN,
        details=DagDetails(id=REDRIVE, team_name=DagModel.get_team_name(REDRIVE)),
        user=user,
    )
    seen = {name: each for name, each in configuration.destinations.items() if each.dag_id in readable}
    return Access(
        seen,
        [name for name, each in configuration.mistaken.items() if each.dag_id in readable],
        may_redrive,
        {name: configuration.requests_a_second(each) for name, each in seen.items()},
    )
