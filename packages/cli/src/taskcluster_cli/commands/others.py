"""`github`, `notify`, `validate`, `root-url` and `local`."""

from __future__ import annotations

import json
from typing import Any

import click

from ..app import App, pass_app
from ..command import command, group
from ..errors import NEGATIVE, OK, USAGE, Failure
from ..output import Column
from ..payloads import loads, text_of

__all__ = ["github", "local", "notify", "root_url", "validate", "validate_json"]


@group()
def github() -> None:
    """Look at builds of GitHub repositories."""


@github.command(examples=["taskcluster github builds --organization taskcluster --repository taskcluster"])
@click.option("--organization", help="Builds of this organization.")
@click.option("--repository", help="Builds of this repository.")
@click.option("--sha", help="Builds of this commit.")
@click.option("--pull-request", help="Builds of this pull request.")
@pass_app
def builds(
    app: App, organization: str | None, repository: str | None, sha: str | None, pull_request: str | None
) -> None:
    """List builds, the task groups that pushes and pull requests created."""
    service = app.client("Github")
    given = {"organization": organization, "repository": repository, "sha": sha, "pullRequest": pull_request}
    query = {key: value for key, value in given.items() if value is not None}
    columns = [
        Column("group", "taskGroupId", "id"),
        Column("state", "state", "state"),
        Column("organization", "organization"),
        Column("repository", "repository"),
        Column("commit", "sha"),
        Column("event", "eventType"),
        Column("created", "created", "time"),
    ]
    app.out.listing((page["builds"] for page in service.paginate(service.builds, query=query)), columns)


@group()
def notify() -> None:
    """Send notifications."""


def _message(app: App, given: str) -> str:
    return app.read_stdin("the message") if given == "-" else given


@notify.command(examples=["taskcluster notify email me@example.com --subject Done --message 'The build is done.'"])
@click.argument("address")
@click.option("--subject", required=True, help="The subject.")
@click.option("--message", required=True, help="The text, in Markdown; `-` is stdin.")
@pass_app
def email(app: App, address: str, subject: str, message: str) -> None:
    """Send an email."""
    app.client("Notify").email({"address": address, "subject": subject, "content": _message(app, message)})


@notify.command(examples=["taskcluster notify matrix '!room:example.com' --message done"])
@click.argument("room")
@click.option("--message", required=True, help="The text; `-` is stdin.")
@pass_app
def matrix(app: App, room: str, message: str) -> None:
    """Send a message to a Matrix room."""
    app.client("Notify").matrix({"roomId": room, "body": _message(app, message)})


@notify.command(examples=["taskcluster notify slack C0123456789 --message done"])
@click.argument("channel")
@click.option("--message", required=True, help="The text; `-` is stdin.")
@pass_app
def slack(app: App, channel: str, message: str) -> None:
    """Send a message to a Slack channel."""
    app.client("Notify").slack({"channelId": channel, "text": _message(app, message)})


@command("root-url", examples=["taskcluster root-url"])
@pass_app
def root_url(app: App) -> None:
    """Print the root URL of the deployment that commands use."""
    found = app.deployment()
    document = {"rootUrl": found.root_url, "source": found.root_url_source}
    app.out.document(document, lambda: app.out.line(found.root_url))


def _read(app: App, file: str) -> Any:
    if file == "-":
        return loads(app.read_stdin("a document in JSON or YAML"), "stdin")
    return loads(text_of(file), file)


def _input(service: str, name: str) -> tuple[str, Any, str]:
    """Return a service's name, the schemas of its payloads, and the key of a method's."""
    from taskcluster.registry import registry
    from taskcluster.suggestions import did_you_mean

    try:
        found = registry.service(service)
    except LookupError as exc:
        raise Failure(str(exc.args[0])) from None
    reference = found.reference()
    methods = {each["name"]: each for each in reference["methods"]}
    if name not in methods:
        raise Failure(f"{found.name} has no method {name!r}{did_you_mean(name, methods)}")
    if not methods[name].get("input"):
        raise Failure(f"{found.name} {name} has no payload")
    return found.name, reference["types"], methods[name]["input"]


@command(
    examples=["taskcluster validate task.yml", "taskcluster validate hook.yml --as hooks.createHook"],
)
@click.argument("file")
@click.option("--as", "what", default="queue.createTask", show_default=True, metavar="SERVICE.METHOD", help="Its use.")
@pass_app
def validate(app: App, file: str, what: str) -> int:
    """Check a file against the schema of a method's payload. Exit status 1 if it does not fit. Nothing is sent."""
    from ..definitions import completed

    service, dot, name = what.partition(".")
    if not dot:
        raise Failure(f"--as {what}: write SERVICE.METHOD, such as queue.createTask")
    document = _read(app, file)
    full, schemas, key = _input(service, name)
    from taskcluster.exceptions import TaskclusterFailure
    from taskcluster.spec import Method
    from taskcluster.validation import Schemas

    if what == "queue.createTask" and isinstance(document, dict):
        # As `task create` sends it.
        document = completed(document, "1 day", None)  # pyright: ignore[reportUnknownArgumentType]
    key = key.removeprefix(f"{full}/")
    entry: dict[str, Any] = {"name": name, "method": "put", "route": "/", "args": [], "input": key}
    try:
        Schemas(full, schemas).check(Method.from_entry(entry), json.dumps(document).encode())
    except TaskclusterFailure as exc:
        app.notes.error(f"{file}: {str(exc).split(': ', 2)[-1]}")
        return NEGATIVE
    app.notes.say(f"{file} is a valid payload of {full}.{name}")
    return OK


@command("validate-json", hidden=True, examples=["taskcluster validate-json schema.json file.json"])
@click.argument("schema")
@click.argument("file")
@pass_app
def validate_json(app: App, schema: str, file: str) -> int:
    """Check a file against a JSON schema, as the Go command does."""
    from jsonschema import ValidationError, validators

    rules, document = _read(app, schema), _read(app, file)
    checker: Any = validators.validator_for(rules)
    try:
        checker.check_schema(rules)
        checker(rules).validate(document)
    except ValidationError as exc:
        # Its message quotes the value.
        place = exc.json_path
        app.notes.error(f"{file}: {place} does not satisfy {exc.validator}")
        return NEGATIVE
    app.notes.say(f"{file} is valid", always=True)
    return OK


@click.command(
    "local",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_app
def local(app: App, arguments: tuple[str, ...]) -> int:
    """Run a local deployment for development and tests."""
    try:
        from taskcluster_local.cli import main
    except ModuleNotFoundError as exc:
        if exc.name != "taskcluster_local":
            raise
        from taskcluster.installation import how_to_install

        raise Failure(f"`taskcluster local` is not installed: {how_to_install('taskcluster-local')}", USAGE) from None
    if app.root_url and arguments[:1] in (("status",), ("reset",), ("load",)):
        arguments = (arguments[0], "--root-url", app.root_url, *arguments[1:])
    return main(arguments)
