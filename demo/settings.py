"""The settings of the demo, and the folders of its state."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A deployment setting: among Arrow's allocators jemalloc returns the most memory (20 to 60 MB a task) and costs no
# time. Arrow reads the setting on import. https://arrow.apache.org/docs/cpp/env_vars.html
ARROW_ALLOCATOR = {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"} if sys.platform == "linux" else {}


class DemoError(Exception):
    """An error that ends the demo; its message names the setting, the value and the cure."""


@dataclass(frozen=True)
class Settings:
    """The settings of one demo: ports, the size of the sample shop, and the folder of its state."""

    local: Path
    airflow_port: int
    sandbox_port: int
    shop_orders: int
    shop_seed: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables; an unset or empty one has its default."""
        return cls(
            local=Path(environment.get("ORDER_SYNC_LOCAL") or ROOT / ".local").resolve(),
            airflow_port=_whole_number(environment, "AIRFLOW_PORT", default=8080, low=1, high=65535),
            sandbox_port=_whole_number(environment, "SANDBOX_PORT", default=8900, low=1, high=65535),
            shop_orders=_whole_number(environment, "SHOP_ORDERS", default=3000, low=60, high=500_000),
            shop_seed=_whole_number(environment, "SHOP_SEED", default=1, low=0, high=2**31),
        )

    @property
    def drop(self) -> Path:
        """The folder of the sample shop's CSV files."""
        return self.local / "drop"

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.local / "logs"

    def secret(self, name: str) -> str:
        """Return the secret of this name, made on first use and kept in a file only its owner can read."""
        path = self.local / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _whole_number(environment: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise DemoError(f"{name} is {text!r}: set it to a whole number from {low} to {high}")
    return int(text)
