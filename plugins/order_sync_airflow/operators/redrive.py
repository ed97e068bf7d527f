"""Stages rows of the quarantine for a redrive, dismisses entries, and records people's decisions on held orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from include.order_sync import stops, tuning
from include.order_sync.errors import StopError
from include.order_sync.redact import redact
from order_sync_airflow import log_tables, run_context, run_figures
from order_sync_airflow.ledger_connection import REDRIVEN_KEY, deployment_cipher, open_ledger
from order_sync_airflow.operators.base import DestinationOperator, read_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.ledger.quarantine import Filter
    from include.order_sync.ledger.session import LedgerSession

# A decision covers all orders that it names.
ALL_OF_A_DECISION = 1_000_000


class StageQuarantineOperator(DestinationOperator):
    """Stages the quarantined rows that the run's params choose, as extract stages the rows of a source.

    With the param `decision` these are held orders: `accept` closes them; `resend` stages their rows, also the rows of
    an earlier try that has decided and not sent. `dismiss` closes entries of the quarantine that no one need send.

    :param destination: its name in the configuration. (templated)

    Returns the folder of the staged parts. The XCom `counts` has rows.
    """

    time_limit_s = tuning.EXTRACT_TASK_S
    template_fields: Sequence[str] = ("destination",)

    def execute(self, context: Context) -> str:
        """Find, decide and stage; a dry run only lists."""
        from include.order_sync.ledger import quarantine
        from include.order_sync.ledger.encrypted_rows import decrypt_rows, service_messages
        from include.order_sync.staging.run_folder import Staging

        configuration, destination = self.read_configuration()
        run_context.refuse_unknown_params(context)
        params = context["params"]
        staging = Staging(read_folder(configuration.staging, context, run_context.push_read_at(context)))
        dry_run = params["dry_run"] or not destination.live
        decision = params["decision"]
        kind = "PLAN ONLY" if not destination.live else "REDRIVE, dry run" if dry_run else "REDRIVE"
        run_figures.push_kind(context, f"{kind} of {decision}" if dry_run and decision else kind)
        if not destination.live:
            self.log.warning("Dry run: destination %r is not `live` in the configuration.", destination.name)
        with open_ledger(context, destination, read_only=dry_run) as ledger:
            with ledger.transaction() as cursor:
                found = quarantine.find(cursor, ledger.sender.destination, _filter(context))
            tokens = [entry["encrypted_row"] for entry in found]
            messages = [said and redact(said) for said in service_messages(tokens, deployment_cipher())]
            self.log.info("%d entries\n%s", len(found), log_tables.entries_table(found, messages))
            if params["decision"] == "dismiss":
                self._dismiss(context, ledger, [entry["id"] for entry in found], dry_run=dry_run)
                found = []
            elif dry_run:
                found = []
            elif params["decision"]:
                with_rows = {entry["order_id"] for entry in found}
                rowless = self._decide(context, ledger, params["decision"], with_rows) - with_rows
                if params["decision"] == "resend" and rowless:
                    self.log.warning(
                        "%d of these have no row in the quarantine (%s): they are sent by the next run that reads "
                        "them. Trigger the destination's DAG with `from` and `to`.",
                        len(rowless),
                        ", ".join(sorted(rowless)[:20]),
                    )
                if params["decision"] == "accept":
                    found = []
        orders, items, closed = decrypt_rows([entry["encrypted_row"] for entry in found], deployment_cipher())
        if closed:
            self.log.error(
                "%d entries can't be opened with today's keys, and stay: put the key that encrypted them behind "
                "today's in Airflow's [core] fernet_key (new,old).",
                len(closed),
            )
        rows, _ = staging.stage_raw([orders], [items] if items is not None else [])
        context["ti"].xcom_push(
            REDRIVEN_KEY, [entry["id"] for index, entry in enumerate(found) if index not in set(closed)]
        )
        run_figures.push(context, rows=rows)
        return str(staging.folder)

    def _decide(self, context: Context, ledger: LedgerSession, decision: Any, with_rows: set[str]) -> set[str]:
        """Record the decision, and return the ids of its orders.

        A decision outlives its task: orders of `with_rows` that are not decided now were decided by a task that ended
        before it sent them.
        """
        from include.order_sync.ledger import quarantine

        params = context["params"]
        if not params["order_ids"] and params["batch"] is None:
            raise StopError(
                stops.NO_CHOICE, "Say which held orders the decision is about: give the param `order_ids`, or `batch`."
            )
        if params["reason"] or params["from"] or params["to"] or params["entries"]:
            raise StopError(
                stops.NO_CHOICE,
                "A decision is about `order_ids` or a `batch`: leave `reason`, `from`, `to` and `entries` empty.",
            )
        who = _who(context)
        with ledger.transaction() as cursor:
            decided = quarantine.decide(
                cursor,
                ledger.sender.destination,
                decision,
                who,
                order_ids=params["order_ids"] or (),
                batch=params["batch"],
            )
        left = with_rows - set(decided)
        if not decided and not left:
            raise StopError(
                stops.NONE_HELD, "No order of these is held: nothing was decided. `make status` counts those that are."
            )
        run_figures.push_kind(context, f"REDRIVE, decided to {decision} {len(decided)} held orders")
        self.log.info("%s says %s of %d held orders: %s", who, decision, len(decided), ", ".join(decided[:20]))
        if left:
            self.log.info("%d were decided before, and not sent since: %s", len(left), ", ".join(sorted(left)[:20]))
        return set(decided)

    def _dismiss(self, context: Context, ledger: LedgerSession, ids: list[int], *, dry_run: bool) -> None:
        """Close the entries with the person's note; a dry run only checks the params."""
        from include.order_sync.ledger import quarantine

        params = context["params"]
        if params["batch"] is not None or not any(params[name] for name in ("entries", "reason", "order_ids")):
            raise StopError(
                stops.NO_CHOICE,
                "Say which entries are dismissed: give the param `entries`, `reason` or `order_ids`, and no `batch`.",
            )
        note = (params["note"] or "").strip()
        if not note:
            raise StopError(stops.NO_CHOICE, "Say in the param `note` why these entries are dismissed.")
        if not dry_run:
            with ledger.transaction() as cursor:
                closed = quarantine.dismiss(cursor, ids, _who(context), note)
            run_figures.push_kind(context, f"REDRIVE, dismissed {closed} entries")
            self.log.info("%s dismissed %d entries: %s", _who(context), closed, note)


def _who(context: Context) -> str:
    return context["dag_run"].triggering_user_name or "unknown"


def _filter(context: Context) -> Filter:
    from include.order_sync.codes import pattern
    from include.order_sync.ledger.quarantine import Filter

    params = context["params"]
    about_held = params["decision"] in ("resend", "accept")
    return Filter(
        reason=pattern(params["reason"] or ""),
        seen_from=run_context.param_time(context, "from"),
        seen_to=run_context.param_time(context, "to"),
        order_ids=tuple(params["order_ids"] or ()),
        entries=tuple(params["entries"] or ()),
        batch=params["batch"],
        held=about_held,
        decided=params["decision"] == "resend",
        at_most=ALL_OF_A_DECISION if about_held else params["at_most"],
    )
