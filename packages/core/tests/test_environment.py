"""Options from the environment, and their sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskcluster.environment import optionsFromEnvironment, resolve_options
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.registry import Registry

ROOT = "https://tc.example.com"
OTHER = "https://other.example.com"
PROXY = "http://taskcluster"
MINE = {"clientId": "mine", "accessToken": "no-secret"}


def test_reads_options_from_the_four_variables(environment: Callable[..., None]) -> None:
    environment(ROOT_URL=ROOT, CLIENT_ID="c", ACCESS_TOKEN="a", CERTIFICATE="{}")
    assert optionsFromEnvironment() == {
        "rootUrl": ROOT,
        "credentials": {"clientId": "c", "accessToken": "a", "certificate": "{}"},
    }


def test_an_empty_environment_returns_the_defaults(environment: Callable[..., None]) -> None:
    assert optionsFromEnvironment() == {}
    assert optionsFromEnvironment({"rootUrl": ROOT, "maxRetries": 1}) == {"rootUrl": ROOT, "maxRetries": 1}


def test_empty_variables_are_ignored(environment: Callable[..., None]) -> None:
    environment(ROOT_URL="", CLIENT_ID="", ACCESS_TOKEN="", CERTIFICATE="")
    assert optionsFromEnvironment() == {}


def test_environment_overrides_a_copy_of_the_defaults(environment: Callable[..., None]) -> None:
    environment(ROOT_URL=ROOT, CLIENT_ID="c")
    defaults = {"rootUrl": OTHER, "maxRetries": 1, "credentials": dict(MINE)}
    assert optionsFromEnvironment(defaults) == {
        "rootUrl": ROOT,
        "maxRetries": 1,
        "credentials": {"clientId": "c", "accessToken": "no-secret"},
    }
    assert defaults == {"rootUrl": OTHER, "maxRetries": 1, "credentials": MINE}


def test_the_proxy_of_a_task_is_not_used(environment: Callable[..., None]) -> None:
    environment(PROXY_URL=PROXY)
    assert optionsFromEnvironment() == {}


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace all plugins by one with credentials for ROOT; return the root URLs that it was called with."""
    asked: list[str] = []

    class Vault(Registry):
        def credentials(self, root_url: str) -> Any:
            asked.append(root_url)
            return (MINE, "vault") if root_url == ROOT else None

    monkeypatch.setattr("taskcluster.registry.registry", Vault(dict))
    return asked


FILE = f"config:\n  rootUrl: {ROOT}\n  clientId: filed\n  accessToken: file-secret\n"
ENVIRON = {"TASKCLUSTER_ROOT_URL": ROOT, "TASKCLUSTER_CLIENT_ID": "env", "TASKCLUSTER_ACCESS_TOKEN": "env-secret"}
PROXIED = {"TASKCLUSTER_PROXY_URL": PROXY, "TASKCLUSTER_ROOT_URL": ROOT}


@pytest.mark.parametrize(
    ("given", "environ", "file", "root_url", "client_id", "sources"),
    [
        # arguments take precedence
        ({"rootUrl": OTHER, "credentials": MINE}, {**ENVIRON, **PROXIED}, FILE, OTHER, b"mine", ("given", "given")),
        ({"credentials": MINE}, ENVIRON, FILE, ROOT, b"mine", ("environment", "given")),
        # then variables
        ({}, {**ENVIRON, **PROXIED}, FILE, ROOT, b"env", ("environment", "environment")),
        ({"rootUrl": OTHER}, ENVIRON, FILE, OTHER, b"env", ("given", "environment")),
        # then the task's proxy, which adds credentials
        ({}, PROXIED, FILE, PROXY, None, ("task proxy", "task proxy")),
        ({}, {"TASKCLUSTER_PROXY_URL": PROXY}, FILE, PROXY, None, ("task proxy", "task proxy")),
        ({"rootUrl": ROOT}, PROXIED, FILE, PROXY, None, ("task proxy", "task proxy")),
        ({"rootUrl": PROXY + "/"}, PROXIED, FILE, PROXY, None, ("task proxy", "task proxy")),
        # unless the argument is another deployment
        ({"rootUrl": OTHER}, PROXIED, "", OTHER, None, ("given", "none")),
        # then the command's configuration file
        ({}, {}, FILE, ROOT, b"filed", ("FILE", "FILE")),
        ({"rootUrl": ROOT + "/"}, {}, FILE, ROOT, b"filed", ("given", "FILE")),
        ({}, {}, FILE.replace("config:\n", "").replace("  ", ""), ROOT, b"filed", ("FILE", "FILE")),
        # unless it is for another deployment
        ({"rootUrl": OTHER}, {}, FILE, OTHER, None, ("given", "none")),
        # then plugins
        ({"rootUrl": ROOT}, {}, "", ROOT, b"mine", ("given", "plugin vault")),
        ({}, {}, f"config: {{rootUrl: '{ROOT}'}}", ROOT, b"mine", ("FILE", "plugin vault")),
        # else none
        ({"rootUrl": OTHER}, {}, None, OTHER, None, ("given", "none")),
    ],
)
def test_the_first_source_wins_and_is_named(
    given: dict[str, Any],
    environ: dict[str, str],
    file: str | None,
    root_url: str,
    client_id: bytes | None,
    sources: tuple[str, str],
    plugged: list[str],
    tmp_path: Path,
) -> None:
    path = tmp_path / "taskcluster.yml"
    if file is not None:
        path.write_text(file, "utf-8")
    found = resolve_options(given, environ=environ, config_file=path)
    assert found.options["rootUrl"] == root_url
    assert found.options["credentials"]["clientId"] == client_id
    expected = tuple(str(path) if source == "FILE" else source for source in sources)
    assert (found.root_url_source, found.credentials_source) == expected


def test_plugins_come_last_and_get_the_normalized_root_url(plugged: list[str], tmp_path: Path) -> None:
    none = tmp_path / "none.yml"
    resolve_options({"rootUrl": ROOT, "credentials": MINE}, environ={}, config_file=none)
    resolve_options({}, environ=ENVIRON, config_file=none)
    resolve_options({}, environ=PROXIED, config_file=none)
    assert plugged == []
    resolve_options({"rootUrl": ROOT + "/"}, environ={}, config_file=none)
    assert plugged == [ROOT]


def test_other_options_are_kept_in_a_copy(tmp_path: Path) -> None:
    given = {"rootUrl": ROOT, "credentials": dict(MINE), "maxRetries": 1}
    assert resolve_options(given, environ={}, config_file=tmp_path / "none").options["maxRetries"] == 1
    assert given == {"rootUrl": ROOT, "credentials": MINE, "maxRetries": 1}


def test_the_environment_defaults_to_that_of_the_process(environment: Callable[..., None], tmp_path: Path) -> None:
    environment(ROOT_URL=ROOT, CLIENT_ID="c", ACCESS_TOKEN="a")
    found = resolve_options(config_file=tmp_path / "none")
    assert (found.options["credentials"]["clientId"], found.credentials_source) == (b"c", "environment")


def test_the_file_is_in_the_users_home(
    monkeypatch: pytest.MonkeyPatch, environment: Callable[..., None], tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config").mkdir()
    (tmp_path / ".config" / "taskcluster.yml").write_text(FILE, "utf-8")
    found = resolve_options()
    assert found.options["credentials"]["accessToken"] == b"file-secret"
    assert found.credentials_source == str(tmp_path / ".config" / "taskcluster.yml")


def test_raises_without_a_root_url(tmp_path: Path) -> None:
    with pytest.raises(TaskclusterFailure, match="rootUrl option is required"):
        resolve_options(environ={}, config_file=tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"config: {accessToken: file-secret\n  x: [", "is not YAML"),
        (b"- file-secret\n", "must hold a mapping"),
        (b"[" * 10_000, "is not YAML"),
        (b"accessToken: file-secret\nx: 2001-99-99", "is not YAML"),
        (b"\xff\xfe file-secret", "cannot be read|is not YAML"),
    ],
)
def test_error_of_an_unreadable_file_shows_only_its_path(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "taskcluster.yml"
    path.write_bytes(content)
    with pytest.raises(TaskclusterFailure, match=message) as caught:
        resolve_options({"rootUrl": ROOT}, environ={}, config_file=path)
    assert str(path) in str(caught.value)
    assert "file-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "environ"),
    [
        ({"rootUrl": OTHER, "credentials": MINE}, {}),
        ({}, ENVIRON),
        ({"rootUrl": OTHER}, ENVIRON),
        ({}, PROXIED),
    ],
)
def test_the_file_is_read_only_if_needed(given: dict[str, Any], environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "taskcluster.yml"
    path.write_text("config: [", "utf-8")
    assert resolve_options(given, environ=environ, config_file=path)
    for open_still in ({}, {"rootUrl": OTHER}, {"credentials": MINE}):
        with pytest.raises(TaskclusterFailure, match="is not YAML"):
            resolve_options(open_still, environ={}, config_file=path)


def test_reads_no_file_without_a_home_directory(plugged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "expanduser", no_home)
        assert resolve_options({"rootUrl": OTHER}, environ={}).credentials_source == "none"
    monkeypatch.setenv("HOME", "/dev/null")
    assert resolve_options({"rootUrl": OTHER}, environ={}).credentials_source == "none"


@pytest.mark.parametrize("given", [{}, {"rootUrl": ROOT}])
@pytest.mark.parametrize("root_url", ["5", "tc.example.com", "'https://[::1'"])
def test_error_of_an_invalid_root_url_names_the_file(given: dict[str, Any], root_url: str, tmp_path: Path) -> None:
    path = tmp_path / "taskcluster.yml"
    path.write_text(f"config:\n  rootUrl: {root_url}\n  clientId: filed\n  accessToken: file-secret\n", "utf-8")
    with pytest.raises(
        TaskclusterFailure, match=r"the configuration file .*taskcluster\.yml is wrong: .* rootUrl must"
    ):
        resolve_options(given, environ={}, config_file=path)


@pytest.mark.parametrize("content", ["", "config:\n", "config: 5\n", "other: {}\n"])
def test_a_file_without_configuration_is_ignored(content: str, plugged: list[str], tmp_path: Path) -> None:
    path = tmp_path / "taskcluster.yml"
    path.write_text(content, "utf-8")
    assert resolve_options({"rootUrl": OTHER}, environ={}, config_file=path).credentials_source == "none"


def test_repr_shows_no_secret(tmp_path: Path) -> None:
    shown = repr(resolve_options({}, environ=ENVIRON, config_file=tmp_path / "none"))
    assert "env-secret" not in shown
    assert "environment" in shown
