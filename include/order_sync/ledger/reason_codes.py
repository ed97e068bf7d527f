"""The codes of reasons, written where the views find them."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa


def write(engine: sa.Engine, codes: Mapping[str, str]) -> None:
    """Let the views know the codes of this release, and no others.

    Args:
        engine: of the ledger, whose schema is this release's.
        codes: a pattern of SQL's LIKE for the text of a reason -> its code.
    """
    with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
        connection.exec_driver_sql("delete from reason_codes")
        # Another upgrade may run at the same time.
        insert = """
            insert into reason_codes (pattern, code) values (:pattern, :code)
            on conflict (pattern) do update set code = excluded.code
        """
        connection.execute(sa.text(insert), [{"pattern": pattern, "code": code} for pattern, code in codes.items()])
