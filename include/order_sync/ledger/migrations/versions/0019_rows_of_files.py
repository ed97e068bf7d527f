"""A file that was taken has the number of its rows, so that people can ask what came of it."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add them; null of files that an earlier release has taken."""
    op.execute("alter table files_taken add rows bigint, add skipped bigint")


def downgrade() -> None:
    """Drop them."""
    op.execute("alter table files_taken drop column rows, drop column skipped")
