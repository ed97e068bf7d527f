"""The index of decisions."""

import re

from tests.docs.pages import ROOT, page, tables

FOLDER = ROOT / "docs" / "decisions"


def test_the_index_lists_every_record_with_its_title() -> None:
    """The index has exactly one row for each record, with number, title, date, status and decision."""
    (table,) = tables(page("docs/decisions/README.md"))
    assert table.column("number") == sorted(set(table.column("number")))
    listed = dict(zip(table.column("number"), table.column("title"), strict=True))
    records = sorted(FOLDER.glob("[0-9]*.md"))
    first_lines = [path.read_text("utf-8").split("\n", 1)[0] for path in records]

    assert listed == {
        path.name[:4]: line.removeprefix(f"# {int(path.name[:4])}. ")
        for path, line in zip(records, first_lines, strict=True)
    }
    assert all(re.fullmatch(r"2026-\d\d-\d\d", date) for date in table.column("date"))
    assert all(table.column("status"))
    assert all(table.column("decided"))
