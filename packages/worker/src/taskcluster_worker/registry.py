"""Find executors by name, among the installed plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from taskcluster.entry_points import disabled_plugins, distribution_of, entry_points
from taskcluster.suggestions import did_you_mean

from . import plugins
from .errors import WorkerError
from .plugins import PROJECT, Executor

__all__ = ["executor_named", "executor_names"]


def executor_names() -> list[str]:
    """Return the names of all executors that are installed and not disabled."""
    return sorted(entry_points(PROJECT).keys() - disabled_plugins())


def executor_named(name: str, options: Mapping[str, Any]) -> Executor:
    """Return the executor of a plugin. Other plugins are not loaded.

    Args:
        name: The name of the entry point.
        options: For the executor.

    Raises:
        WorkerError: There is no such executor, or it cannot be used.
    """
    known = executor_names()
    if name not in known:
        hint = did_you_mean(name, known) or f"; installed are {', '.join(known)}"
        raise WorkerError(f"there is no executor {name!r}{hint}")
    points = entry_points(PROJECT)[name]
    if len(points) > 1:
        owners = " and ".join(sorted(map(distribution_of, points)))
        raise WorkerError(f"the executor {name!r} is registered by {owners}; uninstall one of them")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(plugins)
    try:
        manager.register(points[0].load())
        manager.check_pending()
        made = manager.hook.taskcluster_worker_executor(options=dict(options))
    except TypeError as error:
        raise WorkerError(f"the executor {name!r} does not accept its options: {error}") from error
    except Exception as error:
        raise WorkerError(f"the executor {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(made, Executor):
        raise WorkerError(f"the plugin {name!r} returned no executor but {type(made).__name__}")
    return made
