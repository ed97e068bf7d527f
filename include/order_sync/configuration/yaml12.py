"""Reads YAML by PyYAML's C parser, with the words and numbers of YAML 1.2; a key that comes twice is refused.

PyYAML's own rules are those of YAML 1.1, by which `no` is false, 1:30 is 90 and 010 is 8. A key is text as it is
written: a shop's status word may be 9 or 07.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

# Far above what a destination or a source needs.
MAX_DEPTH = 20
MAX_VALUES = 10_000
# PyYAML recurses with each level: in C while it reads, in Python where keys are nested or `<<` merges.
DEEPEST_TEXT = 100

_TAG = "tag:yaml.org,2002:"
_TEXT_AS_KEYS = tuple(_TAG + kind for kind in ("int", "float", "bool", "timestamp"))
_KEPT = (f"{_TAG}null", f"{_TAG}timestamp", f"{_TAG}merge")


class _Loader(yaml.CSafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own interface)
        first: [(tag, form) for tag, form in rules if tag in _KEPT]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def _plain(kind: str, form: str, first: str) -> None:
    """Give plain words of this form, which begin with one of these characters, this kind."""
    _Loader.add_implicit_resolver(_TAG + kind, re.compile(f"(?:{form})$"), list(first))


_plain("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_plain("int", "[-+]?[0-9]+", "-+0123456789")
_plain("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789")


def _or_text(construct: Callable[[Any, yaml.ScalarNode], Any]) -> Callable[[Any, Any], Any]:
    """Return a constructor whose value is the text as written where it is impossible, as 2026-02-30 or `!!bool soon`.

    So its own key reports it, and the other keys of the file stay good.
    """

    def value(loader: Any, node: Any) -> Any:
        try:
            return construct(loader, node)
        except (ValueError, LookupError, AttributeError):
            return node.value

    return value


_Loader.add_constructor(f"{_TAG}int", _or_text(lambda _loader, node: int(node.value)))
_Loader.add_constructor(f"{_TAG}bool", _or_text(_Loader.construct_yaml_bool))
_Loader.add_constructor(f"{_TAG}float", _or_text(_Loader.construct_yaml_float))
_Loader.add_constructor(f"{_TAG}timestamp", _or_text(_Loader.construct_yaml_timestamp))


def load(text: str) -> Any:
    """Return the one document of a text, as dicts, lists and plain values; None where it is empty.

    Raises:
        yaml.YAMLError: the text is no YAML, is nested too deep, or a key comes twice; the message names the line.
    """
    _refuse_deep(text)
    loader = _Loader(text)
    try:
        document = loader.get_single_node()
        if document is None:
            return None
        _read_keys(document)
        return loader.construct_document(document)
    finally:
        loader.dispose()


def _refuse_deep(text: str) -> None:
    """Raise YAMLError where a text is nested too deep: the end of the C stack would end the process."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_TEXT:
            raise yaml.YAMLError(f"nested more than {DEEPEST_TEXT} deep,{event.start_mark}")


def is_tangled(value: Any) -> bool:
    """Return whether a value holds itself by an alias, or so much or so deep that nobody meant it."""
    waiting = [(value, 0)]
    for _ in range(MAX_VALUES):
        if not waiting:
            return False
        inner, depth = waiting.pop()
        if depth > MAX_DEPTH:
            return True
        if isinstance(inner, dict):
            waiting.extend((each, depth + 1) for each in inner.values())
        elif isinstance(inner, list):
            waiting.extend((each, depth + 1) for each in inner)
    return True


def _read_keys(document: yaml.Node) -> None:
    """Make each key text as it is written; raise ConstructorError for one that comes twice."""
    waiting, seen = [document], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):  # an alias shows its node again
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            node.value = [(_as_text(key), value) for key, value in node.value]
            first: dict[tuple[str, Any], yaml.Node] = {}
            for key, value in node.value:
                before = first.setdefault((key.tag, str(key.value)), key)
                if before is not key:
                    raise yaml.constructor.ConstructorError(
                        f'the key "{key.value}" is here', before.start_mark, "and again", key.start_mark
                    )
                waiting.append(value)
        else:
            waiting.extend(node.value)


def _as_text(key: yaml.Node) -> yaml.Node:
    # A new node: a value may be an alias of this one.
    is_text = key.tag in _TEXT_AS_KEYS
    return yaml.ScalarNode(f"{_TAG}str", key.value, key.start_mark, key.end_mark) if is_text else key
