"""Print definitions of tasks as YAML that is easy to read."""

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["as_yaml"]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _string)


def as_yaml(value: Any) -> str:
    """Return a JSON value as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
