"""The ledger's schema, and the version that this release needs."""

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from include.order_sync.errors import TryAgainError
from include.order_sync.ledger import schema


def test_the_needed_version_is_the_last_migrations() -> None:
    """The constant that tasks compare equals the newest migration."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


@pytest.mark.parametrize("version", ["none", "0002"])
def test_another_schema_is_refused(ledger: sa.Engine, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The message about missing or other tables names both versions and the command to run."""
    with ledger.connect() as connection:
        connection.exec_driver_sql("set search_path = pg_temp")
        if version != "none":
            connection.exec_driver_sql(f"create temporary table alembic_version as select '{version}' version_num")
        connection.commit()
        with pytest.raises(TryAgainError) as refusal:
            schema.check(connection, "order_sync_ledger")
        connection.invalidate()

    assert f"has schema {version}, and this release needs {schema.HEAD}" in str(refusal.value)
    assert schema.UPGRADE_COMMAND in str(refusal.value)
