"""Sets of scopes: satisfaction, normal form, intersection."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.scopes import intersection, missing, normalize, satisfies, satisfies_all, scopeMatch, scopesMatch

SCOPES = st.text(alphabet="ab:*", max_size=4)
SETS = st.lists(SCOPES, max_size=5)
UNIVERSE = ["".join(letters) for length in range(5) for letters in itertools.product("ab*", repeat=length)]
"""All scopes of up to four letters, to compare sets by the scopes that they satisfy."""


def satisfied(scopes: list[str]) -> list[str]:
    return [scope for scope in UNIVERSE if satisfies_all(scopes, [scope])]


@pytest.mark.parametrize(
    ("scope", "required", "expected"),
    [
        ("queue:create", "queue:create", True),
        ("queue:create", "queue:create:x", False),
        ("queue:create:x", "queue:create", False),
        ("queue:*", "queue:create", True),
        ("queue:*", "queue:", True),
        ("queue:*", "queue", False),
        ("queue:*", "queue:*", True),
        ("queue:*", "queue:create:*", True),
        ("queue:create:*", "queue:*", False),
        ("queue:*:x", "queue:create:x", False),
        ("*", "", True),
        ("*", "anything", True),
        ("a**", "a*b", True),
        ("a**", "ab", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_only_a_final_star_matches_any_suffix(scope: str, required: str, expected: bool) -> None:
    assert satisfies(scope, required) is expected
    assert satisfies_all([scope], [required]) is expected


@pytest.mark.parametrize(
    ("assumed", "sets", "expected"),
    [
        (["a", "b"], [["a", "b"]], True),
        (["a", "b"], [["a", "c"]], False),
        (["a", "b"], [["a", "c"], ["b"]], True),
        (["a*"], [["ab", "ac"]], True),
        ([], [["a"]], False),
        ([], [[]], True),
        (["a"], [[]], True),
        (["*"], [], False),
    ],
)
def test_scope_match_needs_one_complete_set(assumed: list[str], sets: list[list[str]], expected: bool) -> None:
    assert scopeMatch(assumed, sets) is expected
    assert scopesMatch(assumed, sets) is expected
    assert scopeMatch(iter(assumed), iter(sets)) is expected


@given(SETS, SETS)
def test_missing_scopes_keep_their_order(held: list[str], required: list[str]) -> None:
    assert missing(held, required) == [scope for scope in required if not any(satisfies(have, scope) for have in held)]


@given(SETS)
def test_normal_form_satisfies_the_same_scopes(scopes: list[str]) -> None:
    assert satisfied(normalize(scopes)) == satisfied(scopes)


@given(SETS)
def test_normalizing_is_idempotent_and_ignores_order(scopes: list[str]) -> None:
    assert normalize(normalize(scopes)) == normalize(scopes) == normalize(reversed(scopes * 2))


@given(SETS)
def test_no_scope_of_a_normal_form_implies_another(scopes: list[str]) -> None:
    normal = normalize(scopes)
    assert not [pair for pair in itertools.permutations(normal, 2) if satisfies(*pair)]


def test_normal_form_is_sorted_by_bytes() -> None:
    assert normalize(["b", "a b", "a!*", "a ", "B", "a#*", "a"]) == ["B", "a", "a ", "a b", "a!*", "a#*", "b"]
    assert normalize(["ab", "a*", "a"]) == ["a*"]


@given(SETS, SETS)
def test_intersection_satisfies_what_both_sets_satisfy(left: list[str], right: list[str]) -> None:
    both = satisfied(intersection(left, right))
    assert both == [scope for scope in satisfied(left) if scope in set(satisfied(right))]


@given(SETS, SETS)
def test_intersection_is_normalized_and_commutative(left: list[str], right: list[str]) -> None:
    assert intersection(left, right) == intersection(right, left) == normalize(intersection(left, right))
