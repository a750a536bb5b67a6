"""Test that every name has a path, and every path one name."""

from __future__ import annotations

import pytest
from fsspec.core import split_protocol
from hypothesis import given
from hypothesis import strategies as st

from taskcluster_fsspec.paths import RunPath, canonical, has_magic, index_path, quoted, run_path, unquoted

NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)


@given(NAMES)
def test_names_round_trip(name: str) -> None:
    path = quoted(name)
    assert unquoted(path) == name
    assert run_path(canonical(f"tcartifact://T/0/{path}", "tcartifact")) == RunPath("T/0", path)


@given(NAMES)
def test_paths_are_plain(name: str) -> None:
    path = f"T/0/{quoted(name)}"
    assert not has_magic(path)
    assert "::" not in path
    assert "#" not in path
    assert not {"", ".", ".."} & set(path.split("/"))
    assert split_protocol(f"tcartifact://{path}") == ("tcartifact", path)
    assert canonical(path, "tcartifact") == path


@given(NAMES)
def test_unquoted_names_are_names(name: str) -> None:
    if "%" not in name and not name.endswith("/"):
        assert unquoted(canonical(f"tcartifact://T/0/{name}", "tcartifact")) == f"T/0/{name}"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("public/data.parquet", "public/data.parquet"),
        ("a b", "a b"),
        ("a//b", "a/%2Fb"),
        ("/a/", "%2Fa%2F"),
        ("/", "%2F"),
        ("./../a/..", "%2E/%2E%2E/a/%2E%2E"),
        ("...", "..."),
        ("a?b*[c]#%41", "a%3Fb%2A%5Bc]%23%2541"),
        ("a:::b", "a:%3A%3Ab"),
    ],
    ids=["plain", "space", "two-slashes", "slashes", "slash", "dots", "three-dots", "magic", "colons"],
)
def test_quoted_names(name: str, path: str) -> None:
    assert quoted(name) == path


def test_patterns_stay_patterns() -> None:
    assert canonical("tcartifact://T/0/a b*/[x]?.csv/", "tcartifact") == "T/0/a b*/[x]?.csv"
    assert canonical("T/0/%20%2A*", "tcartifact") == "T/0/ %2A*"


def test_bytes_that_are_not_text_stay_quoted() -> None:
    assert unquoted("a%FFb") == "a%FFb"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("T", RunPath("T", "")), ("T/latest", RunPath("T/latest", "")), ("T/0/a/b", RunPath("T/0", "a/b"))],
    ids=["task", "run", "artifact"],
)
def test_run_paths(path: str, expected: RunPath) -> None:
    assert run_path(path) == expected


def test_index_paths() -> None:
    assert index_path("a.b.c/public/d") == RunPath("a.b.c", "public/d")
