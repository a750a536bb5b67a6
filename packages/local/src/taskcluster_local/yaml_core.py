"""Load YAML as real deployments do (js-yaml): the core schema of YAML 1.2, with merge keys and `0b` integers; dump it.

PyYAML's loaders follow YAML 1.1, in which `yes` is true, `22:22` is a number and `1e3` is a string.
"""

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import yaml

from .encoding import as_string, exact

__all__ = ["YamlError", "dump", "lines_of", "load"]

_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 1_000_000
_BASES = {"0b": 2, "0o": 8, "0x": 16}
_PATTERNS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+)",
    "float": r"[-+]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.[0-9]+(?:[eE][-+]?[0-9]+)?|\.(?:nan|NaN|NAN)",
    "merge": "<<",
}
_SCALARS = {kind: re.compile(pattern, re.ASCII) for kind, pattern in _PATTERNS.items()}
_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")
"""All but the one that YAML keeps."""


class YamlError(ValueError):
    """A string is not valid YAML."""


def load(text: str) -> Any:
    """Load the only document in a string; return None if there is none.

    The result is JSON, except for infinities and NaN. Timestamps and keys are strings.

    Raises:
        YamlError: The string is not YAML, or the document has a duplicate key, has a tag without a meaning in JSON,
            contains itself, or has more than a million values after aliases are replaced.
    """
    try:
        node = _composed(text)
        return None if node is None else _Builder().build(node)
    except yaml.YAMLError as error:
        raise YamlError(str(error)) from None
    except RecursionError:
        raise YamlError("nested too deeply") from None


def _composed(text: str) -> Any:
    try:
        return yaml.compose(text, _Loader)
    except (OverflowError, ValueError) as error:
        # From PyYAML's own conversions, for example of the character `\Uffffffff`.
        raise yaml.YAMLError(str(error)) from None


def lines_of(text: str, paths: Sequence[Sequence[str]]) -> list[int | None]:
    """Return the line of each path in a document.

    Args:
        text: The document.
        paths: The keys and indexes that lead to a value. If there is none, its closest parent counts.

    Returns:
        Numbers from 1; None for the document itself, and for all paths if the document is not YAML.
    """
    try:
        node = _composed(text)
    except yaml.YAMLError:
        node = None
    return [_line_of(node, path) for path in paths]


def _line_of(node: Any, path: Sequence[str]) -> int | None:
    line: int | None = None
    for name in path:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == name), None)
        elif isinstance(node, yaml.SequenceNode) and len(name) < 9 and name.isdecimal() and int(name) < len(node.value):
            found = (node.value[int(name)],) * 2
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def dump(value: Any) -> str:
    """Return a JSON value as YAML that is easy to read. `load` and parsers of YAML 1.1 load the same value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Loader(yaml.SafeLoader):
    """Composes the nodes of a document with the tags of the core schema. It constructs nothing."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        None: [(_TAG + kind, re.compile(f"(?:{pattern})\\Z", re.ASCII)) for kind, pattern in _PATTERNS.items()]
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose the next node. It may reuse an anchor, which PyYAML does not allow."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)

    def scan_to_next_token(self) -> None:
        """Skip to the next token, including tabs before something else on the same line."""
        super().scan_to_next_token()
        while self.peek() == "\t" and self.buffer[self.pointer - self.column : self.pointer].strip(" "):
            self.forward()
            super().scan_to_next_token()


class _Dumper(yaml.SafeDumper):
    """Quotes strings that have another meaning in YAML 1.1 or in the core schema."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        **yaml.SafeDumper.yaml_implicit_resolvers,
        None: _Loader.yaml_implicit_resolvers[None],
    }

    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if _LINE_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_representer(str, _string)


class _Builder:
    """Constructs the value of each node once, because aliases share it."""

    def __init__(self) -> None:
        self._built: dict[yaml.Node, tuple[Any, int]] = {}
        self._around: set[yaml.Node] = set()

    def build(self, node: yaml.Node) -> Any:
        """Return the value of a node."""
        return self._sized(node)[0]

    def _sized(self, node: yaml.Node) -> tuple[Any, int]:
        """Return the value of a node, and the number of values in it."""
        if node in self._built:
            return self._built[node]
        if node in self._around:
            raise _error(node, "the value contains itself")
        self._around.add(node)
        value: Any
        kind = node.tag.removeprefix(_TAG) if node.tag.startswith(_TAG) else ""
        if isinstance(node, yaml.MappingNode) and kind in ("map", "set"):
            value, size = self._mapping(node)
        elif isinstance(node, yaml.SequenceNode) and kind in ("seq", "omap"):
            items = [self._sized(item) for item in node.value]
            value, size = [value for value, _ in items], sum(size for _, size in items)
        elif isinstance(node, yaml.ScalarNode):
            value, size = _scalar(node, kind), 0
        else:
            raise _error(node, f"the tag {node.tag!r} is unknown")
        if size >= _MOST_VALUES:
            raise _error(node, f"more than {_MOST_VALUES} values")
        self._around.discard(node)
        self._built[node] = value, size + 1
        return self._built[node]

    def _mapping(self, node: yaml.MappingNode) -> tuple[dict[str, Any], int]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        total = 0
        for key, member in node.value:
            value, size = self._sized(member)
            total += size
            if key.tag == f"{_TAG}merge":
                for source in value if isinstance(value, list) else [value]:
                    if not isinstance(source, dict):
                        raise _error(member, "only mappings can be merged")
                    merged = {**source, **merged}
                continue
            name = as_string(self.build(key))
            if name in own:
                raise _error(key, f"duplicate key {name!r}")
            own[name] = value
        return {**merged, **own}, total


def _scalar(node: yaml.ScalarNode, kind: str) -> Any:
    text: str = node.value
    if kind in ("str", "merge"):
        return text
    if kind == "null" and node.style is None and _SCALARS["null"].fullmatch(text):
        return None
    if kind == "bool" and _SCALARS["bool"].fullmatch(text):
        return text.lower() == "true"
    if _SCALARS["int"].fullmatch(text) if kind == "int" else kind == "float" and _SCALARS["float"].fullmatch(text):
        return _number(text)
    raise _error(node, f"{text!r:.100} cannot have the tag {node.tag!r}")


def _number(text: str) -> Any:
    """Return the number in a scalar. As in JavaScript, numbers out of range stay strings."""
    unsigned = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    special = {".inf": math.inf, ".nan": math.nan}.get(unsigned.lower())
    if special is not None:
        return sign * special
    base = _BASES.get(unsigned[:2])
    try:
        number = float(unsigned if base is None else int(unsigned, base))
    except OverflowError:
        return text
    return exact(sign * number) if math.isfinite(number) else text


def _error(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
