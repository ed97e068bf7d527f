"""The figures that are kept in the repository, the noise of each, and how a new figure compares with it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from demo.settings import ROOT

FILE = Path(__file__).with_name("kept.json")
# Fewer rounds say nothing of the noise.
LEAST_ROUNDS = 3
# The spread of three rounds is some 1.7 standard deviations. A figure of the same code lies further than one and a half
# spreads from their median in one case of a hundred.
SPREADS = 1.5
# Rounds that agree by chance would leave no room.
LEAST_SHARE = 0.02

Form = Literal["whole", "short"]


class NotKeptError(Exception):
    """The figures can't be kept."""


@dataclass(frozen=True)
class Kept:
    """A figure that was measured several times with one commit.

    Args:
        rounds: its values.
        commit: that was measured.
        date: of the measurement, in UTC.
        machine: its processors.
    """

    rounds: list[float]
    commit: str
    date: str
    machine: str

    @property
    def median(self) -> float:
        """The middle one of the rounds."""
        return statistics.median(self.rounds)

    @property
    def band(self) -> tuple[float, float]:
        """The values that say nothing: another round of the same commit may have them."""
        reach = max(SPREADS * (max(self.rounds) - min(self.rounds)), LEAST_SHARE * abs(self.median))
        return self.median - reach, self.median + reach

    def judge(self, measured: float, *, at_least: bool) -> Literal["better", "same", "worse"]:
        """Return how a new value compares; `at_least`: whether greater ones are better."""
        low, high = self.band
        if low <= measured <= high:
            return "same"
        return "better" if (measured > high) is at_least else "worse"


def read(form: Form) -> dict[str, Kept]:
    """Return the kept figures of the whole or the short form, by name."""
    return {name: Kept(**fields) for name, fields in json.loads(FILE.read_text("utf-8"))[form].items()}


def keep(form: Form, rounds: Mapping[str, Sequence[float]]) -> None:
    """Replace the kept figures by these; figures that are not among them stay as they are.

    Args:
        form: that was measured.
        rounds: figure -> its values.

    Raises:
        NotKeptError: a figure has fewer than LEAST_ROUNDS values, or files differ from their commit.
    """
    if few := [name for name, values in rounds.items() if len(values) < LEAST_ROUNDS]:
        raise NotKeptError(f"{', '.join(few)}: fewer than {LEAST_ROUNDS} rounds. Set ROUNDS={LEAST_ROUNDS} or more.")
    if changed := _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{FILE.relative_to(ROOT)}"):
        raise NotKeptError(f"Commit first: figures are kept for a commit, and these files differ from it:\n{changed}")
    kept = json.loads(FILE.read_text("utf-8"))
    commit, date = _git("rev-parse", "--short=12", "HEAD"), f"{datetime.now(UTC):%Y-%m-%d}"
    for name, values in rounds.items():
        kept[form][name] = asdict(Kept([round(value, 4) for value in values], commit, date, machine()))
    FILE.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def machine() -> str:
    """Return the processors of this machine, by which figures in seconds compare or not."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text("utf-8").splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else ""
    return f"{os.cpu_count()} x {model or platform.processor() or platform.machine()}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
