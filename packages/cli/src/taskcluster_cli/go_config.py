"""The configuration file that is shared with the Go command, changed without losing the rest of it."""

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskcluster.shapes import is_mapping

from .errors import FAILED, Failure
from .private_files import exclusively, is_readable_by_others, read, replace

__all__ = ["KEYS", "GoConfig"]

KEYS = {
    "rootUrl": "The deployment's root URL.",
    "clientId": "The client id.",
    "accessToken": "The access token. It is never shown.",
    "certificate": "The certificate of temporary credentials, in JSON. It is never shown.",
    "authorizedScopes": "Scopes to restrict calls to. The Go command does not apply them, and neither does this one.",
}
"""The keys of the section `config`."""


class GoConfig:
    """The file.

    Args:
        path: Where it is; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def values(self) -> dict[str, Any]:
        """Return the section `config`.

        Raises:
            Failure: The file cannot be read; the message does not quote it.
        """
        return self._section(self._content(read(self.path)))

    def _section(self, content: Mapping[str, Any]) -> dict[str, Any]:
        section = content.get("config")
        if section is None:
            return {}
        if not is_mapping(section):
            raise Failure(f"{self.path}: the section config must be a mapping", FAILED)
        return dict(section)

    @property
    def is_exposed(self) -> bool:
        """Whether others than the owner can read it."""
        return is_readable_by_others(self.path)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set keys, or remove those whose value is None; everything else in the file stays.

        Raises:
            Failure: The file cannot be read or written, or would have half a pair of credentials.
        """
        with exclusively(self.path):
            text = read(self.path)
            before = self._content(text)
            section = {**self._section(before), **changes}
            section = {key: value for key, value in section.items() if value not in (None, "", [])}
            if ("clientId" in section) != ("accessToken" in section):
                raise Failure(
                    "the file needs both clientId and accessToken, or neither: the Go command refuses half a pair",
                    hint="`taskcluster config export-go` writes the credentials of a profile",
                )
            changed = _replaced(text, section)
            after = self._content(changed)
            rest = {key: value for key, value in before.items() if key != "config"}
            if {key: value for key, value in after.items() if key != "config"} != rest:
                raise Failure(f"{self.path} cannot be changed without changing other parts; edit it", FAILED)
            replace(self.path, changed)

    def _content(self, text: str) -> dict[str, Any]:
        import yaml

        try:
            # Strings only, because Go's `1e3` is one.
            content = yaml.load(text, yaml.BaseLoader)
        except (yaml.YAMLError, RecursionError) as exc:
            mark: Any = getattr(exc, "problem_mark", None)
            raise Failure(f"{self.path} is not YAML{f' (line {mark.line + 1})' if mark else ''}", FAILED) from None
        if content is None or content == "":
            return {}
        if not isinstance(content, dict):
            raise Failure(f"{self.path} must hold a mapping with the section config", FAILED)
        return content


def _replaced(text: str, section: Mapping[str, Any]) -> str:
    """Return the file with another section `config`; the other lines stay as they are."""
    import yaml

    # Quoted, because Go reads YAML 1.1, in which many plain scalars are not strings.
    lines = [f"  {key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in sorted(section.items())]
    block = "config:\n" + "".join(lines) if lines else ""
    root: Any = yaml.compose(text, yaml.BaseLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    if getattr(root, "flow_style", False):
        rest = yaml.load(text, yaml.BaseLoader)
        rest.pop("config", None)
        return (yaml.safe_dump(rest, default_style='"') if rest else "") + (block or ("" if rest else "{}\n"))
    for key, value in pairs:
        if key.value == "config":
            start = text.rindex("\n", 0, key.start_mark.index) + 1 if key.start_mark.index else 0
            # A block ends at the next key; it ends here with its last value, so that comments after it stay.
            while isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
                value = value.value[-1][1] if isinstance(value, yaml.MappingNode) else value.value[-1]
            newline = text.find("\n", value.end_mark.index)
            end = len(text) if newline < 0 else newline + 1
            left = text[:start] + block + text[end:]
            return left if left.strip() else "{}\n"
    if text and not text.endswith("\n"):
        text += "\n"
    return (text + block) or "{}\n"
