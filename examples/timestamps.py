"""Compute dates relative to now."""

from __future__ import annotations

from datetime import datetime, timezone

import taskcluster


def main() -> None:
    """Print dates relative to a fixed date, so that the output is always the same."""
    new_year = datetime(2030, 1, 1, tzinfo=timezone.utc)
    for offset in ("2 days 3 hours 1 minute", "-1 hour", "+1 week", "1y2mo3w4d5h6m7s", "3 DAYS", ""):
        print(f"{offset!r}: {taskcluster.fromNowJSON(offset, dateObj=new_year)}")

    expires = taskcluster.fromNow("1 day")
    print("fromNow returns a datetime in UTC:", type(expires).__name__, expires.tzinfo)
    print("formatted for the API:", taskcluster.stringDate(new_year))
    try:
        taskcluster.fromNow("a fortnight")
    except ValueError as error:
        print("invalid:", error)


if __name__ == "__main__":
    main()
