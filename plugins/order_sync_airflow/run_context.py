"""Reads a run's request, key and params from Airflow's context, and hands its window from task to task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import Param
from airflow.sdk.timezone import parse

from include.order_sync import stops
from include.order_sync.configuration.values import known_key
from include.order_sync.errors import StopError
from include.order_sync.model import RESEND_MARK, Window
from include.order_sync.sources.run_window import RunRequest
from include.order_sync.transform.checks import TIME_EXAMPLE
from order_sync_airflow import run_figures

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.configuration.models import Destination

# Airflow's types of runs -> what started a run; every other type is as a person's. So are a DAG that triggers ours
# (TriggerDagRunOperator) and *Materialize* on our asset's page: both may give params.
STARTED_BY: dict[str, Literal["schedule", "backfill"]] = {"scheduled": "schedule", "backfill": "backfill"}

_TIME_PATTERN = (
    "^([0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?$"
)

PLAN_ONLY = "PLAN ONLY"

WINDOW_KEY = "window"
LEFT_OUT_KEY = "left_out"
ADOPT_BEFORE_KEY = "adopt_before"
ADOPT_BUT_AT_KEY = "adopt_but_at"

# The XCom in which transform gives the newest change among the run's rows.
NEWEST_READ_KEY = "newest_read"

# The XCom in which extract records when it read the source.
READ_AT_KEY = "read_at"


def time_param(title: str, description: str | None = None, section: str | None = None) -> Param:
    """Return a param that is a time or empty; Airflow refuses others when a person triggers a run.

    Args:
        title: of the field in the form.
        description: the text below it.
        section: of the form.
    """
    shown: dict[str, Any] = {"title": title, "description": description, "section": section}
    given = {key: text for key, text in shown.items() if text}
    return Param(None, type=["null", "string"], format="date-time", pattern=_TIME_PATTERN, **given)


def run_request(context: Context) -> RunRequest:
    """Return the run's request, from its type, data interval and params."""
    run_type = context["dag_run"].run_type
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    return RunRequest(
        by=STARTED_BY.get(run_type, "person"),
        # A manual run without a logical date has no data interval: the keys are absent.
        interval=Window(start, end) if start and end else None,
        start=param_time(context, "from"),
        end=param_time(context, "to"),
        order_ids=_order_ids(context["params"].get("order_ids")),
    )


def refuse_unknown_params(context: Context) -> None:
    """Raise StopError for a param that the DAG does not have, or that Airflow has ignored: a plan would deliver."""
    for name, value in (getattr(context["dag_run"], "conf", None) or {}).items():
        if context["params"].get(name) != value:
            raise StopError(
                stops.RISKY_SETTINGS,
                f"The run was given the param `{name}`, and Airflow has ignored it. Nothing was read or sent: set "
                "[core] dag_run_conf_overrides_params to True, and clear this run.",
            )
    known = list(context["dag"].params)
    for name in context["params"]:
        try:
            known_key("param", name, known)
        except ValueError as error:
            raise StopError(stops.UNKNOWN_PARAM, f"{error}. Nothing was read or sent: trigger it again.") from None


def _order_ids(given: object) -> frozenset[str]:
    """Return the ids of a param, which Airflow has not checked in every kind of run."""
    if not given:
        return frozenset()
    if not isinstance(given, list) or not all(isinstance(order_id, str) and order_id.strip() for order_id in given):
        raise StopError(
            stops.WRONG_PARAM,
            f'The param `order_ids` is {given!r}: give a list of texts that are not empty, as ["A-1"].',
        )
    return frozenset(order_id.strip() for order_id in given)


def mode(context: Context, destination: Destination) -> Literal["deliver", "plan", "adopt"]:
    """Return what a run does; one of a destination that is not live plans, whatever its params."""
    wanted: Literal["deliver", "plan", "adopt"] = context["params"].get("mode", "deliver")
    return wanted if destination.live else "plan"


def as_begun(context: Context, destination: Destination) -> Destination:
    """Return the destination as extract has found it: a run that its note calls PLAN ONLY sends nothing.

    A person may have made it live meanwhile.
    """
    began_live = run_figures.pull_kind(context) != PLAN_ONLY
    return destination if began_live else destination.model_copy(update={"live": False})


def is_plan(context: Context, destination: Destination) -> bool:
    """Return whether the run sends and remembers nothing: a plan, or the dry run of a redrive."""
    return mode(context, destination) == "plan" or bool(context["params"].get("dry_run"))


def kind(context: Context, destination: Destination) -> str:
    """Return what a run is to do, for its note; empty if it delivers."""
    if not destination.live:
        return PLAN_ONLY
    return {"plan": "PLAN", "adopt": "ADOPT"}.get(mode(context, destination), "")


def trusts_source(context: Context) -> bool:
    """Return whether the run takes what the source says for newer than what was attempted, whatever its times are."""
    return context["params"].get("trust") == "source"


def push_adopt_before(context: Context, time: datetime | None, but_at: datetime | None = None) -> None:
    """Push the time before which the run adopts changes, None if it adopts none; and the one time that it sends."""
    context["ti"].xcom_push(ADOPT_BEFORE_KEY, time and time.isoformat())
    context["ti"].xcom_push(ADOPT_BUT_AT_KEY, but_at and but_at.isoformat())


def pull_adopt_before(context: Context) -> datetime | None:
    """Return the time that extract has pushed; None in a redrive."""
    return _pull_time(context, ADOPT_BEFORE_KEY)


def pull_adopt_but_at(context: Context) -> datetime | None:
    """Return the time of changes that are sent all the same."""
    return _pull_time(context, ADOPT_BUT_AT_KEY)


def _pull_time(context: Context, key: str) -> datetime | None:
    text = context["ti"].xcom_pull(task_ids="extract", key=key)
    return None if text is None else datetime.fromisoformat(text)


def push_window(context: Context, window: Window | None) -> None:
    """Push the window that extract has read; None if the run has not read all orders of a window."""
    texts = None if window is None else {"start": window.start.isoformat(), "end": window.end.isoformat()}
    context["ti"].xcom_push(WINDOW_KEY, texts)


def pull_window(context: Context) -> Window | None:
    """Return the window that extract has pushed."""
    texts = context["ti"].xcom_pull(task_ids="extract", key=WINDOW_KEY)
    return None if texts is None else Window(*(datetime.fromisoformat(texts[name]) for name in ("start", "end")))


def push_newest_read(context: Context, time: datetime | None) -> None:
    """Push the newest change among the run's rows; None if no row has a time."""
    context["ti"].xcom_push(NEWEST_READ_KEY, time and time.isoformat())


def pull_newest_read(context: Context) -> datetime | None:
    """Return the time that transform has pushed; None if the run has no rows, or is a redrive of known ones."""
    text = context["ti"].xcom_pull(task_ids="transform", key=NEWEST_READ_KEY)
    return None if text is None else datetime.fromisoformat(text)


def push_left_out(context: Context, message: str | None) -> None:
    """Push the message about older orders and unusable files that the run has left out; None if there are none."""
    context["ti"].xcom_push(LEFT_OUT_KEY, message)


def stop_if_left_out(context: Context, destination: Destination) -> None:
    """Raise StopError at the end of a run that has left older orders or files out; a plan only warns."""
    message = context["ti"].xcom_pull(task_ids="extract", key=LEFT_OUT_KEY)
    if message and mode(context, destination) != "plan":
        raise StopError(stops.LEFT_OUT, message)


def param_time(context: Context, name: str) -> datetime | None:
    """Return the time of a param, None if it is empty; a time without an offset is UTC."""
    text = context["params"].get(name)
    if not text:
        return None
    try:
        return parse(text, timezone=UTC)  # else Airflow's default time zone would count
    except ValueError:
        raise StopError(stops.WRONG_PARAM, f"The param `{name}` is {text!r}: give a time as {TIME_EXAMPLE}.") from None


def push_read_at(context: Context) -> datetime:
    """Push and return the time at which extract starts to read."""
    read_at = datetime.now(UTC)
    context["ti"].xcom_push(READ_AT_KEY, read_at.isoformat())
    return read_at


def pull_read_at(context: Context) -> datetime | None:
    """Return the time at which extract has started to read."""
    return _pull_time(context, READ_AT_KEY)


def run_key(context: Context) -> str:
    """Return the key by which the ledger counts a run. A run that a person clears gets a new key.

    Clearing an ended run changes its start. Clearing extract in a running run changes only the time of reading.
    What stands before its last two words names the run, and stays after a clear (look_ahead.py). A backfill with
    `resend` may take over a run that has sent without it: the start of a resend has a mark.
    """
    dag_run, read_at = context["dag_run"], context["ti"].xcom_pull(task_ids="extract", key=READ_AT_KEY)
    started_at = dag_run.start_date.isoformat() if dag_run.start_date else None
    mark = RESEND_MARK if context["params"].get("resend") else ""
    return f"{dag_run.dag_id} {dag_run.run_id} {mark}{started_at} {read_at}"
