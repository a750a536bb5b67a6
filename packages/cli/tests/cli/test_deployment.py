"""Which deployment is called, and with which credentials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from taskcluster_cli.deployment import Deployment, Request, go_config_path, resolve
from taskcluster_cli.errors import DENIED, Failure
from taskcluster_cli.profiles import Profile, Profiles

A, B = "https://a.example.com", "https://b.example.com"
PAIR = {"TASKCLUSTER_CLIENT_ID": "me", "TASKCLUSTER_ACCESS_TOKEN": "t"}


class World:
    """Stored profiles and a Go file in a home directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.warnings: list[str] = []
        self.profiles = Profiles({"TASKCLUSTER_KEYRING": "off"}, self.warnings.append)

    def go_file(self, text: str) -> Path:
        path = self.home / ".config" / "taskcluster.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def resolve(self, environ: dict[str, str] | None = None, **request: Any) -> Deployment:
        return resolve(Request(**request), {"HOME": str(self.home), **(environ or {})}, self.profiles)


@pytest.fixture
def world(home: Path) -> World:
    world = World(home)
    for name, root in (("a", A), ("b", B)):
        world.profiles.save(Profile(name, root, f"client-{name}", access_token=f"token-{name}"), is_default=name == "a")
    return world


def client_of(found: Deployment) -> object:
    return None if found.credentials is None else found.credentials["clientId"]


@pytest.mark.parametrize(
    ("environ", "request_", "root", "client"),
    [
        ({}, {}, A, "client-a"),
        ({}, {"profile": "b"}, B, "client-b"),
        ({"TASKCLUSTER_PROFILE": "b"}, {}, B, "client-b"),
        ({"TASKCLUSTER_ROOT_URL": B}, {}, B, "client-b"),
        ({"TASKCLUSTER_ROOT_URL": "https://c.example.com"}, {}, "https://c.example.com", None),
        ({"TASKCLUSTER_ROOT_URL": A, **PAIR}, {}, A, "me"),
        ({"TASKCLUSTER_ROOT_URL": A, **PAIR}, {"profile": "b"}, B, "client-b"),
        ({"TASKCLUSTER_ROOT_URL": A, **PAIR}, {"root_url": f"{B}/"}, B, "client-b"),
        ({"TASKCLUSTER_ROOT_URL": A, **PAIR}, {"address": B}, B, "client-b"),
        ({"TASKCLUSTER_ROOT_URL": A, **PAIR}, {"address": A}, A, "me"),
        (PAIR, {"root_url": B}, B, "me"),
        (PAIR, {"address": B}, B, "client-b"),
        ({"TASKCLUSTER_PROXY_URL": "http://taskcluster"}, {}, "http://taskcluster", None),
        ({"TASKCLUSTER_PROXY_URL": "http://taskcluster", "TASKCLUSTER_ROOT_URL": A}, {"address": B}, B, "client-b"),
        ({"TASKCLUSTER_CERTIFICATE": "{}"}, {}, A, "client-a"),
    ],
    ids=[
        "default-profile",
        "option-profile",
        "variable-profile",
        "profile-of-root",
        "no-profile-of-root",
        "environment",
        "option-beats-environment",
        "option-root",
        "address-of-another",
        "address-of-same",
        "option-root-with-pair",
        "address-with-pair-of-unknown",
        "proxy",
        "address-in-task",
        "certificate-alone",
    ],
)
def test_deployment_and_credentials(
    world: World, environ: dict[str, str], request_: dict[str, str], root: str, client: str | None
) -> None:
    found = world.resolve(environ, **request_)
    assert (found.root_url, client_of(found)) == (root, client)


def test_go_file_is_read_last(world: World) -> None:
    path = world.go_file("config:\n  rootUrl: https://c.example.com\n  clientId: go\n  accessToken: '1e3'\n")
    assert client_of(world.resolve({"TASKCLUSTER_ROOT_URL": "https://c.example.com"})) == b"go"
    world.profiles.remove("a")
    world.profiles.remove("b")
    found = world.resolve()
    assert (found.root_url, client_of(found), found.root_url_source) == ("https://c.example.com", b"go", str(path))
    assert "go" in str(found.identity)
    assert "1e3" not in repr(found)
    # Its credentials are for another deployment.
    assert client_of(world.resolve({"TASKCLUSTER_ROOT_URL": A})) is None
    with pytest.raises(Failure, match="has other credentials") as caught:
        world.resolve(PAIR)
    assert caught.value.status == DENIED
    world.go_file("config: {rootUrl: https://c.example.com}\n")
    assert client_of(world.resolve(PAIR)) == "me"


@pytest.mark.parametrize(
    "text", ["a: [hunter2", "hunter2", "- hunter2", "[" * 10_000], ids=["yaml", "string", "list", "deep"]
)
def test_broken_go_file_is_not_quoted(home: Path, text: str) -> None:
    world = World(home)
    world.go_file(text)
    with pytest.raises(Failure) as caught:
        world.resolve()
    assert "hunter2" not in caught.value.message
    assert "taskcluster.yml" in caught.value.message


def test_no_root_url_says_what_to_do(home: Path) -> None:
    with pytest.raises(Failure, match="no root URL") as caught:
        World(home).resolve()
    assert "TASKCLUSTER_ROOT_URL" in str(caught.value.hint)


@pytest.mark.parametrize("name", PAIR)
def test_half_a_pair_is_named(world: World, name: str) -> None:
    with pytest.raises(Failure, match=f"{name} is set without") as caught:
        world.resolve({"TASKCLUSTER_ROOT_URL": A, name: "x"})
    assert caught.value.status == DENIED


def test_profile_for_another_root_is_rejected(world: World) -> None:
    with pytest.raises(Failure, match=f"is for {A}, not for {B}"):
        world.resolve(profile="a", root_url=B)
    with pytest.raises(Failure, match="no profile 'c'") as caught:
        world.resolve(profile="c")
    assert caught.value.hint == "known: a, b"


def test_expired_profile_is_not_used(world: World) -> None:
    for expires, client in (("2020-01-01T00:00:00Z", None), ("2099-01-01T00:00:00Z", "c")):
        world.profiles.save(Profile("c", "https://c.example.com", "c", expires, access_token="t"), is_default=False)
        assert client_of(world.resolve(profile="c")) == client
    assert len(world.warnings) == 1
    assert "have expired; sign in again" in world.warnings[0]


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_profiles_are_private_and_replaced_as_a_whole(world: World) -> None:
    path = world.profiles.path
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    elsewhere = world.home / "elsewhere.yml"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = os.umask(0)
    try:
        world.profiles.use("b")
    finally:
        os.umask(before)
    assert path.is_symlink()
    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert client_of(world.resolve()) == "client-b"
    elsewhere.chmod(0o644)
    World(world.home).profiles.all()
    reader = World(world.home)
    reader.profiles.all()
    assert "others can read" in reader.warnings[0]


@pytest.mark.parametrize(
    "text", ["profiles: [hunter2", "hunter2", "[" * 10_000, "2001-99-99"], ids=["yaml", "string", "deep", "date"]
)
def test_broken_profiles_are_named_without_a_line(world: World, text: str) -> None:
    world.profiles.path.write_text(text, "utf-8")
    with pytest.raises(Failure, match=r"profiles\.yml is not a file of profiles") as caught:
        World(world.home).profiles.all()
    assert "hunter2" not in caught.value.message


def test_path_of_the_go_file() -> None:
    assert go_config_path({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/taskcluster.yml")
    assert go_config_path({"XDG_CONFIG_HOME": "", "HOME": "/h"}) == Path("/h/.config/taskcluster.yml")
    assert go_config_path({"USERPROFILE": "/u"}) == Path("/u/.config/taskcluster.yml")
    assert go_config_path({}) == Path("taskcluster.yml")
