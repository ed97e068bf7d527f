"""`python -m chaos.planted [NAME ...]`: plants each defect of chaos/defects.py in a copy, and shows what notices it.

It ends with 1 if a defect is not noticed. First it makes sure that everything passes without a defect.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tabulate import tabulate

from chaos.defects import DEFECTS, MACHINE, STORM, Defect

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("include", "plugins", "dags", "tests", "sandbox", "chaos", "demo", "simulation", "pyproject.toml")
TIMEOUT_S = 1200  # of one run of what notices a defect
# The state machine meets a defect by chance: the rarest shows in 4 of 80 mixes, so that a run of 40 may miss it.
TRIES = 5
SEED = "1"
WORDS = 80  # of what notices a defect, on the screen


def main() -> int:
    """Plant the defects one by one; return 0 if each was noticed."""
    parser = argparse.ArgumentParser(prog="python -m chaos.planted", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a part of the names of the defects; all by default")
    parser.add_argument("--folder", type=Path, default=ROOT / ".local" / "planted", help="folder of the copy")
    parser.add_argument("--trust", action="store_true", help="do not first make sure that all passes without a defect")
    options = parser.parse_args()
    chosen = [defect for defect in DEFECTS if any(name in defect.name for name in options.names or [""])]
    if not chosen:
        parser.error(f"no defect has such a name: {', '.join(options.names)}")
    copy = options.folder.resolve() / "copy"
    for judge in [] if options.trust else sorted({defect.noticed_by for defect in chosen}):
        copy_project(copy)
        code, said = _judge(judge, copy)
        if code:
            log = options.folder / "no defect.log"
            log.write_text(said, "utf-8")
            raise SystemExit(f"{judge} fails without a defect. All that it said is in {log}; the end:\n{said[-4000:]}")
    rows, unnoticed = [], 0
    for defect in chosen:
        copy_project(copy)
        plant(defect, copy)
        began = time.monotonic()
        for _ in range(TRIES if defect.noticed_by == MACHINE else 1):
            code, said = _judge(defect.noticed_by, copy)
            if code:
                break
        found = re.search(rf"(?m)^.*(?:{defect.says}).*$", said) if code == 1 else None
        unnoticed += found is None
        words = found[0].removeprefix("E").strip()[:WORDS] if found else "NOT NOTICED"
        rows.append((defect.name, defect.noticed_by, words, time.monotonic() - began))
        print(f"{defect.name}: {rows[-1][2]} ({rows[-1][3]:.0f} s)", flush=True)
        if found is None:
            (options.folder / f"{defect.name}.log").write_text(said, "utf-8")
    print(tabulate(rows, headers=["defect", "noticed by", "which says", "seconds"], floatfmt=".0f"))
    print(f"{len(rows) - unnoticed} of {len(rows)} defects were noticed.")
    return 1 if unnoticed else 0


def plant(defect: Defect, folder: Path) -> None:
    """Change the file of a defect below a folder. Raise ValueError if the text does not stand there exactly once."""
    (folder / defect.file).write_text(planted(defect, folder), "utf-8")


def planted(defect: Defect, folder: Path) -> str:
    """Return the text of a defect's file below a folder, with the defect; raise ValueError as `plant`."""
    text = (folder / defect.file).read_text("utf-8")
    if text.count(defect.old) != 1:
        raise ValueError(
            f"The defect {defect.name!r} no longer fits: its text stands {text.count(defect.old)} times in "
            f"{defect.file}. Adapt it in chaos/defects.py."
        )
    return text.replace(defect.old, defect.new)


def copy_project(folder: Path) -> None:
    """Copy what tests and storms need into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)


def _judge(judge: str, folder: Path) -> tuple[int, str]:
    """Run what is to notice a defect in the copy; return its exit code and what it says."""
    if judge == STORM:
        command = ["chaos", "--short", "--seed", SEED, "--folder", str(folder.parent / "storm")]
    else:
        command = ["pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider", judge]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    sys.exit(main())
