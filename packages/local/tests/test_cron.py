"""Tests of cron expressions. The expected values are those of cron-parser 5.10.6 for Node.js."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from taskcluster_local.services.hooks.cron import Cron

# A Friday.
NOW = datetime(2030, 3, 1, 12, 0, 0, 123000, timezone.utc)


def dates(expression: str, count: int) -> list[str]:
    found: list[str] = []
    date: datetime | None = NOW
    while len(found) < count:
        assert date is not None
        date = Cron(expression).after(date)
        found.append(f"{date:%Y-%m-%dT%H:%M:%S}" if date is not None else "never")
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", "2030-03-01T12:01:00 2030-03-01T12:02:00"),
        ("@secondly", "2030-03-01T12:00:01 2030-03-01T12:00:02"),
        ("@minutely", "2030-03-01T12:01:00 2030-03-01T12:02:00"),
        ("@hourly", "2030-03-01T13:00:00 2030-03-01T14:00:00"),
        ("@daily", "2030-03-02T00:00:00 2030-03-03T00:00:00"),
        ("@weekly", "2030-03-03T00:00:00 2030-03-10T00:00:00"),
        ("@monthly", "2030-04-01T00:00:00 2030-05-01T00:00:00"),
        ("@yearly", "2031-01-01T00:00:00 2032-01-01T00:00:00"),
        ("@annually", "2031-01-01T00:00:00 2032-01-01T00:00:00"),
        ("@weekdays", "2030-03-04T00:00:00 2030-03-05T00:00:00"),
        ("@weekends", "2030-03-02T00:00:00 2030-03-03T00:00:00 2030-03-09T00:00:00"),
        # Fewer fields.
        ("0", "2030-03-03T00:00:00 2030-03-03T00:01:00"),
        ("5 *", "2030-05-01T00:00:00 2030-05-01T00:01:00"),
        ("0 1 * *", "2030-04-01T00:00:00 2030-04-01T00:01:00"),
        ("0 1 * * *", "2030-03-02T01:00:00 2030-03-03T01:00:00"),
        ("0\t1  * * * ", "2030-03-02T01:00:00 2030-03-03T01:00:00"),
        ("01 02 03 04 05 06", "2030-05-04T03:02:01 2030-05-11T03:02:01 2030-05-18T03:02:01"),
        # Lists, ranges and steps.
        ("? ? ? ? ? ?", "2030-03-01T12:00:01 2030-03-01T12:00:02"),
        ("0 5/10 * * * *", "2030-03-01T12:05:00 2030-03-01T12:15:00 2030-03-01T12:25:00"),
        ("1,2/3 * * * * *", "2030-03-01T12:00:01 2030-03-01T12:00:02 2030-03-01T12:00:05"),
        ("5-10/100 * * * * *", "2030-03-01T12:00:05 2030-03-01T12:01:05"),
        ("*/70 * * * * *", "2030-03-01T12:01:00 2030-03-01T12:02:00"),
        ("0 1,*/20 * * * *", "2030-03-01T12:01:00 2030-03-01T12:20:00 2030-03-01T12:40:00"),
        ("0 0 0 ?/2 * *", "2030-03-03T00:00:00 2030-03-05T00:00:00"),
        # Names.
        ("0 0 0 * JAN-mar MON", "2030-03-04T00:00:00 2030-03-11T00:00:00"),
        ("0 0 0 1 janfeb *", "2030-12-01T00:00:00"),
        # If both kinds of day are given, either one matches.
        ("0 0 0 */5 * 1", "2030-03-04T00:00:00 2030-03-06T00:00:00 2030-03-11T00:00:00"),
        ("0 0 0 10 * 0-6", "2030-03-02T00:00:00 2030-03-03T00:00:00"),
        ("0 0 0 31 2 1", "2031-02-03T00:00:00 2031-02-10T00:00:00"),
        ("0 0 0 * * 7", "2030-03-03T00:00:00 2030-03-10T00:00:00"),
        ("0 0 0 * * 5-7", "2030-03-02T00:00:00 2030-03-03T00:00:00 2030-03-08T00:00:00"),
        # Last days, and nth weekdays.
        ("0 0 0 L * *", "2030-03-31T00:00:00 2030-04-30T00:00:00"),
        ("0 0 0 L,1-3 * *", "2030-03-02T00:00:00 2030-03-03T00:00:00 2030-03-31T00:00:00"),
        ("0 0 0 30,L 2 *", "2031-02-28T00:00:00 2032-02-29T00:00:00"),
        ("0 0 0 ? * 5L", "2030-03-29T00:00:00 2030-04-26T00:00:00"),
        ("0 0 0 * * 1,5L", "2030-03-04T00:00:00 2030-03-11T00:00:00"),
        ("0 0 0 L 1-12 7L", "2030-03-31T00:00:00 2030-04-28T00:00:00 2030-04-30T00:00:00"),
        ("0 0 0 ? * MON#2", "2030-03-11T00:00:00 2030-04-08T00:00:00"),
        ("0 0 0 1 * 1#2", "2030-03-11T00:00:00 2030-04-01T00:00:00 2030-04-08T00:00:00"),
        ("0 0 0 29 2 *", "2032-02-29T00:00:00 2036-02-29T00:00:00"),
        ("0 0 0 ? 2 1#5", "2044-02-29T00:00:00 2072-02-29T00:00:00 2112-02-29T00:00:00"),
    ],
)
def test_dates_of_expression(expression: str, expected: str) -> None:
    assert dates(expression, len(expected.split())) == expected.split()


@pytest.mark.parametrize(
    "expression",
    [
        "@midnight", "@reboot", "@DAILY", " @daily", " ", "0 0 0 1 * * *", "0 1 *", "60 * * * * *", "0 0 24 * * *",
        "a * * * * *", "L * * * * *", "1,,2 * * * * *", "1-2-3 * * * * *", "*/2/3 * * * * *", "-1 * * * * *",
        "1- * * * * *", "1/ * * * * *", "*/0 * * * * *", "5-1 * * * * *", "100/5 * * * * *", "** * * * * *",
        "*,5 * * * * *", "5,5 * * * * *", "0 0 0 0 * *", "0 0 0 15W * *", "0 0 0 L-2 * *", "0 0 0 5L * *",
        "0 0 0 LL * *", "0 0 0 31 2 *", "0 0 0 31 4,6 *", "0 0 0 * 0 *", "0 0 0 * january *", "0 0 0 * * 8",
        "0 0 0 * * 0,7", "0 0 0 * * L", "0 0 0 * * 8L", "0 0 0 * * 5L/2", "0 0 0 * * FRI-SUN", "0 0 0 * * MONDAY",
        "0 0 0 * * 1#6", "0 0 0 * * 1#0", "0 0 0 * * 1#", "0 0 0 * * 1-3#2", "0 0 0 * * 1#1,3", "0 0 0 * * #2",
        "H(10-0) * * * * *", "H/0 * * * * *",
    ],
)  # fmt: skip
def test_rejects_invalid_expression(expression: str) -> None:
    with pytest.raises(ValueError):
        Cron(expression)


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("H * * * * *", 60), ("H(0-10) * * * * *", 60), ("0 H H * * *", 86400), ("0 0 0 ? * H(1-5)", 7 * 86400)],
)
def test_hashed_value_is_stable(expression: str, seconds: int) -> None:
    first, second, third = (datetime.fromisoformat(date) for date in dates(expression, 3))
    assert (second - first).total_seconds() == (third - second).total_seconds() == seconds


def test_hashed_step_starts_anywhere() -> None:
    assert len({date[14:16] for date in dates("0 H/15 * * * *", 8)}) == 4


def test_returns_none_after_last_date() -> None:
    assert Cron("* * * * * *").after(datetime.max.replace(tzinfo=timezone.utc)) is None
    assert Cron("0 0 0 1 1 *").after(datetime(9999, 6, 1, tzinfo=timezone.utc)) is None
