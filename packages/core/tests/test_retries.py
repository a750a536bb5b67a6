"""Which responses are retried, and after what delay."""

from __future__ import annotations

import email.utils
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.effects import Opened
from taskcluster.exceptions import TaskclusterFailure
from taskcluster.retries import Attempts, Policy, retry_after, retryable

chances = st.floats(0, 1)
policies = st.builds(
    Policy,
    max_retries=st.integers(0, 10**6),
    delay_factor=st.floats(0, 100),
    randomization_factor=st.floats(0, 1),
    max_delay=st.floats(0, 1000),
)


@pytest.mark.parametrize("status", [429, 500, 501, 502, 503, 504, 599])
def test_retries_server_failures_and_429(status: int) -> None:
    assert retryable(status)


@pytest.mark.parametrize("status", [200, 204, 303, 304, 400, 401, 403, 404, 408, 409, 410, 413, 424, 428, 430, 499])
def test_does_not_retry_other_statuses(status: int) -> None:
    assert not retryable(status)


@pytest.mark.parametrize(("retry", "middle"), [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.6)])
def test_delay_doubles_and_varies_by_a_quarter(retry: int, middle: float) -> None:
    policy = Policy()
    assert policy.delay(retry, 0.0) == pytest.approx(middle * 0.75)
    assert policy.delay(retry, 0.5) == pytest.approx(middle)
    assert policy.delay(retry, 1.0) == pytest.approx(middle * 1.25)


def test_delay_uses_every_number_of_the_policy() -> None:
    policy = Policy(max_retries=9, delay_factor=1.0, randomization_factor=0.0, max_delay=5.0)
    assert [policy.delay(retry, 0.9) for retry in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]


@given(policy=policies, retry=st.integers(1, 10**6 + 1), chance=chances)
def test_delay_is_within_its_limits(policy: Policy, retry: int, chance: float) -> None:
    delay = policy.delay(retry, chance)
    assert (delay is None) == (retry > policy.max_retries)
    assert delay is None or 0 <= delay <= policy.max_delay


@given(policy=policies, retry=st.integers(1, 1000), chance=chances, other=chances)
def test_delay_grows_with_the_retry_and_the_chance(policy: Policy, retry: int, chance: float, other: float) -> None:
    policy = policy._replace(max_retries=1001)
    first, second = policy.delay(retry, chance), policy.delay(retry + 1, chance)
    assert first is not None
    assert second is not None
    assert first <= second
    low, high = policy.delay(retry, min(chance, other)), policy.delay(retry, max(chance, other))
    assert low is not None
    assert high is not None
    assert low <= high


@given(max_retries=st.integers(0, 10), requested=st.none() | st.floats(0, 10))
def test_there_are_max_retries_retries(max_retries: int, requested: float | None) -> None:
    policy = Policy(max_retries=max_retries)
    assert [policy.delay(retry, 0.5, requested) is not None for retry in range(1, 13)] == [
        retry <= max_retries for retry in range(1, 13)
    ]


@pytest.mark.parametrize(
    ("requested", "delay"), [(0.0, 0.0), (7.0, 7.0), (3600.0, 30.0), (-1.0, 0.0), (float("inf"), 30.0)]
)
def test_requested_delay_is_limited(requested: float, delay: float) -> None:
    assert Policy().delay(1, 0.5, requested) == delay


@given(policy=policies, requested=st.floats(0, 2000), chance=chances)
def test_requested_delay_replaces_the_random_one(policy: Policy, requested: float, chance: float) -> None:
    delay = policy._replace(max_retries=1).delay(1, chance, requested)
    assert delay == (requested if requested < policy.max_delay else policy.max_delay)


def test_attempts_end_with_the_failure() -> None:
    attempts = Attempts(Policy(max_retries=2))
    failure = TaskclusterFailure("failed")
    assert attempts.delay(failure, 0.5, 0) == Policy().delay(1, 0.5)
    assert attempts.delay(failure, 0.5, 0, Opened(503, {"Retry-After": "7"}, None)) == 7
    with pytest.raises(TaskclusterFailure) as raised:
        attempts.delay(failure, 0.5, 0)
    assert raised.value is failure


def test_policy_comes_from_options() -> None:
    names = ("maxRetries", "delayFactor", "randomizationFactor", "maxDelay")
    assert Policy.of(dict(zip(names, (1, 2.0, 0.5, 4.0), strict=True))) == Policy(1, 2.0, 0.5, 4.0)
    assert Policy.of({}) == Policy() == Policy(5, 0.1, 0.25, 30)
    with pytest.raises(TaskclusterFailure, match="maxDelay"):
        Policy.of({"maxDelay": -1})


NOW = 1700000000.0  # Tue, 14 Nov 2023 22:13:20 GMT
throttled = pytest.mark.parametrize("status", [429, 503])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
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
@throttled
def test_retry_after_is_seconds_or_a_date(status: int, header: str, seconds: float | None) -> None:
    assert retry_after(status, {"Retry-After": header}, NOW) == seconds


@throttled
def test_retry_after_may_be_missing_or_mocked(status: int) -> None:
    assert retry_after(status, {}, NOW) is None
    assert retry_after(status, mock.MagicMock(), NOW) is None


@given(status=st.integers(200, 599).filter(lambda status: status not in (429, 503)))
def test_retry_after_is_ignored_with_other_statuses(status: int) -> None:
    assert retry_after(status, {"Retry-After": "7"}, NOW) is None


@given(status=st.sampled_from([429, 503]), seconds=st.integers(0, 10**9))
def test_retry_after_means_the_same_in_both_forms(status: int, seconds: int) -> None:
    date = email.utils.formatdate(NOW + seconds, usegmt=True)
    assert retry_after(status, {"Retry-After": str(seconds)}, NOW) == seconds
    assert retry_after(status, {"Retry-After": date}, NOW) == seconds


@given(st.text() | st.text("FriDec0123456789:-+, GMT", max_size=40))
def test_retry_after_never_raises(header: str) -> None:
    requested = retry_after(429, {"Retry-After": header}, NOW)
    assert requested is None or requested >= 0
