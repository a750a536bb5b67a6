"""Tests of the selection of tasks."""

from __future__ import annotations

import pytest

from taskcluster_local.run.selection import is_wanted, with_dependencies


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [("test-linux", True), ("test-*", True), ("test", False), ("*-[lm]*", True), ("an-id", True), ("Test-*", False)],
)
def test_patterns(pattern: str, wanted: bool) -> None:
    assert is_wanted("an-id", "test-linux", ["nothing", pattern]) is wanted


def test_dependencies_are_included() -> None:
    dependencies = {"a": [], "b": ["a"], "c": ["b", "elsewhere"], "d": ["a"], "e": ["e", "f"], "f": ["e"]}
    assert with_dependencies(["c"], dependencies) == {"a", "b", "c"}
    assert with_dependencies(["e"], dependencies) == {"e", "f"}
    assert with_dependencies(["elsewhere"], dependencies) == set()
