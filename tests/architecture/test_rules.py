"""The rule of the house, kept by tests."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports(file: Path) -> set[str]:
    """Return the top-level packages that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def files(folder: str) -> list[Path]:
    """Return the Python files of a folder; there must be some."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder}/ has no Python file: this test looks in the wrong place"
    return found


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("include", {"airflow", "order_sync_airflow", "sandbox", "demo", "chaos"}),
        ("sandbox", {"include", "airflow", "order_sync_airflow", "demo", "chaos"}),
        ("plugins", {"sandbox", "demo", "chaos"}),
        ("dags", {"sandbox", "demo", "chaos", "pandas", "pyarrow", "requests", "sqlalchemy"}),
        ("demo", {"include", "order_sync_airflow", "chaos"}),
        ("chaos", {"airflow", "order_sync_airflow", "sandbox"}),
    ],
)
def test_who_may_import_whom(folder, forbidden):
    """include/ never knows Airflow, and the sandbox never the code that it judges."""
    guilty = {str(file.relative_to(ROOT)): imports(file) & forbidden for file in files(folder)}
    assert {file: names for file, names in guilty.items() if names} == {}


def test_the_plugin_loader_sees_one_file():
    """Airflow executes each file of plugins/ that it sees under its bare name: it must see one alone."""
    code = (
        "from airflow._shared.module_loading import find_path_from_directory\n"
        f"print(*find_path_from_directory({str(ROOT / 'plugins')!r}, '.airflowignore'), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen = [Path(line).name for line in done.stdout.splitlines() if line.endswith(".py")]
    assert seen == ["order_sync_plugin.py"]


def test_no_provider_is_named_outside_its_module():
    """One code path serves all providers: nothing branches on a provider's name."""
    names = {"rees46", "personaclick", "yespo", "justclick"}
    allowed = {"include/order_sync/providers", "plugins/order_sync_airflow/hooks"}
    for file in files("include") + files("plugins") + files("dags"):
        where = str(file.relative_to(ROOT))
        if any(where.startswith(folder) for folder in allowed):
            continue
        texts = {node.value for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        assert not texts & names, f"{where} names a provider: move what differs into its module in providers/"


def test_each_provider_has_its_own_places():
    """A registered provider has a hook, a module of the sandbox's, and golden files."""
    sys.path.insert(0, str(ROOT))
    from include.order_sync.providers import PROVIDERS

    for name in PROVIDERS:
        assert (ROOT / f"plugins/order_sync_airflow/hooks/{name}.py").is_file()
        assert (ROOT / f"tests/contract/golden/{name}.json").is_file()
