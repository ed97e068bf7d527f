"""Waits for a person's approval before a run sends more notifications than usual."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
from airflow.sdk.timezone import parse

from include.order_sync import stops, tuning
from include.order_sync.counted import counted
from include.order_sync.errors import StopError, TryAgainError
from order_sync_airflow import alarms, run_context
from order_sync_airflow.brake import APPROVAL_KEY, NOTIFICATIONS_KEY
from order_sync_airflow.operators.base import DestinationOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from airflow.sdk.execution_time.comms import HITLDetailRequestResult

    from include.order_sync.model import Window

AGAIN = "A scheduled run's orders are asked for again by the next one; of other runs clear transform to be asked again."

DECIDED = " The decision to resend stays in force: to take it back, decide `accept` by `order_ids`."


class ApproveOperator(DestinationOperator, ApprovalOperator):
    """Shows what a run would send, and waits; transform skips it if nothing is to be approved.

    :param destination: its name in the configuration. (templated)

    The XCom `approval` has the person's answer, which load writes into the ledger: this task needs no ledger, so that
    it needs no retries. With retries left Airflow would ask again after a refusal.
    """

    time_limit_s = tuning.APPROVE_TASK_S
    template_fields = ("destination",)

    def __init__(self, **kwargs: Any) -> None:
        kwargs["retries"] = 0
        super().__init__(
            subject="Send the notifications of this run?",
            response_timeout=timedelta(seconds=tuning.ANSWER_OF_A_PERSON_S),
            fail_on_reject=True,
            **kwargs,
        )
        self.params = _form(1, None)  # those of the DAG are no fields of this form

    def execute(self, context: Context) -> NoReturn:
        """Ask; Airflow resumes the task with the answer."""
        asked = context["ti"].xcom_pull(task_ids="transform", key=NOTIFICATIONS_KEY)
        if not asked:
            raise StopError(stops.NOT_APPROVED, "Nothing is to be approved: clear the run from transform on.")
        configuration, destination = self.read_configuration()
        self.subject = f"{destination.name}: send {counted(asked['total'], 'notification')}?"
        self.body = body(asked, destination.approve_above)
        self.params = _form(asked["total"], run_context.pull_window(context))
        self._show_form(context)
        self.log.warning("%s\n%s", self.subject, self.body)
        # Not the destination's DAG: a redrive waits too.
        subject = f"Order Sync: {context['dag_run'].dag_id} waits for approval"
        said = (
            f"{destination.name}: {counted(asked['total'], 'notification')}, after {asked['recent']} of the last 24 "
            f"hours; run {context['run_id']}"
        )
        try:
            alarms.send(configuration.alarms, subject, [said])
        except TryAgainError as error:
            self.log.error("%s", error)  # the form waits all the same
        # Airflow's own execute would write the form once more, and so delete an answer that has come meanwhile.
        raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)

    def _show_form(self, context: Context) -> None:
        """Write the form; raise StopError if Airflow goes on showing one of before a clear (listener.py)."""
        form = CreateHITLDetailPayload(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            defaults=self.defaults,
            params=self.serialized_params,
            multiple=self.multiple,
            assigned_users=[],  # without them Airflow's API refuses it
        )
        shown = cast("HITLDetailRequestResult", task_runner.SUPERVISOR_COMMS.send(form))
        if (shown.subject, shown.body, shown.params) != (form.subject, form.body, form.params):
            raise StopError(
                stops.NOT_APPROVED,
                "Airflow's form still shows what this run was to send before it was cleared. Nothing was sent. "
                "Clear the run from transform on once more: it then gets a new form.",
            )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Push the approval; raise StopError if a person has refused, or nobody has answered."""
        try:
            answer = super().execute_complete(context, event)
        except HITLRejectException:
            stays = DECIDED if context["params"].get("decision") == "resend" else ""
            raise StopError(
                stops.NOT_APPROVED, f"{_who(event)} has refused to send. Nothing was sent. {AGAIN}{stays}"
            ) from None
        given: Mapping[str, Any] = answer["params_input"]
        asked = context["ti"].xcom_pull(task_ids="transform", key=NOTIFICATIONS_KEY)
        window = run_context.pull_window(context)
        start = _time(given.get("covers_from")) or (window and window.start)
        end = _time(given.get("covers_to")) or (window and window.end)
        approval = {
            "notifications": int(given.get("notifications", asked["total"])),
            "start": start.isoformat() if start and end else None,
            "end": end.isoformat() if start and end else None,
            "by": _who(event),
            "at": answer["responded_at"].isoformat(),
        }
        self.log.info("%(by)s has approved %(notifications)s notifications of %(start)s to %(end)s", approval)
        context["ti"].xcom_push(APPROVAL_KEY, approval)

    def process_trigger_event_error(self, event: dict[str, Any]) -> NoReturn:
        """Raise StopError: Airflow calls it when nobody has answered in time."""
        hours = tuning.ANSWER_OF_A_PERSON_S // 3600
        raise StopError(
            stops.NOT_APPROVED,
            f"Nobody has answered within {hours} hours ({event['error_type']}). Nothing was sent. {AGAIN}",
        )


def body(asked: Mapping[str, Any], approve_above: int) -> str:
    """Return the text of the form: counts, ages and order ids, and no personal data.

    Args:
        asked: the XCom `notifications`.
        approve_above: of the destination.
    """
    changes = [f"| {'(new)' if old is None else old} | {new} | {count} |" for old, new, count in asked["changes"]]
    ages = [f"| {age} | {count} |" for age, count in asked["ages"].items()]
    more = ", ..." if asked["total"] > len(asked["order_ids"]) else ""
    return "\n".join(
        [
            f"This run would send {counted(asked['total'], 'notification')}; {asked['recent']} left in the last 24 "
            f"hours, and `approve_above` is {approve_above}. Nothing is sent until you answer.",
            "",
            "| the service has | it gets | orders |",
            "|---|---|---|",
            *changes,
            "",
            "| age of the change | orders |",
            "|---|---|",
            *ages,
            "",
            f"Orders: {', '.join(asked['order_ids'])}{more}",
        ]
    )


def _form(total: int, window: Window | None) -> ParamsDict:
    """Return the fields of the form; their names are none of the DAG's params."""
    time: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
    start, end = (window.start.isoformat(), window.end.isoformat()) if window else (None, None)
    return ParamsDict(
        {
            "notifications": Param(
                total,
                type="integer",
                minimum=1,
                title="Notifications",
                description="How many may be sent. For a backfill: by all of its runs together.",
            ),
            "covers_from": Param(
                start,
                title="From",
                description="Of a backfill: its first hour. Then its other runs need no approval of their own.",
                **time,
            ),
            "covers_to": Param(end, title="To", description="Of a backfill: the end of its last hour.", **time),
        }
    )


def _time(text: str | None) -> datetime | None:
    return parse(text, timezone=UTC) if text else None  # else Airflow's default time zone would count


def _who(event: Mapping[str, Any]) -> str:
    user = event.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown")
