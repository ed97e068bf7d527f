"""Files that a destination has taken, in PostgreSQL."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from include.order_sync.ledger import files, schema
from include.order_sync.model import FileVersion

A = FileVersion("/drop/a.csv", "fingerprint", 7, datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC), "hash")


def test_versions_come_back(ledger: sa.Engine) -> None:
    """A destination finds each taken version of the requested files, once."""
    destination = str(uuid.uuid4())
    again, other = replace(A, fingerprint="of later", content_hash="other"), replace(A, path="/drop/b.csv")
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        files.take(connection, destination, [A, again, other], "run")
        files.take(connection, destination, [A], "a backfill")
        files.take(connection, destination, [], "a run without files")

        assert set(files.taken(connection, destination, [A.path, "/drop/none.csv"])) == {A, again}
        assert len(files.taken(connection, destination, [A.path, other.path])) == 3
        assert files.taken(connection, "another", [A.path]) == []
        assert files.taken(connection, destination, []) == []
