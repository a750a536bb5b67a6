"""What is to be awaited, told apart in sync code, which cannot."""

from __future__ import annotations

import inspect
from typing import Any

from .exceptions import TaskclusterFailure

__all__ = ["plain"]


def plain(answer: Any, otherwise: str) -> Any:
    """Return an answer; raise TaskclusterFailure with the text `otherwise` where it is to be awaited."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TaskclusterFailure(otherwise)
    return answer
