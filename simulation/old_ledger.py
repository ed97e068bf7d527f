"""The ledger as an earlier release would have left it: the same rows, in the tables of an older schema."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from include.order_sync.ledger import schema

# Since then each table has the columns of today, or fewer.
OLDEST = "0006"
# The mark of a ledger that was restored came with this one.
MARKS = "0014"
COLUMNS = """
    select table_name, string_agg(quote_ident(column_name), ', ' order by ordinal_position),
           max(column_name) filter (where is_identity = 'YES')
    from information_schema.columns join information_schema.tables using (table_schema, table_name)
    where table_schema = current_schema and table_type = 'BASE TABLE' and table_name not in ('alembic_version', 'clock')
    group by 1
"""
# Tables that refer to others come after them.
FIRST = ("destinations", "batches")


def revisions() -> list[str]:
    """Return the older schemas that `fill` can make, the oldest first."""
    found = (script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())
    return sorted(revision for revision in found if OLDEST <= revision < schema.HEAD)


def fill(ledger: str, old: str, revision: str) -> None:
    """Give a new database the tables of an older schema, and all rows that these hold.

    Args:
        ledger: address of the ledger.
        old: address of the new database, which has its clock.
        revision: of the older schema.
    """
    config = _config()
    with engine(old).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    with psycopg.connect(ledger) as source, psycopg.connect(old) as target:
        tables = {name: (columns, identity) for name, columns, identity in target.execute(COLUMNS).fetchall()}
        for name in sorted(tables, key=lambda table: (table not in FIRST, table != FIRST[0], table)):
            columns, identity = tables[name]
            with (
                source.cursor().copy(f"copy (select {columns} from {name}) to stdout") as rows,
                target.cursor().copy(f"copy {name} ({columns}) from stdin") as copy,
            ):
                for block in rows:
                    copy.write(block)
            if identity:
                sequence = f"pg_get_serial_sequence('{name}', '{identity}')"
                target.execute(f"select setval({sequence}, (select coalesce(max({identity}), 0) + 1 from {name}))")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    return config


def engine(address: str) -> sa.Engine:
    """Return an engine of a database, which keeps no connection open."""
    url = sa.make_url(address).set(drivername="postgresql+psycopg")
    return sa.create_engine(url, poolclass=sa.NullPool)
