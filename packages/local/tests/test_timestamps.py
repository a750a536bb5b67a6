"""Tests of parsing and formatting dates."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from taskcluster_local.timestamps import from_wire, later, milliseconds, normal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-03-01T12:00:00Z", "2030-03-01T12:00:00.000Z"),
        ("2030-03-01T12:00:00.1Z", "2030-03-01T12:00:00.100Z"),
        ("2030-03-01T12:00:00.123999Z", "2030-03-01T12:00:00.123Z"),
        ("2030-03-01T12:00:00+02:00", "2030-03-01T10:00:00.000Z"),
        ("2030-03-01T12:00:00-0230", "2030-03-01T14:30:00.000Z"),
        ("2030-03-01T12:00:00", "2030-03-01T12:00:00.000Z"),
        ("2030-03-01t12:00:00z", "2030-03-01T12:00:00.000Z"),
        ("2030-03-01 12:00:00", "2030-03-01T12:00:00.000Z"),
    ],
)
def test_normalises_dates(text: str, expected: str) -> None:
    assert normal(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2030-03-01",
        "2030-02-30T12:00:00Z",
        "2030-03-01T24:00:00Z",
        "2030-03-01T12:00:60Z",
        "2030-03-01T12:00Z",
        "2030-03-01T12:00:00+24:00",
        "2030-03-01T12:00:00.Z",
        "0001-01-01T00:00:00+01:00",
        "2030-03-01T12:00:00Z\n",
        "now",
    ],
)
def test_rejects_invalid_date(text: str) -> None:
    with pytest.raises(ValueError):
        from_wire(text)


def test_later_stays_in_range() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert later(last, timedelta(days=1)) == datetime.max.replace(tzinfo=timezone.utc)
    assert later(last - timedelta(days=1), timedelta(days=1)) == last


def test_milliseconds_are_exact() -> None:
    assert milliseconds(from_wire("2030-03-01T12:00:00.123Z")) == 1898596800123
