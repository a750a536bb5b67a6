"""Warnings that point at the line of the program that has to change, from however deep in the client."""

from __future__ import annotations

import warnings

__all__ = ["OURS", "warn_caller"]

OURS = (
    "auth", "github", "hooks", "index", "notify", "object",
    "purge-cache", "queue", "secrets", "web-server", "worker-manager",
)  # fmt: skip
"""The services that come with the client."""
_BETWEEN = {
    "functools", "importlib", "taskcluster", "taskcluster_helper", "taskcluster_objects",
    *(f"taskcluster_{name.replace('-', '_')}" for name in OURS),
}  # fmt: skip
"""The packages to skip on the way from a warning to the program's code."""


def warn_caller(text: str, category: type[Warning]) -> None:
    """Emit a warning at the program's innermost line."""
    # Almost no program is warned, and it takes 4 ms.
    import inspect

    # warnings.warn has skip_file_prefixes for this from Python 3.12 on.
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    if frame is None:
        warnings.warn(text, category, stacklevel=2)
        return
    module = frame.f_globals
    warnings.warn_explicit(
        text,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module.get("__name__"),
        module.setdefault("__warningregistry__", {}),
    )
