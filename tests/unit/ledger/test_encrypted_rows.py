"""Rows are encrypted for the quarantine and decrypted again."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from include.order_sync.ledger.encrypted_rows import RowEncryptor, decrypt_rows, encrypt_rows


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


def test_half_a_surrogate_pair_does_not_lose_the_row(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """A service's message may hold half a surrogate pair, which has no UTF-8: the row is kept all the same."""
    rows = raw_orders({"order_id": "7", "first_name": "Ёлка"})
    staging = SimpleNamespace(raw_rows=lambda _orders: (rows, None))
    encryptor = RowEncryptor(staging, "UTC", Plain())  # type: ignore[arg-type]
    orders = pd.DataFrame({"order_id": ["7"], "partition_hash": [1], "position": [0], "rank": [0], "source_hash": [0]})
    (entry,) = encryptor.encrypt_ready(orders, ["a reason"], ['{"name": "\ud83d"}'])
    opened, _, closed = decrypt_rows([entry.encrypted_row], Plain())
    assert (opened["first_name"].to_pylist(), closed) == (["Ёлка"], [])
    assert json.loads(entry.encrypted_row)["service_message"] == '{"name": "?"}'


def test_a_ready_row_remembers_which_pass_of_an_hour_it_was_of(raw_orders: Callable[..., pd.DataFrame]) -> None:
    """A row whose time was read as the first pass is encrypted with that moment, and one of the second as it is."""
    rows = raw_orders({"status_changed_at": "2026-10-25 03:40:00"}, {"status_changed_at": "2026-10-25 03:10:00"})
    staging = SimpleNamespace(raw_rows=lambda _orders: (rows, None))
    times = pd.to_datetime(["2026-10-25T00:40Z", "2026-10-25T01:10Z"])
    orders = rows[["order_id", "partition_hash", "position"]].assign(status_changed_at=times, rank=0, source_hash=0)
    entries = RowEncryptor(staging, "Europe/Kyiv", Plain()).encrypt_ready(  # type: ignore[arg-type]
        orders, ["a reason"] * 2, [""] * 2
    )
    opened, _, _ = decrypt_rows([entry.encrypted_row for entry in entries], Plain())
    assert opened["status_changed_at"].to_pylist() == ["2026-10-25T00:40:00+00:00", "2026-10-25 03:10:00"]
    assert [entry.status_changed_at for entry in entries] == times.to_list()
