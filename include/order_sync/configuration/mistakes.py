"""A mistake of the configuration file, and what pydantic's errors say of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from include.order_sync.configuration.values import known_key

# The cure of a value that can't be shown.
UNTANGLE = "write it out: it contains itself by an alias (*name within &name), or nests far too deep"


@dataclass(frozen=True)
class Mistake:
    """One mistake: file, key, the value as written (before environment variables), and the cure."""

    file: Path
    key: str
    value: Any
    cure: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key or '(the file)'}: {self.value!r}: {self.cure}"


def faults(error: ValidationError, model: type[BaseModel], body: Any) -> Iterator[tuple[str, Any, str]]:
    """Yield each fault that pydantic has found: its path below `body`, the value there as written, and the cure.

    Args:
        error: of `model`.
        model: whose descriptions of keys are cures.
        body: as the file has it, before environment variables.
    """
    for fault in error.errors():
        path = [str(step) for step in fault["loc"] if step != "[key]"]
        yield ".".join(path), _at(body, path), _cure(model, fault, path)


def _at(body: Any, path: list[str]) -> Any:
    """Return the value at `path` as written; None if there is none."""
    for step in path:
        if isinstance(body, list) and step.isdecimal():
            body = body[int(step)]
        elif isinstance(body, dict):
            body = body.get(step)
        else:
            return None
    return body


def _cure(model: type[BaseModel], fault: Any, path: list[str]) -> str:
    """Return the cure of a fault that pydantic has found."""
    if fault["type"] == "extra_forbidden":
        try:
            known_key("key", path[-1], [name for name in model.model_fields if name != "name"])
        except ValueError as error:
            return str(error)
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    described = model.model_fields.get(path[0]) if path else None
    meaning = described.description if described and described.description else ""
    if fault["type"] == "missing":
        return f"add it: {meaning}"
    return f"{fault['msg']}; give {meaning}"
