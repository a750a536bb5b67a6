"""`config`: the configuration file that is shared with the Go command. It never shows a token."""

# PyYAML's types are incomplete.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from ..app import App, pass_app
from ..command import group
from ..deployment import VARIABLES, go_config_path, normal
from ..errors import DENIED, Failure
from ..go_config import KEYS, GoConfig
from ..results import complete_file

__all__ = ["config"]

_HIDDEN = "(hidden)"
_SECRET = ("accessToken", "certificate")
_VARIABLES = {"rootUrl": "TASKCLUSTER_ROOT_URL", **VARIABLES}


def _file(app: App) -> GoConfig:
    found = GoConfig(go_config_path(app.environ))
    if found.is_exposed:
        app.notes.warn(f"others can read {found.path}: chmod 600 {found.path}")
    return found


def _effective(app: App) -> dict[str, Any]:
    """Return the values of the environment and the file, as the Go command combines them."""
    values = {key: value for key, value in _file(app).values().items() if key in KEYS}
    values.update({key: app.environ[name] for key, name in _VARIABLES.items() if app.environ.get(name)})
    return values


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _HIDDEN if key in _SECRET else value for key, value in sorted(values.items())}


def _key(text: str) -> str:
    key = text.removeprefix("config.")
    if key not in KEYS:
        from taskcluster.suggestions import did_you_mean

        hint = did_you_mean(key, KEYS)
        raise Failure(f"there is no key {text!r}{hint}", hint=f"known: {', '.join(KEYS)}")
    return key


@group(examples=["taskcluster config", "taskcluster config get rootUrl"])
@click.option("-f", "--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="How to print.")
@click.option("-o", "--output", metavar="FILE", help="Where to print.")
@pass_app
@click.pass_context
def config(ctx: click.Context, app: App, form: str, output: str | None) -> None:
    """Show or change the configuration file that is shared with the Go command.

    Variables such as TASKCLUSTER_ROOT_URL override it. Access tokens and certificates are never shown. This command
    itself keeps what it needs in profiles.
    """
    if ctx.invoked_subcommand is not None:
        return
    with complete_file(app, output):
        _print(app, {"config": _shown(_effective(app))}, form)


def _print(app: App, document: Any, form: str = "yaml") -> None:
    def show() -> None:
        if form == "json":
            app.out.line(json.dumps(document, ensure_ascii=False, indent=2))
        else:
            import yaml

            app.out.line(yaml.safe_dump(document, allow_unicode=True).rstrip("\n"))

    app.out.document(document, show)


@config.command(examples=["taskcluster config get rootUrl"])
@click.argument("key")
@pass_app
def get(app: App, key: str) -> None:
    """Print a value."""
    key = _key(key)
    if key in _SECRET:
        raise Failure(f"{key} is never shown", hint="`taskcluster signin --export` prints new credentials for a shell")
    value = _effective(app).get(key)
    if value is None:
        raise Failure(f"{key} is not set", status=4)
    app.out.document(value, lambda: app.out.line(value if isinstance(value, str) else json.dumps(value)))


@config.command("set", examples=["taskcluster config set rootUrl https://tc.example.com --dry-run"])
@click.argument("key")
@click.argument("value", required=False)
@click.option("-d", "--dry-run", is_flag=True, help="Print the result and write nothing.")
@pass_app
def set_value(app: App, key: str, value: str | None, dry_run: bool) -> None:
    """Set a value. Without VALUE it is read from stdin, which keeps it out of the shell's history."""
    key = _key(key)
    if value is None:
        value = app.read_stdin(f"the value of {key}").strip()
    elif key in _SECRET:
        app.notes.warn("others may see a secret in the process list and the shell's history; pass it on stdin")
    parsed: Any = value
    if key == "rootUrl":
        parsed = normal(value)
    elif key == "authorizedScopes":
        parsed = value.split()
    elif key == "certificate":
        try:
            json.loads(value)
        except ValueError:
            raise Failure("certificate must be JSON") from None
    if not dry_run:
        _file(app).change({key: parsed})
    _print(app, {"config": _shown({key: parsed})})


@config.command(examples=["taskcluster config reset certificate", "taskcluster config reset --all"])
@click.argument("key", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="Remove all values.")
@pass_app
def reset(app: App, key: str | None, everything: bool) -> None:
    """Remove a value. Without clientId, its accessToken and certificate are removed too."""
    if (key is None) == (not everything):
        raise click.UsageError("give a key or --all")
    keys = list(KEYS) if key is None else [_key(key)]
    if "clientId" in keys or "accessToken" in keys:
        keys = [*keys, "clientId", "accessToken", "certificate"]
    _file(app).change(dict.fromkeys(keys))


@config.command("help", examples=["taskcluster config help rootUrl"])
@click.argument("key", required=False)
@pass_app
def explain(app: App, key: str | None) -> None:
    """Explain the keys."""
    for name in KEYS if key is None else [_key(key)]:
        app.out.line(f"{name}\t{KEYS[name]}")


@config.command("export-go", examples=["taskcluster config export-go --yes"])
@click.option("--yes", is_flag=True, help="Replace other credentials without asking.")
@pass_app
def export_go(app: App, yes: bool) -> None:
    """Write the current deployment and credentials into the file, for the Go command."""
    from taskcluster.encodings import toStr

    found = app.deployment()
    if found.credentials is None:
        hint = f"sign in with `taskcluster --root-url {found.root_url} signin`"
        raise Failure(f"no credentials for {found.root_url}", DENIED, hint)
    values = {key: toStr(value) for key in VARIABLES if (value := found.credentials.get(key))}
    file = _file(app)
    known = file.values().get("clientId")
    if known and known != values["clientId"]:
        app.confirm(f"Replace the credentials of {known} in {file.path}?", yes=yes)
    file.change({"certificate": None, "rootUrl": found.root_url, **values})
    print(f"wrote {file.path}, which only you can read", file=sys.stderr)
