"""What a run's tasks do, one function each: operators, `make chaos` and benchmarks call the same code."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.ahead import made_ahead
from include.order_sync.model import IDENTITY_COLUMNS
from include.order_sync.staging import READY, Staging

if TYPE_CHECKING:  # a task imports what it needs, and no more
    import requests

    from include.order_sync.config import Destination, Source
    from include.order_sync.delivery import Delivery
    from include.order_sync.ledger.sealing import Sealer
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.planner import Choices
    from include.order_sync.providers.base import Credentials
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.warehouse import WarehouseReader


@dataclass(frozen=True)
class Extracted:
    """What extract has staged.

    Args:
        rows: of the source, with those that were no orders.
        skipped: these.
        parts: that the others were staged in.
    """

    rows: int
    skipped: int
    parts: int


@dataclass
class PartsTransformed:
    """What became of all parts' rows.

    Args:
        counts: superseded, orders, rejected, not_for_provider.
        reasons: how many orders each reason rejected.
        first_rows: reason -> where the first of them stands, as `orders.csv:7`.
    """

    counts: Counter[str] = field(
        default_factory=lambda: Counter(superseded=0, orders=0, rejected=0, not_for_provider=0)
    )
    reasons: Counter[str] = field(default_factory=Counter)
    first_rows: dict[str, str] = field(default_factory=dict)


def extract(reader: WarehouseReader | CsvDropReader, staging: Staging, only: frozenset[str] = frozenset()) -> Extracted:
    """Stage the reader's rows; whatever was staged before goes.

    Args:
        reader: of the run's window.
        staging: of the run.
        only: ids of the orders to stage; none for all.
    """
    _keep_what_is_imported("extract")
    staging.clear()
    with reader.open() as (orders, items):
        rows, parts = staging.stage_raw(_narrowed(orders, only), items)
    staging.write_files(reader.taken)
    return Extracted(rows + reader.skipped, reader.skipped, parts)


def transform_parts(staging: Staging, source: Source, destination: Destination) -> PartsTransformed:
    """Turn the staged raw rows into ready and rejected orders; whatever was there of these goes.

    Args:
        staging: of the run.
        source: where the rows came from.
        destination: whom the orders are for.

    Raises:
        StopError: no raw rows are staged.
    """
    from include.order_sync.transform import Rules, transform

    _keep_what_is_imported("transform")
    rules = Rules(
        timezone=source.timezone,
        latest=datetime.now(UTC) + source.ahead,
        statuses=source.statuses,
        codes=destination.codes,
        changes=destination.sends,
        item_columns=source.item_columns,
    )
    done = PartsTransformed()
    staging.clear(READY, "rejected")
    columns = {*IDENTITY_COLUMNS, "updated_at", *destination.service.reads}
    for name, raw, raw_items in made_ahead(staging.raw_parts(columns)):
        part = transform(raw, raw_items, rules, destination.service)
        staging.write_ready(name, part.ready)
        if len(part.rejected):
            rejected, _ = staging.raw_rows(part.rejected)  # with all their columns
            found = {column: part.rejected[column].tolist() for column in ("rank", "reasons")}
            staging.write_rejected(name, rejected.assign(**found))
        done.counts.update(part.counts)
        done.reasons.update(part.reasons)
        done.first_rows = part.first_rows | done.first_rows
        del raw, raw_items, part  # before the next ones are read
    return done


def choices(destination: Destination, *, resend: bool = False, retry_rejected: bool = False) -> Choices:
    """Return what a destination's configuration, and a run, say about sending."""
    from include.order_sync.planner import Choices

    return Choices(
        send_when=destination.send_when,
        resend_in_doubt=destination.in_doubt == "resend",
        resend=resend,
        retry_rejected=retry_rejected,
    )


def delivery(
    destination: Destination,
    credentials: Credentials,
    session: requests.Session,
    ledger: LedgerSession,
    sealer: Sealer,
    choices: Choices,
) -> Delivery:
    """Return what delivers a destination's ready orders, for one try of a run.

    Args:
        destination: from the configuration.
        credentials: of its account.
        session: of http.py.
        ledger: the session that holds its lock.
        sealer: of the run's staged rows.
        choices: of the destination and the run.
    """
    from include.order_sync.delivery import Delivered, Delivery

    _keep_what_is_imported("load")
    return Delivery(
        destination.service,
        credentials,
        session,
        ledger,
        sealer.seal,
        choices,
        Delivered(requests=ledger.count_batches()),
        destination.connections,
    )


@cache
def _keep_what_is_imported(_step: str) -> None:
    """Spare the garbage collector the modules, which stay to the end: its rounds over pandas cost 0.1 s each.

    Once a process and step: what is garbage by then stays too.
    """
    gc.freeze()


def _narrowed(tables: Iterable[pa.Table], only: frozenset[str]) -> Iterator[pa.Table]:
    for table in tables:
        if only:
            ids = pc.utf8_trim_whitespace(table["order_id"])
            yield table.filter(pc.is_in(ids, value_set=pa.array(sorted(only), pa.string())))
        else:
            yield table
