"""Imports inside include/order_sync go one way: from the run's steps down to the ground floor."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "include" / "order_sync"

# From the top down. A package or module may import only from the floors below its own.
FLOORS = (
    {"preview", "watch"},
    {"pipeline"},
    {"codes"},
    {"delivery"},
    {"ledger"},
    {"sources"},
    {"configuration"},
    {"providers"},
    {"staging", "transform"},
    {"columns", "model", "errors", "redact", "tuning", "prefetch", "stops"},
    {"reason", "counted"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room(file: Path) -> str:
    """Return the package or the top-level module that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    """Return the rooms that a file imports from, at any place in it, also for types only."""
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return {module.split(".")[2] for module in modules if module.startswith("include.order_sync.")}


def upward(file: Path, tree: ast.AST) -> set[str]:
    """Return the rooms of a file's own floor or a higher one that it imports."""
    own = room(file)
    return {other for other in imported_rooms(tree) - {own} if FLOOR_OF[other] <= FLOOR_OF[own]}


def test_every_room_has_a_floor() -> None:
    """Every package and module has a floor in FLOORS, and FLOORS names no other."""
    rooms = {room(file) for file in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms == set(FLOOR_OF)


def test_imports_go_down() -> None:
    """No file imports from its own floor or from a higher one."""
    files = [file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py"]
    found = {str(file.relative_to(PACKAGE)): upward(file, ast.parse(file.read_text("utf-8"))) for file in files}
    assert {file: rooms for file, rooms in found.items() if rooms} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from include.order_sync.ledger import schema",
        "from include.order_sync import pipeline",
        "import include.order_sync.sources.raw",
        "if TYPE_CHECKING:\n    from include.order_sync.transform.transform import Rules",
    ],
)
def test_an_arrow_back_up_is_seen(line: str) -> None:
    """The check finds an import that goes up or sideways, in each way to write it."""
    assert upward(PACKAGE / "staging" / "partitions.py", ast.parse(line))


@pytest.mark.parametrize("package", sorted(room for room in FLOOR_OF if (PACKAGE / room).is_dir()))
def test_each_package_says_what_lives_there(package: str) -> None:
    """A package's docstring has at least two sentences: its content, and the things that it may not touch."""
    docstring = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text("utf-8"))) or ""
    assert docstring.count(".") >= 2


@pytest.mark.parametrize("package", sorted(room for room in FLOOR_OF if len([*(PACKAGE / room).glob("*.py")]) > 8))
def test_a_large_package_lists_its_modules(package: str) -> None:
    """The docstring of a package with many modules is the map of it: it names each."""
    folder = PACKAGE / package
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    modules = {file.name for file in folder.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert {module for module in modules if not re.search(rf"\b{module}\b", docstring)} == set()


def test_an_import_changes_no_environment() -> None:
    """Importing a module leaves the environment as it is: only the deployment sets that of Airflow's processes."""
    modules = [
        ".".join(file.relative_to(PACKAGE.parents[1]).with_suffix("").parts)
        for file in PACKAGE.rglob("*.py")
        if "migrations" not in file.parts
    ]
    script = (
        "import importlib, os\n"
        "before = dict(os.environ)\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        "assert dict(os.environ) == before"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parents[1], check=True)
