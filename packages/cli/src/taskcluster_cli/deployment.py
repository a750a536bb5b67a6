"""Which deployment a command calls, and with which credentials. Credentials of one are never sent to another."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from .errors import DENIED, Failure

__all__ = [
    "VARIABLES",
    "Deployment",
    "Request",
    "certificate_expiry",
    "go_config_path",
    "normal",
    "resolve",
    "root_url",
]

VARIABLES = {
    "clientId": "TASKCLUSTER_CLIENT_ID",
    "accessToken": "TASKCLUSTER_ACCESS_TOKEN",
    "certificate": "TASKCLUSTER_CERTIFICATE",
}
"""The variables of credentials."""
_NO_ROOT = "no root URL: which deployment?"
_NO_ROOT_HINT = (
    "set TASKCLUSTER_ROOT_URL, pass --root-url, or sign in with `taskcluster --root-url https://tc.example.com signin`"
)


class Request(NamedTuple):
    """What a user said about the deployment."""

    profile: str | None = None
    """`--profile`."""
    root_url: str | None = None
    """`--root-url`."""
    address: str | None = None
    """The deployment of an address that was given as an argument."""


class Deployment(NamedTuple):
    """A deployment and the credentials for it."""

    root_url: str
    credentials: Mapping[str, Any] | None
    root_url_source: str
    credentials_source: str
    """Where they are from; `none` for none."""
    profile: str | None = None

    @property
    def client_id(self) -> str | None:
        """The client id, if there are credentials."""
        from taskcluster.encodings import toStr

        return toStr(self.credentials["clientId"]) if self.credentials else None

    @property
    def identity(self) -> str | None:
        """Whose credentials they are, for errors."""
        if self.credentials is None:
            return "the task's proxy" if self.credentials_source == "task proxy" else None
        return f"client {self.client_id!r} ({self.credentials_source})"

    def __repr__(self) -> str:
        return f"<Deployment {self.root_url}, credentials: {self.credentials_source}>"


def go_config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the configuration file that is shared with the Go command."""
    if environ.get("XDG_CONFIG_HOME"):
        return Path(environ["XDG_CONFIG_HOME"], "taskcluster.yml")
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home, ".config", "taskcluster.yml") if home else Path("taskcluster.yml")


def certificate_expiry(certificate: str | bytes) -> datetime | None:
    """Return when the temporary credentials of a certificate expire, or None if it is not valid."""
    import json

    try:
        return datetime.fromtimestamp(json.loads(certificate)["expiry"] / 1000, timezone.utc)
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def normal(root_url: str) -> str:
    """Return a root URL without its trailing slashes; raise Failure if it is not one."""
    from taskcluster.exceptions import TaskclusterFailure
    from taskcluster.options import normal_root_url

    try:
        return normal_root_url(root_url)
    except TaskclusterFailure as exc:
        raise Failure(str(exc)) from None


def resolve(request: Request, environ: Mapping[str, str], profiles: Any) -> Deployment:
    """Return the deployment to call.

    The first that applies: `--profile`; credentials in the environment; the task's proxy; the profile that
    TASKCLUSTER_PROFILE names, or that is for the root URL, or the default one; the Go command's file; plugins; none.

    Args:
        request: What the user said.
        environ: The environment.
        profiles: The stored profiles (`profiles.Profiles`).

    Raises:
        Failure: No root URL, or half a pair of credentials.
    """
    wanted = next((normal(url) for url in (request.address, request.root_url) if url), None)
    if request.profile:
        return _of_profile(profiles.named(request.profile), wanted, profiles, "--profile")
    here = normal(environ["TASKCLUSTER_ROOT_URL"]) if environ.get("TASKCLUSTER_ROOT_URL") else None
    given = {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}
    # Those of an address that was pasted need the environment to be for the same deployment.
    is_same = wanted is None or wanted == here or (here is None and request.address is None)
    if is_same and (given.keys() & {"clientId", "accessToken"}):
        return _of_environment(given, wanted or here, "--root-url" if wanted else "environment", environ)
    proxy = environ.get("TASKCLUSTER_PROXY_URL")
    if proxy and (wanted is None or wanted in (here, normal(proxy))):
        return Deployment(normal(proxy), None, "task proxy", "task proxy")
    root, source = (wanted, "given") if wanted else (here, "environment")
    named = environ.get("TASKCLUSTER_PROFILE")
    profile = profiles.named(named) if named else profiles.for_root(root) if root else profiles.default()
    if profile is not None and (root is None or profile.root_url == root):
        return _of_profile(profile, root, profiles, "TASKCLUSTER_PROFILE" if named else "profile")
    return _of_file(root, source, environ)


def root_url(request: Request, environ: Mapping[str, str], profiles: Callable[[], Any]) -> str | None:
    """Return the root URL of the deployment to call, or None. Credentials are neither read nor checked.

    Args:
        request: What the user said.
        environ: The environment.
        profiles: Returns the stored profiles (`profiles.Profiles`).

    Raises:
        Failure: A file cannot be read, or there is no such profile.
    """
    proxy = environ.get("TASKCLUSTER_PROXY_URL") if not environ.get("TASKCLUSTER_CLIENT_ID") else None
    if request.profile:
        found: Any = profiles().named(request.profile).root_url
    elif url := request.root_url or proxy or environ.get("TASKCLUSTER_ROOT_URL"):
        found = normal(url)
    else:
        stored, name = profiles(), environ.get("TASKCLUSTER_PROFILE")
        profile = stored.named(name) if name else stored.default()
        if profile is not None:
            found = profile.root_url
        else:
            from .go_config import GoConfig

            found = GoConfig(go_config_path(environ)).values().get("rootUrl")
    return found if isinstance(found, str) else None


def _of_profile(profile: Any, wanted: str | None, profiles: Any, source: str) -> Deployment:
    if wanted is not None and profile.root_url != wanted:
        raise Failure(f"the profile {profile.name!r} is for {profile.root_url}, not for {wanted}")
    credentials = profiles.credentials(profile)
    where = f"profile {profile.name}"
    return Deployment(profile.root_url, credentials, source, where if credentials else "none", profile.name)


def _of_environment(given: Mapping[str, str], root: str | None, source: str, environ: Mapping[str, str]) -> Deployment:
    for key, other in (("clientId", "accessToken"), ("accessToken", "clientId")):
        if key in given and other not in given:
            raise Failure(
                f"{VARIABLES[key]} is set without {VARIABLES[other]}", DENIED, f"set both, or unset {VARIABLES[key]}"
            )
    if root is None:
        path = go_config_path(environ)
        # Only a file that has no credentials may name the deployment for those of the environment.
        found = _resolved({}, path) if path.exists() else None
        if found is None:
            raise Failure(_NO_ROOT, hint=_NO_ROOT_HINT)
        if found.options.get("credentials") is not None and found.credentials_source == str(path):
            raise Failure(
                f"TASKCLUSTER_CLIENT_ID is set without TASKCLUSTER_ROOT_URL, and {path} has other credentials",
                DENIED,
                "set TASKCLUSTER_ROOT_URL too, or unset TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN",
            )
        root, source = found.options["rootUrl"], str(path)
    assert root is not None
    return Deployment(root, dict(given), source, "environment")


def _of_file(root: str | None, source: str, environ: Mapping[str, str]) -> Deployment:
    path = go_config_path(environ)
    if root is None and not os.path.exists(path):
        raise Failure(_NO_ROOT, hint=_NO_ROOT_HINT)
    found = _resolved({"rootUrl": root} if root else {}, path)
    root_source = source if root else found.root_url_source
    return Deployment(
        found.options["rootUrl"], found.options.get("credentials") or None, root_source, found.credentials_source
    )


def _resolved(options: Mapping[str, Any], path: Path) -> Any:
    from taskcluster.environment import resolve_options
    from taskcluster.exceptions import TaskclusterFailure

    try:
        found = resolve_options(options, environ={}, config_file=path)
    except TaskclusterFailure as exc:
        message = str(exc)
        raise Failure(_NO_ROOT if "rootUrl option is required" in message else message, hint=_NO_ROOT_HINT) from None
    if found.credentials_source == "none":
        found.options["credentials"] = None
    return found
