"""Tests of expanding roles, and of the rules for roles."""

from __future__ import annotations

import pytest

from taskcluster_local.errors import ApiError
from taskcluster_local.roles import Roles


def added(roles: dict[str, list[str]], scope: str) -> list[str]:
    """Return the scopes that roles add to a scope."""
    return [found for found in Roles(roles).expand([scope]).scopes if found != scope]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("assume:r", ["s"]),
        ("assume:rx", []),
        ("assume:r*", ["s"]),
        ("assume:missing", []),
        ("something", []),
    ],
)
def test_expands_plain_role(scope: str, expected: list[str]) -> None:
    assert added({"r": ["s"]}, scope) == expected


def test_expands_roles_of_roles() -> None:
    assert added({"a": ["assume:b", "1"], "b": ["assume:c"], "c": ["2"]}, "assume:a") == [
        "1",
        "2",
        "assume:b",
        "assume:c",
    ]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("assume:p:ops", ["x/ops/y"]),
        ("assume:p:", ["x//y"]),
        ("assume:p", []),
        ("assume:p:ops*", ["x/ops*"]),
        ("assume:p:*", ["x/*"]),
        ("assume:p*", ["x/*"]),
        ("assume:q:ops", []),
    ],
)
def test_expands_parameterised_role(scope: str, expected: list[str]) -> None:
    assert added({"p:*": ["x/<..>/y"]}, scope) == expected


def test_keeps_parameter_in_plain_role() -> None:
    assert added({"r": ["x/<..>/y"]}, "assume:r") == ["x/<..>/y"]


@pytest.mark.parametrize("scope", ["a*", "as*", "assume*", "assume:*"])
def test_expands_scopes_that_assume_all_roles(scope: str) -> None:
    assert added({"r": ["1"], "p:*": ["2/<..>/x"]}, scope) == ["1", "2/*"]


def test_ignores_prefix_without_assume() -> None:
    assert added({"r": ["1"]}, "b*") == []


def test_star_in_role_is_not_a_cycle() -> None:
    assert Roles({"admin": ["*"], "other": ["assume:admin"]}).expand(["assume:other"]).scopes == ("*",)


@pytest.mark.parametrize(
    "roles",
    [
        {"a": ["assume:a"]},
        {"a": ["assume:b"], "b": ["assume:a"]},
        {"a": ["assume:b"], "b": ["assume:c"], "c": ["assume:a*"]},
        {"a": ["assume:*"]},
        {"p:*": ["assume:p:<..>x"]},
        {"p:*": ["assume:q:<..>"], "q:*": ["assume:p:<..>"]},
        {"p:*": ["assume:<..>"]},
        # Each parameter would complete the other's scope, longer each time.
        {"p*": ["a<..>"], "q*": ["assume:pssume:q<..>x"]},
        {"p*": ["<..>"], "q*": ["assume:passume:q<..>x"]},
        {"p*": ["a<..>", "a*"], "q*": ["assume:pssume:q<..>x"]},
    ],
)
def test_rejects_cycles(roles: dict[str, list[str]]) -> None:
    with pytest.raises(ApiError, match=r"InputError: .*'assume:.+' -> 'assume:.+'"):
        Roles(roles)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"p*": ["<..>/<..>"]}, "more than once"),
        ({"p*": ["a:*<..>"]}, "ambiguous"),
        ({"r": ["a**"]}, "must not end with"),
        ({"r": ["é"]}, "not a scope"),
    ],
)
def test_rejects_malformed_role(roles: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ApiError, match=f"InputError: .*{message}"):
        Roles(roles)


def test_caches_expansion() -> None:
    roles = Roles({"r": ["s"]})
    assert roles.expand(["assume:r"]) is roles.expand(["assume:r"])


def test_expands_chain_longer_than_stack() -> None:
    chain = {f"r{number}": [f"assume:r{number + 1}"] for number in range(1500)}
    assert "assume:r1500" in Roles(chain).expand(["assume:r0"]).scopes
    with pytest.raises(ApiError, match="depend on themselves"):
        Roles({**chain, "r1500": ["assume:r0"]})
