"""The planted defects: each still fits the code, and names something that exists."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from chaos.defects import DEFECTS, STORM, Defect
from chaos.planted import COPIED, planted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_defect_still_fits(defect):
    """Its text stands in the code exactly once, the changed code is Python, and its test exists."""
    assert ast.dump(ast.parse(planted(defect, ROOT))) != ast.dump(ast.parse((ROOT / defect.file).read_text("utf-8")))
    if defect.noticed_by != STORM:
        file, _, test = defect.noticed_by.partition("::")
        assert f"def {test}" in (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize("file", sorted({d.noticed_by.partition("::")[0] for d in DEFECTS if d.noticed_by != STORM}))
def test_what_a_judge_imports_is_in_the_copy(file):
    """Else it fails without a defect, and no defect can be planted."""
    folders = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    beside = [*(ROOT / file).parent.glob("*.py"), ROOT / "tests/conftest.py"]
    nodes = [node for each in beside for node in ast.walk(ast.parse(each.read_text("utf-8")))]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert {str(name).partition(".")[0] for name in modules} & folders <= {*COPIED}


def test_a_defect_that_no_longer_fits_is_said():
    """A list that has rotted must not look like one that holds."""
    with pytest.raises(ValueError, match=r"'gone' no longer fits: its text stands 0 times in README\.md"):
        planted(Defect("gone", "README.md", "no such text", "", STORM, ""), ROOT)


def test_the_proof_lists_each_defect():
    """The page has one row for each defect, in their order."""
    rows = (ROOT / "docs/proof.md").read_text("utf-8").partition("| defect | noticed by |")[2].partition("\n\n")[0]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows.splitlines()[2:]] == [d.name for d in DEFECTS]


def test_there_are_at_least_forty_names():
    """Each defect has a name of its own."""
    assert len(DEFECTS) >= 40
    assert [name for name, times in Counter(defect.name for defect in DEFECTS).items() if times > 1] == []
