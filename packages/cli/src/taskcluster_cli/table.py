"""The built-in commands: their names, where they are, and what `--help` says of them. Nothing is imported here."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ALIASES", "COMMANDS", "GONE", "HIDDEN", "Entry"]


class Entry(NamedTuple):
    """A command as data."""

    target: str
    """`module:attribute`, in `taskcluster_cli.commands`."""
    help: str
    """One line."""


COMMANDS = {
    "task": Entry("task:task", "Look at tasks, create them and change them."),
    "group": Entry("group:group", "Look at task groups, wait for them and change their tasks."),
    "log": Entry("log:log", "Print the log of a task; of a running task, until its end."),
    "run": Entry("run:run", "Run a command as a task, print its log, and exit by its result."),
    "download": Entry("transfers:download", "Download artifacts and objects."),
    "upload": Entry("transfers:upload", "Upload artifacts of running tasks, and objects."),
    "index": Entry("index:index", "Find tasks by their paths in the index."),
    "secret": Entry("access:secret", "Read and write secrets."),
    "role": Entry("access:role", "Look at roles and change them."),
    "client": Entry("access:client", "Look at clients and change them."),
    "scopes": Entry("access:scopes", "Expand scopes, and check whether you have some."),
    "hook": Entry("hooks:hook", "Look at hooks, change them and trigger them."),
    "pool": Entry("workers:pool", "Look at worker pools and change them."),
    "worker": Entry("workers:worker", "Look at the workers of a task queue, and quarantine them."),
    "pending": Entry("workers:pending", "List the pending tasks of a task queue."),
    "claimed": Entry("workers:claimed", "List the claimed tasks of a task queue, with their workers."),
    "purge-cache": Entry("workers:purge_cache", "Let the workers of a pool delete caches."),
    "github": Entry("others:github", "Look at builds of GitHub repositories."),
    "notify": Entry("others:notify", "Send notifications."),
    "creds": Entry("access:creds", "Print temporary credentials for a part of your scopes."),
    "signed-url": Entry("access:signed_url", "Print a URL that needs no credentials for a while."),
    "validate": Entry("others:validate", "Check a file against the schema of a method's payload."),
    "root-url": Entry("others:root_url", "Print the root URL of the deployment that commands use."),
    "local": Entry("others:local", "Run a local deployment for development and tests."),
    "signin": Entry("account:signin", "Sign in through the browser."),
    "signout": Entry("account:signout", "Delete the client of a profile, and its stored access token."),
    "whoami": Entry("account:whoami", "Show the deployment, the client, and its scopes."),
    "profile": Entry("account:profile", "Manage profiles: deployments and who you are there."),
    "config": Entry("config:config", "Show or change the file that is shared with the Go command."),
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

HIDDEN = {"validate-json": Entry("others:validate_json", "Check a file against a JSON schema.")}
"""Commands that exist for scripts written for the Go command, not shown in `--help`."""

GONE = {
    "update": "upgrade the Python package taskcluster-cli instead",
    "d2g": "docker-worker payloads are converted by the worker that runs them",
}
"""Commands of the Go command that this one does not have, and what to do instead."""
