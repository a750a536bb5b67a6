"""Who may do what: `secret`, `role`, `client`, `scopes`, `creds`, `signed-url`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from ..app import App, pass_app
from ..command import command, group
from ..definitions import read
from ..deployment import VARIABLES
from ..errors import DENIED, NEGATIVE, OK, Failure
from ..naming import found_or_none
from ..options import quiet_option, web_option, yes_option
from ..output import Column
from ..payloads import fields, text_of
from ..periods import date_of, lifetime_of
from ..web import show_page

__all__ = ["client", "creds", "role", "scopes", "secret", "signed_url"]

_LONGEST = timedelta(days=31)
"""How long temporary credentials may be valid."""


@group()
def secret() -> None:
    """Read and write secrets."""


@secret.command("list", examples=["taskcluster secret list"])
@pass_app
def list_secrets(app: App) -> None:
    """List the names of secrets."""
    service = app.client("Secrets")
    app.out.listing((page["secrets"] for page in service.paginate(service.list)), [Column("secret", str, "id")])


def _hidden(value: Any) -> Any:
    """Return a value with hashes in place of the secrets in it, which show whether two are the same."""
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return f"sha256:{hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]}"


@secret.command(
    examples=["taskcluster secret get project/test/a", "taskcluster secret get project/test/a --reveal --json"]
)
@click.argument("name", metavar="SECRET")
@click.option("--reveal", is_flag=True, help="Print the values on a terminal, too.")
@web_option()
@pass_app
def get(app: App, name: str, reveal: bool, web: bool) -> None:
    """Print a secret. On a terminal its values are hashes unless --reveal is given."""
    if web:
        show_page(app, "secrets", name)
        return
    found = app.client("Secrets").get(name)
    if app.out.is_terminal and not reveal:
        found = {**found, "secret": _hidden(found["secret"])}
    app.out.document(found)


@secret.command("set", examples=["taskcluster secret set project/test/b secret.yml --expires '1 year'"])
@click.argument("name", metavar="SECRET")
@click.argument("file", default="-")
@click.option("--expires", default="1 year", show_default=True, metavar="PERIOD", help="When it is deleted.")
@pass_app
def set_secret(app: App, name: str, file: str, expires: str) -> None:
    """Set a secret to the mapping in a file of JSON or YAML, or on stdin, where no other process can see it."""
    payload = {"secret": read(app, file, "a secret"), "expires": date_of("--expires", expires)}
    app.client("Secrets").set(name, payload)
    app.notes.say(f"set {name}")


@secret.command(examples=["taskcluster secret delete project/test/old --yes"])
@click.argument("name", metavar="SECRET")
@yes_option()
@pass_app
def delete(app: App, name: str, yes: bool) -> None:
    """Delete a secret."""
    app.confirm(f"Delete the secret {name}?", yes=yes)
    app.client("Secrets").remove(name)


@group()
def role() -> None:
    """Look at roles and change them."""


@role.command("list", examples=["taskcluster role list"])
@quiet_option()
@pass_app
def list_roles(app: App, quiet: bool) -> None:
    """List roles."""
    auth = app.client("Auth")
    columns = [
        Column("role", "roleId", "id"),
        Column("scopes", _number_of_scopes, "number"),
        Column("changed", "lastModified", "time"),
    ]
    app.out.listing((page["roles"] for page in auth.paginate(auth.listRoles2)), columns, quiet=quiet)


def _number_of_scopes(record: Any) -> int:
    return len(record.get("scopes") or ())


@role.command(
    "show", examples=["taskcluster role show hook-id:test/hook", "taskcluster role show hook-id:test/hook --expanded"]
)
@click.argument("role_id", metavar="ROLE")
@click.option("--expanded", is_flag=True, help="Show the scopes that it leads to.")
@web_option()
@pass_app
def show_role(app: App, role_id: str, expanded: bool, web: bool) -> None:
    """Show a role and its scopes."""
    if web:
        show_page(app, "auth", "roles", role_id)
        return
    _show_scopes(app, app.client("Auth").role(role_id), "roleId", expanded)


def _show_scopes(app: App, found: Mapping[str, Any], key: str, expanded: bool) -> None:
    shown: Sequence[str] = found["expandedScopes" if expanded else "scopes"]

    def show() -> None:
        app.out.details(
            [
                (key.removesuffix("Id"), found[key]),
                ("description", (found.get("description") or "").split("\n")[0] or None),
                ("disabled", "yes" if found.get("disabled") else None),
                ("expires", app.out.time(found["expires"]) if "expires" in found else None),
                *(("scope", scope) for scope in shown),
            ]
        )

    app.out.document(found, show)


def _scopes_of(file: str | None, given: tuple[str, ...], app: App) -> list[str]:
    if file is None:
        return list(given)
    text = app.read_stdin("scopes, one a line") if file == "-" else text_of(file)
    return [*given, *(line.strip() for line in text.splitlines() if line.strip())]


@role.command(
    "set", examples=["taskcluster role set project:test --scope secrets:get:project/test/* --description 'For tests'"]
)
@click.argument("role_id", metavar="ROLE")
@click.option("-s", "--scope", "given", multiple=True, help="A scope; repeatable.")
@click.option("--scopes", "file", metavar="FILE", help="A file with a scope per line; `-` is stdin.")
@click.option("--description", help="What it is for.")
@pass_app
def set_role(app: App, role_id: str, given: tuple[str, ...], file: str | None, description: str | None) -> None:
    """Create a role, or replace its scopes."""
    auth = app.client("Auth")
    wanted = _scopes_of(file, given, app)
    old = found_or_none(auth.role, role_id)
    if old is None:
        made = auth.createRole(role_id, {"scopes": wanted, "description": description or ""})
    else:
        text = old["description"] if description is None else description
        made = auth.updateRole(role_id, {"scopes": wanted, "description": text})
    _show_scopes(app, made, "roleId", False)


@role.command("delete", examples=["taskcluster role delete project:old --yes"])
@click.argument("role_id", metavar="ROLE")
@yes_option()
@pass_app
def delete_role(app: App, role_id: str, yes: bool) -> None:
    """Delete a role."""
    app.confirm(f"Delete the role {role_id}?", yes=yes)
    app.client("Auth").deleteRole(role_id)


@group()
def client() -> None:
    """Look at clients and change them. An access token is printed to a pipe only."""


@client.command("list", examples=["taskcluster client list --prefix project/"])
@click.option("--prefix", help="Clients whose id begins so.")
@quiet_option()
@pass_app
def list_clients(app: App, prefix: str | None, quiet: bool) -> None:
    """List clients."""
    auth = app.client("Auth")
    columns = [
        Column("client", "clientId", "id"),
        Column("scopes", _number_of_scopes, "number"),
        Column("used", "lastDateUsed", "time"),
        Column("expires", "expires", "time"),
        Column("disabled", "disabled"),
    ]
    query = {"query": {"prefix": prefix}} if prefix else {}
    app.out.listing((page["clients"] for page in auth.paginate(auth.listClients, **query)), columns, quiet=quiet)


@client.command("show", examples=["taskcluster client show project/test/bot"])
@click.argument("client_id", metavar="CLIENT")
@click.option("--expanded", is_flag=True, help="Show the scopes that it leads to.")
@web_option()
@pass_app
def show_client(app: App, client_id: str, expanded: bool, web: bool) -> None:
    """Show a client and its scopes."""
    if web:
        show_page(app, "auth", "clients", client_id)
        return
    _show_scopes(app, app.client("Auth").client(client_id), "clientId", expanded)


def _print_token(app: App, made: Mapping[str, Any]) -> None:
    app.out.document(made, lambda: app.out.line(made["accessToken"]))


def _refuse_screen(app: App) -> None:
    if app.out.is_terminal:
        raise Failure("the access token would appear on the screen", hint="redirect it, for example to a file")


@client.command(
    "create",
    examples=["taskcluster client create project/test/new --scope secrets:get:project/test/* --expires '1 day'"],
)
@click.argument("client_id", metavar="CLIENT")
@click.option("-s", "--scope", "given", multiple=True, help="A scope; repeatable.")
@click.option("--scopes", "file", metavar="FILE", help="A file with a scope per line; `-` is stdin.")
@click.option("--description", default="", help="What it is for.")
@click.option("--expires", default="1 year", show_default=True, metavar="PERIOD", help="When it is deleted.")
@pass_app
def create_client(
    app: App, client_id: str, given: tuple[str, ...], file: str | None, description: str, expires: str
) -> None:
    """Create a client, and print its access token."""
    _refuse_screen(app)
    payload = {
        "scopes": _scopes_of(file, given, app),
        "description": description,
        "expires": date_of("--expires", expires),
    }
    _print_token(app, app.client("Auth").createClient(client_id, payload))


@client.command("reset", examples=["taskcluster client reset project/test/bot --yes"])
@click.argument("client_id", metavar="CLIENT")
@yes_option()
@pass_app
def reset_client(app: App, client_id: str, yes: bool) -> None:
    """Replace a client's access token, and print the new one."""
    _refuse_screen(app)
    app.confirm(f"Make the access token of {client_id} invalid?", yes=yes)
    _print_token(app, app.client("Auth").resetAccessToken(client_id))


def _switch(app: App, client_id: str, method: str) -> None:
    found = getattr(app.client("Auth"), method)(client_id)
    app.out.document(found, lambda: app.out.line("disabled" if found["disabled"] else "enabled"))


@client.command("disable", examples=["taskcluster client disable project/test/bot"])
@click.argument("client_id", metavar="CLIENT")
@pass_app
def disable_client(app: App, client_id: str) -> None:
    """Disable a client."""
    _switch(app, client_id, "disableClient")


@client.command("enable", examples=["taskcluster client enable project/test/bot"])
@click.argument("client_id", metavar="CLIENT")
@pass_app
def enable_client(app: App, client_id: str) -> None:
    """Enable a disabled client."""
    _switch(app, client_id, "enableClient")


@client.command("delete", examples=["taskcluster client delete project/test/old --yes"])
@click.argument("client_id", metavar="CLIENT")
@yes_option()
@pass_app
def delete_client(app: App, client_id: str, yes: bool) -> None:
    """Delete a client."""
    app.confirm(f"Delete the client {client_id}?", yes=yes)
    app.client("Auth").deleteClient(client_id)


@group()
def scopes() -> None:
    """Expand scopes, and check whether you have some."""


@scopes.command(examples=["taskcluster scopes expand assume:hook-id:test/hook"])
@click.argument("given", metavar="SCOPE...", nargs=-1, required=True)
@pass_app
def expand(app: App, given: tuple[str, ...]) -> None:
    """Print scopes with all that the roles in them lead to."""
    found = app.client("Auth").expandScopes({"scopes": _given(app, given)})
    app.out.listing([found["scopes"]], [Column("scope", str, "id")])


def _given(app: App, given: Sequence[str]) -> list[str]:
    return [scope for each in given for scope in (app.stdin_lines("scopes") if each == "-" else [each])]


@scopes.command(examples=["taskcluster scopes current"])
@pass_app
def current(app: App) -> None:
    """Print your scopes."""
    app.out.listing([app.client("Auth").currentScopes()["scopes"]], [Column("scope", str, "id")])


@scopes.command(examples=["taskcluster scopes check queue:create-task:highest:proj/ci"])
@click.argument("given", metavar="SCOPE...", nargs=-1, required=True)
@pass_app
def check(app: App, given: tuple[str, ...]) -> int:
    """Print which of these scopes you lack. Exit status 1 if there is one."""
    from taskcluster.scopes import missing

    lacking = missing(app.client("Auth").currentScopes()["scopes"], _given(app, given))
    app.out.listing([lacking], [Column("missing scope", str, "id")])
    return NEGATIVE if lacking else OK


@command(
    "creds",
    examples=["taskcluster creds --scope queue:create-task:lowest:proj/ci --expires 1h"],
)
@click.option("-s", "--scope", "given", multiple=True, help="A scope of theirs; repeatable. Defaults to all of yours.")
@click.option("--expires", default="1 hour", show_default=True, metavar="PERIOD", help="At most 31 days.")
@click.option("--name", help="A client id for them; needs auth:create-client:NAME.")
@click.option("--shell", type=click.Choice(["sh", "json"]), default="sh", show_default=True, help="What to print.")
@pass_app
def creds(app: App, given: tuple[str, ...], expires: str, name: str | None, shell: str) -> None:
    """Print temporary credentials for a part of your scopes, as shell commands or JSON."""
    import shlex

    from taskcluster.credentials import createTemporaryCredentials
    from taskcluster.encodings import toStr
    from taskcluster.exceptions import TaskclusterFailure

    _refuse_screen(app)
    found = app.deployment()
    if found.credentials is None or found.credentials.get("certificate"):
        raise Failure("temporary credentials need a client's own credentials", DENIED, "`taskcluster whoami`")
    own = found.credentials
    now = datetime.now(timezone.utc)
    wanted = list(given) or list(app.client("Auth").currentScopes()["scopes"])
    period = timedelta(seconds=lifetime_of("--expires", expires))
    if period > _LONGEST:
        raise Failure(f"--expires: {expires!r} is more than {_LONGEST.days} days")
    until = now + period
    # A while ago, because clocks differ; they may be valid for 31 days in all.
    start = max(now - timedelta(minutes=5), until - _LONGEST)
    try:
        made = createTemporaryCredentials(own["clientId"], own["accessToken"], start, until, wanted, name)
    except TaskclusterFailure as exc:
        raise Failure(str(exc)) from None
    plain = {key: toStr(value) for key, value in made.items()}
    if shell == "json" or app.out.is_for_programs:
        app.out.document(plain)
        return
    for key, variable in VARIABLES.items():
        app.out.line(f"export {variable}={shlex.quote(plain[key])}")
    app.out.line(f"export TASKCLUSTER_ROOT_URL={shlex.quote(found.root_url)}")


@command(
    "signed-url",
    examples=["taskcluster signed-url queue getLatestArtifact fN1SbArXTPSVFNUvaOlinQ public/build/target.txt"],
)
@click.argument("service")
@click.argument("method")
@click.argument("args", nargs=-1)
@click.option("--query", "pairs", multiple=True, metavar="KEY=VALUE", help="A query parameter; repeatable.")
@click.option("--expires", default="15 min", show_default=True, metavar="PERIOD", help="How long it is valid.")
@pass_app
def signed_url(
    app: App, service: str, method: str, args: tuple[str, ...], pairs: tuple[str, ...], expires: str
) -> None:
    """Print a URL of a GET method that needs no credentials for a while."""
    query = {"query": {key: str(value) for key, value in fields(pairs).items()}} if pairs else {}
    expiration = lifetime_of("--expires", expires)
    url = app.client(service.lower()).buildSignedUrl(method, *args, expiration=expiration, **query)
    app.out.document(url, lambda: app.out.line(url))
