"""What users write for a task, a group or another thing: an id, a web address, an API URL, or `index:PATH`."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .errors import Failure

__all__ = ["SLUG", "Target", "halves", "parse"]

SLUG = re.compile(r"[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]")
"""A slugId. It may begin with `-`."""

_WEB = (
    ("group", r"/tasks/groups/(?P<name>[^/]+)/?(?:tasks/(?P<task>[^/]+).*)?"),
    ("task", r"/tasks/(?P<name>[^/]+)(?:/runs/(?P<run>\d+))?(?:/.*)?"),
    ("index", r"/tasks/index/(?P<name>[^/]+)/(?P<last>[^/]+)/?"),
    ("group", r"/api/queue/v1/task-group/(?P<name>[^/]+)(?:/.*)?"),
    ("task", r"/api/queue/v1/task/(?P<name>[^/]+)(?:/runs/(?P<run>\d+))?(?:/.*)?"),
    ("index", r"/api/index/v1/task/(?P<name>[^/]+)(?:/.*)?"),
)
_HINT = "give an id, the address of its page, or index:PATH"


class Target(NamedTuple):
    """Something that a user named."""

    kind: str
    """`task`, `group` or `index`; `any` for an id without more."""
    name: str
    """The id or the index path."""
    run: str | None = None
    root_url: str | None = None
    """The deployment, if the user gave an address."""


def parse(text: str) -> Target:
    """Return what a user named.

    Raises:
        Failure: It is neither an id nor an address nor an index path.
    """
    text = text.strip()
    if text.startswith("index:"):
        path = text.removeprefix("index:").strip(".")
        if not path:
            raise Failure(f"{text!r} has no index path: write index:project.builds.latest")
        return Target("index", path)
    if text.startswith(("http://", "https://")):
        return _parse_address(text)
    if SLUG.fullmatch(text):
        return Target("any", text)
    raise Failure(f"{text[:200]!r} is not a task or group id: {_HINT}")


def halves(text: str, what: str, form: str) -> tuple[str, str]:
    """Return what is before and after the first slash of a name.

    Args:
        text: The name.
        what: What it should name, for the error.
        form: How to write it, for example `GROUP/HOOK`.

    Raises:
        Failure: One of the two is missing.
    """
    first, _, second = text.partition("/")
    if not first or not second:
        raise Failure(f"{text!r} is not a {what}: write {form}")
    return first, second


def _parse_address(text: str) -> Target:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise Failure("an address must not contain a user name or password")
    root = f"{parts.scheme}://{parts.netloc}"
    # The page of an index path comes before that of a task called index.
    for kind, pattern in sorted(_WEB, key=lambda each: each[0] != "index"):
        # A root URL may have a path.
        found = re.search(f"(?P<prefix>.*?){pattern}$", parts.path)
        if found is None:
            continue
        values = {name: unquote(value) for name, value in found.groupdict().items() if value is not None}
        root_url = root + values["prefix"]
        if kind == "index":
            return Target("index", ".".join([values["name"], *filter(None, [values.get("last")])]), None, root_url)
        name, kind = (values["task"], "task") if "task" in values else (values["name"], kind)
        if SLUG.fullmatch(name):
            return Target(kind, name, values.get("run"), root_url)
    raise Failure(f"no task or group in the address {root}{parts.path}: {_HINT}")
