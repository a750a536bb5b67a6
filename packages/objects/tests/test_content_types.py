"""Test the content types of files to upload."""

from __future__ import annotations

import pytest

from taskcluster_objects.content_types import content_type_of


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("public/a.txt", None, "text/plain"),
        ("public/a.txt", "text/x-test", "text/x-test"),
        ("public/a", None, "application/octet-stream"),
        ("public/a", "", "application/octet-stream"),
    ],
    ids=["extension", "given", "no-extension", "empty"],
)
def test_content_type_of_new_file(name: str, given: str | None, expected: str) -> None:
    assert content_type_of(name, given) == expected
