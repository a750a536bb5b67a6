"""The system's keyring, through the package keyring if it is installed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from .errors import FAILED, Failure

__all__ = ["Keyring"]

_SERVICE = "taskcluster"
_SECONDS = 15.0
"""How long to wait. Keyrings may ask the user to unlock them, and without D-Bus some never respond."""


class Keyring:
    """Access tokens in the system's keyring.

    Args:
        environ: TASKCLUSTER_KEYRING=off disables it, TASKCLUSTER_KEYRING_TIMEOUT is the seconds to wait.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._is_off = environ.get("TASKCLUSTER_KEYRING", "").lower() in ("off", "0", "no", "false")
        try:
            self._seconds = float(environ.get("TASKCLUSTER_KEYRING_TIMEOUT") or _SECONDS)
        except ValueError:
            self._seconds = _SECONDS

    def get(self, root_url: str, client_id: str) -> str | None:
        """Return an access token, or None."""
        found: Any = self._within_time(lambda keyring: keyring.get_password(_SERVICE, _user(root_url, client_id)))
        return found if isinstance(found, str) else None

    def set(self, root_url: str, client_id: str, access_token: str) -> str | None:
        """Store an access token; return why that is impossible, or None."""
        try:
            self._within_time(lambda keyring: keyring.set_password(_SERVICE, _user(root_url, client_id), access_token))
        except Failure as exc:
            return exc.message
        return None

    def delete(self, root_url: str, client_id: str) -> None:
        """Delete an access token, if it is there."""

        def delete(keyring: Any) -> None:
            if keyring.get_password(_SERVICE, _user(root_url, client_id)) is not None:
                keyring.delete_password(_SERVICE, _user(root_url, client_id))

        self._within_time(delete)

    def _within_time(self, use: Callable[[Any], Any]) -> Any:
        if self._is_off:
            raise Failure("the keyring is off (TASKCLUSTER_KEYRING)", FAILED)
        outcome: list[Any] = []
        problem: list[str] = []

        def work() -> None:
            try:
                import keyring

                if float(getattr(keyring.get_keyring(), "priority", 0)) <= 0:
                    problem.append("there is no keyring on this system")
                    return
                outcome.append(use(keyring))
            except ModuleNotFoundError:
                problem.append("the package keyring is not installed")
            except Exception as exc:
                # Its message may hold anything.
                problem.append(f"the keyring failed ({type(exc).__name__})")

        # A daemon: an import that hangs must not keep the process alive.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(self._seconds)
        if not outcome:
            reason = problem[0] if problem else f"the keyring did not respond within {self._seconds:g} s"
            raise Failure(reason, FAILED, "TASKCLUSTER_KEYRING=off avoids it; then sign in again")
        return outcome[0]


def _user(root_url: str, client_id: str) -> str:
    return f"{client_id} at {root_url}"
