"""Tests of matching routing keys against many patterns, compared with matching them one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskcluster_local.topics import Topics

WORDS = st.sampled_from(["a", "b", "_", ""])
PATTERNS = st.lists(st.lists(WORDS | st.sampled_from(["*", "#"]), min_size=1, max_size=5).map(".".join), max_size=8)
KEYS = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(".".join), min_size=1, max_size=3)


def alone(pattern: str, keys: list[str]) -> bool:
    topics = Topics[str]()
    topics.add("e", pattern, pattern)
    return bool(topics.find("e", keys))


@given(PATTERNS, PATTERNS, KEYS)
def test_finds_values_of_matching_patterns(kept: list[str], removed: list[str], keys: list[str]) -> None:
    topics = Topics[tuple[str, str]]()
    for name, patterns in (("kept", kept), ("removed", removed)):
        for pattern in patterns:
            topics.add("e", pattern, (name, pattern))
    for pattern in removed:
        topics.discard("e", pattern, ("removed", pattern))
    assert topics.find("e", keys) == {("kept", pattern) for pattern in kept if alone(pattern, keys)}
    assert topics.find("other", keys) == set()


@given(PATTERNS)
def test_keeps_nothing_of_removed_values(patterns: list[str]) -> None:
    topics = Topics[str]()
    for pattern in patterns:
        topics.add("e", pattern, "v")
        topics.add("e", pattern, "v")
    for pattern in patterns:
        topics.discard("e", pattern, "v")
        topics.discard("e", pattern, "v")
        topics.discard("other", pattern, "v")
    assert not topics._exchanges["e"].children if patterns else not topics._exchanges
