"""A helper that the tests of chaos share."""

import sqlalchemy as sa


def libpq_address(url: sa.URL) -> str:
    """Return an address for psycopg itself, which needs spaces encoded; SQLAlchemy does not encode them."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False).replace(" ", "%20")
