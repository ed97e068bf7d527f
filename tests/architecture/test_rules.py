"""The project's rules about imports, names and accounts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.order_sync.providers import PROVIDERS
from sandbox.registry import SERVICES

ROOT = Path(__file__).parents[2]


def imports(tree: ast.AST) -> set[str]:
    """Return the dotted names that a file imports, at any place in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def parsed(file: Path) -> ast.AST:
    """Return the syntax tree of a file."""
    return ast.parse(file.read_text("utf-8"))


def files(folder: str) -> list[Path]:
    """Return the Python files of a folder, which must have some."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder}/ has no Python file: this test looks in the wrong place"
    return found


# The demo and the senders of chaos may import these modules of the sandbox, and no others. Only these modules hold the
# accounts, and the facts that decide which faults a service can commit. The verdict of chaos reads them over HTTP, and
# imports nothing of ours (tests/chaos/test_verdict.py).
FACTS = ("sandbox.registry", "sandbox.service")


def breaks(name: str, forbidden: set[str], excepted: tuple[str, ...] = ()) -> bool:
    """Whether an imported name belongs to a forbidden package, and not to an excepted module of it."""
    return name.split(".")[0] in forbidden and not f"{name}.".startswith(tuple(f"{module}." for module in excepted))


@pytest.mark.parametrize(
    ("folder", "forbidden", "excepted"),
    [
        ("include", {"airflow", "order_sync_airflow", "sandbox", "demo", "chaos"}, ()),
        ("sandbox", {"include", "airflow", "order_sync_airflow", "demo", "chaos"}, ()),
        ("plugins", {"sandbox", "demo", "chaos"}, ()),
        ("dags", {"sandbox", "demo", "chaos", "pandas", "pyarrow", "requests", "sqlalchemy"}, ()),
        ("demo", {"include", "order_sync_airflow", "chaos", "sandbox"}, FACTS),
        ("chaos", {"airflow", "order_sync_airflow", "sandbox", "simulation"}, FACTS),
        ("simulation", {"sandbox"}, FACTS),
    ],
)
def test_who_may_import_whom(folder, forbidden, excepted):
    """include/ never imports Airflow, and the sandbox never imports the code that it judges."""
    guilty = {
        str(file.relative_to(ROOT)): {name for name in imports(parsed(file)) if breaks(name, forbidden, excepted)}
        for file in files(folder)
    }
    assert {file: names for file, names in guilty.items() if names} == {}


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("import sandbox", True),
        ("from sandbox import app", True),
        ("import sandbox.registry_of_mine", True),
        ("from sandbox.registry import SERVICES", False),
        ("from sandbox import registry", False),
        ("from requests import Session", False),
    ],
)
def test_a_forbidden_import_is_seen(line, broken):
    """The check finds a forbidden package in each way to import it, and lets excepted modules pass."""
    (name,) = imports(ast.parse(line))
    assert breaks(name, {"sandbox"}, FACTS) is broken


def test_the_plugin_loader_sees_one_file():
    """Airflow runs each visible file of plugins/ under its bare name, so only one file is visible."""
    code = (
        "from airflow._shared.module_loading import find_path_from_directory\n"
        f"print(*find_path_from_directory({str(ROOT / 'plugins')!r}, '.airflowignore'), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen = [Path(line).name for line in done.stdout.splitlines() if line.endswith(".py")]
    assert seen == ["order_sync_plugin.py"]


# A provider may be named in its modules, and in the tests of answers that only one service gives. Benchmarks and
# tests/e2e/ choose services, so this test does not search them.
NAMED_IN = (
    "include/order_sync/providers/",
    "plugins/order_sync_airflow/forms/",
    "plugins/order_sync_airflow/hooks/",
    "tests/contract/test_verdicts.py",
)


@pytest.mark.parametrize("folder", ["include", "plugins", "dags", "chaos", "simulation", "demo", "tests/contract"])
def test_no_provider_is_named_outside_its_module(folder):
    """One code path serves all providers, and no list of their names exists beside the registry."""
    for file in files(folder):
        where = str(file.relative_to(ROOT))
        if where.startswith(NAMED_IN):
            continue
        texts = {node.value for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant)}
        assert not texts & PROVIDERS.keys(), f"{where} names a provider: move what differs into its modules"


def test_accounts_stand_in_the_sandbox_alone():
    """The secret of a sandbox account is only in the service's own module there."""
    secrets = {service.account.secret for service in SERVICES.values()}
    for folder in ("chaos", "simulation", "demo", "benchmarks", "tests", "sandbox"):
        for file in files(folder):
            if file.parent.name == "sandbox" and file.stem in PROVIDERS:
                continue
            texts = [node.value for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant)]
            found = [text for text in texts if isinstance(text, str) and any(secret == text for secret in secrets)]
            assert not found, f"{file} repeats an account: read it from sandbox.registry"


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_has_its_own_places(name):
    """A registered provider has everything that docs/adding-a-service.md lists, under its own name."""
    assert PROVIDERS[name].name == name
    assert (ROOT / f"plugins/order_sync_airflow/hooks/{name}.py").is_file()
    assert (ROOT / f"plugins/order_sync_airflow/forms/{name}.py").is_file()
    assert (ROOT / f"tests/contract/golden/{name}.json").is_file(), f"write it: make golden NAME={name}"
    assert name in SERVICES, f"sandbox/{name}.py is missing, or its line in sandbox/registry.py"
    sample = yaml.safe_load((ROOT / "include/config/order_sync.yaml").read_text("utf-8"))["destinations"]
    assert sample.get(name, {}).get("provider") == name, "the demo has no destination of that name"


# A number that is not known when the text is written, and then a plural.
PLURAL = re.compile(
    r"(\{(?![A-Z_]+\})[^{}]*\}|%d|\}\}) ((more|new|held|open|other) )?"
    r"(orders|rows|files|entries|requests|notifications|batches|lines|runs|columns|reasons|results|mistakes)\b"
)


@pytest.mark.parametrize("folder", ["include", "plugins", "dags"])
def test_one_thing_is_no_plural(folder):
    """No text says `1 orders`: counted.py makes it `1 order`."""
    texts = [file for suffix in ("py", "html", "js") for file in (ROOT / folder).rglob(f"*.{suffix}")]
    found = [f"{file}: {hit[0]}" for file in texts for hit in PLURAL.finditer(file.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("text", ["{len(ids)} orders are", "%d rows", "{{ more | number }} more runs"])
def test_a_plural_after_a_number_is_seen(text):
    """The test above finds something."""
    assert PLURAL.search(text)
