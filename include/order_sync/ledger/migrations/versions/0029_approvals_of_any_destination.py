"""An approval may be of a destination with any number."""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Widen `destination_id` from smallint to integer, as 0006 did in the other tables."""
    op.execute("alter table approvals alter destination_id type integer")


def downgrade() -> None:
    """Leave it: an earlier release takes an integer too."""
