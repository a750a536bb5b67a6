"""What commands get: options that all of them have, clients of the deployment, output, questions and stdin."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from .deployment import Deployment, Request, resolve
from .errors import Failure
from .output import Notes, Output, is_terminal, wants_colour

if TYPE_CHECKING:
    from .profiles import Profiles
    from .select import Path, Query

__all__ = ["App", "pass_app"]


class App:
    """One run of the command.

    Args:
        environ: The environment. Defaults to that of the process.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self.environ = os.environ if environ is None else environ
        self.profile: str | None = None
        self.root_url: str | None = None
        self.colour = "auto"
        self.form = "auto"
        self.path: Path | Query | None = None
        self.is_debug = False
        self.is_quiet = False
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._deployments: dict[str | None, Deployment] = {}
        self.used: Deployment | None = None
        """The deployment that was called last, for errors."""
        self._seen: dict[str, dict[str, list[str]]] = {}

    @functools.cached_property
    def out(self) -> Output:
        """Where data goes."""
        terminal = is_terminal(sys.stdout, self.environ)
        return Output(
            sys.stdout,
            terminal=terminal,
            colour=wants_colour(self.colour, self.environ, terminal=terminal),
            form=self.form,
            path=self.path,
            notice=self.remember,
        )

    @property
    def notes(self) -> Notes:
        """Where everything else goes."""
        terminal = is_terminal(sys.stderr, self.environ)
        return Notes(sys.stderr, colour=wants_colour(self.colour, self.environ, terminal=terminal), quiet=self.is_quiet)

    @property
    def shows_progress(self) -> bool:
        """Whether progress may be drawn on stderr."""
        return not self.is_quiet and is_terminal(sys.stderr, self.environ)

    @functools.cached_property
    def profiles(self) -> Profiles:
        """The stored profiles."""
        from .profiles import Profiles

        return Profiles(self.environ, self.notes.warn)

    def deployment(self, address: str | None = None) -> Deployment:
        """Return the deployment to call.

        Args:
            address: The root URL of an address that the user gave.
        """
        if address not in self._deployments:
            request = Request(self.profile, self.root_url, address)
            self._deployments[address] = resolve(request, self.environ, self.profiles)
        self.used = self._deployments[address]
        return self.used

    def options(self, address: str | None = None) -> dict[str, Any]:
        """Return options for clients.

        Args:
            address: As for `deployment`.
        """
        found = self.deployment(address)
        options: dict[str, Any] = {"rootUrl": found.root_url, "userAgentSuffix": "taskcluster-cli"}
        if found.credentials is not None:
            options["credentials"] = found.credentials
        return options

    def client(self, service: str, address: str | None = None) -> Any:
        """Return a client of a service.

        Args:
            service: Its class name or any spelling of its name: `Queue`, `purge-cache`, `purgeCache`.
            address: As for `deployment`.
        """
        options = self.options(address)
        key = (service, address)
        if key not in self._clients:
            import taskcluster

            if not service[:1].isupper():
                from taskcluster.registry import registry

                try:
                    service = registry.service(service).class_name
                except LookupError as exc:
                    raise Failure(str(exc.args[0])) from None
            self._clients[key] = getattr(taskcluster, service)(options)
        return self._clients[key]

    def known_names(self, kind: str) -> list[str]:
        """Return names that commands have listed or used in the deployment, the newest first."""
        from .deployment import root_url
        from .known import names

        try:
            root = root_url(Request(self.profile, self.root_url), self.environ, lambda: self.profiles)
        except Failure:
            return []
        return [] if root is None else names(self.environ, root, kind)

    def remember(self, kind: str, names: Iterable[str]) -> None:
        """Keep names that were listed for completion.

        Args:
            kind: What they name.
            names: The names in the deployment that was called last.
        """
        from .known import MOST_LISTED, is_known_kind

        if self.used is not None and is_known_kind(kind):
            seen = self._seen.setdefault(self.used.root_url, {}).setdefault(kind, [])
            seen.extend(islice(names, max(0, MOST_LISTED - len(seen))))

    def remember_argument(self, kind: str, text: str) -> None:
        """Keep what an argument names for completion. An address is not kept: it may be of another deployment."""
        from .known import named_by

        deployment = self._deployments.get(None)
        if deployment is not None:
            kind, name = named_by(kind, text)
            self._seen.setdefault(deployment.root_url, {}).setdefault(kind, []).insert(0, name)

    def close(self) -> None:
        """Close the clients, and store what completion may need."""
        if self._seen:
            from .known import are_stored, save

            if are_stored(self.environ, terminal=is_terminal(sys.stderr, {})):
                save(self.environ, self._seen)
        for client in self._clients.values():
            client.close()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something is destroyed.

        Args:
            question: Names what it is about.
            yes: Whether the user has said yes already.

        Raises:
            Failure: The user declined, or cannot be asked.
        """
        if yes:
            return
        if not is_terminal(sys.stdin, {}) or sys.stderr is None:
            raise Failure(f"{question} Nothing was done, because there is no terminal to ask", hint="pass --yes")
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:
            print(file=sys.stderr)
        if answer.strip().lower() not in ("y", "yes"):
            raise Failure("declined, nothing was done")

    def read_stdin(self, what: str) -> str:
        """Return everything on stdin as a string.

        Args:
            what: What is expected, for a terminal's user.
        """
        stream = sys.stdin
        if stream is None:
            raise Failure(f"stdin is closed: expected {what}")
        if is_terminal(stream, {}):
            self.notes.say(f"reading {what} from the terminal; end it with Ctrl-D", always=True)
        try:
            return stream.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Failure(f"{what} on stdin is not UTF-8") from None

    def stdin_lines(self, what: str) -> Iterator[str]:
        """Yield the lines on stdin that are not empty."""
        for line in self.read_stdin(what).splitlines():
            if line.strip():
                yield line.strip()


pass_app = click.make_pass_decorator(App)
"""Pass the App to a command as its first argument."""
