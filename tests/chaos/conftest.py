"""What the tests of the ledger's proof share."""

import sqlalchemy as sa


def libpq_address(url: sa.URL) -> str:
    """Return an address for psycopg itself, which wants spaces encoded; SQLAlchemy leaves them."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False).replace(" ", "%20")
