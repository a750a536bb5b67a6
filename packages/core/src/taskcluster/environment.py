"""Options from the environment of a program: variables, the task's proxy, and the configuration file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .causes import describe
from .exceptions import TaskclusterFailure
from .options import Credentials, Options, normal_root_url
from .redacted import ClientOptions
from .shapes import is_mapping

__all__ = ["CONFIG_FILE", "Resolved", "optionsFromEnvironment", "resolve_options"]


def __dir__() -> list[str]:
    return __all__


CONFIG_FILE = "~/.config/taskcluster.yml"
"""The configuration file of the `taskcluster` command."""

_VARIABLES = {
    "clientId": "TASKCLUSTER_CLIENT_ID",
    "accessToken": "TASKCLUSTER_ACCESS_TOKEN",
    "certificate": "TASKCLUSTER_CERTIFICATE",
}


def optionsFromEnvironment(defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return client options from TASKCLUSTER_ROOT_URL, _CLIENT_ID, _ACCESS_TOKEN and _CERTIFICATE.

    The repr of the dict hides the secrets. TASKCLUSTER_PROXY_URL is not used: inside a task, pass
    `{'rootUrl': os.environ['TASKCLUSTER_PROXY_URL']}`, or use `resolve_options`.

    Args:
        defaults: Options that the environment overrides; not changed.
    """
    options = ClientOptions(defaults or {})
    root_url = os.environ.get("TASKCLUSTER_ROOT_URL")
    if root_url:
        options["rootUrl"] = root_url
    found = _credentials_from(os.environ)
    credentials = options.get("credentials")
    if found or is_mapping(credentials):
        options["credentials"] = Credentials.copy_of({**(credentials or {}), **found})
    return options


def _credentials_from(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[variable] for name, variable in _VARIABLES.items() if environ.get(variable)}


@dataclass(frozen=True)
class Resolved:
    """Options and their sources: `given`, `environment`, `task proxy`, a file's path, `plugin …` or `none`."""

    options: Options
    """For any client."""
    root_url_source: str
    credentials_source: str


def resolve_options(
    options: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config_file: str | os.PathLike[str] = CONFIG_FILE,
) -> Resolved:
    """Return the options for this environment, each from the first source that has it.

    Sources of the root URL: `options`, TASKCLUSTER_ROOT_URL, the configuration file. Sources of credentials: `options`;
    the TASKCLUSTER_ variables; the task's proxy (TASKCLUSTER_PROXY_URL, which then is the root URL too, unless
    `options` name another deployment); the configuration file, if it is for the same deployment; a plugin; none.

    Args:
        options: The caller's options, which always win.
        environ: The environment. Defaults to `os.environ`.
        config_file: The configuration file of the `taskcluster` command; it need not exist.

    Raises:
        TaskclusterFailure: No root URL was found, or the file is needed and cannot be read.
    """
    given = dict(options or {})
    environ = os.environ if environ is None else environ
    root_url, root_url_source = _first(
        (given.get("rootUrl"), "given"),
        (environ.get("TASKCLUSTER_ROOT_URL"), "environment"),
        (environ.get("TASKCLUSTER_PROXY_URL"), "task proxy"),
    )
    credentials, credentials_source = _first(
        (given.get("credentials"), "given"),
        (_credentials_from(environ), "environment"),
    )
    if credentials is None and environ.get("TASKCLUSTER_PROXY_URL") and _is_proxied(given, environ):
        root_url = environ["TASKCLUSTER_PROXY_URL"]
        root_url_source = credentials_source = "task proxy"
    elif root_url is None or credentials is None:
        # A file that is not needed may be broken.
        configured, path = _configured(config_file)
        if root_url is None:
            root_url, root_url_source = _first((configured.get("rootUrl"), path))
        root_url = normal_root_url(root_url)
        if credentials is None:
            credentials, credentials_source = _first((_configured_credentials(configured, root_url), path))
        if credentials is None:
            credentials, credentials_source = _credentials_of_plugins(root_url)
    found = {**given, "rootUrl": root_url}
    if credentials is not None:
        found["credentials"] = credentials
    return Resolved(Options(found), root_url_source, credentials_source)


def _first(*sources: tuple[Any, str]) -> tuple[Any, str]:
    return next(((value, name) for value, name in sources if value), (None, "none"))


def _is_proxied(given: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Return whether the task's proxy is for the wanted deployment."""
    wanted, here = given.get("rootUrl"), environ.get("TASKCLUSTER_ROOT_URL")
    if not wanted:
        return True
    proxied = [normal_root_url(url) for url in (here, environ.get("TASKCLUSTER_PROXY_URL")) if url]
    return normal_root_url(wanted) in proxied


def _configured(config_file: str | os.PathLike[str]) -> tuple[dict[str, Any], str]:
    try:
        path = Path(config_file).expanduser()
    except RuntimeError:
        # There is no home directory.
        return {}, str(config_file)
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}, str(path)
    except (OSError, ValueError) as exc:
        content, problem = None, f"cannot be read: {describe(exc)}"
    else:
        content, problem = _parsed(text)
    if problem:
        # Not chained: the exceptions hold the file's content, including the access token.
        raise TaskclusterFailure(f"the configuration file {path} {problem}")
    if content is None:
        return {}, str(path)
    if not is_mapping(content):
        raise TaskclusterFailure(
            f"the configuration file {path} must hold a mapping with rootUrl, clientId, accessToken"
        )
    # The command's options are under `config`.
    section: Any = content.get("config", content)
    found = dict(section) if is_mapping(section) else {}
    if found.get("rootUrl"):
        try:
            found["rootUrl"] = normal_root_url(found["rootUrl"])
        except TaskclusterFailure as exc:
            raise TaskclusterFailure(f"the configuration file {path} is wrong: {exc}") from None
    return found, str(path)


def _parsed(text: str) -> tuple[Any, str]:
    """Return the value of a YAML document, and an error message or an empty string."""
    import yaml

    try:
        return yaml.safe_load(text), ""
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        # Its message quotes the line. An impossible date is a ValueError.
        mark = getattr(exc, "problem_mark", None)
        return None, f"is not YAML (line {mark.line + 1})" if mark else "is not YAML"


def _configured_credentials(configured: Mapping[str, Any], root_url: str) -> dict[str, Any] | None:
    if configured.get("rootUrl") and configured["rootUrl"] != root_url:
        # Credentials of one deployment are never sent to another.
        return None
    found = {name: configured[name] for name in _VARIABLES if configured.get(name)}
    if is_mapping(found.get("certificate")):
        # Unquoted JSON is a mapping in YAML.
        found["certificate"] = json.dumps(found["certificate"])
    return found or None


def _credentials_of_plugins(root_url: str) -> tuple[Mapping[str, Any] | None, str]:
    from .registry import registry

    found = registry.credentials(root_url)
    return (None, "none") if found is None else (Credentials(found[0]), f"plugin {found[1]}")
