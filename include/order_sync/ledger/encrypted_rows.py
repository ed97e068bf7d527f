"""Rows that could not be delivered: encrypted for the quarantine, decrypted for a redrive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from include.order_sync.model import ITEM_COLUMNS, NO_TIME, ORDER_COLUMNS
from include.order_sync.sources.raw import RAW_ITEMS_SCHEMA, RAW_SCHEMA
from include.order_sync.staging.run_folder import Staging
from include.order_sync.transform.canonical import canonical_orders
from include.order_sync.transform.order_checks import readable_ids
from include.order_sync.transform.repeated_hour import with_offsets

# Columns that are kept beside the order columns, so that a redrive reads the row as it was.
_CONTEXT = ("origin", "line", "file_modified_at", "problem", "rank", "source_hash")


class Cipher(Protocol):
    """Encrypts with the deployment's first key, and decrypts with any of its keys."""

    def encrypt(self, msg: bytes) -> bytes:
        """Return the token of a text."""

    def decrypt(self, msg: bytes) -> bytes:
        """Return the text of a token; any exception where no key fits."""


@dataclass(frozen=True)
class QuarantineEntry:
    """A row for the quarantine; only `encrypted_row` holds its content.

    `file_time` is when its file was last modified, of a row that is known by its place there alone. What can't be read
    of the row's version is None.
    """

    order_id: str | None
    row_hash: bytes
    reasons: list[str]
    encrypted_row: bytes
    origin: str
    line: int | None
    status_changed_at: datetime | None
    file_time: datetime | None = None
    updated_at: datetime | None = None
    rank: int | None = None


@dataclass(frozen=True)
class RowEncryptor:
    """Makes quarantine entries of the staged rows of one run.

    Args:
        staging: of the run.
        timezone: of the source's times without an offset.
        cipher: of the deployment.
    """

    staging: Staging
    timezone: str
    cipher: Cipher

    def encrypt_ready(
        self, orders: pd.DataFrame, reasons: Sequence[str], service_messages: Sequence[str]
    ) -> list[QuarantineEntry]:
        """Return an entry for each of these ready orders, with its reason and the service's message."""
        if orders.empty:
            return []
        rows, items = self.staging.raw_rows(orders)
        said = with_offsets(rows, orders, self.timezone).assign(
            rank=orders["rank"].tolist(),
            source_hash=orders["source_hash"].astype("str").tolist(),
            reasons=pd.Series([[reason] for reason in reasons], index=rows.index),
            # A service's JSON may hold half a surrogate pair, which has no UTF-8.
            service_message=[text.encode("utf-8", "replace").decode() for text in service_messages],
        )
        return encrypt_rows(said, items, self.timezone, self.cipher)

    def encrypt_rejected(self, rejected: pd.DataFrame) -> list[QuarantineEntry]:
        """Return an entry for each of these raw rows, which carry their rank, source_hash and reasons."""
        return encrypt_rows(rejected, self.staging.raw_items(rejected), self.timezone, self.cipher)


def encrypt_rows(
    rows: pd.DataFrame, items: pd.DataFrame | None, timezone: str, cipher: Cipher
) -> list[QuarantineEntry]:
    """Return an entry for each raw row.

    Args:
        rows: raw rows (RAW_SCHEMA) with their `rank`, `source_hash` and the list of their `reasons`, and the
            `service_message`, if there is one.
        items: raw items of these orders, where a second query gives them.
        timezone: of the source's times without an offset.
        cipher: of the deployment.
    """
    canonical = canonical_orders(rows, timezone)
    items_of = _items_by_order(items)
    entries = []
    updated_at = canonical["updated_at"].fillna(NO_TIME).mask(canonical["updated_at_unreadable"])
    for row, order_id, readable, changed, updated in zip(
        rows.to_dict("records"),
        canonical["order_id"],
        readable_ids(canonical["order_id"]),
        canonical["status_changed_at"],
        updated_at,
        strict=True,
    ):
        known_id = str(order_id) if readable else None
        content = _given(row, ORDER_COLUMNS)
        # An unreadable row has no content: its place in the file identifies it.
        identity = content or {"origin": str(row["origin"]), "line": str(row["line"])}
        whole = {
            "row": content | _given(row, _CONTEXT),
            "items": items_of.get(known_id or ""),
            "service_message": row.get("service_message") or "",
        }
        entries.append(
            QuarantineEntry(
                order_id=known_id,
                row_hash=hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).digest(),
                reasons=list(row["reasons"]),
                encrypted_row=cipher.encrypt(json.dumps(whole, ensure_ascii=False).encode()),
                origin=str(row["origin"]),
                line=int(row["line"]),
                status_changed_at=None if pd.isna(changed) else changed.to_pydatetime(),
                file_time=None if content else _time(row.get("file_modified_at")),
                updated_at=None if pd.isna(updated) else updated.to_pydatetime(),
                rank=None if pd.isna(row["rank"]) else int(row["rank"]),
            )
        )
    return entries


def _items_by_order(items: pd.DataFrame | None) -> dict[str, list[dict[str, str]]]:
    by_order: dict[str, list[dict[str, str]]] = {}
    for item in [] if items is None else items.to_dict("records"):
        by_order.setdefault(str(item["order_id"]).strip(), []).append(_given(item, ("order_id", *ITEM_COLUMNS)))
    return by_order


def decrypt_rows(encrypted_rows: Sequence[bytes], cipher: Cipher) -> tuple[pa.Table, pa.Table | None, list[int]]:
    """Return the raw rows (RAW_SCHEMA) and raw items, and the indices of rows that no key of the deployment opens."""
    rows: list[dict[str, Any]] = []
    items: dict[str | None, list[dict[str, str]]] = {}  # of an order in several entries, the newest has them
    closed: list[int] = []
    for index, token in enumerate(encrypted_rows):
        whole = _opened(token, cipher)
        if whole is None:
            closed.append(index)
            continue
        row = whole["row"]
        row |= {"line": int(row["line"]), "position": len(rows)}
        if "file_modified_at" in row:
            row["file_modified_at"] = datetime.fromisoformat(row["file_modified_at"])
        if "rank" in row:  # rows that were encrypted before ranks were kept have none
            row["rank"] = int(row["rank"])
        rows.append(row)
        if whole["items"] is not None:
            items[row.get("order_id")] = whole["items"]
    orders = pa.Table.from_pylist(rows, schema=RAW_SCHEMA)
    flat = [item for of_order in items.values() for item in of_order]
    return orders, pa.Table.from_pylist(flat, schema=RAW_ITEMS_SCHEMA) if items else None, closed


def decrypt_row(encrypted_row: bytes, cipher: Cipher) -> dict[str, Any] | None:
    """Return the raw row of an entry; None if no key of the deployment opens it."""
    whole = _opened(encrypted_row, cipher)
    return None if whole is None else whole["row"]


def service_messages(encrypted_rows: Sequence[bytes], cipher: Cipher) -> list[str | None]:
    """Return the service's message about each row, empty without one; None where no key of the deployment opens it.

    A message may quote the order.
    """
    opened = (_opened(token, cipher) for token in encrypted_rows)
    return [None if whole is None else str(whole["service_message"]) for whole in opened]


def _opened(token: bytes, cipher: Cipher) -> dict[str, Any] | None:
    """Return what was encrypted; None if no key of the deployment opens it."""
    try:
        whole: dict[str, Any] = json.loads(cipher.decrypt(bytes(token)))
    except Exception:  # each cipher has its own exception for a wrong key
        return None
    return whole


def _time(value: Any) -> datetime | None:
    return None if pd.isna(value) else pd.Timestamp(value).to_pydatetime()


def _given(row: Mapping[Hashable, Any], columns: Iterable[str]) -> dict[str, str]:
    return {column: str(row[column]) for column in columns if column in row and not pd.isna(row[column])}
