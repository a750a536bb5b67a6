"""Profiles: deployments that the user signed in to, in a file; their access tokens are in the keyring if possible."""

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from taskcluster.shapes import is_array, is_mapping

from .errors import DENIED, FAILED, Failure
from .private_files import exclusively, is_readable_by_others, read, replace

__all__ = ["Profile", "Profiles"]

_SOON = 600.0
"""Seconds before the expiration from which to warn."""


class Profile(NamedTuple):
    """A deployment and who the user is there."""

    name: str
    root_url: str
    client_id: str | None = None
    expires: str | None = None
    scopes: tuple[str, ...] = ()
    has_keyring: bool = False
    """Whether the access token is in the system's keyring."""
    access_token: str | None = None
    """The access token, if it is in the file."""

    def __repr__(self) -> str:
        return f"<Profile {self.name} for {self.root_url}>"

    @property
    def storage(self) -> str:
        """Where the access token is."""
        return "keyring" if self.has_keyring else "file" if self.access_token else "none"

    def seconds_left(self, now: datetime) -> float | None:
        """Return how long its client is valid; None if it does not expire."""
        if self.expires is None:
            return None
        from taskcluster.timestamps import parse_date

        try:
            return (parse_date(self.expires) - now).total_seconds()
        except ValueError:
            return None


class Profiles:
    """The stored profiles.

    Args:
        environ: The environment.
        warn: Prints a warning.
    """

    def __init__(self, environ: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._environ = environ
        self._warn = warn
        self._loaded: tuple[dict[str, Profile], str | None] | None = None

    @property
    def path(self) -> Path:
        """The file."""
        from platformdirs import user_config_path

        return user_config_path("taskcluster", appauthor=False) / "profiles.yml"

    def all(self) -> dict[str, Profile]:
        """Return the profiles by name."""
        return dict(self._load()[0])

    def default_name(self) -> str | None:
        """Return the name of the profile that is used if nothing else is said."""
        known, default = self._load()
        return default if default in known else next(iter(known)) if len(known) == 1 else None

    def default(self) -> Profile | None:
        """Return the default profile."""
        name = self.default_name()
        return None if name is None else self._load()[0][name]

    def named(self, name: str) -> Profile:
        """Return a profile; raise Failure if there is none of that name."""
        known = self._load()[0]
        if name not in known:
            from taskcluster.suggestions import did_you_mean

            hint = f"known: {', '.join(known)}" if known else "`taskcluster signin` creates one"
            raise Failure(f"there is no profile {name!r}{did_you_mean(name, known)}", hint=hint)
        return known[name]

    def for_root(self, root_url: str) -> Profile | None:
        """Return the profile of a deployment; the default one if several are."""
        default = self.default()
        if default is not None and default.root_url == root_url:
            return default
        return next((each for each in self._load()[0].values() if each.root_url == root_url), None)

    def credentials(self, profile: Profile) -> dict[str, str] | None:
        """Return the credentials of a profile, or None if it has none that are valid."""
        left = profile.seconds_left(datetime.now(timezone.utc))
        if profile.client_id is None:
            return None
        again = f"sign in again: taskcluster --profile {profile.name} signin"
        if left is not None and left <= 0:
            self._warn(f"the credentials of the profile {profile.name!r} have expired; {again}")
            return None
        if left is not None and left < _SOON:
            self._warn(
                f"the credentials of the profile {profile.name!r} expire in {max(1, int(left // 60))} min; {again}"
            )
        token = profile.access_token
        if profile.has_keyring:
            from .keyring import Keyring

            token = Keyring(self._environ).get(profile.root_url, profile.client_id)
            if token is None:
                raise Failure(f"the keyring has no access token for the profile {profile.name!r}", DENIED, again)
        return {"clientId": profile.client_id, "accessToken": token} if token else None

    def save(self, profile: Profile, *, is_default: bool) -> None:
        """Store a profile."""
        with exclusively(self.path):
            self._loaded = None
            known, default = self._load()
            known[profile.name] = profile
            self._write(known, profile.name if is_default or default is None else default)

    def remove(self, name: str) -> None:
        """Delete a profile."""
        with exclusively(self.path):
            self._loaded = None
            known, default = self._load()
            known.pop(name, None)
            self._write(known, default if default != name else None)

    def use(self, name: str) -> None:
        """Make a profile the default one."""
        with exclusively(self.path):
            self._loaded = None
            self.named(name)
            self._write(self._load()[0], name)

    def _load(self) -> tuple[dict[str, Profile], str | None]:
        if self._loaded is None:
            self._loaded = self._read()
        return self._loaded

    def _read(self) -> tuple[dict[str, Profile], str | None]:
        path = self.path
        text = read(path)
        if not text:
            return {}, None
        import yaml

        try:
            content: Any = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            # Its message quotes the file. An impossible date is a ValueError.
            content = 0
        if content is None:
            return {}, None
        entries: Any = content.get("profiles", {}) if is_mapping(content) else None
        if not is_mapping(entries):
            raise Failure(f"{path} is not a file of profiles; repair or remove it", FAILED)
        if is_readable_by_others(path):
            self._warn(f"others can read {path}: chmod 600 {path}")
        known = {str(name): _profile(str(name), entry) for name, entry in entries.items() if is_mapping(entry)}
        default: Any = content.get("default")
        return {name: each for name, each in known.items() if each is not None}, default

    def _write(self, known: Mapping[str, Profile], default: str | None) -> None:
        import yaml

        content: dict[str, Any] = {"profiles": {name: _entry(profile) for name, profile in known.items()}}
        if default is not None:
            content["default"] = default
        replace(self.path, yaml.safe_dump(content, sort_keys=True, allow_unicode=True))
        if os.name == "posix":
            # The folder may be older.
            os.chmod(self.path.parent, 0o700)
        self._loaded = None


def _profile(name: str, entry: Mapping[str, Any]) -> Profile | None:
    root_url, scopes = entry.get("rootUrl"), entry.get("scopes")
    if not isinstance(root_url, str):
        return None
    optional = {
        key: value for key in ("clientId", "expires", "accessToken") if isinstance(value := entry.get(key), str)
    }
    return Profile(
        name,
        root_url,
        optional.get("clientId"),
        optional.get("expires"),
        tuple(scope for scope in scopes if isinstance(scope, str)) if is_array(scopes) else (),
        entry.get("keyring") is True,
        optional.get("accessToken"),
    )


def _entry(profile: Profile) -> dict[str, Any]:
    entry = {
        "rootUrl": profile.root_url,
        "clientId": profile.client_id,
        "expires": profile.expires,
        "scopes": list(profile.scopes) or None,
        "keyring": profile.has_keyring or None,
        "accessToken": profile.access_token,
    }
    return {key: value for key, value in entry.items() if value is not None}
