"""Tests of the page that creates tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import taskcluster
from taskcluster_local import LocalTaskcluster
from taskcluster_local.api import LARGEST_BODY
from taskcluster_local.site import definitions
from taskcluster_local.yaml_core import load

from .visitor import ATTACKS, VisitedPage, Visitor, assert_harmless, create_task

METADATA = {"name": "n", "description": "d", "owner": "o", "source": "https://example.com"}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalTaskcluster]:
    with LocalTaskcluster() as running:
        yield running


@pytest.fixture(scope="module")
def root(local: LocalTaskcluster) -> Visitor:
    visitor = Visitor(local)
    visitor.sign_in()
    return visitor


@pytest.fixture(scope="module")
def queue(local: LocalTaskcluster) -> taskcluster.Queue:
    return taskcluster.Queue(local.options())


def text_of(page: VisitedPage) -> str:
    return page.form("/tasks/create").fields["definition"].removeprefix("\n")


def create(visitor: Visitor, text: str) -> VisitedPage:
    return visitor.submit(visitor.open("/tasks/create"), "/tasks/create", definition=text)


def definition(**fields: Any) -> str:
    dates = {"created": {"$fromNow": ""}, "deadline": {"$fromNow": "1 hour"}}
    return json.dumps({"taskQueueId": "site/tasks", **dates, "payload": {}, "metadata": METADATA, **fields})


def test_the_first_definition_can_be_created(root: Visitor, local: LocalTaskcluster, queue: Any) -> None:
    # Other tests had workers, too.
    create_task(local, taskQueueId="site/worker")
    queue.claimWork("site/worker", {"workerGroup": "g", "workerId": "i"})
    page = root.open("/tasks/create")
    assert load(text_of(page))["taskQueueId"] == "site/worker"
    made = root.submit(page, "/tasks/create")
    assert made.status == 200
    assert queue.task(made.path.removeprefix("/tasks/"))["payload"]["maxRunTime"] == 600


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "browser"])
@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_creates_tasks_from_json_and_yaml(root: Visitor, queue: Any, kind: str, newline: str) -> None:
    text = json.dumps(json.loads(definition(payload={"é": "a\nb"})), indent=2, ensure_ascii=False)
    if kind == "yaml":
        text = "# c\n" + definitions.yaml_core.dump(json.loads(text))
    page = create(root, text.replace("\n", newline))
    assert queue.task(page.path.removeprefix("/tasks/"))["payload"] == {"é": "a\nb"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED: dict[str, tuple[str, int, str]] = {
    "empty": ("", 400, "must be a mapping"),
    "list": ("[]", 400, "must be a mapping"),
    "syntax": ("a: 1\n  b: 2\n", 400, "line 2"),
    "json-syntax": ('{"a": [1}', 400, "line 1"),
    "documents": ("a: 1\n" + "---\n" * 1000, 400, "single document"),
    "bomb": (BOMB, 400, "values"),
    "deep": ("[" * 600, 400, "nested too deeply"),
    "flat-but-deep": ('{"payload": ' + '{"a": ' * 500 + "1" + "}" * 501, 400, "nested too deeply"),
    "itself": ("a: &a [*a]", 400, "contains itself"),
    "infinite": ("a: .inf", 400, "Infinity is not JSON"),
    "tag": ("a: !!python/object/apply:os.getcwd []", 400, "unknown"),
    "control": ("a: \x01", 400, "not allowed"),
    "values": ('{"a": [' + "1," * 21_000 + "1]}", 400, "more than"),
    "date": (definition(deadline={"$fromNow": "soon"}), 400, "soon"),
    "missing": ("# c\ntaskQueueId: a/b\n", 400, "must have required property 'created'"),
    "unknown-key": (definition(prioritty="low").replace(", ", ",\n"), 400, "Line 9: the definition must NOT have"),
    "json-with-tabs": ('{\n\t"prioritty": 1\n}', 400, "the definition must NOT have"),
    "wrong-type": (
        definition(scopes=["a", 1]).replace("[", "[\n").replace('"a", ', '"a",\n'),
        400,
        "Line 3: scopes.1 must be",
    ),
    "below": ("metadata:\n  name: n\n  owner: 1\n", 400, "Line 3: metadata.owner must be string"),
    "check": (definition(deadline={"$fromNow": "9 days"}).replace(", ", ",\n"), 400, "Line 3: `deadline`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors_are_named_and_the_text_is_kept(root: Visitor, name: str) -> None:
    text, status, message = REFUSED[name]
    page = create(root, text)
    assert (page.path, page.status) == ("/tasks/create", status)
    assert message in page.text
    assert text_of(page).rstrip("\n") == text.rstrip("\n")
    assert_harmless(page)


def test_long_definitions_are_kept(root: Visitor) -> None:
    assert 9 * definitions.LONGEST + 1000 < LARGEST_BODY
    text = "x" * (definitions.LONGEST + 1)
    page = create(root, text)
    assert (page.status, "more than 1000000 characters" in page.text) == (400, True)
    assert text_of(page) == text


def test_missing_scopes_to_create_are_named(local: LocalTaskcluster) -> None:
    page = create(Visitor(local), definition())
    assert page.status == 403
    assert "queue:create-task:lowest:site/tasks" in page.text
    assert text_of(page) == definition()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_definitions_of_tasks_can_be_edited(local: LocalTaskcluster, root: Visitor, queue: Any, attack: str) -> None:
    payload = {attack: [attack, "1e3", "0o7", "yes"], "text": f"a\n{attack}\n", "artifacts": {}}
    taskId = create_task(local, payload=payload, metadata={**METADATA, "name": attack}, routes=["a.b"])
    page = root.open(f"/tasks/create?taskId={taskId}")
    assert_harmless(page)
    assert load(text_of(page))["deadline"] == {"$fromNow": "1 hour"}
    made = root.submit(page, "/tasks/create")
    before, after = (queue.task(each) for each in (taskId, made.path.removeprefix("/tasks/")))
    assert {name for name in before if before[name] != after[name]} == {"created", "deadline", "expires"}
    wrong = create(root, f"{attack}\n</textarea><script>alert(1)</script>")
    assert wrong.status == 400
    assert_harmless(wrong)


def test_lone_surrogates_are_replaced(root: Visitor, queue: Any) -> None:
    page = create(root, definition(payload={"\ud800": "\udfff"}))
    assert page.status == 200
    assert queue.task(page.path.removeprefix("/tasks/"))["payload"] == {"\ufffd": "\ufffd"}


@pytest.mark.parametrize(
    ("taskId", "status"), [("VCNiTDd8SC-ozYfVoDn7Og", 404), (ATTACKS["script"], 400)], ids=["none", "bad"]
)
def test_a_definition_that_does_not_exist(root: Visitor, taskId: str, status: int) -> None:
    page = root.open(f"/tasks/create?taskId={quote(taskId)}")
    assert page.status == status
    assert_harmless(page)
