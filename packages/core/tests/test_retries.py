"""What is tried again, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.retries import Policy, retry_after, retryable

from_zero_to_one = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("status", [429, 500, 501, 502, 503, 504, 599])
def test_server_failures_and_requests_to_slow_down_are_tried_again(status: int) -> None:
    assert retryable(status)


@pytest.mark.parametrize("status", [200, 204, 303, 304, 400, 401, 403, 404, 408, 409, 410, 413, 424])
def test_nothing_else_is_tried_again(status: int) -> None:
    assert not retryable(status)


@pytest.mark.parametrize(("retry", "middle"), [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.6)])
def test_the_delay_doubles_from_100_ms_and_varies_by_a_quarter(retry: int, middle: float) -> None:
    policy = Policy()
    assert policy.delay(retry, 0.0) == pytest.approx(middle * 0.75)
    assert policy.delay(retry, 0.5) == pytest.approx(middle)
    assert policy.delay(retry, 1.0) == pytest.approx(middle * 1.25)


@given(retry=st.integers(1, 10**6), chance=from_zero_to_one)
def test_the_delay_is_never_above_its_limit_or_below_0(retry: int, chance: float) -> None:
    delay = Policy(max_retries=10**6).delay(retry, chance)
    assert delay is not None
    assert 0 <= delay <= 30


@given(max_retries=st.integers(0, 10))
def test_there_are_as_many_retries_as_allowed(max_retries: int) -> None:
    policy = Policy(max_retries=max_retries)
    assert [policy.delay(retry, 0.5) is not None for retry in range(1, 13)] == [
        retry <= max_retries for retry in range(1, 13)
    ]


def test_every_number_of_the_policy_is_the_callers_to_choose() -> None:
    policy = Policy(max_retries=9, delay_factor=1.0, randomization_factor=0.0, max_delay=5.0)
    assert [policy.delay(retry, 0.9) for retry in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("asked", "delay"), [(0.0, 0.0), (7.0, 7.0), (3600.0, 30.0), (-1.0, 0.0), (float("inf"), 30.0)]
)
def test_what_the_server_asks_for_is_waited_up_to_the_limit(asked: float, delay: float) -> None:
    assert Policy().delay(1, 0.5, asked) == delay


def test_what_the_server_asks_for_gives_no_further_retry() -> None:
    assert Policy(max_retries=1).delay(2, 0.5, 1.0) is None


NOW = 1700000000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_and_else_passed_by(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text() | st.text("FriDec0123456789:-+, GMT", max_size=40))
def test_no_retry_after_breaks_the_reading(header: str) -> None:
    asked = retry_after(header, NOW)
    assert asked is None or asked >= 0
