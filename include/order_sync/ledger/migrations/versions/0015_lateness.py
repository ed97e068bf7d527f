"""A finished window remembers how late its rows were."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the longest lateness that was measured; null where no row was late."""
    op.execute("alter table windows add late_by interval")


def downgrade() -> None:
    """Drop it: `lookback` is as configured again."""
    op.execute("alter table windows drop column late_by")
