"""Relative dates, and dates in JSON."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcluster.timestamps import format_date, fromNow, fromNowJSON, parse_date, stringDate

START = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.timezone.utc)

UNITS = {
    ("years", "year", "yr", "y"): datetime.timedelta(days=365),
    ("months", "month", "mo"): datetime.timedelta(days=30),
    ("weeks", "week", "w"): datetime.timedelta(weeks=1),
    ("days", "day", "d"): datetime.timedelta(days=1),
    ("hours", "hour", "hr", "h"): datetime.timedelta(hours=1),
    ("minutes", "minute", "min", "m"): datetime.timedelta(minutes=1),
    ("seconds", "second", "sec", "s"): datetime.timedelta(seconds=1),
}
SPELLINGS = [(spelling, length) for spellings, length in UNITS.items() for spelling in spellings]


@pytest.mark.parametrize(("spelling", "length"), SPELLINGS)
def test_every_spelling_of_a_unit_has_its_length(spelling: str, length: datetime.timedelta) -> None:
    assert fromNow(f"3 {spelling}", START) == START + 3 * length


@pytest.mark.parametrize(("spelling", "length"), SPELLINGS)
def test_case_does_not_matter(spelling: str, length: datetime.timedelta) -> None:
    assert fromNow(f"3 {spelling.upper()}", START) == START + 3 * length


@pytest.mark.parametrize(
    ("offset", "seconds"),
    [
        ("1 day", 86400),
        ("+1 day", 86400),
        (" + 1 day", 86400),
        ("-1 day", -86400),
        (" - 1 day", -86400),
        ("2 days 3 hours 1 minute", 2 * 86400 + 3 * 3600 + 60),
        ("2days3hours1minute", 2 * 86400 + 3 * 3600 + 60),
        ("-2 days 3 hours", -(2 * 86400 + 3 * 3600)),
        ("1mo 1m", 30 * 86400 + 60),
        ("\t1\n d ", 86400),
        ("1 2 h", 12 * 3600),
        ("0 s", 0),
        ("", 0),
        ("-", 0),
    ],
)
def test_signs_order_and_white_space(offset: str, seconds: int) -> None:
    assert fromNow(offset, START) == START + datetime.timedelta(seconds=seconds)


@given(
    counts=st.lists(st.one_of(st.none(), st.integers(0, 99)), min_size=len(UNITS), max_size=len(UNITS)),
    data=st.data(),
    negative=st.booleans(),
)
def test_units_add_up(counts: list[int | None], data: st.DataObject, negative: bool) -> None:
    text, total = "-" if negative else data.draw(st.sampled_from(["", "+"])), datetime.timedelta()
    for count, (spellings, length) in zip(counts, UNITS.items(), strict=True):
        if count is not None:
            space = data.draw(st.sampled_from(["", " ", "\t ", "\n"]))
            spelling = data.draw(st.sampled_from(spellings))
            text += f"{space}{count}{space}{data.draw(st.sampled_from([spelling, spelling.title()]))}"
            total += count * length
    assert fromNow(text, START) == (START - total if negative else START + total)


@pytest.mark.parametrize(
    "offset",
    ["bogus", "1", "1 fortnight", "1 hour 1 day", "1 day 1 day", "--1 day", "1 day ago", "1.5 days", "day", "٣ days"],
)
def test_error_shows_an_invalid_offset(offset: str) -> None:
    with pytest.raises(ValueError, match="does not parse") as caught:
        fromNow(offset)
    assert repr(offset) in str(caught.value)


def test_error_shows_an_offset_beyond_the_year_9999() -> None:
    with pytest.raises(ValueError, match="99999 years"):
        fromNow("99999 years")
    with pytest.raises(ValueError, match="99999999999999 years"):
        fromNow("99999999999999 years")


def test_from_now_defaults_to_the_present_in_utc(frozen: datetime.datetime) -> None:
    date = fromNow("1 hour")
    assert date == frozen + datetime.timedelta(hours=1)
    assert date.utcoffset() == datetime.timedelta(0)


def test_date_obj_keeps_microseconds_and_zone() -> None:
    start = datetime.datetime(2024, 1, 1, 0, 0, 0, 123456)
    assert fromNow("1 second", dateObj=start) == datetime.datetime(2024, 1, 1, 0, 0, 1, 123456)
    assert fromNowJSON("1 second", dateObj=start) == "2024-01-01T00:00:01.123456Z"


def test_from_now_json_is_an_iso_8601_string(frozen: datetime.datetime) -> None:
    assert fromNowJSON("1 hour") == "2023-11-14T23:13:20Z"


@pytest.mark.parametrize(
    ("date", "text"),
    [
        (datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05Z"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), "2024-01-02T03:04:05.000006Z"),
        (
            datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            "2024-01-02T03:04:05+02:00",
        ),
        (
            datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(0), "GMT")),
            "2024-01-02T03:04:05Z",
        ),
    ],
)
def test_string_date_writes_the_zone(date: datetime.datetime, text: str) -> None:
    assert stringDate(date) == text


ZONES = st.timezones() | st.just(datetime.timezone.utc)


@given(st.datetimes(min_value=datetime.datetime(1900, 1, 1), timezones=ZONES))
def test_parses_the_dates_it_writes(date: datetime.datetime) -> None:
    read = datetime.datetime.fromisoformat(stringDate(date).replace("Z", "+00:00"))
    assert read.utcoffset() == date.utcoffset()
    assert read.replace(tzinfo=None) == date.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-24T10:20:24Z", 0),
        ("2026-11-24T10:20:24.4Z", 400_000),
        ("2026-11-24T10:20:24.47+00:00", 470_000),
        ("2026-11-24T10:20:24.470Z", 470_000),
        ("2026-11-24t12:20:24.4700+0200", 470_000),
        ("2026-11-24 08:20:24.123456789-02", 123_456),
        ("2026-11-24T10:20:24.5", 500_000),
    ],
)
def test_reads_dates_with_any_fraction_and_zone(text: str, microsecond: int) -> None:
    read = parse_date(text)
    assert read == datetime.datetime(2026, 11, 24, 10, 20, 24, microsecond, datetime.timezone.utc)
    assert read.tzinfo is not None


def test_writes_dates_in_utc_with_milliseconds() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert format_date(datetime.datetime(2026, 11, 24, 12, 20, 24, 470_999, zone)) == "2026-11-24T10:20:24.470Z"


@pytest.mark.parametrize("text", ["", "2026-11-24", "2026-02-30T00:00:00Z", "2026-11-24T24:00:00Z", "24.4", "today"])
def test_rejects_invalid_dates(text: str) -> None:
    with pytest.raises(ValueError):
        parse_date(text)
