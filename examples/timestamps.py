"""Dates relative to now, in words, as Taskcluster reads them."""

from __future__ import annotations

from datetime import datetime, timezone

import taskcluster


def main() -> None:
    """Show what is understood, counted from one date so that the results stay the same."""
    new_year = datetime(2030, 1, 1, tzinfo=timezone.utc)
    for offset in ("2 days 3 hours 1 minute", "-1 hour", "+1 week", "1y2mo3w4d5h6m7s", "3 DAYS", ""):
        print(f"{offset!r}: {taskcluster.fromNowJSON(offset, dateObj=new_year)}")

    expires = taskcluster.fromNow("1 day")
    print("fromNow is a datetime, in UTC:", type(expires).__name__, expires.tzinfo)
    print("it is written for the API as:", taskcluster.stringDate(new_year))
    try:
        taskcluster.fromNow("a fortnight")
    except ValueError as refusal:
        print("not understood:", refusal)


if __name__ == "__main__":
    main()
