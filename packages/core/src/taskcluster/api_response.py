"""The result of a call together with the status and the headers of its response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .effects import Response
from .exceptions import TaskclusterFailure

__all__ = ["ApiResponse", "with_last"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ApiResponse(Generic[T]):
    """What `get_response` of a client returns."""

    status: int
    headers: Mapping[str, str]
    """Their names are case-insensitive."""
    value: T
    """The method's result."""

    def __repr__(self) -> str:
        # The headers and the value may hold secrets.
        return f"<ApiResponse {self.status}>"


def with_last(responses: list[Response], value: T) -> ApiResponse[T]:
    """Return a result with the last of the responses.

    Raises:
        TaskclusterFailure: There is none.
    """
    if not responses:
        raise TaskclusterFailure("get_response: the method called no API method, so there is no response")
    return ApiResponse(responses[-1].status, responses[-1].headers, value)
