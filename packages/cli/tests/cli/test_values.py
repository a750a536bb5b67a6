"""Decisions without I/O: paths, payloads, targets, text, colour."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from taskcluster_cli.errors import Failure
from taskcluster_cli.output import Notes, wants_colour
from taskcluster_cli.payloads import fields, loads
from taskcluster_cli.references import Reference, scopes_text
from taskcluster_cli.secrets import masked
from taskcluster_cli.select import Path, Query
from taskcluster_cli.targets import Target, parse
from taskcluster_cli.text import ago, duration, one_line, safe, safe_log, size

from .conftest import TASK

DOCUMENT = {"status": {"runs": [{"state": "failed"}, {"state": "completed"}]}, "a.b": 1, "none": None}
ROOT = "https://tc.example.com"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (".", [DOCUMENT]),
        ("status.runs[0].state", ["failed"]),
        ("status.runs[-1].state", ["completed"]),
        ("status.runs[].state", ["failed", "completed"]),
        ("status.runs[9]", [None]),
        ("'a.b'", [1]),
        ("none", [None]),
        ("none.of.these", [None]),
        ("[]", []),
    ],
)
def test_path_selects_values(path: str, values: list[Any]) -> None:
    assert list(Path(path).values(DOCUMENT, is_strict=True)) == values


def test_absent_key_names_the_nearest() -> None:
    with pytest.raises(Failure, match="there is no 'stauts'; did you mean 'status'"):
        list(Path("stauts.runs").values(DOCUMENT, is_strict=True))
    assert list(Path("stauts.runs").values(DOCUMENT, is_strict=False)) == [None]


@pytest.mark.parametrize("text", ["a[", "a[x]", "'a", "a]"])
def test_rejects_malformed_paths(text: str) -> None:
    with pytest.raises(Failure, match="is not a path"):
        Path(text)


@pytest.mark.parametrize(
    ("expression", "result", "results"),
    [
        ("status.runs[?state=='failed'].state", ["failed"], ["failed"]),
        ("status.runs[0].state", "failed", ["failed"]),
        ("none.of.these", None, [None]),
        ("length(status.runs)", 2, [2]),
        ("status.runs[].[state, `1`]", [["failed", 1], ["completed", 1]], [["failed", 1], ["completed", 1]]),
    ],
)
def test_query_yields(expression: str, result: Any, results: list[Any]) -> None:
    pytest.importorskip("jmespath")
    found = Query(expression)
    assert (found.result(DOCUMENT), found.results(DOCUMENT), found.of_record(DOCUMENT)) == (result, results, [result])


def test_query_that_is_malformed_or_does_not_apply() -> None:
    """The error does not quote the document, which may be a secret."""
    pytest.importorskip("jmespath")
    for expression in ("a[", "nonsense(@)", ""):
        with pytest.raises(Failure, match="--query: "):
            Query(expression).result({})
    with pytest.raises(Failure) as caught:
        Query("abs(secret)").result({"secret": "hunter2"})
    assert caught.value.message == "--query: abs() cannot take a value of type string"
    for expression in ("contains(secret, `1`)", f"{'(' * 5000}@"):
        with pytest.raises(Failure, match="--query: "):
            Query(expression).result({"secret": "hunter2"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("\ufeff{}", {}),
        ("a: on\nb: 012\nc: 12:30\nd: 2030-01-01\ne: 1e3\nf: no", None),
        ("a: true\nb: 12\nc: 1.5\nd: null\ne: -3", {"a": True, "b": 12, "c": 1.5, "d": None, "e": -3}),
        ("a: &x [1]\nb: *x\nc: {<<: {d: 1}, e: 2}", {"a": [1], "b": [1], "c": {"d": 1, "e": 2}}),
        ("1: a", {"1": "a"}),
    ],
    ids=["json", "byte-order-mark", "strings", "values", "anchors", "key-of-number"],
)
def test_payload_is_read(text: str, value: Any) -> None:
    expected = value or {"a": "on", "b": "012", "c": "12:30", "d": "2030-01-01", "e": 1000.0, "f": "no"}
    assert loads(text, "x") == (expected if value is not None and value != {} else value if value == {} else expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f is empty"),
        (" \n", "f is empty"),
        ("# nothing", "f is empty"),
        ('{"a": 1, "a": 2}', "f: duplicate key 'a'"),
        ("a: 1\na: 2", "f, line 2: duplicate key 'a'"),
        ("a: 1\n---\nb: hunter2", "f, line 2: more than one document"),
        ("a: [hunter2", "f, line 1: not JSON or YAML"),
        ("[" * 100_000, "f: nested too deeply"),
        ("- " * 5000, "f: nested too deeply"),
        ("a: NaN\nb: !!python/object:x hunter2", "f, line 2: not JSON or YAML"),
        ('{"a": NaN}', "f: NaN is not JSON"),
    ],
    ids=[
        "empty",
        "white-space",
        "comment",
        "twice-json",
        "twice",
        "documents",
        "broken",
        "deep-json",
        "deep",
        "tag",
        "nan",
    ],
)
def test_payload_is_rejected_without_quoting_it(text: str, problem: str) -> None:
    with pytest.raises(Failure) as caught:
        loads(text, "f")
    assert caught.value.message.startswith(problem)
    assert "hunter2" not in caught.value.message


def test_fields_make_a_payload() -> None:
    pairs = ["reason=a b", "n=1", 'scopes=["x"]', "metadata.name=n", "metadata.owner=o", "empty=", "eq=a=b"]
    assert fields(pairs) == {
        "reason": "a b",
        "n": 1,
        "scopes": ["x"],
        "metadata": {"name": "n", "owner": "o"},
        "empty": "",
        "eq": "a=b",
    }


@pytest.mark.parametrize(
    "pairs", [["a"], ["=b"], ["a=1", "a=2"], ["a=1", "a.b=2"], [f"a={'[' * 100_000}"]], ids=lambda pairs: pairs[0][:5]
)
def test_contradicting_fields_are_rejected(pairs: list[str]) -> None:
    with pytest.raises(Failure, match="-f"):
        fields(pairs)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (TASK, Target("any", TASK)),
        (f"{TASK}\n", Target("any", TASK)),
        ("-dySoq0SQkWu7V98BFEuCA", Target("any", "-dySoq0SQkWu7V98BFEuCA")),
        ("index:a.b.latest", Target("index", "a.b.latest")),
        (f"{ROOT}/tasks/{TASK}", Target("task", TASK, None, ROOT)),
        (f"{ROOT}/tasks/{TASK}/runs/3/logs/public/live.log", Target("task", TASK, "3", ROOT)),
        (f"{ROOT}/tasks/{TASK}?x#y", Target("task", TASK, None, ROOT)),
        (f"{ROOT}/tasks/groups/{TASK}", Target("group", TASK, None, ROOT)),
        (
            f"{ROOT}/tasks/groups/{TASK}/tasks/dySoq0SQRkWu7V98BFEuCA/x",
            Target("task", "dySoq0SQRkWu7V98BFEuCA", None, ROOT),
        ),
        (f"{ROOT}/tasks/index/project.a/latest", Target("index", "project.a.latest", None, ROOT)),
        (f"{ROOT}/api/queue/v1/task/{TASK}/status", Target("task", TASK, None, ROOT)),
        (f"{ROOT}/api/queue/v1/task-group/{TASK}/list", Target("group", TASK, None, ROOT)),
        (f"{ROOT}/api/index/v1/task/a.b", Target("index", "a.b", None, ROOT)),
        (f"http://localhost:80/tc/tasks/{TASK}", Target("task", TASK, None, "http://localhost:80/tc")),
    ],
    ids=str,
)
def test_target_is_parsed(text: str, target: Target) -> None:
    assert parse(text) == target


@pytest.mark.parametrize("text", ["", "abc", "index:", f"{ROOT}/tasks", f"{ROOT}/x", f"https://me:pw@x/tasks/{TASK}"])
def test_other_targets_are_rejected(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse(text)
    assert "pw" not in caught.value.message


def test_text_for_people() -> None:
    now = datetime(2030, 1, 1, tzinfo=timezone.utc)
    assert [duration(seconds) for seconds in (0, 59, 60, 3720, 90000, 86400 * 30)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 2 min",
        "1 d 1 h",
        "30 d",
    ]
    assert ago(now - timedelta(minutes=5, seconds=3), now) == "5 min ago"
    assert ago(now + timedelta(days=3), now) == "in 3 d"
    assert ago(now, now) == "now"
    assert [size(number) for number in (0, 1023, 1536, 5 * 2**20, 3 * 2**30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 GiB",
    ]


def test_control_sequences_are_removed() -> None:
    hostile = "a\x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x07\x1b]8;;http://x\x1b\\b\x9b5A\x08\r"
    assert safe(hostile) == "aredb"
    assert safe_log(f"{hostile}c") == "c"
    assert safe_log(hostile) == "a\x1b[31mred\x1b[0mb"
    assert safe_log("10%\r50%\r100%\r") == "100%"
    assert one_line("a\tb\nc\x1b") == "a b c "
    stream = io.StringIO()
    Notes(stream, colour=True).error(hostile, [hostile])
    assert stream.getvalue() == "\x1b[31mError:\x1b[0m aredb\naredb\n"


@pytest.mark.parametrize(
    ("choice", "environ", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
    ids=str,
)
def test_colour(choice: str, environ: dict[str, str], terminal: bool, expected: bool) -> None:
    assert wants_colour(choice, environ, terminal=terminal) is expected


def test_secrets_are_masked() -> None:
    text = "GET https://x/y?bewit=abc&z=1 with tok-en"
    assert masked(text, {"TASKCLUSTER_ACCESS_TOKEN": "tok-en"}) == "GET https://x/y?bewit=…&z=1 with …"


def test_reference_describes_payload_and_scopes() -> None:
    types = {
        "a/v1/x.json": {
            "required": ["name"],
            "properties": {
                "name": {"$ref": "y.json#/properties/n"},
                "when": {"type": "string", "format": "date-time"},
                "inner": {"type": "object", "properties": {"k": {"type": ["string", "null"]}}},
                "items": {"type": "array", "items": {"enum": ["p", "q"]}},
                "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            },
        },
        "a/v1/y.json": {"properties": {"n": {"type": "string"}}},
    }
    entry = {"name": "m", "method": "put", "route": "/m", "args": [], "input": "a/v1/x.json"}
    reference = Reference({"methods": [entry], "types": types})
    assert reference.payload(reference.methods["m"]) == [
        "name: string, required",
        "when: date",
        "inner: object",
        "  k: string or null",
        "items: list of p|q",
        "either: string or integer",
    ]
    expression = {"AllOf": ["a", {"AnyOf": ["b", {"each": "c:<x>", "for": "x", "in": "xs"}]}]}
    assert scopes_text(expression) == "a and (b or (c:<x> for each x of xs))"
    assert scopes_text({"if": "private", "then": "a"}) == "if private: a"
    assert scopes_text(None) == "none"
