"""Options and credentials are plain dicts that show no secret in their repr."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import yaml

import taskcluster
from taskcluster.aio.asyncclient import AsyncBaseClient
from taskcluster.client import BaseClient
from taskcluster.options import Credentials
from taskcluster.redacted import ClientOptions, Redacted

SECRET = "hUnTeR2-secret"
ROOT = "https://tc.example.com"
PLAIN = {"rootUrl": ROOT, "credentials": {"clientId": "c", "accessToken": SECRET}}


def from_environment() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TASKCLUSTER_ROOT_URL", ROOT)
        patch.setenv("TASKCLUSTER_CLIENT_ID", "c")
        patch.setenv("TASKCLUSTER_ACCESS_TOKEN", SECRET)
        patch.delenv("TASKCLUSTER_CERTIFICATE", raising=False)
        return taskcluster.optionsFromEnvironment()


def temporary() -> dict[str, Any]:
    start, expiry = taskcluster.fromNow("0 s"), taskcluster.fromNow("1 hour")
    made = taskcluster.createTemporaryCredentials("c", "key", start, expiry, ["scope"])
    return {**made, "accessToken": SECRET} | made.copy() | {"accessToken": SECRET}


DICTS: dict[str, Callable[[], dict[str, Any]]] = {
    "environment": from_environment,
    "defaults": lambda: taskcluster.optionsFromEnvironment(PLAIN),
    "temporary": temporary,
    "client": lambda: BaseClient(PLAIN).options,
    "credentials": lambda: BaseClient(PLAIN).options["credentials"],
    "plain": lambda: ClientOptions(PLAIN),
    "token at the top": lambda: ClientOptions(rootUrl=ROOT, accessToken=SECRET),
    "values": lambda: Redacted(a=SECRET, b={"c": SECRET}, rootUrl=SECRET),
    "user info": lambda: ClientOptions(rootUrl=f"https://me:{SECRET}@tc.example.com"),
}
COPIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "itself": lambda given: given,
    "copy()": lambda given: given.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "|": lambda given: given | {},
    "r|": lambda given: {} | given,
    "|=": lambda given: given.__ior__({}),
    **{
        f"pickle {protocol}": lambda given, protocol=protocol: pickle.loads(pickle.dumps(given, protocol))
        for protocol in range(6)
    },
}


@pytest.mark.parametrize("made", DICTS)
@pytest.mark.parametrize("copied", COPIES)
def test_no_copy_shows_a_secret(made: str, copied: str) -> None:
    before = DICTS[made]()
    after = COPIES[copied](before)
    assert type(after) is type(before)
    assert after == before == dict(before)
    assert list(after) == list(before)
    shown = [repr(after), str(after), f"{after}", pprint.pformat(after, width=1), repr([after])]
    assert SECRET not in " ".join(shown)
    assert all(repr(name) in shown[0] for name in before)


@pytest.mark.parametrize("made", DICTS)
def test_serializes_as_a_plain_dict(made: str) -> None:
    given = DICTS[made]()
    plain = {name: dict(value) if isinstance(value, dict) else value for name, value in given.items()}
    assert yaml.safe_dump(given) == yaml.safe_dump(plain)
    assert yaml.dump(given) == yaml.dump(plain)
    assert yaml.dump(given, Dumper=_Custom) == yaml.dump(plain, Dumper=_Custom)
    assert json.dumps(given, default=bytes.decode) == json.dumps(plain, default=bytes.decode)


class _Custom(yaml.SafeDumper):
    pass


_Custom.add_representer(dict, lambda dumper, data: dumper.represent_list(sorted(data)))


def test_yaml_imported_later_writes_plain_dicts(python: Callable[..., str]) -> None:
    program = """
import importlib.util, sys, taskcluster
options = taskcluster.optionsFromEnvironment()
assert "yaml" not in sys.modules, "yaml was loaded"
# Programs check whether it is installed before they import it.
assert importlib.util.find_spec("yaml") is not None
import yaml
assert yaml.safe_load(yaml.safe_dump(options)) == yaml.safe_load(yaml.dump(options)) == options
print("equal")
"""
    assert python(program, TASKCLUSTER_ROOT_URL=ROOT, TASKCLUSTER_ACCESS_TOKEN=SECRET) == "equal"


@pytest.mark.parametrize("kind", [BaseClient, AsyncBaseClient, taskcluster.client.BaseEvents])
def test_a_client_that_was_not_constructed_has_a_repr(kind: Any) -> None:
    assert kind.__name__ in repr(object.__new__(kind))
    with pytest.raises(taskcluster.TaskclusterFailure) as caught:
        kind({})
    traceback.TracebackException.from_exception(caught.value, capture_locals=True)


def test_the_repr_of_a_client_hides_user_info() -> None:
    client = BaseClient(PLAIN)
    client.options["rootUrl"] = f"https://me:{SECRET}@tc.example.com"
    assert SECRET not in repr(client)


def test_known_values_are_shown() -> None:
    assert repr(ClientOptions(PLAIN, maxRetries=3)) == (
        "ClientOptions({'rootUrl': 'https://tc.example.com', 'credentials': '…', 'maxRetries': 3})"
    )
    assert repr(Credentials({"clientId": "c", "accessToken": "x"})) == (
        "Credentials({'clientId': b'c', 'accessToken': '…'})"
    )
