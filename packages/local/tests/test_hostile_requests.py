"""Tests of requests that anyone may send, and that must not block the event loop.

Time is the CPU time of the thread, so that other programs do not count. Limits are far from the usual times (a few
milliseconds), and from those of the bugs (seconds to forever).
"""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskcluster_local import parameters
from taskcluster_local.deployment import ROOT_CLIENT
from taskcluster_local.endpoints import Table, references
from taskcluster_local.events import Binding, Message
from taskcluster_local.formats import FORMATS, Pattern
from taskcluster_local.roles import Roles
from taskcluster_local.scopes import ScopeSet
from taskcluster_local.validation import Schema

LONGEST = 16_000
"""The longest first line of a request."""
PIECES = (
    "1",
    "0",
    "a",
    "A",
    "-",
    "_",
    ".",
    "/",
    "a/",
    "a.",
    "a@",
    "%",
    "://",
    "https://",
    " ",
    "2030-01-01T00:00:00.1",
)


@pytest.fixture(autouse=True)
def _no_garbage_collection() -> Iterator[None]:
    """Garbage collection counts as CPU time, and takes longer the more tests ran before."""
    gc.disable()
    yield
    gc.enable()


def seconds(function: Callable[[Any], Any], argument: Any) -> float:
    """Return the CPU time of a call, in seconds of a machine that counts to a million in 30 ms."""
    begun = time.thread_time()
    function(argument)
    return (time.thread_time() - begun) * slowness()


@functools.cache
def slowness() -> float:
    """Return how many seconds of that machine a second of CPU time is here."""
    taken = []
    for _ in range(3):
        begun = time.thread_time()
        sum(number & 1 for number in range(1_000_000))
        taken.append(time.thread_time() - begun)
    return 0.03 / min(taken)


def patterns() -> set[str]:
    found = {pattern for named in parameters._PARAMETERS.values() for pattern in named.values()}
    left: list[Any] = [dict(references())]
    while left:
        value = left.pop()
        if isinstance(value, dict) and isinstance(value.get("pattern"), str):
            found.add(value["pattern"])
        left.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    queries = {pattern for named in parameters._QUERY.values() for pattern in named.values()}
    return found | queries | {parameters.query_pattern("queue", name) for name in ("limit", "x")}


def test_patterns_of_apis_are_fast() -> None:
    checks = {text: Pattern.of(text).matches for text in patterns()}
    checks |= {name: check for name, (check, _) in FORMATS.checkers.items() if name != "regex"}  # type: ignore[misc]
    slow = {
        (name, piece)
        for (name, matches), piece in itertools.product(checks.items(), PIECES)
        if seconds(matches, (piece * LONGEST)[:LONGEST] + "\n\x00") > 0.5
    }
    assert slow == set()


def test_routes_are_fast() -> None:
    routes = {endpoint.path for endpoint in Table(references()).endpoints}
    paths = [(piece * LONGEST)[:LONGEST] + "\n" for piece in ("/", "a/", "//a")]
    slow = {
        route.pattern
        for route, path in itertools.product(routes, paths)
        if seconds(route.fullmatch, route.pattern.partition("(")[0] + path) > 0.5
    }
    assert slow == set()


def test_run_id_pattern_is_exact() -> None:
    shown = r"^[1-9]*[0-9]+$"
    for text in ("".join(each) for length in range(5) for each in itertools.product("019x", repeat=length)):
        assert Pattern.of(shown).matches(text) == (re.fullmatch(shown, text) is not None)


@pytest.mark.parametrize("pattern", ["#.*." * 12 + "z", "#.a." * 12 + "z", "#." * 50 + "z", "#." * 12 + "a.*.#"])
@pytest.mark.parametrize("key", ["." * 250, "a." * 120 + "a"])
def test_bindings_with_many_wildcards_are_fast(pattern: str, key: str) -> None:
    assert seconds(Binding("e", pattern).matches, Message("s", "e", key, (), {})) < 0.5


def test_bindings_with_several_wildcards_are_exact() -> None:
    def matches(pattern: list[str], words: list[str]) -> bool:
        if not pattern or not words:
            return not words and all(word == "#" for word in pattern)
        if pattern[0] == "#":
            return matches(pattern[1:], words) or matches(pattern, words[1:])
        return pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])

    keys = [list(key) for length in range(1, 5) for key in itertools.product("ab", repeat=length)]
    for length in range(1, 6):
        for pattern in map(list, itertools.product("a*#", repeat=length)):
            binding = Binding("e", ".".join(pattern))
            for key in keys:
                found = binding.matches(Message("s", "e", ".".join(key), (), {}))
                assert found == matches(pattern, key), (pattern, key)


def doubling(levels: int) -> dict[str, list[str]]:
    return {f"r{level}-*": [f"assume:r{level + 1}-<..>{end}" for end in "xy"] for level in range(levels)}


def test_limits_scopes_of_doubling_roles(new_site: Any) -> None:
    assert len(Roles(doubling(10)).expand(["assume:r0-"]).scopes) == 2**11 - 1
    with new_site(roles=doubling(40)) as site:
        for scopes in (["assume:r0-q"], ["assume:r1-q", "b"], [f"assume:r35-{'q' * 100_000}"]):
            response = site.call("POST", "/api/auth/v1/scopes/expand", {"scopes": scopes}, by=None)
            assert (response.status, response.code) == (400, "InputError")
            assert "parameterised roles such as 'r" in response.message


def test_finds_roles_by_stem() -> None:
    scopes = {"a": ["1"], "ab": ["2"], "a*": ["3<..>"], "ab*": ["4<..>"], "b*": ["5<..>"], "*": ["6<..>"]}
    roles = Roles(scopes)
    expected = {
        "assume:ab": {"2", "3b", "4", "6ab"},
        "assume:a": {"1", "3", "6a"},
        "assume:a*": {"1", "2", "3*", "4*", "6a*"},
        "assume:c": {"6c"},
        "assume:ab*": {"2", "3b*", "4*", "6ab*"},
        "assume:*": {"1", "2", "3*", "4*", "5*", "6*"},
        "ass*": {"1", "2", "3*", "4*", "5*", "6*"},
    }
    for scope, added in expected.items():
        assert set(roles.expand([scope]).scopes) == {scope} | added


def test_does_not_limit_plain_roles() -> None:
    many = [f"s:{number}" for number in range(20_000)]
    assert len(Roles({"a": many}).expand(["assume:a"]).scopes) == 20_001


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (f"/{'?bewit=' * 580}&", {}),
        (f"/{'?bewit=' * 2000}&", {}),
        ("/", {"Authorization": f"Hawk {'a' * 4080}"}),
        ("/", {"Authorization": f'Hawk id="a"{" " * 4000}x'}),
        ("/", {"Authorization": f"Hawk {'a=' * 2000}"}),
        ("/", {"If-None-Match": "," * LONGEST}),
        ("/", {"Content-Type": ";" + "; " * 8000}),
        (f"/?{'limit=1&' * 2000}", {}),
    ],
)
def test_odd_credentials_and_headers_are_fast(site: Any, target: str, headers: dict[str, str]) -> None:
    path = target.replace("/", "/api/queue/v1/task/fN1SbArXTPSVFNUvaOlinQ/artifacts", 1)
    request = site.request("GET", path, by=None, headers=headers)

    def call(_: Any) -> None:
        assert site.call("GET", path, by=None, headers=headers).status in (400, 401, 404)

    assert seconds(call, request) < 0.5


def test_regex_format_accepts_deep_nesting() -> None:
    for pattern in ("(" * 5000, "a{99999999999}"):
        assert not FORMATS.conforms(pattern, "regex")


# Large bodies


def expand(site: Any, body: bytes, **headers: str) -> Any:
    return site.call("POST", "/api/auth/v1/scopes/expand", by=None, body=body, headers=headers)


@pytest.mark.parametrize("values", [b"[],", b"1,", b'"",', b'{"a":1},'])
def test_rejects_body_with_too_many_values(site: Any, values: bytes) -> None:
    body = b'{"scopes":[' + values * (9 * 1024 * 1024 // len(values)) + b"1]}"
    response = expand(site, body)
    assert (response.status, response.code) == (400, "MalformedPayload")
    assert "The body has more than 20000 values" in response.message


def test_does_not_count_commas_in_strings(site: Any) -> None:
    scope = "[{,]}" * 20_000 + '\\\\\\"'
    body = b'{"scopes":["' + scope.encode() + b'"]}'
    assert expand(site, body).status == 200


@pytest.mark.parametrize(("depth", "status"), [(200, 400), (260, 400), (900, 400), (100_000, 400)])
def test_rejects_deeply_nested_body(site: Any, depth: int, status: int) -> None:
    response = expand(site, b'{"scopes":' + b"[" * depth + b"]" * depth + b"}")
    assert response.status == status
    assert response.code == ("InputValidationError" if depth < 250 else "MalformedPayload")


def test_handles_large_bodies_in_thread(site: Any) -> None:
    """Count the steps of the event loop while a body is read, checked and sent back."""
    scopes = [f"s{number}" for number in range(15_000)]
    payload = {"scopes": scopes, "more": 1}
    request = site.request("POST", "/api/auth/v1/scopes/expand", payload, by=None)
    turns = 0

    async def scenario() -> Any:
        nonlocal turns
        sending = asyncio.ensure_future(site.send(request))
        while not sending.done():
            turns += 1
            await asyncio.sleep(0)
        return await sending

    response = asyncio.run(scenario())
    assert (response.status, response.code) == (400, "InputValidationError")
    assert turns > 10


def test_checks_mixed_list_in_linear_time() -> None:
    schema = Schema.given({"type": "array", "uniqueItems": True})
    mixed = [[number] if number % 2 else str(number) for number in range(20_000)]
    assert seconds(schema.errors, mixed) < 2
    assert schema.errors(mixed) == []
    assert schema.errors([*mixed, "0"]) == ["data must NOT have duplicate items"]
    assert schema.errors([1, True, "1", [1], {"a": 1, "b": 2}]) == []
    assert schema.errors([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) != []


# Slow handlers, which run on the event loop

PERSON = {"name": "n", "description": "d", "owner": "a@b.example"}
TASK = {
    "taskQueueId": "p/w",
    "created": "2030-03-01T12:00:00Z",
    "deadline": "2030-03-01T13:00:00Z",
    "payload": {},
    "metadata": {**PERSON, "source": "https://x.example"},
    "tags": {str(number): "x" for number in range(18_000)},
}
STARS = {
    "clientScopes": [f"a{number:05}*" for number in range(9_900)],
    "requiredScopes": [f"z{number}" for number in range(9_900)],
}


@pytest.mark.parametrize(
    ("verb", "path", "payload", "by", "status"),
    [
        ("POST", "/api/auth/v1/test-authenticate", STARS, "tester", 403),
        ("PUT", "/api/queue/v1/task/fN1SbArXTPSVFNUvaOlinQ", TASK, ROOT_CLIENT, 200),
    ],
    ids=["scopes", "tags"],
)
def test_many_values_do_not_block_event_loop(
    new_site: Any, verb: str, path: str, payload: Any, by: str, status: int
) -> None:
    async def scenario() -> None:
        request = site.request(verb, path, payload, by=by)
        begun = time.thread_time()
        response = await site.deployment.api.respond(request)
        # Each took more than 0.18 s on the event loop before it was moved to a thread.
        assert (time.thread_time() - begun) * slowness() < 0.12
        assert response.status == status

    with new_site() as site:
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"schedule": ["0 0 0 " + "1," * 1000 + "1 * *"]}, "a cron expression can have at most 1000 characters"),
        ({"bindings": [{"exchange": "e", "routingKeyPattern": "#.*." * 70}]}, "can have at most 255 bytes"),
        (
            {"bindings": [{"exchange": "e", "routingKeyPattern": f"{number}"} for number in range(101)]},
            "most 100 bindings",
        ),
    ],
)
def test_rejects_slow_hook(site: Any, more: dict[str, Any], message: str) -> None:
    response = site.call("PUT", "/api/hooks/v1/hooks/g/h", {"metadata": PERSON, "task": {}, **more})
    assert (response.status, response.code) == (400, "InputError")
    assert message in response.message


def test_many_bindings_with_wildcards_are_fast(site: Any) -> None:
    bindings = [
        {"exchange": "exchange/taskcluster-queue/v1/task-defined", "routingKeyPattern": "#.*." * 60 + f"x{number}"}
        for number in range(100)
    ]
    site.ok("PUT", "/api/hooks/v1/hooks/g/h", {"metadata": PERSON, "task": {}, "bindings": bindings})
    path = "/api/queue/v1/task/fN1SbArXTPSVFNUvaOlinQ"
    assert seconds(lambda _: site.ok("PUT", path, {**TASK, "tags": {}}), None) < 2


def test_role_with_many_scopes_does_not_slow_others(site: Any) -> None:
    """A role with many scopes must not break the holders of `*` or of all roles."""
    role = {"description": "", "scopes": [f"x{number}-<..>" for number in range(6_000)]}
    site.ok("PUT", "/api/auth/v1/roles/many*", role)
    everyone = site.ok("POST", "/api/auth/v1/scopes/expand", {"scopes": ["assume:*"]})["scopes"]
    assert "x5999-*" in everyone
    assert "x5999-q" in site.ok("POST", "/api/auth/v1/scopes/expand", {"scopes": ["assume:manyq"]})["scopes"]
    for scopes in ([f"assume:many{'q' * 10_000}"], ["assume:many1", "assume:many2"]):
        response = site.call("POST", "/api/auth/v1/scopes/expand", {"scopes": scopes})
        assert (response.status, response.code) == (400, "InputError")
    assert site.call("DELETE", "/api/auth/v1/roles/many*").status == 204


def test_finds_scope_among_many_prefixes() -> None:
    held = ScopeSet(["a*", "ab*", "b:*", "b", "c", "d*", "d"])
    scopes = ("a", "abc", "b", "b:", "b:x", "ba", "c", "cx", "c*", "d", "d*", "dd*", "*", "")
    given = {"a", "abc", "b", "b:", "b:x", "c", "d", "d*", "dd*"}
    assert {scope for scope in scopes if held.satisfies(scope)} == given
    assert ScopeSet(["*"]).satisfies_all(scopes)
    assert not ScopeSet([]).satisfies("")


def test_decodes_body_in_pieces(site: Any) -> None:
    for text in (b"\xe2\x82\xac" * 9_000, b"\xff\xe2\x82" * 9_000, b"a\xf0\x9f\x98\x80" * 9_000):
        response = expand(site, b'{"scopes":["' + text + b'"]}')
        assert response.json["requestInfo"]["payload"] == {"scopes": [text.decode(errors="replace")]}
