"""Ids and names that commands have listed or used, for completion, which never uses the network.

They are in a small file that only the user can read. Only names are stored, and only those without a character that a
shell would interpret, because completion puts them into a command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from taskcluster.shapes import is_array, is_mapping

from .errors import Failure
from .targets import SLUG

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KINDS", "MOST_LISTED", "Known", "are_stored", "is_known_kind", "named_by", "names", "save"]

KINDS = {
    "TASK": "task",
    "TASK...": "task",
    "[TASK] [RUN] NAME... [FILE]": "task",
    "taskId": "task",
    "GROUP": "group",
    "taskGroupId": "group",
    "GROUP/HOOK": "hook",
    "POOL": "pool",
    "PROVISIONER/TYPE": "pool",
    "workerPoolId": "pool",
    "taskQueueId": "pool",
    "GROUP/WORKER": "worker",
    "ROLE": "role",
    "roleId": "role",
    "CLIENT": "client",
    "clientId": "client",
    "SECRET": "secret",
    "PATH": "path",
    "indexPath": "path",
}
"""What arguments with these metavars name."""
MOST_LISTED = 50
"""How many names of one list are kept."""
_MOST = 100
"""How many names of a kind and a deployment are kept."""
_MOST_DEPLOYMENTS = 10
_SAFE = r"[A-Za-z0-9_.@/][A-Za-z0-9_.@%+=:,/-]{0,299}"


class Known(click.types.StringParamType):
    """The type of an argument that names something; completes to what was listed or used before.

    Args:
        kind: What it names.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Return the names that begin so, the newest first."""
        from click.shell_completion import CompletionItem

        from .app import App

        app = ctx.find_object(App)
        if app is None:
            return []
        kind, prefix = (
            ("path", "index:") if self.kind == "task" and incomplete.startswith("index:") else (self.kind, "")
        )
        given: Any = ctx.params.get(param.name or "") or ()
        found = (f"{prefix}{name}" for name in app.known_names(kind))
        return [CompletionItem(name) for name in found if name.startswith(incomplete) and name not in given]


def is_known_kind(kind: str) -> bool:
    """Return whether names of this kind are stored."""
    return kind in KINDS.values()


def named_by(kind: str, text: str) -> tuple[str, str]:
    """Return what an argument names, and the name."""
    return ("path", text.removeprefix("index:")) if text.startswith("index:") else (kind, text)


def are_stored(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Return whether names are stored.

    Args:
        environ: TASKCLUSTER_COMPLETION_CACHE is `on` or `off`.
        terminal: Whether a user watches the command. Scripts store nothing by default.
    """
    setting = environ.get("TASKCLUSTER_COMPLETION_CACHE", "").lower()
    return terminal if not setting else setting not in ("off", "0", "no", "false")


def _path(environ: Mapping[str, str]) -> Path | None:
    """Return the file, or None if names are not stored or there is no home directory."""
    if not are_stored(environ, terminal=True):
        return None
    from platformdirs import user_cache_path

    found = user_cache_path("taskcluster", appauthor=False) / "completion.json"
    return found if found.is_absolute() else None


def names(environ: Mapping[str, str], root_url: str, kind: str) -> list[str]:
    """Return the names of a kind, the newest first."""
    file = _path(environ)
    found = _read(file).get(root_url, {}).get(kind, []) if file is not None else []
    return [name for name in found if _is_safe(kind, name)]


def save(environ: Mapping[str, str], seen: Mapping[str, Mapping[str, Iterable[str]]]) -> None:
    """Store names, by deployment and kind, the newest first. If the file cannot be written, do nothing."""
    import json

    from .private_files import replace

    file = _path(environ)
    if file is None:
        return
    before = _read(file)
    after = dict(before)
    for root_url, kinds in seen.items():
        merged = dict(after.pop(root_url, {}))
        for kind, new in kinds.items():
            safe = (name for name in new if _is_safe(kind, name))
            merged[kind] = list(islice(dict.fromkeys([*safe, *merged.get(kind, [])]), _MOST))
        if "@" not in root_url:
            after[root_url] = merged
    if after != before:
        kept = dict(list(after.items())[-_MOST_DEPLOYMENTS:])
        try:
            replace(file, json.dumps(kept, indent=1), is_durable=False)
        except Failure:
            return


def _is_safe(kind: str, name: str) -> bool:
    return re.fullmatch(SLUG if kind in ("task", "group") else _SAFE, name) is not None and "://" not in name


def _read(file: Path) -> dict[str, dict[str, list[str]]]:
    import json

    from .private_files import read

    try:
        content: Any = json.loads(read(file) or "{}")
    except (Failure, ValueError, RecursionError):
        return {}
    return {
        root_url: {
            kind: [name for name in found if isinstance(name, str)] for kind, found in kinds.items() if is_array(found)
        }
        for root_url, kinds in (content.items() if is_mapping(content) else ())
        if is_mapping(kinds)
    }
