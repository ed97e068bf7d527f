"""`python -m include.order_sync.preview`: tries a source, without Airflow and without sending."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from include.order_sync import stops
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.loading import Configuration, load
from include.order_sync.configuration.source import Source
from include.order_sync.errors import OrderSyncError, StopError
from include.order_sync.model import Window
from include.order_sync.preview.guess import guess
from include.order_sync.preview.report import preview, source_of_file
from include.order_sync.preview.shown import print_report

# All files of a drop; of a warehouse the last day.
_ALL_FILES = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_DAY = timedelta(days=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if a destination would get an order, 1 if none would, 2 if the source or file can't be read."""
    parser = _parser()
    given = parser.parse_args(arguments)
    console, errors = Console(), Console(stderr=True)
    try:
        if given.guess:
            sys.stdout.write(guess(Path(given.guess)))
            return 0
        if not given.source:
            parser.error("name a source of the configuration, or give --guess FILE")
        configuration = load(Path(given.config) if given.config else None)
        source = _source(configuration, given.source)
        if given.file:
            if not isinstance(source, CsvSource):
                raise StopError(stops.COMMAND, f"Source {source.name!r} is a warehouse: --file is for CSV drops.")
            source = source_of_file(source, given.file)
        destinations = [each for each in configuration.destinations.values() if each.source == source.name]
        report = preview(source, destinations, _window(given, source), show=given.show)
        # Which source a destination with mistakes has, nothing tells.
        report.notes += [str(mistake) for mistake in configuration.mistakes if mistake.key.startswith("destinations.")]
    except OrderSyncError as error:
        errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    if given.json:
        sys.stdout.write(json.dumps(asdict(report), ensure_ascii=False, indent=2, default=str) + "\n")
    else:
        print_report(report, console)
    return 0 if report.used else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.order_sync.preview",
        description="Shows what a source gives and what would be sent of it. It sends nothing, and needs no Airflow.",
    )
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="the name of a source of the configuration")
    parser.add_argument("--from", dest="start", metavar="TIME", help="the window's start, as 2026-11-20T10:00")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the window's end; without an offset in `timezone`")
    parser.add_argument("--file", metavar="PATH", help="read this file by the rules of the drop, wherever it lies")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--show", action="store_true", help="show personal data, which is masked otherwise")
    parser.add_argument("--config", metavar="PATH", help="another configuration than ORDER_SYNC_CONFIG names")
    parser.add_argument("--guess", metavar="FILE", help="propose a source for a CSV file that no source reads yet")
    return parser


def _source(configuration: Configuration, name: str) -> Source:
    if name in configuration.sources:
        return configuration.sources[name]
    own = [
        mistake for mistake in configuration.mistakes if f"{mistake.key}.".startswith((f"sources.{name}.", "sources."))
    ]
    said = "".join(f"\n{mistake}" for mistake in own or configuration.mistakes)
    known = ", ".join(configuration.sources)
    raise StopError(stops.COMMAND, f"{configuration.file} has no good source {name!r}; it has {known or 'none'}.{said}")


def _window(given: argparse.Namespace, source: Source) -> Window:
    default = _ALL_FILES if isinstance(source, CsvSource) else _last_day()
    start = _time(given.start, source.timezone) if given.start else default.start
    end = _time(given.end, source.timezone) if given.end else default.end
    if start >= end:
        raise StopError(stops.COMMAND, f"--from ({start.isoformat()}) must lie before --to ({end.isoformat()}).")
    return Window(start, end)


def _last_day() -> Window:
    now = datetime.now(UTC)
    return Window(now - _DAY, now)


def _time(text: str, timezone: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise StopError(stops.COMMAND, f"{text!r} is no time: write it as 2026-11-20T10:00.") from None
    return time if time.tzinfo else time.replace(tzinfo=ZoneInfo(timezone))


if __name__ == "__main__":
    sys.exit(main())
