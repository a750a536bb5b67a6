"""Test `taskcluster-codegen --check` against the local deployment's references and changed copies of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskcluster_codegen import references
from taskcluster_codegen.cli import main
from taskcluster_codegen.sources import DeploymentSource
from taskcluster_codegen.spec import Spec, load_all
from taskcluster_local import LocalTaskcluster

ROOT = Path(__file__).parents[2]
API, EXCHANGES = "/references/queue/v1/api.json", "/references/queue/v1/exchanges.json"


@pytest.fixture(scope="module")
def root_url() -> Iterator[str]:
    with LocalTaskcluster() as local:
        yield local.root_url


@pytest.fixture(scope="module")
def served(root_url: str) -> dict[str, Any]:
    """The queue's documents by path."""
    found: dict[str, Any] = {}
    with DeploymentSource(root_url) as deployment:

        def read(path: str) -> Any:
            found[path] = deployment(path)
            return found[path]

        references.served(read, "queue", "v1")
    return found


@pytest.fixture(scope="module")
def queue() -> Spec:
    [spec] = [spec for spec in load_all(ROOT / "specs", ROOT) if spec.serviceName == "queue"]
    return spec


def test_local_deployment_serves_the_specs(root_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "--root", str(ROOT), "--root-url", root_url]) == 0
    assert capsys.readouterr().out == ""


def entry(documents: dict[str, Any], path: str, name: str) -> dict[str, Any]:
    [found] = [each for each in documents[path]["entries"] if each["name"] == name]
    return found  # type: ignore[no-any-return]


def reworded(value: Any, names: bool = False) -> Any:
    """Return a document with changed titles, descriptions, categories and summaries."""
    if isinstance(value, list):
        return [reworded(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "Something else."
        if not names and key in ("title", "description", "category", "summary")
        else reworded(below, key in ("properties", "definitions"))
        for key, below in value.items()
    }


def test_wording_is_ignored(served: dict[str, Any], queue: Spec) -> None:
    documents = {path: reworded(document) for path, document in served.items()}
    assert documents != served
    assert references.api_differences(queue, documents.get) == []


def set_route(documents: dict[str, Any]) -> None:
    entry(documents, API, "task")["route"] = "/tasks/<taskId>"


def set_parameter(documents: dict[str, Any]) -> None:
    entry(documents, API, "task").update(route="/task/<id>", args=["id"])


def set_verb(documents: dict[str, Any]) -> None:
    entry(documents, API, "createTask")["method"] = "post"


def set_scopes(documents: dict[str, Any]) -> None:
    entry(documents, API, "task")["scopes"] = "queue:read:<taskId>"


def set_query(documents: dict[str, Any]) -> None:
    entry(documents, API, "listTaskGroup")["query"].append("state")


def set_input(documents: dict[str, Any]) -> None:
    del entry(documents, API, "createTask")["input"]


def remove_method(documents: dict[str, Any]) -> None:
    documents[API]["entries"].remove(entry(documents, API, "createTask"))


def add_method(documents: dict[str, Any]) -> None:
    documents[API]["entries"].append({**entry(documents, API, "ping"), "name": "pong"})


def set_routing_key(documents: dict[str, Any]) -> None:
    entry(documents, EXCHANGES, "taskPending")["routingKey"].pop()


def set_exchange(documents: dict[str, Any]) -> None:
    entry(documents, EXCHANGES, "taskPending")["exchange"] = "task-waiting"


def set_prefix(documents: dict[str, Any]) -> None:
    documents[EXCHANGES]["exchangePrefix"] = "exchange/queue/v1/"


def some_schema(documents: dict[str, Any]) -> dict[str, Any]:
    request = next(path for path in documents if path.endswith("create-task-request.json"))
    return documents[request]  # type: ignore[no-any-return]


def set_type(documents: dict[str, Any]) -> None:
    some_schema(documents)["properties"]["payload"]["type"] = "array"


def add_property(documents: dict[str, Any]) -> None:
    # `description` is also one of the ignored keywords.
    some_schema(documents)["properties"]["description"] = {"type": "string"}


def set_required(documents: dict[str, Any]) -> None:
    some_schema(documents)["required"].pop()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_route, "method task: route"),
        (set_parameter, "method task: route"),
        (set_verb, "method createTask: verb"),
        (set_scopes, "method task: scopes"),
        (set_query, "method listTaskGroup: query"),
        (set_input, "method createTask: input"),
        (remove_method, "method createTask is not served"),
        (add_method, "method pong is served and not in the spec"),
        (set_routing_key, "exchange taskPending: routingKey"),
        (set_exchange, "exchange taskPending: exchange"),
        (set_prefix, "queue: exchangePrefix"),
        (set_type, "type queue/v1/create-task-request.json: schema"),
        (add_property, "type queue/v1/create-task-request.json: schema"),
        (set_required, "type queue/v1/create-task-request.json: schema"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_api_change_is_listed(
    served: dict[str, Any], queue: Spec, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    documents = copy.deepcopy(served)
    change(documents)
    lines = references.api_differences(queue, documents.get)
    assert any(line.startswith(named) for line in lines), lines


def test_equivalent_schemas_are_equal(served: dict[str, Any], queue: Spec) -> None:
    documents = copy.deepcopy(served)
    schema = some_schema(documents)
    schema["required"].reverse()
    text = json.dumps(documents)
    again = json.loads(text.replace('.json#"', '.json"')) if '.json#"' in text else documents
    assert references.api_differences(queue, again.get) == []
