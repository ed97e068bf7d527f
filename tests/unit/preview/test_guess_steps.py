"""`preview --guess` proposes rules for a file that has a column for each step of its orders."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from include.order_sync.preview.guess import guess
from include.order_sync.preview.guess_statuses import quoted

FLAGS = """\
order_no,is_paid,shipped,is_cancelled,updated
1,1,no,false,2026-11-20 10:00:00
2,1,yes,false,2026-11-20 10:00:00
3,0,no,True,2026-11-20 10:00:00
4,0,no,false,2026-11-20 10:00:00
"""
STEPS = """\
Номер заказа;Дата создания;Дата оплаты;Дата отправки;Дата отмены
1;20.11.2026 10:00;20.11.2026 11:00;;
2;20.11.2026 10:00;20.11.2026 11:00;21.11.2026 09:00;
3;20.11.2026 10:00;;;21.11.2026 09:00
"""


def proposed(folder: Path, content: str) -> tuple[str, dict[str, Any]]:
    """Return what is proposed for a file, as text and as YAML."""
    file = folder / "export.csv"
    file.write_text(content)
    text = guess(file)
    return text, yaml.safe_load(text)["drop"]


def test_flags(tmp_path: Path) -> None:
    """The last step comes first, a flag has the words of the file, and a row without any is a new order."""
    text, source = proposed(tmp_path, FLAGS)

    assert source["status_from"] == [
        {"column": "is_cancelled", "is": ["True"], "word": "cancelled"},
        {"column": "shipped", "is": ["yes"], "word": "shipped"},
        {"column": "is_paid", "is": ["1"], "word": "paid"},
    ]
    assert source["defaults"] == {"status": "created"}
    assert source["statuses"] == {word: word for word in ("cancelled", "shipped", "paid", "created")}
    assert "status_from:  # ?" in text
    assert "no column was found" not in text


def test_times_of_steps(tmp_path: Path) -> None:
    """Each time is that of its status, so no other column is asked for; their form is proposed."""
    text, source = proposed(tmp_path, STEPS)

    columns = ["Дата отмены", "Дата отправки", "Дата оплаты", "Дата создания"]
    words = ["cancelled", "shipped", "paid", "created"]
    assert source["status_from"] == [
        {"column": column, "word": word, "time": True} for column, word in zip(columns, words, strict=True)
    ]
    assert source["dates"] == ["d.m.y"]
    assert "status_changed_at" not in text


@pytest.mark.parametrize("columns", ["paid at", "paid,comment", "shipped,delivered"])
def test_what_is_no_step(tmp_path: Path, columns: str) -> None:
    """One step alone tells no status, and neither do columns of other texts."""
    width = columns.count(",") + 1
    text, source = proposed(tmp_path, f"order_id,updated,{columns}\n1,2026-11-20{',by Ann' * width}\n")

    assert "status_from" not in source
    assert "# ? status: no column was found for it" in text


def test_signs_that_yaml_does_not_take() -> None:
    """Control characters and odd line ends of a file's names come back from YAML."""
    text = 'a\x80\x9e\u2028\ufffe"\\é'

    assert yaml.safe_load(quoted(text)) == text
