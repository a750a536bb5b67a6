"""Errors that are both Python's and Taskcluster's: handlers of either kind catch them."""

from __future__ import annotations

import errno
import io

from taskcluster.exceptions import (
    ObjectHashVerificationError,
    TaskclusterArtifactError,
    TaskclusterAuthFailure,
    TaskclusterConnectionError,
    TaskclusterFailure,
    TaskclusterRestFailure,
)

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "AuthenticationFailed",
    "Changed",
    "Disconnected",
    "ErrorArtifact",
    "Failed",
    "HashMismatch",
    "IsDirectory",
    "NoResource",
    "RequestFailed",
    "Unsupported",
    "already_exists",
    "as_os_error",
    "not_found",
    "replaced",
]

# Class attributes, because OSError sets `errno` only for arguments that these constructors do not have.


class NoResource(TaskclusterRestFailure, FileNotFoundError):
    """The deployment or storage has no such file (status 404), or has it no more (410)."""

    errno = errno.ENOENT


class AccessDenied(TaskclusterRestFailure, PermissionError):
    """The credentials do not have the scopes, or storage denied access (status 403)."""

    errno = errno.EACCES


class AuthenticationFailed(TaskclusterAuthFailure, PermissionError):
    """The credentials are not valid (status 401)."""

    errno = errno.EACCES


class AlreadyExists(TaskclusterRestFailure, FileExistsError):
    """There is such a file already, or the run is not running (status 409)."""

    errno = errno.EEXIST


class IsDirectory(TaskclusterFailure, IsADirectoryError):
    """A directory was opened."""

    errno = errno.EISDIR


class RequestFailed(TaskclusterRestFailure, OSError):
    """Any other error response."""

    errno = errno.EIO


class Disconnected(TaskclusterConnectionError, ConnectionError):
    """There was no complete response, after all retries."""

    errno = errno.ECONNABORTED


class ErrorArtifact(TaskclusterArtifactError, OSError):
    """The artifact is an error; `reason` is the worker's."""

    errno = errno.EIO


class HashMismatch(ObjectHashVerificationError, OSError):
    """The data does not match the hashes that the object service has for it."""

    errno = errno.EIO


class Changed(TaskclusterFailure, OSError):
    """The file was replaced while it was open."""

    errno = errno.ESTALE


class Failed(TaskclusterFailure, OSError):
    """Any other failure."""

    errno = errno.EIO


class Unsupported(TaskclusterFailure, io.UnsupportedOperation):
    """Taskcluster has no such operation."""

    errno = errno.EOPNOTSUPP


def not_found(message: str) -> NoResource:
    """Return the error for a file that is not listed, with the status and code that a server sends."""
    return NoResource(message, None, 404, {"code": "ResourceNotFound", "message": message})


def already_exists(path: str) -> AlreadyExists:
    """Return the error for a file that exists, with the status and code that a server sends."""
    message = f"{path} exists already, and files are written once"
    return AlreadyExists(message, None, 409, {"code": "RequestConflict", "message": message})


def replaced(path: str) -> Changed:
    """Return the error for a file that has another version than when it was opened."""
    return Changed(f"{path} was replaced while it was open: open it again")


def as_os_error(failure: TaskclusterFailure, path: str) -> TaskclusterFailure:
    """Return a failure of a call or download as an error that is also Python's.

    Args:
        failure: The failure, which becomes the cause.
        path: The path that it concerns, for the message.
    """
    if isinstance(failure, OSError):
        return failure
    message = f"{path}: {failure}"
    match failure:
        case TaskclusterRestFailure(status_code=status):
            kinds = {403: AccessDenied, 404: NoResource, 410: NoResource, 409: AlreadyExists}
            kind: type[TaskclusterRestFailure] = kinds.get(status, RequestFailed)
            return kind(message, failure, status, failure.body)
        case TaskclusterAuthFailure():
            return AuthenticationFailed(message, failure, failure.status_code, failure.body)
        case TaskclusterConnectionError():
            return Disconnected(message, failure)
        case TaskclusterArtifactError():
            return ErrorArtifact(message, failure.reason)
        case ObjectHashVerificationError():
            return HashMismatch(message)
        case _:
            return Failed(message)
