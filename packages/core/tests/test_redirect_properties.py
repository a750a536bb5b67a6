"""Properties of redirects that hold for any URL."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcluster.redirects import origin, redirect_target, sendable_url

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

urls = st.builds(
    "{}://{}{}/{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["h", "example.com", "[::1]", "127.0.0.1"]),
    st.sampled_from(["", ":80", ":8080"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), max_size=20),
)


@given(urls)
def test_quotes_a_url_once(url: str) -> None:
    sent = sendable_url(url)
    assert sent.isascii()
    assert " " not in sent
    assert sendable_url(sent) == sent
    assert origin(sent) == origin(url)


@given(st.sampled_from([301, 302, 303, 307, 308]), urls, urls)
def test_redirects_to_absolute_urls(status: int, base: str, target: str) -> None:
    assert redirect_target(status, {"Location": target}, base) == sendable_url(target)


@pytest.mark.parametrize("status", [200, 206, 300, 304, 305, 306, 309])
def test_other_statuses_do_not_redirect_target(status: int) -> None:
    assert redirect_target(status, {"Location": "http://h/"}, "http://h/a") is None
