"""Entries of the quarantine may be dismissed, with a note."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the note of a dismissed entry, and an index that finds the dismissed entry of a row that is seen again."""
    op.execute(
        """
        alter table quarantine add note text;
        create index quarantine_dismissed on quarantine (destination, row_hash) where note is not null;
        """
    )


def downgrade() -> None:
    """Drop the notes: an earlier release lists the dismissed rows again when it sees them."""
    op.execute("alter table quarantine drop column note")
