"""pluggy's manager for the hooks that `taskcluster.plugins` specifies."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pluggy

from . import plugins

if TYPE_CHECKING:
    from pluggy import HookimplOpts, HookspecOpts

__all__ = ["HookManager"]


class HookManager(pluggy.PluginManager):
    """Knows the hooks by their prefix, and their implementations by our mark or by pluggy's own."""

    def __init__(self) -> None:
        super().__init__(plugins.PROJECT)
        self.add_hookspecs(plugins)

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> HookspecOpts | None:
        """Return the options of a hook specification, as pluggy documents it."""
        if not name.startswith(f"{plugins.PROJECT}_"):
            return None
        return {"firstresult": False, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None}

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> HookimplOpts | None:
        """Return the options of a hook implementation, as pluggy documents it."""
        function: Any = inspect.getattr_static(plugin, name, None)
        # A static method or class method holds the function.
        if getattr(getattr(function, "__func__", function), plugins.HOOKIMPL, False) is not True:
            return super().parse_hookimpl_opts(plugin, name)
        return {
            "wrapper": False,
            "hookwrapper": False,
            "optionalhook": False,
            "tryfirst": False,
            "trylast": False,
            "specname": None,
        }
