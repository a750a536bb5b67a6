"""The transfer methods of plugins, with checks of what they return and errors that name the plugin."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from .payloads import dumpJson
from .plugin_checks import located
from .plugins import DownloadMethod, Location, PluginError, UploadMethod, UploadOffer
from .shapes import is_class, is_mapping, type_name

__all__ = ["checked"]

_FIELDS: Mapping[str, tuple[Any, str]] = {
    "url": (str, "a string"),
    "method": (str, "a string"),
    "headers": (Mapping, "a mapping of strings"),
    "expires": ((str, NoneType), "a string or None"),
    "hashes": ((Mapping, NoneType), "a mapping of strings or None"),
}
"""The types of a Location's fields."""


def checked(plugin: str, method: object) -> list[UploadMethod | DownloadMethod]:
    """Return a plugin's transfer method, with checks, in a list; one for uploads and downloads returns two.

    Raises:
        PluginError: It is not a transfer method.
    """
    found: list[UploadMethod | DownloadMethod] = []
    if not is_class(method) and isinstance(getattr(method, "name", None), str):
        kinds: list[type[_CheckedUpload] | type[_CheckedDownload]] = [_CheckedUpload, _CheckedDownload]
        found = [kind(plugin, method) for kind in kinds if _has(method, kind.functions)]
    if not found:
        raise PluginError(
            f"the plugin {plugin!r} names a transfer method of the wrong type, {type_name(method)}: it must be an "
            "object with name, propose and destination (UploadMethod), or name, accept and source (DownloadMethod)"
        )
    return found


def _has(method: object, functions: tuple[str, ...]) -> bool:
    return all(callable(getattr(method, name, None)) for name in functions)


class _Checked:
    def __init__(self, plugin: str, method: Any) -> None:
        self.name: str = method.name
        self._plugin = plugin
        self._method = method

    def _result(self, function: str, check: Callable[[Any], str | None], *args: Any) -> Any:
        """Call a function of the method; raise PluginError if it raises, or if `check` returns a problem."""
        result: Any = None
        try:
            result = getattr(self._method, function)(*args)
            if inspect.iscoroutine(result):
                result.close()
                problem: str | None = "must be a plain function, which sync and async programs call"
            else:
                problem = check(result)
        except Exception as exc:
            problem = f"raised {located(exc)}"
        if problem is not None:
            # Not chained: the exception may hold the object's data, a signed URL or credentials.
            raise PluginError(f"the plugin {self._plugin!r}: {function} of its method {self.name!r} {problem}")
        return result


class _CheckedUpload(_Checked):
    functions = ("propose", "destination")

    def propose(self, offer: UploadOffer) -> Any:
        return self._result("propose", _problem_with_json, offer)

    def destination(self, response: Any, /) -> Location | None:
        location: Location | None = self._result("destination", _problem_with_destination, response)
        return location


class _CheckedDownload(_Checked):
    functions = ("accept", "source")

    def accept(self) -> Any:
        return self._result("accept", _problem_with_acceptance)

    def source(self, response: Mapping[str, Any], /) -> Location:
        location: Location = self._result("source", _problem_with_location, response)
        return location


def _problem_with_json(value: object) -> str | None:
    try:
        dumpJson(value, allow_nan=False)
    except UnicodeError:
        return "returned bytes that are not UTF-8; it must return a JSON value"
    except (TypeError, ValueError, RecursionError) as exc:
        return f"must return a JSON value: {exc}"
    return None


def _problem_with_acceptance(value: object) -> str | None:
    return "must return a JSON value, for example True, not None" if value is None else _problem_with_json(value)


def _problem_with_destination(value: object) -> str | None:
    return None if value is None else _problem_with_location(value, " or None")


def _problem_with_location(value: object, alternative: str = "") -> str | None:
    if not isinstance(value, Location):
        return f"must return a taskcluster.plugins.Location{alternative}, not {type_name(value)}"
    for name, (kind, expected) in _FIELDS.items():
        field = getattr(value, name)
        if not isinstance(field, kind):
            return f"returned a Location whose {name} is not {expected} but {type_name(field)}"
        if is_mapping(field) and not all(isinstance(each, str) for pair in field.items() for each in pair):
            return f"returned a Location whose {name} is not {expected}"
    if not value.url.lower().startswith(("http://", "https://")):
        # Not shown: it may hold a signature.
        return "returned a Location whose url is not an http or https address"
    return None
