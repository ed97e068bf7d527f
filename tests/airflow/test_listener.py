"""The listener on Airflow's own models: the note of a run, and open runs of destinations that are gone."""

from datetime import UTC, datetime, timedelta

import airflow.models
import pytest
import sqlalchemy as sa
from airflow.models.base import Base
from airflow.models.dag import DagModel, DagTag
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import DAG, BaseOperator
from order_sync_airflow import listener, run_note
from order_sync_airflow.run_figures import TAG
from sqlalchemy.orm import Session

BEGUN = datetime(2026, 11, 21, 10, 0, 5, tzinfo=UTC)
TASKS = ("extract", "transform", "approve", "load")
SENT = {"rows": 10, "superseded": 1, "skipped": 2, "orders": 7, "accepted": 3, "rejected": 1, "requests": 2}


@pytest.fixture
def session():
    """A session of an Airflow database in memory."""
    airflow.models.import_all_models()
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(DagBundleModel(name="dags-folder"))
        yield session


class Airflow:
    """Adds DAGs and runs, and ends runs as the scheduler does."""

    def __init__(self, session):
        self.session = session

    def dag(self, dag_id, tag=TAG, *, parsed_minutes_ago=60, is_stale=False, has_import_errors=False):
        """Add a DAG."""
        parsed = datetime.now(UTC) - timedelta(minutes=parsed_minutes_ago)
        model = DagModel(dag_id=dag_id, bundle_name="dags-folder", last_parsed_time=parsed)
        model.is_stale, model.has_import_errors = is_stale, has_import_errors
        model.tags = [DagTag(name=tag, dag_id=dag_id)]
        self.session.add(model)
        self.session.flush()

    def run(self, dag_id="order_sync_yespo", state="running", number=1, **tasks):
        """Add a run with these states of its tasks; return it."""
        run = DagRun(dag_id, f"run-{number}", run_type="scheduled", state=state, run_after=BEGUN, start_date=BEGUN)
        run.id = self.session.scalar(sa.select(sa.func.count()).select_from(DagRun)) + 1
        self.session.add(run)
        self.session.flush()
        with DAG(dag_id, schedule=None):
            for name in TASKS:
                task = TaskInstance(BaseOperator(task_id=name), dag_version_id=None, run_id=run.run_id)
                task.state = tasks.get(name)
                self.session.add(task)
        self.session.flush()
        return run

    def push(self, run, task, key, value):
        """Add an XCom, as a task pushes it; a second one replaces the first."""
        self.session.execute(sa.delete(XComModel).where(XComModel.task_id == task, XComModel.key == key))
        row = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task, "map_index": -1, "key": key}
        self.session.add(XComModel(dag_run_id=run.id, value=value, **row))
        self.session.flush()

    def end(self, run, state="success", msg="", **tasks):
        """End the run, with these states of its tasks (success, if not said); return its note."""
        for task in run.get_task_instances(session=self.session):
            task.state = tasks.get(task.task_id, "success")
        run.set_state(state)
        (listener.on_dag_run_success if state == "success" else listener.on_dag_run_failed)(run, msg)
        self.session.flush()
        self.session.refresh(run)
        return run.note


@pytest.fixture
def airflow_(session):
    """The Airflow, with one destination's DAG."""
    airflow_ = Airflow(session)
    airflow_.dag("order_sync_yespo")
    return airflow_


def test_a_note_adds_up(airflow_):
    """It names what became of all rows that were read, and leaves out what is zero."""
    run = airflow_.run()
    airflow_.push(run, "extract", "counts", {"rows": 10, "skipped": 2})
    airflow_.push(run, "load", "counts", SENT | {"unchanged": 1, "not_for_provider": 2})
    assert airflow_.end(run) == (
        "Order Sync, begun 2026-11-21 10:00:05 UTC: read 10 = accepted 3 + rejected 1 + unchanged 1 + superseded 1 + "
        "skipped 2 + not for this provider 2; requests 2."
    )


def test_a_note_names_orders_to_look_at(airflow_):
    """Late orders, and stale ones whose row has changed, come after the sum: they are among its figures."""
    run = airflow_.run()
    airflow_.push(run, "load", "counts", SENT | {"stale": 3, "late": 2, "stale_changed": 1})
    assert airflow_.end(run).endswith("; requests 2, late 2, stale changed 1.")


def test_a_red_runs_note_names_what_it_has_not_come_to_and_why(airflow_):
    """The rest of the rows is named, and the reason of the task that failed first is in one line."""
    run = airflow_.run()
    airflow_.push(run, "extract", "counts", {"rows": 10, "skipped": 2})
    airflow_.push(run, "transform", "reason", "1 order is rejected: status: missing")
    airflow_.push(run, "load", "counts", SENT)
    airflow_.push(run, "load", "reason", "Yespo answered HTTP 401.\nCorrect the connection.")
    assert airflow_.end(run, "failed", load="failed") == (
        "Order Sync, begun 2026-11-21 10:00:05 UTC: read 10 = accepted 3 + rejected 1 + superseded 1 + skipped 2 + "
        "not reached 3; requests 2. Yespo answered HTTP 401. Correct the connection."
    )


def test_a_green_run_names_the_first_reason_of_its_rejections(airflow_):
    """The reason that transform gives comes before load's."""
    run = airflow_.run()
    airflow_.push(run, "transform", "reason", "1 order rejected: status: missing")
    airflow_.push(run, "load", "reason", "2 orders rejected: the service says no")
    assert airflow_.end(run).endswith("requests 0. 1 order rejected: status: missing")


def test_a_run_that_ends_without_a_word_is_noted_too(airflow_):
    """A task that was killed, a run that was too long, and a run of which no task has begun have a note."""
    killed, late, early = (airflow_.run(number=number) for number in range(3))
    assert airflow_.end(killed, "failed", transform="failed").endswith(
        "transform ended without a word: look at its log."
    )
    assert airflow_.end(late, "failed", "timed_out", load="skipped").endswith("The run has reached its time limit.")
    early.start_date = None
    nothing = dict.fromkeys(TASKS)
    assert (
        airflow_.end(early, "failed", **nothing)
        == "Order Sync, not begun: read 0 = accepted 0 + rejected 0; requests 0."
    )


def test_a_note_says_what_the_run_was_to_do(airflow_):
    """PLAN ONLY and the like stand before the figures."""
    run = airflow_.run()
    airflow_.push(run, "extract", "kind", "PLAN ONLY")
    assert airflow_.end(run).startswith("Order Sync, begun 2026-11-21 10:00:05 UTC, PLAN ONLY: read 0 = ")


def test_a_cleared_run_keeps_what_it_has_delivered_before(airflow_):
    """Each go adds to `earlier`; a second note about the same go does not."""
    run = airflow_.run()
    for go, (accepted, earlier) in enumerate([(3400, 0), (0, 3400), (5, 3400), (0, 3405)]):
        run.start_date = BEGUN + timedelta(minutes=go)
        airflow_.push(run, "load", "counts", {"rows": 3400, "accepted": accepted, "unchanged": 3400 - accepted})
        note = airflow_.end(run)
        assert airflow_.end(run, "failed") == note  # as a person may mark it
        assert f"accepted {accepted} + " in note
        assert ("earlier" in note) == bool(earlier)
        assert f"; accepted {earlier} earlier; " in note or not earlier
        assert note.count("Order Sync") == 1


def test_a_person_s_note_is_kept_above_ours(airflow_):
    """What people write above, below and around our line stays, and ours stands once, below it."""
    run = airflow_.run()
    run.note = "Order Sync: ask Olena\nread 5 times"
    ours = airflow_.end(run).splitlines()[-1]
    assert run.note == f"Order Sync: ask Olena\nread 5 times\n\n{ours}"
    run.note = f"{run.note}\nShe says it is fine."
    assert airflow_.end(run) == f"Order Sync: ask Olena\nread 5 times\n\nShe says it is fine.\n\n{ours}"


@pytest.mark.parametrize("written", [0, 800, 920, 1000])
def test_a_note_is_never_too_long(airflow_, written):
    """Airflow takes 1000 characters: a long reason is cut, and a person's long note stays whole."""
    run = airflow_.run()
    if written:
        run.note = "x" * written
    airflow_.push(run, "load", "reason", "Мало місця. " * 100)
    for _ in range(2):
        note = airflow_.end(run, "failed", load="failed")
        assert len(note) <= run_note.NOTE_LENGTH
        assert note.startswith("x" * written)
        assert note.count("Order Sync") == (written < 920)
        assert ("Мало" in note) == (written < 920)


def test_other_dags_get_no_note(airflow_):
    """A DAG without our tag is left alone."""
    airflow_.dag("another", tag="another")
    assert airflow_.end(airflow_.run("another")) is None


def test_open_runs_of_a_removed_destination_end(airflow_):
    """A run of any DAG that begins ends them: running tasks fail, the others are skipped, and the note says why."""
    airflow_.dag("order_sync_gone", is_stale=True)
    running = airflow_.run("order_sync_gone", extract="success", transform="running")
    queued = airflow_.run("order_sync_gone", "queued", number=2)
    done = airflow_.run("order_sync_gone", "success", number=3)
    another = airflow_.run()
    listener.on_dag_run_running(another, "")
    states = {task.task_id: task.state for task in running.get_task_instances(session=airflow_.session)}
    assert states == {"extract": "success", "transform": "failed", "approve": "skipped", "load": "skipped"}
    assert [run.state for run in (running, queued, done, another)] == ["failed", "failed", "success", "running"]
    for run in (running, queued):
        assert "not in the configuration any more" in run.note
    assert done.note is None


@pytest.mark.parametrize(
    ("tag", "state"),
    [
        pytest.param(TAG, {"is_stale": False}, id="it is there"),
        pytest.param(TAG, {"has_import_errors": True}, id="its file has an error"),
        pytest.param(TAG, {"parsed_minutes_ago": 1}, id="away for a moment"),
        pytest.param("another", {}, id="not ours"),
        pytest.param(TAG, {"dag_id": "order_sync_rees46"}, id="the configuration has it: its file was not parsed"),
        pytest.param(TAG, {"dag_id": "order_sync_redrive"}, id="the redrive's file was not parsed"),
    ],
)
def test_no_other_runs_are_ended(airflow_, tag, state):
    """Only runs of destinations that are gone are ended."""
    given = {"dag_id": "there", "is_stale": True} | state
    airflow_.dag(tag=tag, **given)
    run = airflow_.run(given["dag_id"], load="running")
    airflow_.end(airflow_.run())
    assert run.state == "running"


@pytest.mark.parametrize(
    ("state", "tag", "stays"),
    [
        pytest.param(None, TAG, False, id="cleared"),
        pytest.param("success", TAG, True, id="answered before"),
        pytest.param("awaiting_input", TAG, True, id="waiting"),
        pytest.param(None, "another", True, id="not ours"),
    ],
)
def test_a_cleared_run_gets_a_new_form(airflow_, state, tag, stays):
    """Airflow would show the old one, with the plan of before the clear."""
    airflow_.dag("asking", tag=tag)
    run = airflow_.run("asking", approve=state)
    (asking,) = (ti for ti in run.get_task_instances(session=airflow_.session) if ti.task_id == "approve")
    of_another = airflow_.run("asking", number=2).get_task_instances(session=airflow_.session)[0]
    for task in (asking, of_another):
        airflow_.session.add(HITLDetail(ti_id=task.id, options=["Approve"], subject="Send?", params={}))
    airflow_.session.flush()
    listener.on_dag_run_running(run, "")
    left = set(airflow_.session.scalars(sa.select(HITLDetail.ti_id)))
    assert left == ({asking.id, of_another.id} if stays else {of_another.id})


def test_runs_of_a_destination_with_mistakes_are_not_ended(airflow_, tmp_path, monkeypatch):
    """The configuration names it: its DAG stays, and says the mistakes itself."""
    file = tmp_path / "order_sync.yaml"
    file.write_text("destinations:\n  mistaken: {provider: yespoo}\n", "utf-8")
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(file))
    airflow_.dag("order_sync_mistaken", is_stale=True)
    run = airflow_.run("order_sync_mistaken", load="running")
    listener.on_dag_run_running(airflow_.run(), "")
    assert run.state == "running"
