"""Reads the configuration file: its good entries, and all its mistakes at once."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from include.order_sync import stops
from include.order_sync.configuration import yaml12
from include.order_sync.configuration.dag_entry import DagEntry, of_mistaken, salvaged
from include.order_sync.configuration.mistakes import UNTANGLE, Mistake, faults
from include.order_sync.configuration.models import Alarms, Destination, Retention, requests_a_second
from include.order_sync.configuration.source import SOURCE_TYPES, Source
from include.order_sync.configuration.values import PROJECT, known_key
from include.order_sync.errors import StopError

DEFAULT_FILE = PROJECT / "include" / "config" / "order_sync.yaml"
TOP_KEYS = ("staging", "retention", "pace", "alarms", "sources", "destinations")

# The byte order marks of encodings that editors write beside UTF-8.
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

_REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass
class Configuration:
    """The good entries of the file, by name, its mistakes, and the environment variables whose values it took.

    `mistaken` has the destinations whose DAGs stay only to say so: those that have mistakes, or depend on some.
    """

    file: Path
    staging: str = ""
    retention: Retention = field(default_factory=lambda: Retention.model_validate({}))
    pace: dict[str, float] = field(default_factory=dict)
    alarms: Alarms = field(default_factory=lambda: Alarms.model_validate({}))
    sources: dict[str, Source] = field(default_factory=dict)
    destinations: dict[str, Destination] = field(default_factory=dict)
    mistaken: dict[str, DagEntry] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict, repr=False)

    def destination(self, name: str) -> Destination:
        """Return a good destination; raise StopError with the file's mistakes, its own first, if none has that name."""
        if name not in self.destinations:
            own = f"destinations.{name}."
            ordered = sorted(self.mistakes, key=lambda mistake: not f"{mistake.key}.".startswith(own))
            mistakes = "".join(f"\n{mistake}" for mistake in ordered)
            raise StopError(stops.NO_DESTINATION, f"{self.file} has no good destination {name!r}.{mistakes}")
        return self.destinations[name]

    def requests_a_second(self, destination: Destination) -> float | None:
        """Return the pace of a destination's account: the file's own, else the provider's; None for any pace."""
        return self.pace.get(destination.connection, destination.service.requests_a_second)


def load(file: Path | None = None) -> Configuration:
    """Read the file: by default that of the environment variable ORDER_SYNC_CONFIG, else DEFAULT_FILE."""
    file = file or Path(os.environ.get("ORDER_SYNC_CONFIG", DEFAULT_FILE))
    return _Reader(file).read()


class _Reader:
    def __init__(self, file: Path) -> None:
        self.configuration = Configuration(file)
        self.tree: Any = None
        self.bodies: dict[str, Any] = {}  # of sources and destinations by key, with environment variables put in

    def read(self) -> Configuration:
        written = b""
        try:
            written = self.configuration.file.read_bytes()
            self.tree = yaml12.load(written.decode("utf-8-sig"))
        except OSError as error:
            self._mistake("", error.strerror, "write the file, or set ORDER_SYNC_CONFIG to its path")
        except UnicodeDecodeError as error:
            line = written.count(b"\n", 0, error.start) + 1
            self._mistake("", f"no UTF-8 in line {line}", "save the file as UTF-8")
        except YAMLError as error:
            self._mistake("", " ".join(str(error).split()), "correct the YAML there")
        if isinstance(self.tree, dict):
            self._read_tree(self.tree)
            entries = self.tree.get("destinations")
            names = entries if isinstance(entries, dict) else ()
            bodies = {name: self.bodies.get(f"destinations.{name}") for name in names}
        else:
            if not self.configuration.mistakes:
                self._mistake(
                    "", "..." if yaml12.is_tangled(self.tree) else self.tree, f"give the keys {', '.join(TOP_KEYS)}"
                )
            encoding = _MARKS.get(written[:2], "utf-8-sig")
            bodies = salvaged(written.decode(encoding, "replace"), Destination.model_fields)
        for name, body in bodies.items():
            mistaken = None if name in self.configuration.destinations else of_mistaken(str(name), body)
            if mistaken:
                self.configuration.mistaken[mistaken.name] = mistaken
        return self.configuration

    def _read_tree(self, tree: dict[Any, Any]) -> None:
        configuration = self.configuration
        for key, value in tree.items():
            if key not in ("sources", "destinations") and yaml12.is_tangled(value):
                self._mistake(str(key), "...", UNTANGLE)
                tree[key] = None
                continue
            try:
                known_key("key", str(key), TOP_KEYS)
            except ValueError as error:
                self._mistake(str(key), value, str(error))
        staging = self._expanded("staging", tree.get("staging"))
        if isinstance(staging, str) and staging:
            configuration.staging = staging if "://" in staging else str(PROJECT / staging)
        elif not any(mistake.key == "staging" for mistake in configuration.mistakes):
            self._mistake("staging", tree.get("staging"), "give a folder that all workers see, for the parts of a run")
        self.configuration.retention = self._section("retention", Retention) or self.configuration.retention
        self.configuration.alarms = self._section("alarms", Alarms) or self.configuration.alarms
        self._read_sources()
        self._read_destinations()
        self._read_pace()

    def _section(self, key: str, model: type[_Model]) -> _Model | None:
        """Return a section of the file that has no names below it; None if it has mistakes."""
        before = len(self.configuration.mistakes)
        expanded = self._expanded(key, self.tree.get(key)) or {}
        try:
            section = model.model_validate(expanded)
        except ValidationError as error:
            for path, value, cure in faults(error, model, self.tree[key]):
                self._mistake(f"{key}.{path}" if path else key, value, cure)
            return None
        return section if len(self.configuration.mistakes) == before else None

    def _read_sources(self) -> None:
        for name, body in self._entries("sources"):
            named = self._expanded(f"sources.{name}.type", body.get("type"))
            if not isinstance(named, str) or named not in SOURCE_TYPES:
                self._mistake(f"sources.{name}.type", body.get("type"), "say sql or csv")
                continue
            source = self._validated(SOURCE_TYPES[named], "sources", name, body, {})
            if source:
                self.configuration.sources[name] = source

    def _read_destinations(self) -> None:
        written = self.tree.get("sources")
        names = written if isinstance(written, dict) else ()
        good = {str(name): name in self.configuration.sources for name in names}
        for name, body in self._entries("destinations"):
            destination = self._validated(Destination, "destinations", name, body, good)
            # Without `staging` no run can work.
            if destination and self.configuration.staging:
                self.configuration.destinations[name] = destination
        self._refuse_names_in_use()

    def _refuse_names_in_use(self) -> None:
        """Take out a destination whose old name is still another's name, or another's old name too."""
        good = self.configuration.destinations
        old_names = [destination.renamed_from for destination in good.values()]
        for name, destination in list(good.items()):
            if destination.renamed_from is None:
                continue
            written = self.tree["destinations"]
            if destination.renamed_from in written:
                cure = "the old name still stands under `destinations`: remove that one, or this key"
            elif old_names.count(destination.renamed_from) > 1:
                cure = "two destinations can't take over one history: leave this key at one of them"
            else:
                continue
            self._mistake(f"destinations.{name}.renamed_from", written[name]["renamed_from"], cure)
            del good[name]

    def _read_pace(self) -> None:
        pace = self.tree.get("pace")
        if pace is None:
            return
        if not isinstance(pace, dict):
            self._mistake("pace", pace, "give connections below it with their requests a second, as `my_account: 5`")
            return
        connections = self._connections()
        for key, written in pace.items():
            connection, path = str(key), f"pace.{key}"
            before = len(self.configuration.mistakes)
            try:
                if connection not in connections:
                    shown = sorted(name for name, from_environment in connections.items() if not from_environment)
                    known_key("destination with the connection", connection, shown)
                self.configuration.pace[connection] = requests_a_second(self._expanded(path, written))
            except ValueError as error:
                if len(self.configuration.mistakes) == before:  # else an environment variable is what is missing
                    self._mistake(path, written, str(error))
                self._withhold(connection)

    def _connections(self) -> dict[str, bool]:
        """Return the connections of all destinations, bad ones too, and whether each came from the environment."""
        found = {}
        for key, body in self.bodies.items():
            section, _, name = key.partition(".")
            connection = body.get("connection")
            if section == "destinations" and isinstance(connection, str):
                found[connection] = self.tree[section][name].get("connection") != connection
        return found

    def _withhold(self, connection: str) -> None:
        """Take out the destinations of a connection whose pace is a mistake: they could send too fast."""
        for name, destination in list(self.configuration.destinations.items()):
            if destination.connection == connection:
                del self.configuration.destinations[name]

    def _entries(self, section: str) -> list[tuple[str, dict[Any, Any]]]:
        entries = self.tree.get(section)
        if not isinstance(entries, dict) or not entries:
            self._mistake(
                section,
                "..." if yaml12.is_tangled(entries) else entries,
                "give at least one, as `name:` with its keys below",
            )
            return []
        good = []
        for name, body in entries.items():
            if not isinstance(name, str):
                self._mistake(f"{section}.{name}", name, "put the name in quotes")
            elif yaml12.is_tangled(body):
                self._mistake(f"{section}.{name}", "...", UNTANGLE)
            elif not isinstance(body, dict):
                self._mistake(f"{section}.{name}", body, "give its keys below it")
            else:
                good.append((name, body))
        return good

    def _validated(
        self, model: type[_Model], section: str, name: str, body: dict[Any, Any], context: Mapping[str, bool]
    ) -> _Model | None:
        key = f"{section}.{name}"
        before = len(self.configuration.mistakes)
        expanded = self.bodies[key] = self._expanded(key, body)
        reported = [mistake.key for mistake in self.configuration.mistakes[before:]]
        if "name" in body:
            self._mistake(f"{key}.name", body["name"], "there is no key 'name': the name is the key above")
        try:
            entry = model.model_validate({**expanded, "name": name}, context=context)
        except ValidationError as error:
            for path, value, cure in faults(error, model, {**body, "name": name}):
                where = f"{key}.{path}" if path else key
                if not any(f"{mistake}.".startswith(f"{where}.") for mistake in reported):
                    self._mistake(where, value, cure)
            return None
        return entry if len(self.configuration.mistakes) == before else None

    def _expanded(self, key: str, value: Any) -> Any:
        """Put the values of environment variables into all texts below `key`."""
        if isinstance(value, dict):
            return {name: self._expanded(f"{key}.{name}", inner) for name, inner in value.items()}
        if not isinstance(value, str):
            return value

        def variable(reference: re.Match[str]) -> str:
            found = os.environ.get(reference["name"])
            if found:
                self.configuration.environment[reference["name"]] = found
            found = found or reference["default"]
            if found is None:
                self._mistake(
                    key,
                    value,
                    f"the environment variable {reference['name']} is not set: set it, "
                    f"or give a default as ${{{reference['name']}:-default}}",
                )
                return ""
            return found

        return _REFERENCE.sub(variable, value)

    def _mistake(self, key: str, value: Any, cure: str) -> None:
        self.configuration.mistakes.append(Mistake(self.configuration.file, key, value, cure))
