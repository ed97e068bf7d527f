"""The three tasks of a run, one function each. Operators, `make chaos` and benchmarks call the same code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.counted import ORDERS_NAMED
from include.order_sync.model import IDENTITY_COLUMNS
from include.order_sync.prefetch import prefetch
from include.order_sync.staging.run_folder import READY, Staging

if TYPE_CHECKING:  # a task imports only the modules that it needs
    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.delivery.brake import Brake
    from include.order_sync.delivery.client import Client
    from include.order_sync.delivery.decision_table import SendOptions
    from include.order_sync.delivery.result import DeliveryResult
    from include.order_sync.ledger.encrypted_rows import RowEncryptor
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.warehouse import WarehouseReader
    from include.order_sync.transform.transform import Rules, Transformed

WORDS_KEPT = 1000


@dataclass(frozen=True)
class ExtractResult:
    """The result of extract.

    Args:
        rows: of the source, with the skipped ones.
        skipped: rows that were no orders: before the header, blank, a repeated header, a footer, or joined.
        parts: the number of parts that the other rows were staged in.
        not_found: the orders that were asked for and are not among the rows.
    """

    rows: int
    skipped: int
    parts: int
    not_found: frozenset[str] = frozenset()


@dataclass
class TransformResult:
    """The result of transform, over all parts.

    Args:
        counts: superseded, orders, rejected, not_for_provider.
        reasons: how many orders each reason rejected.
        first_rows: reason -> the first row with it, as `orders.csv:7`.
        doubts: how many orders have each doubt about a local time.
        doubtful: the ids of the first of them.
        unknown_words: status word that is not in the map -> how many orders have it.
        left_out: contact column -> how many orders are sent without theirs, because it is none.
        newest_change: the newest `status_changed_at` among the rows that is not in the future; None without any.
    """

    counts: Counter[str] = field(
        default_factory=lambda: Counter(superseded=0, orders=0, rejected=0, not_for_provider=0)
    )
    reasons: Counter[str] = field(default_factory=Counter)
    first_rows: dict[str, str] = field(default_factory=dict)
    doubts: Counter[str] = field(default_factory=Counter)
    doubtful: dict[str, list[str]] = field(default_factory=dict)
    unknown_words: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    newest_change: datetime | None = None


def extract(
    reader: WarehouseReader | CsvDropReader, staging: Staging, only: frozenset[str] = frozenset()
) -> ExtractResult:
    """Stage the reader's rows, after everything that was staged before is removed. An error leaves nothing behind.

    Args:
        reader: of the run's window.
        staging: of the run.
        only: ids of the orders to stage, as a person gave them; none for all.
    """
    from include.order_sync.sources.raw_forms import RawForms

    wanted = sorted(only)
    # Rows have their ids in the source's forms: `#1001` is 1001 with `strip_ids`.
    ids = RawForms.of(reader.source).apply("order_id", pa.array(wanted, pa.string()))
    forms = dict(zip(wanted, pc.utf8_trim_whitespace(ids).to_pylist(), strict=True))
    with staging.named():
        staging.clear()
        try:
            with reader.open() as (orders, items):
                found: set[str] = set()
                rows, parts = staging.stage_raw(_narrowed(orders, frozenset(forms.values()), found), items)
            staging.write_files(reader.taken)
        except BaseException:
            with suppress(OSError):
                staging.clear()
            raise
    not_found = frozenset(order_id for order_id, form in forms.items() if form not in found)
    return ExtractResult(rows + reader.skipped, reader.skipped, parts, not_found)


def transform(staging: Staging, source: Source, destination: Destination) -> TransformResult:
    """Turn the staged raw rows into ready and rejected orders, after earlier ones are removed.

    Args:
        staging: of the run.
        source: of the rows.
        destination: of the orders.

    Raises:
        StopError: no raw rows are staged, or the worker may not write there.
        TryAgainError: the staging folder is full.
    """
    rules = rules_of(source, destination, datetime.now(UTC))
    done = TransformResult()
    with staging.named():
        staging.clear(READY, "rejected")
        columns = {*IDENTITY_COLUMNS, "updated_at", *destination.service.reads}
        for name, part in prefetch(_transformed(staging, columns, rules)):
            staging.write_ready(name, part.ready)
            if len(part.rejected):
                rejected, _ = staging.raw_rows(part.rejected)  # with all their columns
                transformed = ("rank", "source_hash", "reasons", "status_changed_at", "updated_at")
                found = {column: part.rejected[column].array for column in transformed if column in part.rejected}
                staging.write_rejected(name, rejected.assign(**found))
            done.counts.update(part.counts)
            done.reasons.update(part.reasons)
            # A column that holds no statuses has a word for each row.
            done.unknown_words = Counter(dict((done.unknown_words + part.unknown_words).most_common(WORDS_KEPT)))
            done.left_out.update(part.left_out)
            done.first_rows = part.first_rows | done.first_rows
            for doubt, ids in part.doubts.items():
                done.doubts[doubt] += len(ids)
                done.doubtful[doubt] = (done.doubtful.get(doubt, []) + ids)[:ORDERS_NAMED]
            if part.newest_change and (done.newest_change is None or part.newest_change > done.newest_change):
                done.newest_change = part.newest_change
            del part  # before the next one comes
    return done


def _transformed(staging: Staging, columns: Collection[str], rules: Rules) -> Iterator[tuple[str, Transformed]]:
    """Yield each group of parts transformed, under its name; one thread reads on, and another writes."""
    from include.order_sync.transform.transform import transform

    for name, raw, raw_items in prefetch(staging.raw_parts(columns)):
        yield name, transform(raw, raw_items, rules)
        del raw, raw_items  # before the next ones are read


def rules_of(source: Source, destination: Destination, now: datetime) -> Rules:
    """Return what a transform needs to know of a source and a destination.

    Args:
        source: of the rows.
        destination: of the orders.
        now: no row was written after it.
    """
    from include.order_sync.transform.transform import Rules

    return Rules(
        timezone=source.timezone,
        latest=now + source.ahead,
        statuses=source.statuses,
        codes=destination.codes,
        changes=destination.sends,
        item_columns=source.item_columns,
        send_when=destination.send_when,
        checks=destination.service.checks,
        build=destination.service.build,
        now=now,
        forms=source.values,
        joins_lines=source.joins_lines,
    )


def send_options(destination: Destination) -> SendOptions:
    """Return the send options of a destination's configuration; those of a run are put in by dataclasses.replace."""
    from include.order_sync.delivery.decision_table import SendOptions

    return SendOptions(send_when=destination.send_when, resend_in_doubt=destination.in_doubt == "resend")


def load(
    staging: Staging,
    destination: Destination,
    client: Client,
    ledger: LedgerSession,
    encryptor: RowEncryptor,
    options: SendOptions,
    requests_a_second: float | None,
    result: DeliveryResult,
    is_stopping: Callable[[], bool],
    brake: Brake | None = None,
) -> None:
    """Deliver the staged ready orders, for one try of a run.

    Args:
        staging: of the run.
        destination: from the configuration.
        client: of its account.
        ledger: the session that holds its lock.
        encryptor: of the run's staged rows.
        options: of the destination and the run.
        requests_a_second: the pace of its account; None for any pace.
        result: a new one; filled while the load runs, so that it is there after an error too.
        is_stopping: whether the load was asked to end: then it sends nothing more.
        brake: how many notifications it may send; None for any number.

    Raises:
        TryAgainError: some orders were not sent, also because the load was asked to end, or are in doubt and may be
            repeated.
        StopError: some orders were not sent, or all were sent and some are held.
    """
    from include.order_sync.delivery.loop import Delivery
    from include.order_sync.delivery.pacing import Pace

    result.requests = ledger.count_batches()
    Delivery(
        client,
        ledger,
        encryptor.encrypt_ready,
        options,
        result,
        destination.connections,
        Pace(destination.connection, requests_a_second) if requests_a_second else None,
        is_stopping,
        brake,
    ).run(staging.ready_parts())


def _narrowed(tables: Iterable[pa.Table], only: frozenset[str], found: set[str]) -> Iterator[pa.Table]:
    """Yield the rows of the orders in `only`, or all rows without any; note the orders in `found`."""
    for table in tables:
        if only:
            ids = pc.utf8_trim_whitespace(table["order_id"])
            narrowed = table.filter(pc.is_in(ids, value_set=pa.array(sorted(only), pa.string())))
            found.update(pc.unique(pc.utf8_trim_whitespace(narrowed["order_id"])).to_pylist())
            yield narrowed
        else:
            yield table
