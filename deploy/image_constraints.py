"""Print the constraints of the image's build: `python image_constraints.py path/to/requirements`.

What the image has stays as it is wherever requirements.in allows it: Airflow and Celery are tested with just those
versions. All else comes in the version of requirements.txt, which our tests use. If the image's version of a package
is one that requirements.in does not allow, ours is taken.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def constraints(installed: Mapping[str, str], wanted: Iterable[str], locked: Iterable[str]) -> list[str]:
    """Return the lines of a constraints file.

    :param installed: the versions of the image's packages, by canonical name.
    :param wanted: the requirements of requirements.in.
    :param locked: those of requirements.txt, each with one version.
    """
    refused = {
        canonicalize_name(requirement.name)
        for requirement in map(Requirement, wanted)
        if (version := installed.get(canonicalize_name(requirement.name)))
        and not requirement.specifier.contains(version, prereleases=True)
    }
    kept = {name: version for name, version in installed.items() if name not in refused}
    ours = [line for line in locked if canonicalize_name(Requirement(line).name) not in kept]
    return [*(f"{name}=={version}" for name, version in sorted(kept.items())), *ours]


def requirements(text: str) -> list[str]:
    """Return the requirements of a file's text, without comments and options."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def main() -> None:
    """Read the image's packages and both files; print the constraints."""
    files = Path(sys.argv[1])
    installed = {str(canonicalize_name(found.metadata["Name"])): found.version for found in distributions()}
    wanted, locked = (requirements(files.with_suffix(suffix).read_text("utf-8")) for suffix in (".in", ".txt"))
    print("\n".join(constraints(installed, wanted, locked)))


if __name__ == "__main__":
    main()
