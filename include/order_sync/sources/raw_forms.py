"""Brings ids and times of raw rows into the forms that all later steps know, as a source's configuration says.

Ids come first of all, because the rows of one order are partitioned by them. Other texts stay as the source wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import without_invisible
from include.order_sync.configuration.source import Source
from include.order_sync.model import TIME_COLUMNS
from include.order_sync.transform.date_forms import iso_text

ID_COLUMNS = ("order_id", "customer_id", "bill_id", "tracking_number", "item_id")
_STRIPPED = ("order_id", "customer_id", "bill_id", "item_id")

# Around an id: Excel's ="007" and '007, signs of a number, and the .0 of a number that was read as a fraction. Three
# zeros may be thousands: 1.000 is another order than 1.
_MARKS = r"""^\s*(?:=\s*"([^"]*)"|'(.*?)|[#\x{ff03}№]+\s*(.*?))\s*$"""
_FRACTION = r"^\s*([0-9]+)(?:[.,]0{1,2}|\.0{4,})\s*$"


@dataclass(frozen=True)
class RawForms:
    """The forms of one source.

    Args:
        dates: forms of dates beside ISO 8601.
        strip_ids: whether what spreadsheets and shops put around ids is taken off.
    """

    dates: Sequence[str] = ()
    strip_ids: bool = False

    @classmethod
    def of(cls, source: Source) -> RawForms:
        """Return the forms of a source of the configuration."""
        return cls(source.dates, source.strip_ids)

    def apply(self, column: str, texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return the texts of a canonical column in our forms."""
        if column in ID_COLUMNS:
            texts = without_invisible(texts)
            if self.strip_ids and column in _STRIPPED:
                texts = pc.replace_substring_regex(texts, _MARKS, r"\1\2\3")
                texts = pc.replace_substring_regex(texts, _FRACTION, r"\1")
        elif column in TIME_COLUMNS and self.dates:
            texts = _each(texts, lambda text: iso_text(text, self.dates))
        return texts


def _each(texts: pa.Array | pa.ChunkedArray, change: Callable[[str], str]) -> pa.ChunkedArray:
    """Return the texts, each different one changed once."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    changed = []
    for chunk in chunks:
        words = chunk.dictionary_encode()
        values = pa.array([change(word) for word in words.dictionary.to_pylist()], chunk.type)
        changed.append(values.take(words.indices))
    return pa.chunked_array(changed, texts.type)
