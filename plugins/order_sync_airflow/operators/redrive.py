"""Stages rows of the quarantine for a redrive, dismisses entries, and records people's decisions on held orders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.order_sync import stops, tuning
from include.order_sync.counted import counted, named, things
from include.order_sync.errors import StopError
from include.order_sync.redact import redact
from order_sync_airflow import log_tables, param_rules, run_context, run_figures
from order_sync_airflow.ledger_connection import REDRIVEN_KEY, deployment_cipher, open_ledger
from order_sync_airflow.operators.base import DestinationOperator, read_folder

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.sdk import Context

    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.ledger.quarantine import Filter
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.staging.run_folder import Staging

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
        from include.order_sync.ledger.encrypted_rows import service_messages
        from include.order_sync.staging.run_folder import Staging

        configuration, destination = self.read_configuration()
        run_context.refuse_unknown_params(context)
        wanted = _filter(context)
        params = context["params"]
        source = configuration.sources[destination.source]
        staging = Staging(read_folder(configuration.staging, context, run_context.push_read_at(context)))
        dry_run = params["dry_run"] or not destination.live
        decision = params["decision"]
        kind = "PLAN ONLY" if not destination.live else "REDRIVE, dry run" if dry_run else "REDRIVE"
        run_figures.push_kind(context, f"{kind} of {decision}" if dry_run and decision else kind)
        if not destination.live:
            self.log.warning("Dry run: destination %r is not `live` in the configuration.", destination.name)
        with open_ledger(context, destination, read_only=dry_run) as ledger:
            with ledger.transaction() as cursor:
                found = quarantine.find(cursor, ledger.sender.destination, wanted)
            tokens = [entry["encrypted_row"] for entry in found]
            messages = [said and redact(said) for said in service_messages(tokens, deployment_cipher())]
            now = would_be(found, source, destination, staging) if dry_run else None
            self.log.info("%s\n%s", counted(len(found), "entry"), log_tables.entries_table(found, messages, now))
            if dry_run or decision not in ("resend", "accept"):  # else the decision says which were held
                self._warn_of_missing("order", params["order_ids"], {entry["order_id"] for entry in found})
            self._warn_of_missing("entry", params["entries"], {entry["id"] for entry in found})
            if decision == "dismiss" and not dry_run:
                self._dismiss(context, ledger, [entry["id"] for entry in found])
            elif decision and not dry_run:
                self._decide(context, ledger, decision, {entry["order_id"] for entry in found})
        is_sent = not dry_run and decision not in ("accept", "dismiss")
        self._stage(context, staging, found if is_sent else [], source)
        return str(staging.folder)

    def _stage(self, context: Context, staging: Staging, entries: Sequence[Mapping[str, Any]], source: Source) -> None:
        """Stage the rows of these entries; push their number, and the ids of the entries."""
        orders, items, closed = _opened(entries, source)
        if closed:
            self.log.error(
                "Not opened by today's keys, and still there: %s. Put the key that encrypted such rows behind today's "
                "in Airflow's [core] fernet_key (new,old).",
                counted(len(closed), "entry"),
            )
        rows, _ = staging.stage_raw([orders], [items] if items is not None else [])
        opened = [entry["id"] for index, entry in enumerate(entries) if index not in set(closed)]
        context["ti"].xcom_push(REDRIVEN_KEY, opened)
        run_figures.push(context, rows=rows)

    def _warn_of_missing(self, what: str, wanted: Collection[Any] | None, found: Collection[Any]) -> None:
        """Name each order or entry of the params that is not among those found."""
        missing = [str(each) for each in wanted or () if each not in found]
        if missing:
            self.log.warning(
                "Not among these are %d %s of the params: none is open for them, or another param leaves it out. "
                "`... order_sync_airflow.ledger order ORDER_ID` shows what became of an order. They are: %s",
                len(missing),
                things(len(missing), what),
                ", ".join(missing),
            )

    def _decide(self, context: Context, ledger: LedgerSession, decision: Any, with_rows: set[str]) -> None:
        """Record the decision on held orders.

        A decision outlives its task: orders of `with_rows` that are not decided now were decided by a task that ended
        before it sent them.

        Args:
            context: of the task.
            ledger: with the destination's lock.
            decision: resend or accept.
            with_rows: the ids of the orders whose rows were found in the quarantine.

        Raises:
            StopError: the params choose no order, or none of these is held.
        """
        from include.order_sync.ledger import quarantine

        params = context["params"]
        if not params["order_ids"] and not params["batch"]:
            raise StopError(
                stops.NO_CHOICE, "Say which held orders the decision is about: give the param `order_ids`, or `batch`."
            )
        who = _who(context)
        with ledger.transaction() as cursor:
            decided = quarantine.decide(
                cursor,
                ledger.sender.destination,
                decision,
                who,
                order_ids=params["order_ids"] or (),
                batches=_batches(params),
            )
        left = with_rows - set(decided)
        if not decided and not left:
            raise StopError(
                stops.NONE_HELD,
                "No order of these is held: nothing was decided. The page's Quarantine lists those that are.",
            )
        what = counted(len(decided), "held order")
        run_figures.push_kind(context, f"REDRIVE, decided to {decision} {what}")
        self.log.info("%s says %s of %s: %s", who, decision, what, named(decided))
        self._warn_of_missing("held order", params["order_ids"], left | set(decided))
        if left:
            self.log.info("Decided before, and not sent since: %d (%s)", len(left), named(sorted(left)))
        rowless = set(decided) - with_rows
        if decision == "resend" and rowless:
            self.log.warning(
                "The quarantine has no row of %d of these (%s): the next run that reads such an order sends it. "
                "Trigger the destination's DAG with `from` and `to`.",
                len(rowless),
                named(sorted(rowless)),
            )

    def _dismiss(self, context: Context, ledger: LedgerSession, ids: list[int]) -> None:
        """Close the entries with the person's note."""
        from include.order_sync.ledger import quarantine

        note = context["params"]["note"].strip()
        with ledger.transaction() as cursor:
            closed = quarantine.dismiss(cursor, ids, _who(context), note)
        run_figures.push_kind(context, f"REDRIVE, dismissed {counted(closed, 'entry')}")
        self.log.info("%s dismissed %s: %s", _who(context), counted(closed, "entry"), note)


def _opened(entries: Sequence[Mapping[str, Any]], source: Source) -> tuple[pa.Table, pa.Table | None, list[int]]:
    """Return what decrypt_rows() does of these entries, in the forms that the source has today.

    A cure may be a form that the configuration did not know when the row was read. An `order_id` stays as it was: the
    entry and the ledger know the order by it.
    """
    from include.order_sync.ledger.encrypted_rows import decrypt_rows
    from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS
    from include.order_sync.sources.raw_forms import RawForms

    forms = RawForms.of(source)

    def formed(table: pa.Table, columns: Sequence[str]) -> pa.Table:
        for column in columns:
            if column != "order_id":
                at = table.column_names.index(column)
                table = table.set_column(at, table.schema.field(at), forms.apply(column, table.column(at)))
        return table

    orders, items, closed = decrypt_rows([entry["encrypted_row"] for entry in entries], deployment_cipher())
    return formed(orders, ORDER_COLUMNS), None if items is None else formed(items, ITEM_COLUMNS), closed


def would_be(
    found: Sequence[Mapping[str, Any]], source: Source, destination: Destination, staging: Staging
) -> list[str]:
    """Return for each entry whether today's configuration would let its row pass, or why it would not.

    Args:
        found: as quarantine.find() gives them.
        source: of the rows.
        destination: of the orders.
        staging: of the run; the rows stay there only meanwhile.
    """
    from include.order_sync.codes import coded
    from include.order_sync.pipeline import transform

    orders, items, closed = _opened(found, source)
    said: dict[int, str] = {}
    if not orders.num_rows:
        return [""] * len(found)
    staging.stage_raw([orders], [items] if items is not None else [])
    try:
        counts = transform(staging, source, destination).counts
        if counts["orders"] > counts["rejected"] + counts["not_for_provider"]:
            for ready in staging.ready_parts():
                said |= dict.fromkeys(ready["position"], "would pass now")
        for rejected in staging.rejected_parts():
            for position, reasons in zip(rejected["position"], rejected["reasons"], strict=True):
                said[position] = f"still rejected: {'; '.join(map(coded, reasons))}"
    finally:
        staging.clear()
    opened = iter(range(len(found)))
    other = "not sent: another row of its order is newer, or its status is not for this provider"
    return ["" if index in closed else said.get(next(opened), other) for index in range(len(found))]


def _batches(params: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the param `batch`, which is one number or a list."""
    given = params["batch"]
    return tuple(given) if isinstance(given, list) else () if given is None else (given,)


def _who(context: Context) -> str:
    return context["dag_run"].triggering_user_name or "unknown"


def _filter(context: Context) -> Filter:
    from include.order_sync.codes import pattern
    from include.order_sync.ledger.quarantine import Filter

    params = context["params"]
    seen_from, seen_to = run_context.param_time(context, "from"), run_context.param_time(context, "to")
    param_rules.check_redrive(params, seen_from, seen_to)
    about_held = params["decision"] in ("resend", "accept")
    return Filter(
        reason=pattern(params["reason"] or ""),
        seen_from=seen_from,
        seen_to=seen_to,
        order_ids=tuple(params["order_ids"] or ()),
        entries=tuple(params["entries"] or ()),
        batches=_batches(params),
        held=about_held,
        decided=params["decision"] == "resend" or bool(params["order_ids"]),
        at_most=ALL_OF_A_DECISION if about_held else params["at_most"],
    )
