"""Windows read and files taken."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables.

    first_windows: where the orders begin that a destination answers for: the start of the first window that a
    scheduled run set out to read, or that any run finished. Nothing before it is a gap.

    windows: what was read, once all of it has its verdict.

    files_taken: the versions of a drop's files that were read, likewise. A fingerprint is of what a listing tells of
    a file, so that a known version need not be read to be recognised.
    """
    op.execute(
        """
        create table first_windows (
            destination text primary key,
            window_start timestamptz not null
        );

        create table windows (
            id bigint generated always as identity primary key,
            destination text not null,
            window_start timestamptz not null,
            window_end timestamptz not null,
            run text not null,
            finished_at timestamptz not null default now(),
            check (window_start < window_end)
        );
        create index windows_destination on windows (destination);

        create table files_taken (
            destination text not null,
            path text not null,
            fingerprint text not null,
            size bigint not null,
            modified_at timestamptz not null,
            content_hash text not null,
            run text not null,
            taken_at timestamptz not null default now(),
            primary key (destination, path, fingerprint, content_hash)
        );
        """
    )


def downgrade() -> None:
    """Drop the tables, and with them all that they remember."""
    op.execute("drop table files_taken, windows, first_windows")
