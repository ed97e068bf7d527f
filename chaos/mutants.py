"""`python -m chaos.mutants [GROUP ...]`: makes small changes of the code, and counts those that no fast test notices.

mutmut makes the mutants and maps them to the tests that reach them (docs/decisions/0027-mutation-testing.md).
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import psycopg
import sqlalchemy as sa

from chaos.planted import copy_project
from demo.postgres import Postgres
from demo.settings import Settings
from include.order_sync.ledger import schema
from include.order_sync.providers import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
LOGGED_END = 4000
# What our modules and tests import, and mutants share.
PRELOADED = (
    "pytest",
    "hypothesis",
    "pandas",
    "pyarrow.compute",
    "sqlalchemy",
    "psycopg",
    "pydantic",
    "requests",
    "fastapi",
    "uvicorn",
    "cryptography.fernet",
)

# mutmut's exit codes of a mutant's test run that mean: no test failed, or no test reaches the code.
# 255 is of a run that could not start, for instance because a test's id has a backslash and comes from a function.
UNNOTICED = {0: "survived", 5: "untested", 33: "untested", 255: "not run"}
CHECK_ARGUMENTS = 4  # code, reason, cure, function
TIMED_OUT = (24, 36, 152, -24)


@dataclass(frozen=True)
class Group:
    """Code to change, and the fast tests that must notice.

    Args:
        code: files.
        tests: files, folders or single tests.
        calls_at_import: modules call the code while they are imported, so that each mutant has to import them anew.
            Other mutants share one import, which is most of a test run's time.
        named: pytest's expression (`-k`) for the names of the tests to take; all if empty.
    """

    code: tuple[str, ...]
    tests: tuple[str, ...]
    calls_at_import: bool = False
    named: str = ""


CODE, PLUGINS = "include/order_sync", "plugins/order_sync_airflow"
DELIVERY, LEDGER = f"{CODE}/delivery", f"{CODE}/ledger"
UNIT, CONTRACT, AIRFLOW = "tests/unit", "tests/contract", "tests/airflow"
GROUPS = {
    # What happens to an order, and when a load or a run stops.
    "decisions": Group(
        (
            f"{DELIVERY}/accounting.py",
            f"{DELIVERY}/result.py",
            f"{DELIVERY}/stale.py",
            f"{DELIVERY}/decision_table.py",
            f"{DELIVERY}/relations.py",
            f"{CODE}/sources/run_window.py",
        ),
        (
            f"{UNIT}/delivery/test_accounting.py",
            f"{UNIT}/delivery/test_result.py",
            f"{UNIT}/delivery/test_stale.py",
            f"{UNIT}/delivery/test_decision_table.py",
            f"{UNIT}/sources/test_run_window.py",
        ),
    ),
    "answers": Group(
        (
            *(f"{CODE}/providers/{name}.py" for name in ("base", "yespo_checks", *PROVIDERS)),
            f"{CODE}/transform/checks.py",
        ),
        (
            f"{UNIT}/providers",
            f"{UNIT}/transform/test_reasons.py",
            f"{UNIT}/test_codes.py",
            f"{CONTRACT}/test_items.py",
            f"{CONTRACT}/test_verdicts.py",
            f"{CONTRACT}/test_trials.py",
            *(
                f"{CONTRACT}/test_providers.py::{test}"
                for test in (
                    "test_each_check_fires_alone",
                    "test_payloads_hold_no_credentials",
                    "test_golden_requests",
                    "test_what_a_provider_reads_is_all_it_needs",
                )
            ),
        ),
        calls_at_import=True,
    ),
    "airflow": Group(
        (f"{PLUGINS}/retry.py", f"{PLUGINS}/run_context.py"),
        (f"{AIRFLOW}/test_retry.py", f"{AIRFLOW}/test_run_context.py"),
    ),
    "validation": Group(
        tuple(f"{CODE}/transform/{name}.py" for name in ("reasons", "order_checks", "transform")),
        (f"{UNIT}/transform", f"{UNIT}/sources/test_csv_lines.py"),
    ),
    "windows": Group((f"{LEDGER}/windows.py",), (f"{UNIT}/ledger/test_windows.py",)),
    # Against the sandbox and PostgreSQL: a test takes a quarter of a second. What REES46 answers is for "answers",
    # and PersonaClick is sent to by the same module.
    "sending": Group(
        (f"{DELIVERY}/planning.py", f"{DELIVERY}/settlement.py"),
        tuple(f"{CONTRACT}/test_{name}.py" for name in ("hard_cases", "ledger", "verdicts", "failing_orders")),
        named="not personaclick and not short_answer and not another_server",
    ),
    "redrive": Group(
        (f"{LEDGER}/quarantine.py", f"{PLUGINS}/operators/redrive.py"),
        tuple(
            f"{AIRFLOW}/test_{name}.py" for name in ("operators", "quarantine", "redrive", "decisions", "run_reports")
        ),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A changed function.

    Args:
        name: mutmut's, for `mutmut show`.
        outcome: killed, timeout, survived, untested or not run.
        change: the lines that differ.
        is_text: whether only the text of a message differs.
    """

    name: str
    outcome: str
    change: str
    is_text: bool


def main() -> int:
    """Change the groups, and print each change that was not noticed; return 0."""
    parser = argparse.ArgumentParser(prog="python -m chaos.mutants", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all by default")
    parser.add_argument("--folder", type=Path, default=ROOT / ".local" / "mutants", help="folder of the copies")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many mutants are tested at once")
    options = parser.parse_args()
    if unknown := set(options.groups) - GROUPS.keys():
        parser.error(f"there is no group {', '.join(sorted(unknown))}: choose of {', '.join(GROUPS)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    found: list[Mutant] = []
    with _postgres(options.folder) as address:
        for name in options.groups or GROUPS:
            began = time.monotonic()
            by_file = run(GROUPS[name], options.folder / name, options.processes, address)
            for code, mutants in by_file.items():
                print(f"{code}: {summary(mutants)}")
                for mutant in mutants:
                    if mutant.outcome in UNNOTICED.values() and not mutant.is_text:
                        print(f"  {mutant.outcome} {mutant.name.rpartition('.')[2]}\n{mutant.change}")
            print(f"{name} took {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
            found += [mutant for mutants in by_file.values() for mutant in mutants]
    print(f"all: {summary(found)}")
    return 0


def run(group: Group, folder: Path, processes: int, postgres: str) -> dict[str, list[Mutant]]:
    """Change the files of a group in a copy of the project; return the mutants of each file, with their outcomes.

    Args:
        group: to change.
        folder: of the copy, which is emptied first.
        processes: how many mutants are tested at once.
        postgres: address of a server that all test runs share.
    """
    _copy(group, folder)
    with (folder / "log").open("w") as log:
        ended = subprocess.run(
            [Path(sys.executable).parent / "mutmut", "run", "--max-children", str(processes)],
            cwd=folder,
            env={**os.environ, "ORDER_SYNC_TESTS_POSTGRES": postgres},
            stdout=log,
            stderr=log,
            check=False,
        )
    if ended.returncode:
        raise SystemExit(f"mutmut failed. The end of {folder}/log:\n{(folder / 'log').read_text()[-LOGGED_END:]}")
    return {code: list(_results(folder / "mutants" / _placed(code))) for code in group.code}


def summary(mutants: list[Mutant]) -> str:
    """Return the score of mutants, and how many have each outcome; those of a message's text apart."""
    outcomes = Counter(mutant.outcome for mutant in mutants if not mutant.is_text)
    texts = Counter(mutant.outcome for mutant in mutants if mutant.is_text)
    noticed = outcomes["killed"] + outcomes["timeout"]
    return (
        f"{100 * noticed / max(outcomes.total(), 1):.1f} % of {outcomes.total()} mutants noticed "
        f"({', '.join(f'{times} {outcome}' for outcome, times in outcomes.most_common())}), "
        f"and {texts['killed'] + texts['timeout']} of {texts.total()} in the text of a message"
    )


def _placed(code: str) -> str:
    """Return a file's place in the copy: mutmut knows a package only in the project's root or in `src/`."""
    return code.replace("plugins/", "src/", 1) if code.startswith("plugins/") else code


def _copy(group: Group, folder: Path) -> None:
    copy_project(folder)
    (folder / "plugins").rename(folder / "src")
    settings = (folder / "pyproject.toml").read_text("utf-8").replace('[".", "plugins"]', '[".", "src"]')
    mutmut = {
        "source_paths": ["include", "src"],
        "only_mutate": [_placed(code) for code in group.code],
        "also_copy": ["sandbox", "chaos", "demo", "dags", "simulation"],
        "pytest_add_cli_args": [
            *("-p", "no:cacheprovider", "-p", "chaos.mutant_tests", "--hypothesis-profile=mutants"),
            *(("-k", group.named) if group.named else ()),
        ],
        "pytest_add_cli_args_test_selection": list(group.tests),
        # A process that has run pyarrow's threads must not fork.
        "process_isolation": "forkserver",
        "forkserver_warmup": "import" if group.calls_at_import else "collect",
        "preload_modules_file": "preloaded",
        # A busy machine must not count as a test that fails: one minute was too short beside twelve other processes.
        "timeout_constant": 60.0,
        "timeout_multiplier": 6.0,
    }
    (folder / "preloaded").write_text("\n".join(PRELOADED), "utf-8")
    lines = [f"{key} = {json.dumps(value)}" for key, value in mutmut.items()]
    (folder / "pyproject.toml").write_text("\n".join([settings, "[tool.mutmut]", *lines, ""]), "utf-8")


def _results(changed: Path) -> Iterator[Mutant]:
    tree = ast.parse(changed.read_text("utf-8"))
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    codes = json.loads(changed.with_suffix(".py.meta").read_text())["exit_code_by_key"]
    for name, code in codes.items():
        if code is None:
            raise SystemExit(f"{name} was not tested. Look at the log beside mutants/.")
        outcome = "timeout" if code in TIMED_OUT else UNNOTICED.get(code, "killed")
        function = name.rpartition(".")[2]
        original = functions[f"{function.rpartition('__mutmut_')[0]}__mutmut_orig"]
        yield Mutant(name, outcome, *_change(original, functions[function]))


def _change(original: ast.FunctionDef, mutant: ast.FunctionDef) -> tuple[str, bool]:
    """Return the lines that a mutant has changed, and whether they differ only in the text of a message."""
    before, after = (ast.unparse(function).splitlines()[1:] for function in (original, mutant))
    lost, new = [line for line in before if line not in after], [line for line in after if line not in before]
    change = "\n".join([*(f"    - {line.strip()}" for line in lost), *(f"    + {line.strip()}" for line in new)])
    bare = [ast.dump(ast.Module(_WithoutTexts().visit(deepcopy(function)).body, [])) for function in (original, mutant)]
    return change, bare[0] == bare[1]


class _WithoutTexts(ast.NodeTransformer):
    """Removes the texts for people: the message of an error, what a line of the log says, and the cure of a check."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = ast.unparse(node.func)
        if function.startswith(("log.", "self.log.")):
            return ast.Call(node.func, [], [])
        if function.endswith("Error") and node.args:
            place = 1 if function == "StopError" else 0  # behind its reason
            before, behind = node.args[:place], node.args[place + 1 :]
            return ast.Call(node.func, [*before, ast.Constant("a message"), *behind], node.keywords)
        if function == "Check" and len(node.args) == CHECK_ARGUMENTS:
            return ast.Call(node.func, [*node.args[:2], ast.Constant("a cure"), node.args[3]], node.keywords)
        return node


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """Start a server for all test runs; yield its address. Its time zone and date style are no default."""
    server = Postgres(Settings(local=folder / "server", airflow_port=0, sandbox_port=0, shop_orders=0, shop_seed=0))
    server.start()
    try:
        with psycopg.connect(server.uri("postgres"), autocommit=True) as connection:
            for setting, value in (("timezone", "Asia/Tokyo"), ("datestyle", "German"), ("fsync", "off")):
                connection.execute(f"alter system set {setting} = '{value}'")
            connection.execute("select pg_reload_conf()")
        schema.upgrade(sa.create_engine(server.uri("ledger", "postgresql+psycopg")))
        yield server.uri("postgres", "postgresql+psycopg")
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
