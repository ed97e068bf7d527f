"""Write `.env`, the secrets of docker-compose.yaml, and `connections.env`: `make env`. It needs only Python."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CONNECTIONS = """\
# Airflow connections for all services: one a line, as JSON without line breaks, without quotes around it. For example:
#AIRFLOW_CONN_YESPO={"conn_type": "yespo", "host": "https://esputnik.com", "login": "shop", "password": "API_KEY"}
# A value with $ or # belongs into Airflow's pages, a file or a secrets backend: docs/deploying.md#connections
"""


def settings() -> str:
    """Return the text of a new `.env`: fresh keys, and passwords of letters and digits, which need no quoting."""
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return f"""\
# Written by `make env`. Secret: keep it out of the repository and readable by you alone.
# docs/deploying.md says what each is for and how to change it.

# Keys. Without the Fernet key nobody can read the quarantine, nor Airflow its stored connections: BACK IT UP.
AIRFLOW_FERNET_KEY={fernet_key}
AIRFLOW_JWT_SECRET={secrets.token_hex(32)}
AIRFLOW_API_SECRET_KEY={secrets.token_hex(32)}

# Passwords: the first one is for you, user admin at http://localhost:8080.
AIRFLOW_ADMIN_PASSWORD={secrets.token_hex(12)}
POSTGRES_PASSWORD={secrets.token_hex(24)}
AIRFLOW_DB_PASSWORD={secrets.token_hex(24)}
LEDGER_DB_PASSWORD={secrets.token_hex(24)}
SHOP_DB_PASSWORD={secrets.token_hex(24)}
BROKER_PASSWORD={secrets.token_hex(24)}

# Where Airflow's UI listens, on this machine. Put a proxy with https before it; do not open it to others.
#AIRFLOW_BIND=127.0.0.1
#AIRFLOW_PORT=8080
"""


def write(folder: Path) -> str:
    """Write both files, readable by their owner alone; return what to do next.

    `connections.env` holds a person's own connections, so an existing one stays.

    :raises FileExistsError: `.env` is there and stays; `connections.env` is written if it is not.
    """
    connections = folder / "connections.env"
    if not connections.exists():
        _write_private(connections, CONNECTIONS)
    _write_private(folder / ".env", settings())
    return f"""\
Wrote {folder / ".env"} (keys and passwords) and {connections.name} (connections of your own), for your eyes alone.
Back up, apart from the databases:
  AIRFLOW_FERNET_KEY  without it nobody can read the quarantine, nor Airflow its stored connections
  connections.env     once you have written your connections into it
All else in .env can be made anew; docs/deploying.md says how.
Next:  docker compose up -d --build    or, with a sample shop:  docker compose --profile demo up -d --build"""


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def main() -> int:
    """Write the files into the project's folder; return 1 if `.env` is there."""
    # Another user reads it in a container, and a narrow umask may have made it unreadable.
    script = ROOT / "deploy" / "databases.sh"
    if not script.stat().st_mode & 0o004:
        script.chmod(script.stat().st_mode | 0o444)
    had_connections = (ROOT / "connections.env").exists()
    try:
        print(write(ROOT))
    except FileExistsError as error:
        if not had_connections:
            print(f"Wrote {ROOT / 'connections.env'} (connections of your own).")
        print(
            f"{error.filename} is there, and stays as it is: new keys would lock out the databases and the quarantine "
            "that were made with it.\nTo change one value, see docs/deploying.md. To start anew, remove the volumes "
            "first (`docker compose down --volumes` deletes the ledger), then the file.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
