"""Where a process takes the root URL and the credentials from. Options name sources, they hold no secrets."""

from __future__ import annotations

import os
import warnings
from typing import NamedTuple

from taskcluster.environment import CONFIG_FILE, resolve_options
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.options import Options

__all__ = ["Sources"]


class Sources(NamedTuple):
    """What the options of a filesystem say about the deployment and the credentials."""

    root_url: str | None = None
    """The deployment; None for the one of the environment."""
    profile: str | None = None
    """A profile of the `taskcluster` command."""
    config_file: str | None = None
    """The path of a configuration file; None for that of the `taskcluster` command."""

    def options(self) -> Options:
        """Return options for clients, as they are on this machine now.

        Raises:
            TaskclusterFailure: There is no root URL, or no such profile.
        """
        if self.profile is not None:
            return _of_profile(self.profile, self.root_url)
        given = {} if self.root_url is None else {"rootUrl": self.root_url}
        return resolve_options(given, config_file=self.config_file or CONFIG_FILE).options


def _of_profile(profile: str, root_url: str | None) -> Options:
    try:
        from taskcluster_cli.deployment import Request, resolve
        from taskcluster_cli.errors import Failure
        from taskcluster_cli.profiles import Profiles
    except ImportError:
        raise TaskclusterFailure(
            f"profile {profile!r}: profiles are those of the taskcluster command, which is not installed here: "
            "install taskcluster-cli (in a checkout: python tools/family.py install cli)"
        ) from None
    failure: TaskclusterFailure
    try:
        found = resolve(Request(profile, root_url), os.environ, Profiles(os.environ, warnings.warn))
        return Options({"rootUrl": found.root_url, "credentials": found.credentials})
    except Failure as exc:
        failure = TaskclusterFailure(str(exc))
    raise failure
