"""An entry of the quarantine has the whole version of its row, and so tells whether a newer row was delivered."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the rest of the version; null of entries that an earlier release wrote, and of an unreadable `updated_at`."""
    op.execute("alter table quarantine add updated_at timestamptz, add rank integer")


def downgrade() -> None:
    """Drop it: a row of equal `status_changed_at` closes an entry again."""
    op.execute("alter table quarantine drop column updated_at, drop column rank")
