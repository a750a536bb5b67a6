"""SlugIds."""

from __future__ import annotations

import re

from taskcluster.slugs import slugId, stableSlugId

SLUG = r"[A-Za-z0-9_][A-Za-z0-9_-]{7}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]"


def test_slug_ids_are_new_and_valid() -> None:
    slugs = [slugId() for _ in range(200)]
    assert len(set(slugs)) == 200
    assert all(re.fullmatch(SLUG, slug) for slug in slugs)


def test_stable_slug_ids_differ_by_name() -> None:
    slug_of = stableSlugId()
    build, test = slug_of("build"), slug_of("test")
    assert build != test
    assert (slug_of("build"), slug_of("test")) == (build, test)
    assert re.fullmatch(SLUG, build)


def test_stable_slug_ids_are_independent() -> None:
    assert stableSlugId()("build") != stableSlugId()("build")
