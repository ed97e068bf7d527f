"""What a run's tasks do, one function each: operators, `make chaos` and benchmarks call the same code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.staging import Staging

if TYPE_CHECKING:  # a task imports what it needs, and no more
    from include.order_sync.providers.base import Provider
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.warehouse import WarehouseReader
    from include.order_sync.transform import Rules

# Of Arrow's allocators the one that gives the most back: with the others a task takes 20 to 60 MB more.
if "jemalloc" in pa.supported_memory_backends():
    pa.set_memory_pool(pa.jemalloc_memory_pool())


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
    staging.clear()
    with reader.open() as (orders, items):
        rows, parts = staging.stage_raw(_narrowed(orders, only), items)
    staging.write_files(reader.taken)
    return Extracted(rows + reader.skipped, reader.skipped, parts)


def transform_parts(staging: Staging, rules: Rules, provider: Provider) -> PartsTransformed:
    """Turn the staged raw rows into ready and rejected orders; whatever was there of these goes.

    Raises:
        StopError: no raw rows are staged.
    """
    from include.order_sync.transform import transform

    done = PartsTransformed()
    staging.clear("ready", "rejected")
    for name, raw, raw_items in staging.raw_parts():
        part = transform(raw, raw_items, rules, provider)
        staging.write("ready", name, part.ready)
        staging.write("rejected", name, part.rejected)
        done.counts.update(part.counts)
        done.reasons.update(part.reasons)
        done.first_rows = part.first_rows | done.first_rows
        del raw, raw_items, part  # before the next ones are read
    return done


def _narrowed(tables: Iterable[pa.Table], only: frozenset[str]) -> Iterator[pa.Table]:
    for table in tables:
        if only:
            ids = pc.utf8_trim_whitespace(table["order_id"])
            yield table.filter(pc.is_in(ids, value_set=pa.array(sorted(only), pa.string())))
        else:
            yield table
