"""Rows are encrypted for the quarantine and decrypted again."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from include.order_sync.ledger.encrypted_rows import decrypt_rows, encrypt_rows


class Plain:
    """A cipher that hides nothing."""

    def encrypt(self, msg: bytes) -> bytes:
        """Return the text itself."""
        return msg

    decrypt = encrypt


@pytest.mark.parametrize("rank", [None, 0, 2])
def test_a_row_remembers_its_rank(raw_orders: Callable[..., pd.DataFrame], rank: int | None) -> None:
    """A decrypted row has the rank that it was encrypted with; an older row has none."""
    row: dict[str, Any] = {"order_id": "007", "file_modified_at": pd.Timestamp("2026-11-21T10:00:00Z"), "rank": rank}
    rows = raw_orders(row)
    (entry,) = encrypt_rows(rows.assign(reasons=[["a reason"]]), None, "UTC", Plain())
    opened, items, closed = decrypt_rows([entry.encrypted_row], Plain())

    pd.testing.assert_frame_equal(opened.to_pandas(), rows.drop(columns="partition_hash"))
    assert (items, closed) == (None, [])
