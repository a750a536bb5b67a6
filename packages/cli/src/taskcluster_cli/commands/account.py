"""Who the user is: `signin`, `signout`, `whoami`, `profile`."""

from __future__ import annotations

import secrets
import sys
from typing import Any

import click

from ..app import App, pass_app
from ..command import command, group
from ..deployment import Deployment, certificate_expiry, normal
from ..errors import DENIED, NEGATIVE, OK, Failure
from ..output import Column
from ..text import counted

__all__ = ["profile", "signin", "signout", "whoami"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@command(
    examples=[
        "taskcluster signin --check",
        "eval \"$(taskcluster signin --export --scope 'queue:create-task:*')\"",
        "taskcluster --root-url https://tc.example.com --profile example signin --expires 8h",
    ]
)
@click.option("-n", "--name", default="cli", show_default=True, help="The end of the client's name.")
@click.option("--expires", default="1d", show_default=True, metavar="PERIOD", help="How long to stay signed in.")
@click.option("-s", "--scope", "scopes", multiple=True, help="A scope to get; repeatable. Defaults to all of yours.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen. Defaults to any port.")
@click.option("--paste", is_flag=True, help="Paste the address at which the browser ends, if it is on another machine.")
@click.option("--no-browser", is_flag=True, help="Open no browser; open the printed address yourself.")
@click.option("--timeout", type=float, default=600, show_default=True, metavar="SECONDS", help="How long to wait.")
@click.option("--export", "export", is_flag=True, help="Print shell commands that set variables, and store nothing.")
@click.option("--shell", type=click.Choice(["sh", "csh", "fish", "powershell"]), help="The shell of --export.")
@click.option("--csh", is_flag=True, help="The same as --export --shell csh.")
@click.option("--check", is_flag=True, help="Only check whether the current credentials are valid.")
@pass_app
def signin(
    app: App,
    name: str,
    expires: str,
    scopes: tuple[str, ...],
    port: int,
    paste: bool,
    no_browser: bool,
    timeout: float,
    export: bool,
    shell: str | None,
    csh: bool,
    check: bool,
) -> int:
    """Sign in through the browser.

    The page of the deployment creates a client for this command, which is deleted when it expires. It is stored as a
    profile, with the access token in the system's keyring if the package keyring is installed, and else in a file that
    only you can read. If stdout is not a terminal, shell commands are printed instead, as with --export.
    """
    if check:
        return _check(app)
    from ..periods import date_of

    date_of("--expires", expires)
    exporting = export or csh or shell is not None or not app.out.is_terminal
    if exporting and app.out.is_terminal:
        raise Failure("the access token would appear on the screen", hint='use eval "$(taskcluster signin --export)"')
    root_url = _root_url(app)
    callback = _receive(app, root_url, name, expires, scopes or ("*",), port, timeout, paste, not no_browser)
    credentials = {"clientId": callback.client_id, "accessToken": callback.access_token}
    app.used = Deployment(root_url, credentials, "given", "signin")
    import taskcluster

    with taskcluster.Auth({"rootUrl": root_url, "credentials": credentials}) as auth:
        found = auth.currentScopes()["scopes"]
        until = auth.client(callback.client_id).get("expires")
    held = counted(len(found), "scope") if found else "no scopes"
    app.notes.say(f"signed in to {root_url} as {callback.client_id} until {until}, with {held}", always=True)
    if exporting:
        from ..signing_in import default_shell, exports

        for line in exports("csh" if csh else shell or default_shell(app.environ), root_url, callback):
            app.out.line(line)
    else:
        _store(app, root_url, callback.client_id, callback.access_token, until, found)
    return OK


def _check(app: App) -> int:
    found = app.deployment()
    if found.credentials is None and found.credentials_source != "task proxy":
        app.notes.say(f"not signed in to {found.root_url}", always=True)
        return NEGATIVE
    from taskcluster.exceptions import TaskclusterAuthFailure

    try:
        # Anonymous callers have scopes too, so the scopes alone say nothing.
        app.client("Auth").currentScopes()
    except TaskclusterAuthFailure as exc:
        app.notes.say(f"{found.identity} is not valid at {found.root_url}: {exc}", always=True)
        return NEGATIVE
    app.notes.say(f"signed in to {found.root_url}: {found.identity}", always=True)
    return OK


def _root_url(app: App) -> str:
    """Return the deployment to sign in to. Half a pair of credentials in the environment does not matter here."""
    known = app.profiles.all()
    named = app.profile or app.environ.get("TASKCLUSTER_PROFILE")
    if app.root_url:
        return normal(app.root_url)
    if named in known:
        return known[named].root_url
    if app.environ.get("TASKCLUSTER_ROOT_URL"):
        return normal(app.environ["TASKCLUSTER_ROOT_URL"])
    default = app.profiles.default()
    if default is not None and not app.profile:
        return default.root_url
    from ..deployment import go_config_path
    from ..go_config import GoConfig

    found = GoConfig(go_config_path(app.environ)).values().get("rootUrl")
    if found:
        return normal(found)
    raise Failure("no root URL: which deployment?", hint="taskcluster --root-url https://tc.example.com signin")


def _receive(
    app: App,
    root_url: str,
    name: str,
    expires: str,
    scopes: tuple[str, ...],
    port: int,
    timeout: float,
    paste: bool,
    browser: bool,
) -> Any:
    from ..signing_in import Listener, has_browser, open_browser, page_address, parse_callback

    path = f"/{secrets.token_urlsafe(24)}"
    full_name = f"{name}-{''.join(secrets.choice(_LETTERS) for _ in range(6))}"
    if paste:
        address = page_address(
            root_url, f"http://localhost:{port or 9}{path}", name=full_name, expires=expires, scopes=scopes
        )
        app.notes.say(f"open this address in a browser, on any machine:\n\n{address}\n", always=True)
        callback = parse_callback(_pasted(app), path)
        if callback is None:
            raise Failure("this is not the address at which the browser ended; it has accessToken in it")
        return callback
    listener = Listener(path, port)
    try:
        address = page_address(
            root_url, f"http://localhost:{listener.port}{path}", name=full_name, expires=expires, scopes=scopes
        )
        opens = browser and has_browser(app.environ)
        app.notes.say(
            f"{'opening a browser; if none appears, ' if opens else ''}open this address on this machine "
            f"(or use --paste if the browser is on another):\n\n{address}\n",
            always=True,
        )
        if opens:
            open_browser(address)
        return listener.wait(timeout)
    finally:
        listener.close()


def _pasted(app: App) -> str:
    prompt = "The browser ends on an address that it cannot load. Paste that address here (it is not shown): "
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        return getpass.getpass(prompt)
    app.notes.say(prompt, always=True)
    return sys.stdin.readline() if sys.stdin is not None else ""


def _store(app: App, root_url: str, client_id: str, token: str, until: str | None, scopes: list[str]) -> None:
    from urllib.parse import urlsplit

    from ..keyring import Keyring
    from ..profiles import Profile

    existing = app.profiles.for_root(root_url)
    name = app.profile or (existing.name if existing else urlsplit(root_url).hostname or "default")
    problem = Keyring(app.environ).set(root_url, client_id, token)
    if problem is not None:
        app.notes.warn(f"{problem}: the access token is stored in {app.profiles.path}, which only you can read")
    app.profiles.save(
        Profile(
            name,
            root_url,
            client_id,
            until,
            tuple(scopes),
            has_keyring=problem is None,
            access_token=None if problem is None else token,
        ),
        is_default=app.profiles.default_name() in (None, name),
    )
    app.notes.say(f"stored as the profile {name!r}")


@command(examples=["taskcluster signout --keep-client"])
@click.option("--keep-client", is_flag=True, help="Only forget the access token; do not delete the client.")
@pass_app
def signout(app: App, keep_client: bool) -> int:
    """Delete the client of a profile, and its stored access token."""
    from taskcluster.exceptions import TaskclusterFailure

    from ..keyring import Keyring

    profiles = app.profiles
    named = app.profile or app.environ.get("TASKCLUSTER_PROFILE")
    wanted = app.root_url or app.environ.get("TASKCLUSTER_ROOT_URL")
    found = profiles.named(named) if named else profiles.for_root(normal(wanted)) if wanted else profiles.default()
    if found is None or found.client_id is None:
        raise Failure("not signed in" + (f" to {wanted}" if wanted else ""), hint="`taskcluster profile list`")
    if not keep_client:
        import taskcluster

        try:
            credentials = profiles.credentials(found)
            if credentials is not None:
                options = {"rootUrl": found.root_url, "credentials": credentials}
                with taskcluster.Auth(options) as auth:
                    auth.deleteClient(found.client_id)
        except (Failure, TaskclusterFailure) as exc:
            reason = str(exc).partition("\n")[0]
            app.notes.warn(f"the client {found.client_id} was not deleted and is valid until {found.expires}: {reason}")
    if found.has_keyring:
        Keyring(app.environ).delete(found.root_url, found.client_id)
    profiles.remove(found.name)
    app.notes.say(f"signed out of {found.root_url}", always=True)
    if app.environ.get("TASKCLUSTER_CLIENT_ID"):
        app.notes.warn("TASKCLUSTER_CLIENT_ID is still set in this shell")
    return OK


@command(examples=["taskcluster whoami", "taskcluster whoami --select scopes[]"])
@pass_app
def whoami(app: App) -> int:
    """Show the deployment, the client, where its credentials are from, and its scopes."""
    found = app.deployment()
    if found.credentials is None and found.credentials_source != "task proxy":
        hint = f"sign in with `taskcluster --root-url {found.root_url} signin`"
        raise Failure(f"no credentials for {found.root_url}", DENIED, hint)
    auth = app.client("Auth")
    scopes = sorted(auth.currentScopes()["scopes"])
    client_id = found.client_id
    expires = _expires(app, found, auth, client_id)
    document = {
        "rootUrl": found.root_url,
        "clientId": client_id,
        "expires": expires,
        "profile": found.profile,
        "source": found.credentials_source,
        "rootUrlSource": found.root_url_source,
        "scopes": scopes,
    }

    def show() -> None:
        app.out.details(
            [
                ("root URL", f"{found.root_url} ({found.root_url_source})"),
                ("client", client_id),
                ("from", found.credentials_source),
                ("expires", app.out.time(expires) if expires else None),
                *(("scope", scope) for scope in scopes),
            ]
        )

    app.out.document(document, show)
    return OK


def _expires(app: App, found: Deployment, auth: Any, client_id: str | None) -> str | None:
    from taskcluster.exceptions import TaskclusterFailure
    from taskcluster.timestamps import stringDate

    certificate = (found.credentials or {}).get("certificate")
    if certificate:
        expiry = certificate_expiry(certificate)
        return None if expiry is None else stringDate(expiry.replace(microsecond=0))
    if client_id is None:
        return None
    try:
        until: str | None = auth.client(client_id).get("expires")
        return until
    except TaskclusterFailure:
        # It needs no scopes, but a plugin's credentials may be for another kind of client.
        return None


@group()
def profile() -> None:
    """Manage profiles: the deployments that you use, and who you are there.

    `taskcluster signin` creates one. --profile, TASKCLUSTER_PROFILE or the root URL choose one, and else the default.
    """


@profile.command("list", examples=["taskcluster profile list"])
@pass_app
def list_profiles(app: App) -> None:
    """List profiles."""
    default = app.profiles.default_name()
    records = [
        {
            "name": each.name,
            "rootUrl": each.root_url,
            "clientId": each.client_id,
            "expires": each.expires,
            "accessTokenIn": each.storage,
            "isDefault": each.name == default,
        }
        for each in app.profiles.all().values()
    ]
    app.out.listing(
        [records],
        [
            Column("name", "name", "id"),
            Column("root URL", "rootUrl"),
            Column("client", "clientId"),
            Column("expires", "expires", "time"),
            Column("token in", "accessTokenIn"),
            Column("default", "isDefault"),
        ],
    )


@profile.command(examples=["taskcluster --root-url https://tc.example.com profile add example"])
@click.argument("name")
@pass_app
def add(app: App, name: str) -> None:
    """Store a deployment (--root-url) under a name, without credentials."""
    from ..profiles import Profile

    if not app.root_url:
        raise click.UsageError("--root-url says which deployment")
    app.profiles.save(Profile(name, normal(app.root_url)), is_default=False)


@profile.command(examples=["taskcluster profile use example"])
@click.argument("name")
@pass_app
def use(app: App, name: str) -> None:
    """Make a profile the default."""
    app.profiles.use(name)


@profile.command(examples=["taskcluster profile remove example"])
@click.argument("name")
@pass_app
def remove(app: App, name: str) -> None:
    """Forget a profile and its access token. `taskcluster signout` also deletes the client."""
    from ..keyring import Keyring

    found = app.profiles.named(name)
    if found.has_keyring and found.client_id is not None:
        Keyring(app.environ).delete(found.root_url, found.client_id)
    app.profiles.remove(name)
