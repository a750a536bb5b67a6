"""Paths and the names that they stand for. No I/O.

A name may hold what a path cannot: `//`, a slash at either end, `.` and `..` as segments, and the characters of glob
patterns. In paths, those characters are percent-encoded, and `%` is `%25`. All others stay as they are. Any path with
further percent-encoded characters names the same file.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

__all__ = ["LATEST", "RunPath", "canonical", "has_magic", "index_path", "quoted", "run_path", "unquoted"]

LATEST = "latest"
"""In place of a number, the run with the highest one."""

# `#` ends URLs. The second colon of `::` would start the next URL of a chain, such as `simplecache::`.
_SPECIAL = re.compile(r"[%*?\[#\x00-\x1f\x7f]|(?<=:):|^/|(?<=/)/|/$")
_DOTS = re.compile(r"(?:^|(?<=/))\.{1,2}(?=/|$)")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_MAGIC = re.compile(r"[*?\[]")
# Names are printable ASCII.
_HIDDEN = str.maketrans("*?[", "\ue000\ue001\ue002")
_SHOWN = str.maketrans("\ue000\ue001\ue002", "*?[")


class RunPath(NamedTuple):
    """A path below a task's run."""

    run: str
    """What names the run: a task with a run, or a path of the index."""
    rest: str
    """The quoted name of an artifact, the prefix of several, or an empty string."""

    @property
    def name(self) -> str:
        """The name."""
        return unquoted(self.rest)


def quoted(name: str) -> str:
    """Return the path of a name."""
    escaped = _SPECIAL.sub(lambda found: f"%{ord(found[0]):02X}", name)
    return _DOTS.sub(lambda found: found[0].replace(".", "%2E"), escaped)


def unquoted(path: str) -> str:
    """Return the name that a path stands for. What is not percent-encoded UTF-8 is left as it is."""
    return _ESCAPES.sub(_decoded, path)


def _decoded(found: re.Match[str]) -> str:
    try:
        return unquote_to_bytes(found[0]).decode()
    except UnicodeDecodeError:
        return found[0]


def has_magic(path: str) -> bool:
    """Return whether a path is a glob pattern."""
    return _MAGIC.search(path) is not None


def canonical(path: str, scheme: str) -> str:
    """Return a path without its scheme and trailing slashes, quoted as listings quote it.

    Unquoted characters of glob patterns are left as they are.
    """
    for start in (f"{scheme}://", f"{scheme}::"):
        path = path.removeprefix(start)
    return quoted(unquoted(path.translate(_HIDDEN).rstrip("/"))).translate(_SHOWN)


def run_path(path: str) -> RunPath:
    """Split `TASK/RUN/NAME`; the run is empty if the path is only a task."""
    task, _, below = path.partition("/")
    run, _, rest = below.partition("/")
    return RunPath(f"{task}/{run}".rstrip("/"), rest)


def index_path(path: str) -> RunPath:
    """Split `NAMESPACE/NAME`."""
    run, _, rest = path.partition("/")
    return RunPath(run, rest)
