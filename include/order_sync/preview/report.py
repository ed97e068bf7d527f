"""Reads a source as a run does, and tells what came of it."""

from __future__ import annotations

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pandas as pd
from upath import UPath

from include.order_sync import codes, pipeline
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.models import Destination
from include.order_sync.configuration.source import Source
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.counted import counted
from include.order_sync.model import ORDER_COLUMNS, Window
from include.order_sync.preview.connections import engine_of
from include.order_sync.preview.findings import FoundReason, Outcome, Report
from include.order_sync.preview.masks import masked_body, masked_order
from include.order_sync.providers import PROVIDERS
from include.order_sync.providers.base import Credentials
from include.order_sync.sources.csv_drop import CsvDropReader
from include.order_sync.sources.drop_files import DropFile
from include.order_sync.sources.warehouse import WarehouseReader
from include.order_sync.sources.window_values import window_values
from include.order_sync.staging.run_folder import Staging
from include.order_sync.transform import transform as group
from include.order_sync.transform.reasons import shown_word, shown_words

FILES_READ = 20
ORDERS_SHOWN = 3
LINES_SHOWN = 5
WORDS_SHOWN = 100


@dataclass
class NewestFiles(CsvDropReader):
    """Reads the newest files of a drop; `matched` has all that fit."""

    matched: list[DropFile] = field(default_factory=list, init=False)

    def files(self) -> list[DropFile]:
        """Return the newest FILES_READ files, oldest first."""
        self.matched = super().files()
        return self.matched[-FILES_READ:]


def preview(source: Source, destinations: Sequence[Destination], window: Window, *, show: bool) -> Report:
    """Return what a source gives in a window, and what its destinations would get.

    Args:
        source: from the configuration.
        destinations: of the source; without any, one of each provider.
        window: to read; a drop's files of this time.
        show: whether personal data is shown.

    Raises:
        StopError: the source can't be read.
        TryAgainError: its database can't be reached.
    """
    reader: WarehouseReader | NewestFiles
    if isinstance(source, SqlSource):
        reader = WarehouseReader(engine_of(source.connection), source, window, ())
    else:
        reader = NewestFiles(UPath(source.folder), source, window, ())
    with tempfile.TemporaryDirectory(prefix="order-sync-preview-") as folder, _notes() as notes:
        staging = Staging(UPath(folder))
        read = pipeline.extract(reader, staging)
        report = Report(source.name, _read(reader, source, window), notes, read.rows, read.skipped)
        if isinstance(reader, NewestFiles) and reader.notice:
            notes.append(reader.notice)
        if read.parts:
            _look(report, staging, source, destinations or _one_of_each(source), show=show)
    report.notes = list(dict.fromkeys(notes))
    return report


def _read(reader: WarehouseReader | NewestFiles, source: Source, window: Window) -> list[str]:
    if isinstance(source, SqlSource):
        dialect = reader.engine.dialect.name if isinstance(reader, WarehouseReader) else ""
        values = window_values(window, source.window_type, source.timezone, dialect)
        queries = [query.name for query in (source.query, source.items_query) if query]
        return [
            f"{' and '.join(queries)} in {dialect}",
            *(f":{name} = {value!s}" for name, value in values.items()),
        ]
    files = reader.matched if isinstance(reader, NewestFiles) else []
    few = f", and the newest {FILES_READ} are read" if len(files) > FILES_READ else ""
    said = [f"{counted(len(files), 'file')} {'matches' if len(files) == 1 else 'match'} {source.path}{few}"]
    return said + [
        f"{file.path} ({file.size:,} {'byte' if file.size == 1 else 'bytes'}, {file.belongs_at:%Y-%m-%d %H:%M} UTC)"
        for file in files[-FILES_READ:]
    ]


def _one_of_each(source: Source) -> list[Destination]:
    plain = {"connection": "preview", "source": source.name, "start_date": "2000-01-01", "first_run": "window"}
    return [
        Destination.model_validate({"name": name, "provider": name, **plain}, context={source.name: True})
        for name in PROVIDERS
    ]


def _look(report: Report, staging: Staging, source: Source, destinations: Sequence[Destination], *, show: bool) -> None:
    now = datetime.now(UTC)
    rules = {destination.name: pipeline.rules_of(source, destination, now) for destination in destinations}
    outcomes = {
        destination.name: Outcome(destination.name, destination.service.title, [], Counter(), [])
        for destination in destinations
    }
    reasons: dict[str, dict[str, FoundReason]] = {destination.name: {} for destination in destinations}
    words: Counter[tuple[str, str | None]] = Counter()
    for _, raw, raw_items in staging.raw_parts(ORDER_COLUMNS):
        orders = group.read_orders(raw, rules[destinations[0].name])
        known = orders["problem"].isna()
        given = set(raw.columns) if known.any() else set()  # of an unreadable file nobody knows the columns
        report.columns = [column for column in ORDER_COLUMNS if column in given or column in report.columns]
        words.update(
            (word, status if isinstance(status, str) else None)
            for word, status in zip(
                orders.loc[known, "status"].fillna(""), orders.loc[known, "order_status"], strict=True
            )
        )
        if len(report.orders) < ORDERS_SHOWN:
            first = orders[known & orders["order_id"].notna()].head(ORDERS_SHOWN - len(report.orders))
            report.orders += [_shown(order, show=show) for _, order in first.iterrows()]
        for destination in destinations:
            done = group.transform(raw, raw_items, rules[destination.name])
            _count(outcomes[destination.name], reasons[destination.name], done)
            if outcomes[destination.name].request is None and len(done.ready):
                position = done.ready["position"].iloc[0]
                order = orders[orders["position"] == position].iloc[0]
                outcomes[destination.name].request = _request(
                    destination, done.ready["payload"].iloc[0], order, show=show
                )
    texts = shown_words(word for word, status in words if word and status is None)
    shown: Counter[tuple[str, str | None]] = Counter()
    for (word, status), count in words.items():
        shown[texts.get(word) or shown_word(word), status] += count
    report.words = [(word, status, count) for (word, status), count in shown.most_common(WORDS_SHOWN)]
    came = {status for _, status in words}
    for destination in destinations:
        outcome = outcomes[destination.name]
        outcome.missing = _missing(destination, {*report.columns, *source.supplied}) if report.columns else []
        outcome.codes = {
            str(status): None if code is None else str(code)
            for status in source.statuses.values()
            if status in came
            for code in [destination.codes.get(status)]
        }
        outcome.reasons = sorted(reasons[destination.name].values(), key=lambda reason: -reason.orders)
        report.outcomes.append(outcome)


def _missing(destination: Destination, given: set[str]) -> list[str]:
    """Return the columns that the destination's provider needs, and that are not among those given."""
    needs = [[need] if isinstance(need, str) else [*need] for need in destination.service.required]
    return [" or ".join(need) for need in needs if not given & {*need}]


def _count(outcome: Outcome, reasons: dict[str, FoundReason], done: group.Transformed) -> None:
    counts = {
        "used": len(done.ready),
        **{name: done.counts[name] for name in ("superseded", "rejected", "not_for_provider")},
    }
    outcome.counts = dict(Counter(outcome.counts) + Counter(counts)) | {
        name: outcome.counts.get(name, 0) + count for name, count in counts.items()
    }
    outcome.left_out.update(done.left_out)
    for text, orders in done.reasons.items():
        reason = reasons.setdefault(text, FoundReason(codes.coded(text), cure=codes.cure_of(text)))
        reason.orders += orders
        listed = done.rejected["reasons"].map(lambda given, text=text: any(str(one).startswith(text) for one in given))
        rows = done.rejected[listed].head(LINES_SHOWN - len(reason.rows))
        places = zip(rows["origin"].astype("str").tolist(), rows["line"].tolist(), strict=True)
        reason.rows += [f"{origin.rpartition('/')[2]}:{line}" for origin, line in places]


def _shown(order: pd.Series[Any], *, show: bool) -> dict[str, str]:
    texts = {column: str(order[column]) for column in ORDER_COLUMNS if pd.notna(order[column])}
    return texts if show else masked_order(texts)


def _request(destination: Destination, payload: str, order: pd.Series[Any], *, show: bool) -> dict[str, Any]:
    """Return path and body of the request for one order, with words instead of the account's login and key."""
    request = destination.service.request(Credentials("https://service", "LOGIN", "KEY"), [payload])
    text = request.body.decode()
    try:
        body = json.loads(text)
    except ValueError:
        body = dict(parse_qsl(text, keep_blank_values=True))
    return {"path": request.path, "body": body if show else masked_body(body, _shown(order, show=True))}


@contextmanager
def _notes() -> Iterator[list[str]]:
    """Collect what the readers say, instead of logging it."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING or "is read as" in record.msg:
                said.append(record.getMessage())

    logger, collector = logging.getLogger("include.order_sync"), Collector()
    before = logger.propagate, logger.level
    logger.addHandler(collector)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logger.removeHandler(collector)
        logger.propagate, level = before
        logger.setLevel(level)


def source_of_file(source: CsvSource, file: str) -> CsvSource:
    """Return the source as it is with one file instead of its drop.

    Args:
        source: from the configuration.
        file: its path or address.
    """
    path = UPath(file)
    escaped = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path.name)
    folder = str(path.absolute().parent)
    return source.model_copy(update={"path": f"{folder}/{escaped}", "path_time": None, "ignore_case": False})
