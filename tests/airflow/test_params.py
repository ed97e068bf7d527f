"""What Airflow itself refuses when a person triggers a run: it validates each param by its own schema."""

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from include.order_sync.codes import rejections
from include.order_sync.ledger.reasons import HELD_REASON
from tests.airflow.conftest import ROOT

RUN, REDRIVE = "order_sync_yespo", "order_sync_redrive"


@pytest.fixture(scope="module")
def dags():
    """The DAGs, as the api-server has them."""
    bag = DagBag(ROOT / "dags")
    return {name: DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[name])) for name in (RUN, REDRIVE)}


def trigger(dag, **conf):
    """Validate as `create_dagrun` does for a trigger with this `conf`."""
    dag.params.deep_merge(conf).validate()


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        (RUN, {"from": "yesterday", "to": "2026-11-02"}),
        (RUN, {"from": "2026-11-01T00:00:00+2"}),
        (RUN, {"order_ids": [7]}),
        (RUN, {"order_ids": [" "]}),
        (RUN, {"mode": "plam"}),
        (RUN, {"trust": "me"}),
        (REDRIVE, {"destination": "nobody"}),
        (REDRIVE, {}),
        (REDRIVE, {"destination": "yespo", "to": "1 November"}),
        (REDRIVE, {"destination": "yespo", "decision": "remit"}),
        (REDRIVE, {"destination": "yespo", "batch": ["x"]}),
        (REDRIVE, {"destination": "yespo", "at_most": 0}),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(dags, name, conf):
    """No run is made for it."""
    with pytest.raises(ParamValidationError):
        trigger(dags[name], **conf)


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        (RUN, {}),
        (RUN, {"from": "2026-11-01T00:00:00+02:00", "to": "2026-11-02T00:00:00.5Z"}),
        (RUN, {"from": "2026-11-01 00:00", "to": "2026-11-02", "order_ids": ["A-1"]}),
        (RUN, {"from": None, "to": "", "order_ids": None}),
        (REDRIVE, {"destination": "yespo", "reason": "OS-129", "batch": 4711}),
        (REDRIVE, {"destination": "yespo", "reason": "a part", "batch": [4711, 4712], "entries": [1]}),
    ],
    ids=str,
)
def test_a_right_value_is_taken(dags, name, conf):
    """Also a time without a zone, a reason that is not in the list, and one batch or several."""
    trigger(dags[name], **conf)


def test_the_form_lists_each_reason(dags):
    """A person picks one; held orders have a part of the form of their own."""
    params = dags[REDRIVE].params
    listed = params.get_param("reason").schema["examples"]
    assert [text.split()[0] for text in listed] == [each.code for each in rejections() if each.reason != HELD_REASON]
    sections = {name: params.get_param(name).schema.get("section") for name in params}
    assert sections["reason"] == sections["entries"] != sections["batch"] == sections["decision"]
