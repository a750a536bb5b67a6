"""SlugIds."""

from __future__ import annotations

import re

from taskcluster.slugs import slugId, stableSlugId

SLUG = r"[A-Za-z0-9_][A-Za-z0-9_-]{7}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]"


def test_a_slug_id_is_new_each_time_and_of_the_form_that_the_services_accept() -> None:
    slugs = [slugId() for _ in range(200)]
    assert len(set(slugs)) == 200
    assert all(re.fullmatch(SLUG, slug) for slug in slugs)


def test_a_stable_slug_id_is_the_same_for_a_name_and_another_for_another() -> None:
    slug_of = stableSlugId()
    build, test = slug_of("build"), slug_of("test")
    assert build != test
    assert (slug_of("build"), slug_of("test")) == (build, test)
    assert re.fullmatch(SLUG, build)


def test_every_stable_slug_id_has_slugs_of_its_own() -> None:
    assert stableSlugId()("build") != stableSlugId()("build")
