"""Checks of plugins, and how messages describe what a plugin raised."""

from __future__ import annotations

import os.path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .causes import without_secrets
from .plugins import PluginError
from .suggestions import did_you_mean

if TYPE_CHECKING:
    from pluggy import PluginManager

__all__ = ["check_hooks", "described", "located"]


def described(exc: BaseException) -> str:
    """Return the class of an exception that a plugin raised, and its message without what may be a secret."""
    if isinstance(exc, PluginError):
        # It has such a message already.
        return str(exc)
    message = without_secrets(str(exc))
    return f"{type(exc).__name__}{message and f': {message}'}"


def located(exc: BaseException) -> str:
    """Return the same with the file and line that raised it, for messages without its traceback."""
    trace = None if isinstance(exc, PluginError) else exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = "" if trace is None else f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno})"
    return described(exc) + line


def check_hooks(manager: PluginManager, plugin: Any, page: ModuleType) -> None:
    """Raise PluginError if a registered plugin implements no hook, or one that does not exist.

    Args:
        manager: The manager that the plugin is registered with.
        plugin: The plugin.
        page: The module that specifies the hooks.
    """
    known = [name for name in page.__all__ if name.startswith(f"{page.PROJECT}_")]
    implemented = manager.get_hookcallers(plugin)
    if not implemented:
        raise PluginError(f"it implements no hook: mark a function with {page.__name__}.hookimpl ({', '.join(known)})")
    for caller in implemented:
        if caller.name not in known and not all(each.optionalhook for each in caller.get_hookimpls()):
            near = did_you_mean(caller.name, known)
            raise PluginError(f"unknown hook {caller.name!r}{near or '; the hooks are ' + ', '.join(known)}")
