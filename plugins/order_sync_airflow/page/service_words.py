"""The service's own words about a row of the quarantine, and the row itself, masked, for those who may redrive."""

from __future__ import annotations

from include.order_sync.ledger.encrypted_rows import decrypt_row, service_messages
from include.order_sync.model import ORDER_COLUMNS
from include.order_sync.preview.masks import masked_order
from include.order_sync.redact import redact
from order_sync_airflow.ledger_connection import deployment_cipher

NO_KEY = "(no key of this deployment opens it)"


def opened(encrypted_row: bytes) -> tuple[str, dict[str, str]]:
    """Return the service's message without personal data, empty without one, and the row's columns, masked.

    Args:
        encrypted_row: of an entry of the quarantine.
    """
    cipher = deployment_cipher()
    (message,) = service_messages([encrypted_row], cipher)
    row = decrypt_row(encrypted_row, cipher)
    if message is None or row is None:
        return NO_KEY, {}
    given = {column: str(row[column]) for column in ORDER_COLUMNS if row.get(column) is not None}
    return redact(message), masked_order(given)
