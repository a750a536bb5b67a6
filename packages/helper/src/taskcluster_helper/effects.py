"""The effects that only the helper's procedures yield."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from taskcluster.effects import Close, Emit, Invoke, Open, Opened, Sleep

__all__ = ["Effect", "LogProcedure", "Procedure", "ReadSome", "ReportChange"]

T = TypeVar("T")


class ReportChange(NamedTuple):
    """Call the program's `on_change`, which in async code may be a coroutine function."""

    on_change: Callable[[Any], Any]
    seen: Any


class ReadSome(NamedTuple):
    """Read the bytes of a response body that have arrived, still encoded; none at the end."""

    opened: Opened


Effect = Invoke | Sleep | ReportChange | Open | ReadSome | Close
Procedure = Generator[Effect, Any, T]
LogProcedure = Generator[Effect | Emit, Any, T]
