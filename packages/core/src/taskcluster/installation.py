"""Check that the installed distributions fit together, and name the commands that install and repair them."""

from __future__ import annotations

import importlib

from .version import VERSION

__all__ = ["how_to_install", "mixed_with_published", "require"]

_REPAIR = (
    "To repair the environment, run in a checkout of this client: python tools/family.py install core. With a package "
    "index that has this client: pip uninstall --yes taskcluster, then pip install --force-reinstall"
)


def how_to_install(distribution: str) -> str:
    """Return how to install a distribution of this client, for errors."""
    folder = distribution.removeprefix("taskcluster-")
    return f"install {distribution} (in a checkout: python tools/family.py install {folder})"


def mixed_with_published(folder: str) -> ImportError:
    """Return the error for a folder `taskcluster` with files of this client and of the published client."""
    return ImportError(
        f"{folder} mixes files of this client (taskcluster-core) and of the published client (taskcluster). "
        f"{_REPAIR} taskcluster-core",
        name="taskcluster",
        path=folder,
    )


def require(package: str, version: str) -> None:
    """Raise ImportError unless core is complete and has the version of a package of this client that is imported.

    Args:
        package: The package's name.
        version: Its version.
    """
    # Unlike sys.modules, this waits while another thread imports it.
    core = importlib.import_module("taskcluster")
    # The published client has no such name, and neither has the package if its __init__.py is missing.
    if getattr(core, "__version__", None) != VERSION:
        raise mixed_with_published(next(iter(core.__path__)))
    if version != VERSION:
        distribution = package.replace("_", "-")
        raise ImportError(
            f"{distribution} has version {version}, but taskcluster-core has {VERSION}: all distributions of this "
            f"client must have the same version. {_REPAIR} taskcluster-core {distribution}",
            name=package,
        )
