"""Prints a report for a person."""

from __future__ import annotations

import json

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from include.order_sync.counted import counted
from include.order_sync.preview.findings import Outcome, Report


def print_report(report: Report, console: Console) -> None:
    """Print what a source gives, and what its destinations would get."""
    console.print(_panel(f"Source {report.source}", _source(report)))
    if report.words:
        console.print(_panel("Status words", _words(report)))
    if report.orders:
        console.print(_panel("The first orders", _orders(report)))
    for outcome in report.outcomes:
        console.print(_panel(f"Destination {outcome.destination} ({outcome.provider})", _outcome(report, outcome)))


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=Text(title, "bold"), title_align="left", box=box.ROUNDED, expand=True)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in ("rows", "orders") else "left")
    return table


def _source(report: Report) -> RenderableType:
    lines: list[RenderableType] = [Text(line) for line in report.read]
    lines.append(
        Text(
            f"{counted(report.rows, 'row')} read, {report.skipped} of them skipped "
            "(before the header, blank, header again, footer, joined)"
        )
    )
    if report.columns:
        lines.append(Text(f"columns: {', '.join(report.columns)}"))
    lines += [Text(f"! {note}", "yellow") for note in report.notes]
    return Group(*lines)


def _words(report: Report) -> RenderableType:
    table = _table("word of the shop", "status", "rows")
    for word, status, rows in report.words:
        unknown = "not in the map: add it to `statuses`" if word else "no order without one is sent"
        table.add_row(Text(word or "(none)"), Text(status) if status else Text(unknown, "red"), str(rows))
    return table


def _orders(report: Report) -> RenderableType:
    table = _table("column", *(f"order {number}" for number in range(1, len(report.orders) + 1)))
    for column in report.columns:
        values = [order.get(column, "") for order in report.orders]
        if any(values):
            table.add_row(column, *(Text(value) for value in values))
    return table


def _outcome(report: Report, outcome: Outcome) -> RenderableType:
    counts = outcome.counts
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{counted(counts['used'], 'order')} would be sent", "green" if counts["used"] else "red"),
            f", {counts['rejected']} rejected, {counted(counts['superseded'], 'row')} superseded, "
            f"{counts['not_for_provider']} not for this provider; of {counted(report.rows, 'row')}",
        )
    ]
    if outcome.missing:
        said = (
            f"The source lacks columns that {outcome.provider} needs: {'; '.join(outcome.missing)}. A run would stop: "
            "name them in `columns`, or give them by `defaults` or `customer_id_from`."
        )
        parts.append(Text(said, "red"))
    for column, orders in outcome.left_out.items():
        parts.append(Text(f"{orders} of them without the {column}, which is none", "yellow"))
    if outcome.codes:
        codes = ", ".join(f"{status} = {code or 'not for this provider'}" for status, code in outcome.codes.items())
        parts.append(Text(f"codes: {codes}"))
    if outcome.reasons:
        table = _table("reason", "orders", "first rows", "cure")
        for reason in outcome.reasons:
            table.add_row(
                Text(reason.reason, "red"), str(reason.orders), Text("\n".join(reason.rows)), Text(reason.cure)
            )
        parts.append(table)
    if outcome.request:
        parts.append(Text(f"The request for one order: POST {outcome.request['path']}"))
        parts.append(Syntax(json.dumps(outcome.request["body"], ensure_ascii=False, indent=2), "json", word_wrap=True))
    return Group(*parts)
