"""Payloads from files, stdin and `-f key=value`, in JSON or YAML, as JSON values."""

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from taskcluster.shapes import is_mapping

from .errors import Failure

__all__ = ["fields", "loads", "text_of"]

_TAG = "tag:yaml.org,2002:"


def text_of(file: str) -> str:
    """Return the content of a file, which is UTF-8 with or without a byte order mark; raise Failure if it is not."""
    try:
        return Path(file).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Failure(f"{file} is not UTF-8") from None
    except OSError as exc:
        raise Failure(f"cannot read {file}: {exc.strerror}") from None


def loads(text: str, where: str) -> Any:
    """Return the only document in a string of JSON or YAML.

    As in YAML 1.2, only `true` and `false` are booleans, and dates stay strings.

    Args:
        text: The string.
        where: Where it is from, for errors. They do not quote the string, which may hold secrets.

    Raises:
        Failure: It is not a document, has a duplicate key, or is empty.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise Failure(f"{where} is empty: expected a payload in JSON or YAML")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refused)
    except ValueError as exc:
        if isinstance(exc, _PayloadError):
            raise Failure(f"{where}: {exc}") from None
    except RecursionError:
        raise Failure(f"{where}: nested too deeply") from None
    return _yaml(text, where)


class _PayloadError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _PayloadError(f"duplicate key {twice!r}")
    return found


def _refused(name: str) -> Any:
    raise _PayloadError(f"{name} is not JSON")


def _yaml(text: str, where: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012
            None: [
                (f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
                (f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
                (f"{_TAG}int", re.compile(r"-?(?:0|[1-9][0-9]*)\Z")),
                (f"{_TAG}float", re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")),
                (f"{_TAG}merge", re.compile(r"<<\Z")),
            ]
        }

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen and key.tag != f"{_TAG}merge":
                    raise yaml.MarkedYAMLError(problem=f"duplicate key {key.value!r}", problem_mark=key.start_mark)
                seen.add(key.value)
            self.flatten_mapping(node)
            return {str(key.value): self.construct_object(value, deep=True) for key, value in node.value}

    def number(loader: Any, node: Any) -> float:
        return float(node.value)

    Loader.add_constructor(f"{_TAG}float", number)  # pyright: ignore[reportUnknownMemberType]
    try:
        found: Any = yaml.load(text, Loader)
    except yaml.YAMLError as exc:
        mark: Any = getattr(exc, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(exc, "problem", None) or "cannot be read"
        known = "duplicate key" in problem or "single document" in str(getattr(exc, "context", ""))
        # Its other messages quote the text.
        reason = (problem if "duplicate" in problem else "more than one document") if known else "not JSON or YAML"
        raise Failure(f"{where}{place}: {reason}") from None
    except RecursionError:
        raise Failure(f"{where}: nested too deeply") from None
    except ValueError:
        raise Failure(f"{where}: not JSON or YAML") from None
    if found is None:
        raise Failure(f"{where} is empty: expected a payload in JSON or YAML")
    return found


def fields(pairs: Iterable[str]) -> dict[str, Any]:
    """Return the payload that `-f key=value` options describe.

    A key has dots between the keys of nested objects. A value is JSON if it parses as that, else a string.

    Raises:
        Failure: One has no equals sign, or two contradict each other.
    """
    payload: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise Failure("-f needs key=value, for example -f reason=test or -f 'scopes=[\"a\"]'")
        try:
            value = json.loads(text, parse_constant=_refused)
        except ValueError:
            value = text
        except RecursionError:
            raise Failure(f"-f {key}: nested too deeply") from None
        *outer, last = key.split(".")
        inner: Any = payload
        for name in outer:
            below: Any = inner.setdefault(name, {})
            if not is_mapping(below):
                raise Failure(f"-f {key}: {name!r} already has a value")
            inner = below
        if last in inner:
            raise Failure(f"-f {key}: given twice")
        inner[last] = value
    return payload
