"""The built-in commands: their names, where they are, and what `--help` says of them. Nothing is imported here."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ALIASES", "COMMANDS", "GONE", "Entry"]


class Entry(NamedTuple):
    """A command as data."""

    target: str
    """`module:attribute`, in `taskcluster_cli.commands`."""
    help: str
    """One line."""


COMMANDS = {
    "api": Entry("api:api", "Call any method of any installed service."),
    "version": Entry("basics:version", "Print the version of this command."),
    "slugid": Entry("basics:slugid", "Generate, decode and encode slugIds."),
    "from-now": Entry("basics:from_now", "Print the time that is a while from now, in UTC."),
    "plugins": Entry("basics:plugins", "List the commands and services that plugins add."),
    "completion": Entry("completion:completion", "Print the completion script of a shell, or write it to FILE."),
}
"""The commands of `taskcluster`, in the order of `--help`."""

ALIASES = {"completions": "completion"}
"""Other names, not shown in `--help`."""

GONE = {
    "update": "upgrade the Python package taskcluster-cli instead",
    "d2g": "docker-worker payloads are converted by the worker that runs them",
}
"""Commands of the Go command that this one does not have, and what to do instead."""
